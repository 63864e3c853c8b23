-- release: lowers this instance's number of one bucket to an absolute target and tells the others.
--
-- KEYS  1 count   2 conns of this instance   3 heartbeat of this instance
-- ARGV  1 bucket  2 channel  3 instance  4 run token  5 connection epoch  6 target
-- Returns {code, count}; code:
--   >= 0  done: the new count over all instances
--   -1    underflow: Redis had fewer than that, or has lost the count; nothing went below 0. Register puts it right
--   -3    not registered: another token or connection epoch, or the heartbeat has expired
-- A repeated call (same target) changes nothing and publishes nothing.

if redis.call('GET', KEYS[3]) ~= ARGV[4] .. ':' .. ARGV[5] then
    return {-3, 0}
end

local target = tonumber(ARGV[6])
local mine = tonumber(redis.call('HGET', KEYS[2], ARGV[1]) or 0) or 0
local count = tonumber(redis.call('GET', KEYS[1]) or nil)
if mine == target and count then
    return {count, count}
end
if mine <= target then
    return {-1, count or 0}
end

-- HDEL first: maxmemory does not deny it, nor anything that a script writes afterwards.
redis.call('HDEL', KEYS[2], ARGV[1])
if target > 0 then
    redis.call('HSET', KEYS[2], ARGV[1], target)
end
if not count then
    return {-1, 0} -- lost: it stays missing, so that nobody takes it for 0, until register recomputes it
end
local left = count - (mine - target)
local code = left
if left < 0 then
    left = 0
    code = -1
end
redis.call('SET', KEYS[1], left)
redis.call('PUBLISH', ARGV[2], ARGV[3])
return {code, left}
