-- Keeps a cart in place of the state that its change began with.
-- KEYS: the cart. ARGV: the stamp of that state ('' for a new cart), the new stamp, the document, its life in ms.
local stamp = redis.call('HGET', KEYS[1], 'stamp') or ''
if stamp == ARGV[2] then
  return 1 -- done before; the answer was lost
end
if stamp ~= ARGV[1] then
  return 0 -- somebody was faster
end
redis.call('HSET', KEYS[1], 'stamp', ARGV[2], 'doc', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
