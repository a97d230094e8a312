-- Begin the count anew: what is in the stream now came in, and nothing went.
-- KEYS[1] the stream; KEYS[2] the counts; ARGV[1] the epoch
redis.call('HSET', KEYS[2], 'epoch', ARGV[1], 'appended', redis.call('XLEN', KEYS[1]), 'settled', 0)
return redis.call('XLEN', KEYS[1])
