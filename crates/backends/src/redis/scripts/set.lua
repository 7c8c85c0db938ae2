-- ARGV[3] and on: the value of KEYS[2] and on.
for at = 2, #KEYS do
  put(KEYS[at], ARGV[at + 1])
end
tend(fresh)
return 1
