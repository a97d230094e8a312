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
-- Remove settled messages, and the dead letters that they were; returns as `settle`.
-- KEYS[1] the stream; KEYS[2] the dead letters; KEYS[3] the counts; ARGV[1] the group
-- ARGV from `first`: the store's note, and what to note there, 0 for nothing; how many messages there are, n; then their
-- n ids, then ids of letters
local function remove_settled(first)
    local n, ids = tonumber(ARGV[first + 2]), first + 3
    if #ARGV >= ids + n then
        redis.call('HDEL', KEYS[2], unpack(ARGV, ids + n))
    end
    local settled = settle(KEYS[1], KEYS[3], ARGV[1], {unpack(ARGV, ids, ids + n - 1)})
    -- Last: a server without memory refuses what grows, unless the script has written before.
    if ARGV[first + 1] ~= '0' then
        redis.call('HSET', KEYS[3], ARGV[first], ARGV[first + 1])
    end
    return settled
end
