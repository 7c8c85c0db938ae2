-- Reads KEYS. ARGV[1] and ARGV[2]: the largest value and the largest reply. Measured before it is read, so that neither the server
-- nor this process holds what nobody may have.
local total = 0
for _, key in ipairs(KEYS) do
  local length = redis.call('STRLEN', key)
  if length > tonumber(ARGV[1]) then
    return redis.error_reply('VALUETOOLARGE a value is larger than a bucket allows')
  end
  total = total + length
end
if total > tonumber(ARGV[2]) then
  return redis.error_reply('REPLYTOOLARGE the values together are larger than one reply may be')
end
return redis.call('MGET', unpack(KEYS))
