-- Remove settled messages from the stream, and the dead letters that they were.
-- KEYS[1] the stream; KEYS[2] the dead letters; KEYS[3] the counts; KEYS[4] the charge
-- ARGV[1] the group; ARGV[2] the consumer; ARGV[3] the store's note, ARGV[4] what to note there, 0 for nothing
-- ARGV[5] how many messages there are, n; then their n ids, then ids of letters
-- Returns how many were settled in total and the epoch of the count, or nothing where another consumer is in charge:
-- then nothing was done.
if consumer_in_charge(KEYS[4]) ~= ARGV[2] then
    return {}
end
local n = tonumber(ARGV[5])
if #ARGV > 5 + n then
    redis.call('HDEL', KEYS[2], unpack(ARGV, 6 + n))
end
local settled = settle(KEYS[1], KEYS[3], ARGV[1], {unpack(ARGV, 6, 5 + n)})
-- Last: a server without memory refuses what grows, unless the script has written before.
if ARGV[4] ~= '0' then
    redis.call('HSET', KEYS[3], ARGV[3], ARGV[4])
end
return settled
