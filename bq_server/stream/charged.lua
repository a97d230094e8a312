-- What the scripts share that remove messages, and those that only the consumer in charge may run.
local function consumer_in_charge(charge)
    local held = redis.call('GET', charge)
    return held and string.match(held, '^%d+ (.*)$')
end
-- Acknowledge and remove entries of the stream; returns how many were settled in total, and the epoch of the count.
local function settle(stream, counts, group, ids)
    redis.call('XACK', stream, group, unpack(ids))
    redis.call('XDEL', stream, unpack(ids))
    return {redis.call('HINCRBY', counts, 'settled', #ids), redis.call('HGET', counts, 'epoch') or ''}
end
