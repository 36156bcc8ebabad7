-- Store a snapshot unless the lead is as new or newer.
-- KEYS: lead hash. ARGV: lead key, epoch, offset, position on the scores topic, snapshot bytes, then (index, rank)...
local stored = redis.call('HMGET', KEYS[1], 'epoch', 'offset', 'indexes')
local epoch, offset = tonumber(ARGV[2]), tonumber(ARGV[3])
if stored[1] then
  local old_epoch, old_offset = tonumber(stored[1]), tonumber(stored[2])
  if epoch < old_epoch or (epoch == old_epoch and offset <= old_offset) then
    return 0
  end
end
for _, index in ipairs(stored[3] and cjson.decode(stored[3]) or {}) do
  redis.call('ZREM', index, ARGV[1])
end
local indexes = {}
for i = 6, #ARGV, 2 do
  redis.call('ZADD', ARGV[i], ARGV[i + 1], ARGV[1])
  indexes[#indexes + 1] = ARGV[i]
end
redis.call('HSET', KEYS[1], 'epoch', ARGV[2], 'offset', ARGV[3], 'position', ARGV[4], 'body', ARGV[5],
  'indexes', cjson.encode(indexes))
redis.call('PERSIST', KEYS[1])
return 1
