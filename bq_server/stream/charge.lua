-- Who is in charge of the stream: of several consumers the one that came last, each with a term later than those before.
-- KEYS[1] the charge; ARGV[1] the term, ARGV[2] the consumer
-- Returns 1, or 0 where one with a later term has taken charge.
local held = redis.call('GET', KEYS[1])
if held and tonumber(string.match(held, '^(%d+) ')) > tonumber(ARGV[1]) then
    return 0
end
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. ARGV[2])
return 1
