-- ARGV[3]: by how much; ARGV[4]: the largest value that is looked at. Answers the sum as text, because Lua counts in doubles and Redis
-- does the sum; or nothing, if there is none. Redis reads numbers more strictly than the contract ('+5', '007'): those are rewritten
-- first, and put back if the sum fails.
local key, delta = KEYS[2], ARGV[3]
if redis.call('STRLEN', key) > tonumber(ARGV[4]) then
  return false
end
local value = redis.call('GET', key)
local text = value
if value then
  -- One pass each: a pattern that could backtrack would let a value of zeros stop the server.
  if not string.find(value, '^[+-]?%d+$') then
    return false
  end
  local digits = string.gsub(string.gsub(value, '^[+-]', ''), '^0+', '')
  if digits == '' then
    text = '0'
  elseif string.sub(value, 1, 1) == '-' then
    text = '-' .. digits
  else
    text = digits
  end
  if #text > 20 then
    return false
  end
end
enter(key)
if text ~= value then
  redis.call('SET', key, text, 'KEEPTTL')
end
local sum = redis.pcall('INCRBY', key, delta)
if type(sum) == 'table' and sum.err then
  if text ~= value then
    redis.call('SET', key, value, 'KEEPTTL')
  end
  if string.find(sum.err, 'overflow', 1, true) or string.find(sum.err, 'not an integer', 1, true) then
    return false
  end
  return sum
end
if ttl > 0 then
  redis.call('PEXPIRE', key, ttl)
else
  redis.call('PERSIST', key)
end
tend(fresh)
return redis.call('GET', key)
