-- Claim idempotency keys for events that do not go through the stream.
-- KEYS the claims; ARGV[1] milliseconds a claim lasts; then for each: fingerprint, event id, moment received
-- The values are those of append.lua. Answers for each the value that holds now: the one given, or the one found.
local answers = {}
for i, claim in ipairs(KEYS) do
    local held = redis.call('GET', claim)
    if not held then
        local fingerprint, event_id, received_at = unpack(ARGV, 2 + (i - 1) * 3, 1 + i * 3)
        held = table.concat({fingerprint, '-', event_id, received_at}, ' ')
        redis.call('SET', claim, held, 'PX', ARGV[1])
    end
    answers[i] = held
end
return answers
