-- Store the active model; the larger (n, version) wins.
-- KEYS: model hash. ARGV: n, version, bytes of the ModelActivated record.
local stored = redis.call('HMGET', KEYS[1], 'n', 'version')
if stored[1] then
  local n = tonumber(stored[1])
  if tonumber(ARGV[1]) < n or (tonumber(ARGV[1]) == n and ARGV[2] <= stored[2]) then
    return 0
  end
end
redis.call('HSET', KEYS[1], 'n', ARGV[1], 'version', ARGV[2], 'body', ARGV[3])
return 1
