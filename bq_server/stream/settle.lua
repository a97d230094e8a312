-- Remove settled messages from the stream, and the dead letters that they were.
-- KEYS[1] the stream; KEYS[2] the dead letters; KEYS[3] the counts; KEYS[4] the charge
-- ARGV[1] the group; ARGV[2] the consumer; from ARGV[3] see `remove_settled`
-- Returns how many were settled in total and the epoch of the count, or nothing where another consumer is in charge:
-- then nothing was done.
if consumer_in_charge(KEYS[4]) ~= ARGV[2] then
    return {}
end
return remove_settled(3)
