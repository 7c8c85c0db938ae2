-- Put before every script that writes. KEYS[1] is the bucket's index: a sorted set whose scores are all 0, so that it is ordered by
-- bytes. ARGV[1] is the time to live in milliseconds, 0 for none; ARGV[2] what stands before every key of a value.
-- Invariant: every key that is there is in the index. The other way round it need not be: a key may have expired.
local index, ttl, prefix = KEYS[1], tonumber(ARGV[1]), ARGV[2]

local function enter(key)
  redis.call('ZADD', index, 0, string.sub(key, #prefix + 1))
end

local function put(key, value)
  enter(key)
  if ttl > 0 then
    redis.call('SET', key, value, 'PX', ttl)
  else
    redis.call('SET', key, value)
  end
end

-- The index expires after its last key, if all of its keys expire. Three of its entries are looked at with every write and
-- forgotten if they have expired, so that an index that nobody lists does not grow for ever.
local function tend(fresh)
  if ttl == 0 then
    redis.call('PERSIST', index)
    return
  end
  local left = redis.call('PTTL', index)
  if fresh or (left >= 0 and left < ttl + 1000) then
    redis.call('PEXPIRE', index, ttl + 1000)
  end
  for _, member in ipairs(redis.call('ZRANDMEMBER', index, -3)) do
    if redis.call('EXISTS', prefix .. member) == 0 then
      redis.call('ZREM', index, member)
    end
  end
end

local fresh = redis.call('EXISTS', index) == 0
