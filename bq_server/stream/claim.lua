-- Claim an idempotency key for an event that does not go through the stream.
-- KEYS[1] the claim; ARGV: fingerprint, event id, moment received, milliseconds the claim lasts
-- The value is the one of append.lua. Answers the value that holds now: the one given, or the one found.
local held = redis.call('GET', KEYS[1])
if held then
    return held
end
local value = table.concat({ARGV[1], '-', ARGV[2], ARGV[3]}, ' ')
redis.call('SET', KEYS[1], value, 'PX', ARGV[4])
return value
