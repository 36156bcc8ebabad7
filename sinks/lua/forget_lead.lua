-- Forget a lead unless a later record of the scores topic wrote it. What stays for a day is its version, so that an
-- older snapshot that is delivered again does not bring it back.
-- KEYS: lead hash, transitions of the lead, feed. ARGV: lead key, position on the scores topic, seconds to stay.
local stored = redis.call('HMGET', KEYS[1], 'position', 'indexes')
if not stored[1] or tonumber(ARGV[2]) <= tonumber(stored[1]) then
  return 0
end
for _, index in ipairs(stored[2] and cjson.decode(stored[2]) or {}) do
  redis.call('ZREM', index, ARGV[1])
end
redis.call('HDEL', KEYS[1], 'body', 'indexes')
redis.call('HSET', KEYS[1], 'position', ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[3])
if redis.call('DEL', KEYS[2]) == 1 then
  for _, entry in ipairs(redis.call('XRANGE', KEYS[3], '-', '+')) do
    if entry[2][2] == ARGV[1] then
      redis.call('XDEL', KEYS[3], entry[1])
    end
  end
end
return 1
