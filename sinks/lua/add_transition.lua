-- Add a transition to its lead and, if it is new there, to the feed.
-- KEYS: transitions of the lead, feed. ARGV: lead key, member (sorts in log order), transition bytes, kept per lead,
-- kept in the feed.
if redis.call('ZADD', KEYS[1], 0, ARGV[2]) == 0 then
  return 0
end
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - tonumber(ARGV[4]))
if not redis.call('ZSCORE', KEYS[1], ARGV[2]) then
  return 0 -- older than all that are kept
end
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[5], '*', 'lead', ARGV[1], 'transition', ARGV[3])
return 1
