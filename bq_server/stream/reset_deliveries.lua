-- Have the deliveries of messages counted anew: they are the consumer's in charge, whoever had them.
-- KEYS[1] the stream; KEYS[2] the charge; ARGV[1] the group, then ids
local consumer = consumer_in_charge(KEYS[2])
if consumer then
    local claim = {'XCLAIM', KEYS[1], ARGV[1], consumer, 0}
    for i = 2, #ARGV do
        claim[#claim + 1] = ARGV[i]
    end
    for _, option in ipairs({'RETRYCOUNT', 0, 'JUSTID'}) do
        claim[#claim + 1] = option
    end
    redis.call(unpack(claim))
end
