-- Give a claim back whose event came to nothing.
-- KEYS[1] the claim; ARGV[1] the event id that claimed it
local held = redis.call('GET', KEYS[1])
if held and string.match(held, '^%S+ %- (%S+)') == ARGV[1] then
    return redis.call('DEL', KEYS[1])
end
return 0
