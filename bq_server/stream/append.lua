-- Append a group of messages and claim their idempotency keys.
-- KEYS[1] the stream; KEYS[1 + i] the claim of message i, or '' when it has no idempotency key
-- ARGV[1] most entries the stream may hold; ARGV[2] milliseconds a claim lasts
-- ARGV[2 + (i - 1) * 4 + 1 .. 4] of message i: payload, fingerprint, event id, moment received
-- A claim's value is 'fingerprint message_id event_id received_at', with '-' for a message id while there is none.
-- Answers {} when the group doesn't fit, else for each message {0 appended | 1 repeated | 2 conflict, message id}.
local stream, limit, window = KEYS[1], tonumber(ARGV[1]), ARGV[2]
local messages = #KEYS - 1
if redis.call('XLEN', stream) + messages > limit then
    return {}
end
local answers = {}
for i = 1, messages do
    local claim = KEYS[1 + i]
    local payload, fingerprint, event_id, received_at = unpack(ARGV, 2 + (i - 1) * 4 + 1, 2 + i * 4)
    local held = claim ~= '' and redis.call('GET', claim)
    local held_fingerprint, held_message
    if held then
        held_fingerprint, held_message = string.match(held, '^(%S+) (%S+)')
    end
    if held and held_fingerprint ~= fingerprint then
        answers[i] = {2, ''}
    elseif held and held_message ~= '-' then
        answers[i] = {1, held_message}
    else
        local message_id = redis.call('XADD', stream, '*', 'e', payload)
        if claim ~= '' then
            redis.call('SET', claim, table.concat({fingerprint, message_id, event_id, received_at}, ' '), 'PX', window)
        end
        answers[i] = {held and 1 or 0, message_id}
    end
end
return answers
