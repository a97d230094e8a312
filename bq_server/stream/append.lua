-- Append a group of messages and claim the idempotency keys of those that have one.
-- KEYS[1] the stream; KEYS[2] the dead letters; KEYS[3] the counts; KEYS[3 + k] the claim of the k-th message with a
-- key
-- ARGV[1] most entries the stream may hold; ARGV[2] milliseconds a claim lasts; ARGV[3] how many messages there are, n
-- ARGV[3 + i] the payload of message i
-- ARGV[3 + n + (k - 1) * 5 + 1 .. 5] of the k-th message with a key: its i, fingerprint, event id, moment received,
-- and the id of a message that it may stand for, or '-'
-- Returns {} when the group doesn't fit, else for each message its id, after '=' when the key's claim was held by an
-- equal event; or '!' when another event holds it; or '?' and the id of the equal event's message when that is a dead
-- letter; or '~' and that id when the message is neither there nor in the stream. Then nothing was appended.
-- After these stand how many messages have come in all, and the epoch of the count.
local stream, limit, window, messages = KEYS[1], tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
if redis.call('XLEN', stream) + messages > limit then
    return {}
end
local answers, claimed, appended = {}, {}, 0
local function append(payload)
    appended = appended + 1
    return redis.call('XADD', stream, '*', 'e', payload)
end
for k = 1, #KEYS - 3 do
    claimed[tonumber(ARGV[3 + messages + (k - 1) * 5 + 1])] = k
end
local function where_is(message_id)
    if #redis.call('XRANGE', stream, message_id, message_id) > 0 then
        return '='
    end
    local dead = is_dead(KEYS[2], message_id)
    return dead == 'retried' and '=' or dead and '?' or '~'
end
for i = 1, messages do
    local payload, k = ARGV[3 + i], claimed[i]
    if not k then
        answers[i] = append(payload)
    else
        local at, claim = 3 + messages + (k - 1) * 5 + 2, KEYS[3 + k]
        local fingerprint, event_id, received_at, replaced = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
        local held = redis.call('GET', claim)
        local held_fingerprint, held_message
        if held then
            held_fingerprint, held_message = read_claim(held)
        end
        if held and held_fingerprint ~= fingerprint then
            answers[i] = '!'
        elseif held and held_message ~= '-' and held_message ~= replaced then
            answers[i] = where_is(held_message) .. held_message
        else
            local message_id = append(payload)
            write_claim(claim, fingerprint, message_id, event_id, received_at, window)
            answers[i] = held and '=' .. message_id or message_id
        end
    end
end
answers[messages + 1] = redis.call('HINCRBY', KEYS[3], 'appended', appended)
answers[messages + 2] = redis.call('HGET', KEYS[3], 'epoch') or ''
return answers
