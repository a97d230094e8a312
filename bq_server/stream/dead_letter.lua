-- Move a message to the dead letters.
-- KEYS[1] the stream; KEYS[2] the dead letters; KEYS[3] the counts; KEYS[4] the charge
-- ARGV[1] the group; ARGV[2] the consumer; ARGV[3] the letter's id; ARGV[4] the letter; ARGV[5] the message's id
-- Returns how many were settled in total and the epoch of the count, or nothing where another consumer is in charge:
-- then nothing was done.
if consumer_in_charge(KEYS[4]) ~= ARGV[2] then
    return {}
end
redis.call('HSET', KEYS[2], ARGV[3], ARGV[4])
return settle(KEYS[1], KEYS[3], ARGV[1], {ARGV[5]})
