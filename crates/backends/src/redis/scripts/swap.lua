-- ARGV[3]: the new value; ARGV[4]: the expected one, absent when nothing is expected. Lengths are compared first: whatever is there
-- may be large.
local key, value, expected = KEYS[2], ARGV[3], ARGV[4]
if expected then
  if redis.call('STRLEN', key) ~= #expected or redis.call('GET', key) ~= expected then
    return 0
  end
elseif redis.call('EXISTS', key) == 1 then
  return 0
end
put(key, value)
tend(fresh)
return 1
