-- audit: recomputes every count as the sum over all members of `instances`, expired or not, and fixes drift.
-- (Only reap and deregister take a member away, so an instance that is merely late keeps its slots.)
--
-- KEYS  1 heartbeat of this instance  2 instances, then for each bucket: count
-- ARGV  1 key prefix  2 run token  3 connection epoch, then for each bucket: id
-- Returns the drift found, as the sum of its absolute values, or -3: not registered.

if redis.call('GET', KEYS[1]) ~= ARGV[2] .. ':' .. ARGV[3] then
    return -3
end

local total = {}
for _, instance in ipairs(redis.call('SMEMBERS', KEYS[2])) do
    local flat = redis.call('HGETALL', ARGV[1] .. ':instance:' .. instance .. ':conns')
    for i = 1, #flat, 2 do
        total[flat[i]] = (total[flat[i]] or 0) + (tonumber(flat[i + 1]) or 0)
    end
end

redis.call('PERSIST', KEYS[2]) -- a first write that maxmemory does not deny
local drift = 0
for i = 4, #ARGV do
    local key, expected = KEYS[i - 1], total[ARGV[i]] or 0
    local count = tonumber(redis.call('GET', key) or nil)
    if count ~= expected then
        redis.call('SET', key, expected)
        drift = drift + math.abs((count or 0) - expected)
        if count and count > expected then
            redis.call('PUBLISH', ARGV[1] .. ':release:' .. ARGV[i], '')
        end
    end
end
return drift
