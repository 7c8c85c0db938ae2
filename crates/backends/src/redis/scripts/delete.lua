-- Deletes KEYS[2] and on. ARGV[1]: what stands before every key of a value. Value first: an index entry without one is forgotten by
-- the next list, a value without one would never be listed.
for at = 2, #KEYS do
  redis.call('UNLINK', KEYS[at])
  redis.call('ZREM', KEYS[1], string.sub(KEYS[at], #ARGV[1] + 1))
end
return 1
