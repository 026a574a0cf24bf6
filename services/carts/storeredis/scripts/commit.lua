-- Does all of a consumer's step, or nothing and says what stands in its way: 'moved', 'gone' or 'conflict'.
-- KEYS: mark, ahead, letters, order, bykey, parked, acts, then the carts of the step.
-- ARGV: the step as JSON, in which every number that is kept is a string; how many acts are kept.
local step = cjson.decode(ARGV[1])
local mark, ahead, letters, order, bykey, parked, acts = unpack(KEYS, 1, 7)
local cart = function(i) return KEYS[7 + i] end

if step.mark then
  local at = redis.call('HMGET', mark, 'low', 'epoch')
  if at[1] ~= step.mark.from or (at[2] or '0') ~= step.mark.epoch then
    return 'moved'
  end
end
if step.ends and redis.call('HEXISTS', letters, step.ends.at) == 0 then
  return 'gone'
end
for i, c in ipairs(step.carts or {}) do
  if redis.call('HGET', cart(i), 'stamp') ~= c.was then
    return 'conflict'
  end
end

for i, c in ipairs(step.carts or {}) do
  redis.call('HSET', cart(i), 'stamp', c.is, 'doc', c.doc) -- its life goes on as it was
end
if step.mark then
  redis.call('HSET', mark, 'low', step.mark.to)
end
for _, at in ipairs(step.ahead or {}) do
  redis.call('ZADD', ahead, at, at)
end
if step.passed then
  redis.call('ZREMRANGEBYSCORE', ahead, '-inf', step.mark.to)
end
for _, l in ipairs(step.park or {}) do
  redis.call('HSET', letters, l.at, l.letter)
  redis.call('ZADD', order, l.at, l.at)
  redis.call('ZADD', bykey, 0, l.rank)
  redis.call('HINCRBY', parked, l.key, 1)
end
if step.ends then
  redis.call('HDEL', letters, step.ends.at)
  redis.call('ZREM', order, step.ends.at)
  redis.call('ZREM', bykey, step.ends.rank)
  if redis.call('HINCRBY', parked, step.ends.key, -1) <= 0 then
    redis.call('HDEL', parked, step.ends.key)
  end
  redis.call('LPUSH', acts, step.ends.act)
  redis.call('LTRIM', acts, 0, ARGV[2] - 1)
  redis.call('HINCRBY', mark, 'epoch', 1) -- so that every process reads the letters again
end
return 'ok'
