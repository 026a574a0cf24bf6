-- Reads what a consumer has; a new one begins at ARGV[1].
-- KEYS: mark, ahead, parked.
redis.call('HSETNX', KEYS[1], 'low', ARGV[1])
return {
  redis.call('HGET', KEYS[1], 'low'),
  redis.call('HGET', KEYS[1], 'epoch') or '0',
  redis.call('ZRANGE', KEYS[2], 0, -1),
  redis.call('HGETALL', KEYS[3]),
}
