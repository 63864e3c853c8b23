-- acquire: raises this instance's number of one bucket to an absolute target, if it fits under the limit.
--
-- KEYS  1 count   2 max   3 conns of this instance   4 heartbeat of this instance   5 epoch
-- ARGV  1 bucket  2 instance  3 run token  4 connection epoch  5 target
-- Returns {code, count, max}; code:
--   > 0  done: the new count over all instances
--   -1   full: it does not fit
--   -2   max is not set
--   -3   not registered: another token or connection epoch, or the heartbeat has expired
--   -4   settling: Redis has lost data, and not every instance has had the time to register
-- Anything but a code > 0 has changed nothing. A repeated call (same target) changes nothing either.

if redis.call('GET', KEYS[4]) ~= ARGV[3] .. ':' .. ARGV[4] then
    return {-3, 0, 0}
end

local count = tonumber(redis.call('GET', KEYS[1]) or nil)
local epoch = redis.call('HMGET', KEYS[5], 'began', 'settle')
local began, settle = tonumber(epoch[1] or nil), tonumber(epoch[2] or nil)
-- Register sets all of these; whichever is missing has been lost.
if not (count and began and settle) then
    return {-4, 0, 0}
end
local time = redis.call('TIME')
if time[1] * 1000 + math.floor(time[2] / 1000) < began + settle then
    return {-4, count, 0}
end

local max = tonumber(redis.call('GET', KEYS[2]) or nil)
if not max then
    return {-2, count, 0}
end

local mine = tonumber(redis.call('HGET', KEYS[3], ARGV[1]) or 0) or 0
local more = tonumber(ARGV[5]) - mine
if more <= 0 then
    return {math.max(count, 1), count, max}
end
if count + more > max then
    return {-1, count, max}
end

-- A script whose first write is one that maxmemory does not deny may go on writing (here a few bytes at most).
redis.call('PERSIST', KEYS[1])
redis.call('HSET', KEYS[3], ARGV[1], ARGV[5])
count = redis.call('INCRBY', KEYS[1], more)
return {count, count, max}
