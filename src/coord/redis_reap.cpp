// Giving back what dead instances held, and checking the counts.
//
// A heartbeat that is gone is a death only if it ran out: every look at one that lives notes when it would end. One
// that goes before its time was deleted or evicted, or Redis' clock has jumped; its owner has one interval to beat
// again.
#include "coord/redis_coord.h"

#include <algorithm>
#include <memory>

#include "base/log.h"
#include "coord/redis_reply.h"

struct reap_case {
    redis_coord *coordinator;
    std::string id;
};

// A reap must not stand behind a beat that has not been answered: after a stall of Redis that beat would make it valid.
static bool may_reap(const redis_coord &c) {
    return c.mode == coord_mode::normal && c.registered && !c.stopping && !c.beat.in_flight &&
           beat_clock_may_reap(c.clock, boottime_ms());
}

static void on_reaped(void *user, const redisReply *reply) {
    std::unique_ptr<reap_case> r(static_cast<reap_case *>(user));
    redis_coord &c = *r->coordinator;
    if (reply == nullptr || c.stopping)
        return;
    if (reply_is_error(reply)) {
        count_operation(c, redis_op::reap, redis_outcome::error);
        if (reply_is_noscript(reply))
            load_scripts(c);
        log_warn("reap failed", {{"other", r->id}, {"error", reply_text(reply)}});
        return;
    }
    int64_t freed = reply_integer(reply, -1);
    count_operation(c, redis_op::reap, freed == -3 ? redis_outcome::stale : redis_outcome::ok);
    if (freed >= 0)
        log_warn("reap: instance is dead, its slots are free again", {{"other", r->id}, {"slots", freed}});
}

static constexpr uint64_t grace = 500; // ms beyond one interval
static constexpr uint64_t slack = 100; // ms: what was noted includes the way of the reply

// `left`: PTTL of the other's heartbeat, -2 when it is gone. True when its time was over.
static bool has_run_out(redis_coord &c, const std::string &id, int64_t left) {
    uint64_t now = boottime_ms();
    auto known = c.lives_until.find(id);
    if (left >= 0)
        c.lives_until[id] = now + static_cast<uint64_t>(left);
    else if (left == -2 && (known == c.lives_until.end() || known->second > now + c.clock.interval + grace))
        c.lives_until[id] = now + c.clock.interval + grace;
    else
        return left == -2 && known->second <= now + slack;
    return false;
}

static void on_looked(void *user, const redisReply *reply) {
    std::unique_ptr<reap_case> r(static_cast<reap_case *>(user));
    redis_coord &c = *r->coordinator;
    if (reply == nullptr || !has_run_out(c, r->id, reply_integer(reply, 0)) || !may_reap(c))
        return;
    const redis_config &o = c.configuration->redis;
    uint64_t least = o.heartbeat_ttl > o.heartbeat_interval ? o.heartbeat_ttl - o.heartbeat_interval : 0;
    if (run_script(c, script::reap,
                   {instance_key(c, c.id, "heartbeat"), instance_key(c, r->id, "heartbeat"),
                    instance_key(c, r->id, "conns"), o.key_prefix + ":instances"},
                   {o.key_prefix, c.token, std::to_string(c.epoch), r->id, std::to_string(least)}, on_reaped, r.get()))
        (void)r.release();
}

void reap_others(redis_coord &c) {
    if (!may_reap(c))
        return;
    std::erase_if(c.lives_until, [&c](const auto &known) {
        return std::find(c.instances.begin(), c.instances.end(), known.first) == c.instances.end();
    });
    for (const std::string &id : c.instances) {
        if (id == c.id)
            continue;
        auto r = std::make_unique<reap_case>(reap_case{&c, id});
        if (redis_link_command(c.command, {"PTTL", instance_key(c, id, "heartbeat")}, on_looked, r.get()))
            (void)r.release();
    }
}

static void on_audited(void *user, const redisReply *reply) {
    redis_coord &c = *static_cast<redis_coord *>(user);
    if (reply == nullptr || c.stopping)
        return;
    if (reply_is_noscript(reply)) {
        load_scripts(c);
        return;
    }
    int64_t drift = reply_integer(reply, -1);
    count_operation(c, redis_op::audit,
                    drift == -3 ? redis_outcome::stale : (drift < 0 ? redis_outcome::error : redis_outcome::ok));
    if (drift > 0)
        log_warn("audit: counts reconciled", {{"drift", drift}});
    if (drift < 0)
        log_warn("audit failed", {{"error", reply_is_error(reply) ? reply_text(reply) : "not registered"}});
}

void audit(redis_coord &c) {
    const std::string &prefix = c.configuration->redis.key_prefix;
    std::vector<std::string> keys{instance_key(c, c.id, "heartbeat"), prefix + ":instances"};
    std::vector<std::string> args{prefix, c.token, std::to_string(c.epoch)};
    for (const redis_bucket &b : c.buckets) {
        if (b.gone)
            continue;
        keys.push_back(b.count_key);
        args.push_back(b.id);
    }
    run_script(c, script::audit, keys, args, on_audited, &c);
}
