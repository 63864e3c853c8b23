// Giving back what dead instances held, and checking the counts.
#include "coord/redis_coord.h"

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

static void on_exists(void *user, const redisReply *reply) {
    std::unique_ptr<reap_case> r(static_cast<reap_case *>(user));
    redis_coord &c = *r->coordinator;
    if (reply_integer(reply, 1) != 0 || !may_reap(c))
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
    for (const std::string &id : c.instances) {
        if (id == c.id)
            continue;
        auto r = std::make_unique<reap_case>(reap_case{&c, id});
        if (redis_link_command(c.command, {"EXISTS", instance_key(c, id, "heartbeat")}, on_exists, r.get()))
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
        keys.push_back(b.count_key);
        args.push_back(b.id);
    }
    run_script(c, script::audit, keys, args, on_audited, &c);
}
