-- What waits at the end of the stream, and whether there are dead letters, at one moment.
-- KEYS[1] the stream; KEYS[2] the dead letters
-- ARGV[1] the id to begin at, or '+'; ARGV[2] how many entries at most
-- Returns the entries, latest first, and how many dead letters there are.
return {redis.call('XREVRANGE', KEYS[1], ARGV[1], '-', 'COUNT', ARGV[2]), redis.call('HLEN', KEYS[2])}
