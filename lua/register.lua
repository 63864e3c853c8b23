-- register: the heartbeat. Says who this instance is and what it truly holds; with a TTL of 0 it deregisters.
--
-- KEYS  1 heartbeat  2 conns  3 instances  4 epoch  5 configured, then for each bucket: count, max
-- ARGV  1 instance  2 run token  3 connection epoch  4 TTL in ms (0: deregister)  5 settling time in ms
--       6 'start' (the process's first register, or a reload) or 'beat'  7 key prefix,
--       then for each bucket: id, configured max, slots held (-1: left out, an operation on it is in flight)
-- Returns {-5} when the id belongs to another process, {-3} when the connection epoch is lower than the stored one, else
--   {0, ms until settling ends, {instance, ...}, {count, max, ...}, 1 if this instance's heartbeat was still alive}
--   with buckets in the order of ARGV.
--
-- Lost data is noticed here: `epoch` missing or written under another run_id of Redis (a restart, a failover), or this
-- instance missing from `instances` although its heartbeat is alive. From then on acquire refuses until every living
-- instance has had the time to register.

local ttl = tonumber(ARGV[4])
local prefix = ARGV[7]
local heartbeat = redis.call('GET', KEYS[1])
if heartbeat then
    local token, epoch = string.match(heartbeat, '^(%x+):(%d+)$')
    if token ~= ARGV[2] then
        return {-5}
    end
    if tonumber(epoch) > tonumber(ARGV[3]) then
        return {-3}
    end
end

-- A first write that maxmemory does not deny: all that follows is allowed then.
redis.call('PERSIST', KEYS[2])

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local settle = tonumber(ARGV[5])
local settling = 0

if ttl > 0 then
    local joined = redis.call('SADD', KEYS[3], ARGV[1]) == 1
    local run_id = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
    local known = redis.call('HMGET', KEYS[4], 'run_id', 'began', 'settle')
    local began = tonumber(known[2] or nil)
    if known[1] ~= run_id or not began or began > now or (joined and heartbeat) then
        began = now
    else
        settle = math.max(settle, tonumber(known[3] or 0) or 0)
    end
    redis.call('HSET', KEYS[4], 'run_id', run_id, 'began', string.format('%.0f', began), 'settle', settle)
    settling = math.max(0, began + settle - now)
    redis.call('SET', KEYS[1], ARGV[2] .. ':' .. ARGV[3], 'PX', ttl)
end

local conns = {}
local flat = redis.call('HGETALL', KEYS[2])
for i = 1, #flat, 2 do
    conns[flat[i]] = tonumber(flat[i + 1]) or 0
end

-- What all instances hold of a bucket by their own hashes: for a count that is missing.
local function sum(bucket)
    local total = 0
    for _, instance in ipairs(redis.call('SMEMBERS', KEYS[3])) do
        local held = redis.call('HGET', prefix .. ':instance:' .. instance .. ':conns', bucket)
        total = total + (tonumber(held or 0) or 0)
    end
    return total
end

local function set_count(key, bucket, difference)
    local count = tonumber(redis.call('GET', key) or nil)
    if not count then
        count = sum(bucket)
        redis.call('SET', key, count)
    elseif difference ~= 0 then
        count = math.max(0, count + difference)
        redis.call('SET', key, count)
    end
    if difference < 0 then
        redis.call('PUBLISH', prefix .. ':release:' .. bucket, ARGV[1])
    end
    return count
end

local limits = {}
local key = 6
for i = 8, #ARGV, 3 do
    local bucket, configured, held = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2])
    local difference = 0
    if held >= 0 then
        difference = held - (conns[bucket] or 0)
        if held > 0 then
            redis.call('HSET', KEYS[2], bucket, held)
        else
            redis.call('HDEL', KEYS[2], bucket)
        end
    end
    conns[bucket] = nil
    limits[#limits + 1] = set_count(KEYS[key], bucket, difference)

    local max = tonumber(redis.call('GET', KEYS[key + 1]) or nil)
    local changed = ARGV[6] == 'start' and redis.call('HGET', KEYS[5], bucket) ~= configured
    if ttl > 0 and (changed or not max) then
        redis.call('SET', KEYS[key + 1], configured)
        redis.call('HSET', KEYS[5], bucket, configured)
        max = tonumber(configured)
    end
    limits[#limits + 1] = max or 0
    key = key + 2
end

-- Neither listed nor left out: a bucket that this instance no longer has.
for bucket, held in pairs(conns) do
    redis.call('HDEL', KEYS[2], bucket)
    set_count(prefix .. ':bucket:' .. bucket .. ':count', bucket, -held)
end

if ttl == 0 then
    redis.call('DEL', KEYS[1], KEYS[2])
    redis.call('SREM', KEYS[3], ARGV[1])
end
return {0, settling, redis.call('SMEMBERS', KEYS[3]), limits, heartbeat and 1 or 0}
