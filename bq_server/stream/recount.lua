-- Begin the count anew: what is in the stream now and what is lost came in, and nothing went.
-- KEYS[1] the stream; KEYS[2] the counts; ARGV[1] the epoch
-- ARGV[2] how many are lost; ARGV[3] how many the counts missed when that was determined: what has gone missing since,
-- or was settled after all, is counted here
-- Returns how many are lost.
local waiting = redis.call('XLEN', KEYS[1])
local counts = redis.call('HMGET', KEYS[2], 'appended', 'settled')
local missing = (tonumber(counts[1]) or 0) - (tonumber(counts[2]) or 0) - waiting
local lost = math.max(0, tonumber(ARGV[2]) + missing - tonumber(ARGV[3]))
redis.call('HSET', KEYS[2], 'epoch', ARGV[1], 'appended', waiting + lost, 'settled', 0)
return lost
