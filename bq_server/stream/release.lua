-- Remove a claim whose event came to nothing, unless a message has it by now.
-- KEYS[1] the claim; ARGV[1] the event id that claimed it
local held = redis.call('GET', KEYS[1])
if held then
    local _, message_id, event_id = read_claim(held)
    if message_id == '-' and event_id == ARGV[1] then
        return redis.call('DEL', KEYS[1])
    end
end
return 0
