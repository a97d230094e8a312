-- The stream's own count of itself, at one moment.
-- KEYS[1] the stream; KEYS[2] the counts; KEYS[3] the owner; KEYS[4] the dead letters
-- ARGV[1] the group; ARGV[2] the store's note
-- Returns {epoch, appended, settled, entries, owner, whether the group is there, id of the first entry, newest id,
-- what is noted of the store, dead letters}
local stream = KEYS[1]
local counts = redis.call('HMGET', KEYS[2], 'epoch', 'appended', 'settled', ARGV[2])
local owner, grouped, oldest, newest = redis.call('GET', KEYS[3]), 0, '', '0-0'
if redis.call('EXISTS', stream) == 1 then
    local first = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)
    if #first > 0 then
        oldest = first[1][1]
    end
    local about = redis.call('XINFO', 'STREAM', stream)
    for i = 1, #about, 2 do
        if about[i] == 'last-generated-id' then
            newest = about[i + 1]
        end
    end
    for _, group in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
        if group[2] == ARGV[1] then
            grouped = 1
        end
    end
end
return {
    counts[1] or '', tonumber(counts[2]) or 0, tonumber(counts[3]) or 0, redis.call('XLEN', stream),
    owner or '', grouped, oldest, newest,
    tonumber(counts[4]) or 0, redis.call('HLEN', KEYS[4])
}
