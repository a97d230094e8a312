-- What the scripts share that deal with claims; claims.py has the same for Python.
-- A claim's value is 'fingerprint message_id event_id received_at', with '-' for a message id while there is none.
local function write_claim(key, fingerprint, message_id, event_id, received_at, milliseconds)
    local value = table.concat({fingerprint, message_id, event_id, received_at}, ' ')
    redis.call('SET', key, value, 'PX', milliseconds)
    return value
end
-- Returns fingerprint, message id and event id.
local function read_claim(value)
    return string.match(value, '^(%S+) (%S+) (%S+)')
end
-- Whether a message is a dead letter: true, or 'retried' while it is tried again, or false when it is none.
local function is_dead(letters, message_id)
    local letter = redis.call('HGET', letters, message_id)
    if not letter then
        return false
    end
    return string.find(letter, ',"retried_as":"', 1, true) and 'retried' or true
end
