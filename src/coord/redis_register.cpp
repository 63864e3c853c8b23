// The heartbeat: register.lua says what this instance truly holds and learns counts, limits and the other instances.
#include "coord/redis_coord.h"

#include <ctime>

#include "base/log.h"
#include "coord/redis_reply.h"
#include "coord/share.h"

static void on_registered(void *user, const redisReply *reply);

static std::vector<redis_bucket *> listed_buckets(redis_coord &c) {
    std::vector<redis_bucket *> listed;
    for (redis_bucket &b : c.buckets)
        if (!b.gone)
            listed.push_back(&b);
    return listed;
}

static std::vector<std::string> register_keys(const redis_coord &c) {
    const std::string &prefix = c.configuration->redis.key_prefix;
    std::vector<std::string> keys{instance_key(c, c.id, "heartbeat"), instance_key(c, c.id, "conns"),
                                  prefix + ":instances", prefix + ":epoch", prefix + ":configured"};
    for (const redis_bucket *b : c.beat.listed) {
        keys.push_back(b->count_key);
        keys.push_back(b->max_key);
    }
    return keys;
}

// `reported` empty: nothing is held any more (deregistering).
static std::vector<std::string> register_args(const redis_coord &c, uint64_t ttl,
                                              const std::vector<int64_t> &reported) {
    const redis_config &o = c.configuration->redis;
    std::vector<std::string> args{c.id,
                                  c.token,
                                  std::to_string(c.epoch),
                                  std::to_string(ttl),
                                  std::to_string(settle_time(o.heartbeat_interval)),
                                  c.limits_said == c.limits ? "beat" : "start",
                                  o.key_prefix};
    for (size_t i = 0; i < c.beat.listed.size(); ++i) {
        args.push_back(c.beat.listed[i]->id);
        args.push_back(std::to_string(c.beat.listed[i]->configured_max));
        args.push_back(std::to_string(reported.empty() ? 0 : reported[i]));
    }
    return args;
}

static void send_register(redis_coord &c) {
    c.must_register = false;
    c.beat.listed = listed_buckets(c);
    c.beat.reported.clear();
    for (const redis_bucket *b : c.beat.listed)
        c.beat.reported.push_back(ledger_report(b->account));
    c.beat.limits = c.limits;
    c.beat.sent = boottime_ms();
    c.beat.sent_hrtime = uv_hrtime();
    c.beat.in_flight =
        run_script(c, script::register_, register_keys(c),
                   register_args(c, c.configuration->redis.heartbeat_ttl, c.beat.reported), on_registered, &c);
}

void register_now(redis_coord &c) {
    c.must_register = true;
    if (c.command != nullptr && !c.beat.in_flight && c.scripts_loading == 0 && !c.stopping)
        send_register(c);
}

// The id is another living process's: the next free one of <id>.2, <id>.3 ...
static void take_next_id(redis_coord &c) {
    std::string taken = c.id;
    ++c.id_suffix;
    c.id = c.base_id + "." + std::to_string(c.id_suffix);
    log_warn("instance id is taken by another process", {{"taken", taken}, {"trying", c.id}});
    c.registered = false;
    if (c.heartbeat_gauge != nullptr)
        gauge_set(c.heartbeat_gauge, 0);
    c.heartbeat_gauge = nullptr;
    register_now(c);
}

static bool well_formed(const redis_coord &c, const redisReply *reply) {
    return reply_element(reply, 2) != nullptr &&
           reply_integers(reply_element(reply, 3)).size() == 2 * c.beat.listed.size();
}

void set_surplus(redis_coord &c, redis_bucket &b) {
    if (c.mode == coord_mode::fallback) {
        uint32_t share = share_of(c, b);
        b.surplus = b.account.held > share ? b.account.held - share : 0;
    } else {
        b.surplus = surplus_share(b.account.held, b.account.count, b.account.max);
    }
}

static bool left_out(const redis_coord &c) {
    for (int64_t n : c.beat.reported)
        if (n < 0)
            return true;
    return false;
}

static void take_limits(redis_coord &c, const std::vector<int64_t> &limits) {
    for (size_t i = 0; i < c.beat.listed.size(); ++i) {
        redis_bucket &b = *c.beat.listed[i];
        uint32_t old_max = b.account.max;
        ledger_registered(b.account, c.beat.reported[i], limits[2 * i], limits[2 * i + 1]);
        set_surplus(c, b);
        if (b.account.max > old_max || b.try_again)
            b.freed = true;
        b.try_again = false;
    }
}

static void note_beat(redis_coord &c) {
    c.latency_us = (uv_hrtime() - c.beat.sent_hrtime) / 1000;
    c.last_beat_unix = time(nullptr);
    if (c.heartbeat_gauge == nullptr) // now the id is ours
        c.heartbeat_gauge = metric_gauge(c.meters, metric::instance_heartbeat, {c.id});
    gauge_set(c.heartbeat_gauge, static_cast<double>(c.last_beat_unix));
    c.attempts = 0;
    c.message = "connected";
    ++c.beats;
}

static void on_settled(uv_timer_t *timer) {
    register_now(*static_cast<redis_coord *>(timer->data));
}
static void on_fence(uv_timer_t *timer) {
    auto &c = *static_cast<redis_coord *>(timer->data);
    if (!check_fence(c)) // timers may fire a little early by another clock
        uv_timer_start(timer, on_fence, beat_clock_left(c.clock, boottime_ms()) + 1, 0);
}

static void set_mode(redis_coord &c, int64_t settling_left) {
    if (settling_left <= 0) {
        enter_mode(c, coord_mode::normal, "registered");
        return;
    }
    enter_mode(c, coord_mode::settling, "redis is new or has lost data");
    uv_timer_start(&c.settle, on_settled, static_cast<uint64_t>(settling_left) + 5, 0);
    // Numbers that this register has left out may be among the lost.
    c.must_register = c.must_register || left_out(c);
}

static void register_accepted(redis_coord &c, const redisReply *reply) {
    if (!well_formed(c, reply)) {
        redis_link_fail(c.command, "register.lua answered in an unknown form");
        return;
    }
    // An answer that has waited through a pause of this process proves nothing about now.
    bool kept = reply_integer(reply_element(reply, 4), 0) == 1;
    if (!beat_clock_good(c.clock, c.beat.sent, boottime_ms(), kept)) {
        if (c.registered)
            check_fence(c);
        else
            register_now(c);
        return;
    }
    bool first = !c.registered;
    note_beat(c);
    c.instances = reply_strings(reply_element(reply, 2));
    c.registered = c.introduced = true;
    c.limits_said = c.beat.limits;
    set_mode(c, reply_integer(reply_element(reply, 1), 0));
    take_limits(c, reply_integers(reply_element(reply, 3)));
    uv_timer_start(&c.fence, on_fence, beat_clock_left(c.clock, boottime_ms()) + 1, 0);
    log_debug("heartbeat", {{"latency_us", c.latency_us}, {"instances", c.instances.size()}});
    if (first) {
        log_info("heartbeat: registered in redis",
                 {{"id", c.id}, {"epoch", c.epoch}, {"mode", coord_mode_name(c.mode)}});
        subscribe(c);
    }
    if (c.mode == coord_mode::settling)
        audit(c); // so that the counts are right when settling ends, whatever was lost
    if (c.must_register)
        register_now(c);
    schedule_turn(c);
}

static void on_registered(void *user, const redisReply *reply) {
    redis_coord &c = *static_cast<redis_coord *>(user);
    if (reply == nullptr || c.stopping)
        return; // lost: counted there
    c.beat.in_flight = false;
    if (reply_is_noscript(reply)) {
        c.must_register = true;
        load_scripts(c);
        return;
    }
    int64_t code = reply_integer(reply_element(reply, 0), -1);
    count_operation(c, redis_op::register_,
                    code == 0 ? redis_outcome::ok : (code == -3 ? redis_outcome::stale : redis_outcome::error));
    if (code == 0)
        register_accepted(c, reply);
    else if (code == -5)
        take_next_id(c);
    else if (reply_text(reply).starts_with("MOVED "))
        follow_moved(c, reply_text(reply));
    else if (code == -3) // a later connection of ours has registered: only a new one can go on
        redis_link_fail(c.command, "connection epoch is stale");
    else
        redis_link_fail(c.command, reply_is_error(reply) ? reply_text(reply) : "register.lua failed");
}

static void on_deregistered(void *user, const redisReply *reply) {
    redis_coord &c = *static_cast<redis_coord *>(user);
    if (reply_integer(reply_element(reply, 0), -1) == 0)
        log_info("deregistered from redis", {{"id", c.id}});
    else
        log_warn("could not deregister from redis: the slots return when the heartbeat expires", {{"id", c.id}});
    finish_stop(c);
}

bool deregister(redis_coord &c) {
    c.beat.listed = listed_buckets(c);
    return c.registered &&
           run_script(c, script::register_, register_keys(c), register_args(c, 0, {}), on_deregistered, &c);
}
