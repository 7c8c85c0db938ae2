-- Walks the index KEYS[1] from ARGV[1] to ARGV[2] until it has ARGV[3] keys whose value, behind ARGV[4], is there. Looks at ARGV[5]
-- entries at most, so that a bucket full of expired keys does not stop the server: {1, keys} is all, {0, keys, from} is until
-- there. Entries longer than ARGV[6] are not a bucket's. Expired entries are forgotten where this server may be written to.
local from, want, budget = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[5])
local keys = {}
while #keys < want and budget > 0 do
  local ask = math.min(want - #keys, budget)
  local members = redis.call('ZRANGEBYLEX', KEYS[1], from, ARGV[2], 'LIMIT', 0, ask)
  for _, member in ipairs(members) do
    from = '(' .. member
    if redis.call('EXISTS', ARGV[4] .. member) == 0 then
      redis.pcall('ZREM', KEYS[1], member)
    elseif #member <= tonumber(ARGV[6]) then
      keys[#keys + 1] = member
    end
  end
  if #members < ask then
    return {1, keys}
  end
  budget = budget - ask
end
return {0, keys, from}
