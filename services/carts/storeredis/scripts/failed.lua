-- Replaces a letter that has not ended meanwhile. KEYS: letters. ARGV: its position, the letter.
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
end
return 1
