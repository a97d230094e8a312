-- Remove the consumers that have nothing pending, in one step: what is delivered to one meanwhile would be lost with it.
-- KEYS[1] the stream; ARGV[1] the group; ARGV[2] the consumer that stays
for _, about in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
    local name, pending
    for i = 1, #about, 2 do
        if about[i] == 'name' then
            name = about[i + 1]
        elseif about[i] == 'pending' then
            pending = about[i + 1]
        end
    end
    if name ~= ARGV[2] and pending == 0 then
        redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], name)
    end
end
