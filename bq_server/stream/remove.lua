-- Remove settled messages from the stream, and the dead letters that they were, as its only consumer.
-- KEYS[1] the stream; KEYS[2] the dead letters; KEYS[3] the counts
-- ARGV[1] the group; ARGV[2] the store's note, ARGV[3] what to note there, 0 for nothing
-- ARGV[4] how many messages there are, n; then their n ids, then ids of letters
-- Returns how many were settled in total and the epoch of the count.
local n = tonumber(ARGV[4])
if #ARGV > 4 + n then
    redis.call('HDEL', KEYS[2], unpack(ARGV, 5 + n))
end
local settled = settle(KEYS[1], KEYS[3], ARGV[1], {unpack(ARGV, 5, 4 + n)})
-- Last: a server without memory refuses what grows, unless the script has written before.
if ARGV[3] ~= '0' then
    redis.call('HSET', KEYS[3], ARGV[2], ARGV[3])
end
return settled
