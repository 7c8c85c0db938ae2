-- KEYS[2] remembers that the bucket was seeded; ARGV[3] and on: the value of KEYS[3] and on.
if redis.call('EXISTS', KEYS[2]) == 1 then
  return 0
end
redis.call('SET', KEYS[2], '1')
if not fresh then
  return 0
end
for at = 3, #KEYS do
  put(KEYS[at], ARGV[at])
end
tend(fresh)
return 1
