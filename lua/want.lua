-- want: tells the others that this instance has clients waiting and no slot for them, and who holds how many.
--
-- KEYS  1 count   2 max   3 heartbeat of this instance   4 instances
-- ARGV  1 bucket  2 channel  3 instance  4 run token  5 connection epoch  6 oldest wait in ms  7 key prefix
-- Returns how many instances have been told; or
--   -1  a slot is free by now, or there is no limit: nobody is told
--   -3  not registered: another token or connection epoch, or the heartbeat has expired
-- Published: "<instance> <its slots> <oldest wait> <max>", then " <instance> <slots>" for every other living holder.
-- Changes nothing.

if redis.call('GET', KEYS[3]) ~= ARGV[4] .. ':' .. ARGV[5] then
    return -3
end
local count = tonumber(redis.call('GET', KEYS[1]) or nil)
local max = tonumber(redis.call('GET', KEYS[2]) or nil)
if not count or not max or count < max then
    return -1
end

local function held(instance)
    return tonumber(redis.call('HGET', ARGV[7] .. ':instance:' .. instance .. ':conns', ARGV[1]) or 0) or 0
end

local said = { ARGV[3], held(ARGV[3]), ARGV[6], string.format('%.0f', max) }
for _, other in ipairs(redis.call('SMEMBERS', KEYS[4])) do
    local slots = other ~= ARGV[3] and held(other) or 0
    -- One whose heartbeat is gone can give nothing: reap does that.
    if slots > 0 and redis.call('EXISTS', ARGV[7] .. ':instance:' .. other .. ':heartbeat') == 1 then
        said[#said + 1] = other
        said[#said + 1] = slots
    end
end
return redis.call('PUBLISH', ARGV[2], table.concat(said, ' '))
