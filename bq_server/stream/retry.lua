-- Put dead letters back into the stream. A letter stays, marked, until its message is settled: a message is always in one of them.
-- KEYS[1] the stream; KEYS[2] the dead letters; KEYS[3] the counts
-- ARGV for each: its id, the letter as it was read, the payload
-- Returns the ids of those put back; a letter that was changed or removed since it was read is left alone.
local answers = {}
for i = 1, #ARGV, 3 do
    local id, letter, payload = ARGV[i], ARGV[i + 1], ARGV[i + 2]
    if redis.call('HGET', KEYS[2], id) == letter then
        local message_id = redis.call('XADD', KEYS[1], '*', 'e', payload, 'm', id)
        redis.call('HSET', KEYS[2], id, string.sub(letter, 1, -2) .. ',"retried_as":"' .. message_id .. '"}')
        answers[#answers + 1] = id
    end
end
redis.call('HINCRBY', KEYS[3], 'appended', #answers)
return answers
