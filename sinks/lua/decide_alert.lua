-- Decide once, per channel, what becomes of an alert; a repeat gets the same answer. All times are record time (ms).
-- KEYS: alert hash, quiet, digests, then (budget, digest) per channel.
-- ARGV: logged_at, quiet period ms, budget, time at which the digest is due, score, headline, seconds to keep the alert,
-- the quiet period and the budget, then a channel per pair of keys.
local known = redis.call('HGETALL', KEYS[1])
if #known > 0 then
  return {0, known}
end
local logged_at = tonumber(ARGV[1])
local last = redis.call('GET', KEYS[2])
local quiet = last and logged_at < tonumber(last) + tonumber(ARGV[2])
for i = 10, #ARGV do
  local budget, digest = KEYS[4 + 2 * (i - 10)], KEYS[5 + 2 * (i - 10)]
  local decision = 'quiet'
  if not quiet then
    decision = 'send'
    if redis.call('INCR', budget) > tonumber(ARGV[3]) then
      decision = 'digest'
      redis.call('ZADD', digest, ARGV[5], ARGV[6])
      redis.call('ZADD', KEYS[3], ARGV[4], ARGV[i] .. '\n' .. digest)
    end
    redis.call('EXPIRE', budget, ARGV[9])
  end
  redis.call('HSET', KEYS[1], ARGV[i], decision)
end
redis.call('EXPIRE', KEYS[1], ARGV[7])
if not quiet then
  redis.call('SET', KEYS[2], ARGV[1], 'EX', ARGV[8])
end
return {1, redis.call('HGETALL', KEYS[1])}
