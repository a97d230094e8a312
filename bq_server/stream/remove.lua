-- Remove settled messages from the stream, and the dead letters that they were, as its only consumer.
-- KEYS[1] the stream; KEYS[2] the dead letters; KEYS[3] the counts
-- ARGV[1] the group; from ARGV[2] see `remove_settled`
-- Returns how many were settled in total and the epoch of the count.
return remove_settled(2)
