-- reap: gives back what a dead instance held.
--
-- KEYS  1 heartbeat of this instance  2 heartbeat of the other  3 conns of the other  4 instances
-- ARGV  1 key prefix  2 run token  3 connection epoch  4 the other's id
--       5 how many ms this instance's own heartbeat must have left
-- Returns the number of slots freed, or
--   -1  the other is alive
--   -3  not registered: another token or connection epoch, or the heartbeat has expired
--   -6  this instance's own heartbeat is not fresh
--
-- Why -6: after a stall of Redis every heartbeat may have expired although its owner lives, and a reap that waited in
-- a socket would be the first command to run. A reaper whose own beat is fresh proves that Redis has been serving.

local own = redis.call('GET', KEYS[1])
if own ~= ARGV[2] .. ':' .. ARGV[3] then
    return -3
end
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[5]) then
    return -6
end
if redis.call('EXISTS', KEYS[2]) == 1 then
    return -1
end

local flat = redis.call('HGETALL', KEYS[3])
redis.call('SREM', KEYS[4], ARGV[4])
redis.call('DEL', KEYS[3])
local freed = 0
for i = 1, #flat, 2 do
    local bucket, held = flat[i], tonumber(flat[i + 1]) or 0
    local key = ARGV[1] .. ':bucket:' .. bucket .. ':count'
    local count = tonumber(redis.call('GET', key) or nil)
    -- A missing count stays missing: the next register recomputes it.
    if count and held > 0 then
        redis.call('SET', key, math.max(0, count - held))
        redis.call('PUBLISH', ARGV[1] .. ':release:' .. bucket, ARGV[4])
    end
    freed = freed + held
end
return freed
