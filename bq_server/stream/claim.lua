-- Claim idempotency keys for events that do not go through the stream.
-- KEYS[1] the dead letters; KEYS[1 + i] the claims
-- ARGV[1] milliseconds a claim lasts; then for each: fingerprint, event id, moment received
-- Returns for each the value that holds now: the one given, or the one found, which is followed by ' dead' when its
-- message is a dead letter.
local answers = {}
for i = 1, #KEYS - 1 do
    local claim = KEYS[1 + i]
    local held = redis.call('GET', claim)
    if not held then
        local fingerprint, event_id, received_at = unpack(ARGV, 2 + (i - 1) * 3, 1 + i * 3)
        held = write_claim(claim, fingerprint, '-', event_id, received_at, ARGV[1])
    else
        local _, message_id = read_claim(held)
        if is_dead(KEYS[1], message_id) == true then
            held = held .. ' dead'
        end
    end
    answers[i] = held
end
return answers
