// Finding Redis, connecting and connecting again, and loading the scripts.
//
//      connect_redis --> [Sentinel: where is the master?] --> command link --> SCRIPT LOAD x6 --> register
//          ^                                                     |
//          |____________ retry, at most 1 s + jitter ____________|  lost
#include "coord/redis_coord.h"

#include "base/log.h"
#include "coord/redis_reply.h"
#include "coord/share.h"

static constexpr uint64_t grace = 1000; // ms

static void on_grace(uv_timer_t *timer) {
    redis_coord &c = *static_cast<redis_coord *>(timer->data);
    if (!c.registered)
        enter_mode(c, coord_mode::fallback, "no new connection within a second");
}

static void on_retry(uv_timer_t *timer) {
    redis_coord &c = *static_cast<redis_coord *>(timer->data);
    connect_redis(c);
    if (c.mode == coord_mode::normal || c.mode == coord_mode::settling)
        uv_timer_start(timer, on_grace, grace, 0);
}

static void on_link_closed(void *user) {
    link_gone(*static_cast<redis_coord *>(user));
}

// One unlucky connection is tried again for a moment before anybody is told; a Redis that does not answer is not.
static void attempt_failed(redis_coord &c, std::string_view reason, bool timed_out, bool was_registered) {
    count_operation(c, redis_op::connect, timed_out ? redis_outcome::timeout : redis_outcome::error);
    c.message = reason;
    if (!was_registered || timed_out)
        enter_mode(c, coord_mode::fallback, reason);
    uint64_t delay = reconnect_delay(c.attempts++, random_u64());
    uv_timer_start(&c.retry, on_retry, delay, 0);
    schedule_turn(c);
}

// --- Scripts
// -----------------------------------------------------------------------------------------------------------

bool run_script(redis_coord &c, script s, const std::vector<std::string> &keys, const std::vector<std::string> &args,
                redis_reply_fn reply, void *user) {
    if (c.command == nullptr)
        return false;
    std::vector<std::string> words{"EVALSHA", c.sha[static_cast<size_t>(s)], std::to_string(keys.size())};
    words.insert(words.end(), keys.begin(), keys.end());
    words.insert(words.end(), args.begin(), args.end());
    return redis_link_command(c.command, words, reply, user);
}

// Replies come in the order of the scripts.
static void on_loaded(void *user, const redisReply *reply) {
    redis_coord &c = *static_cast<redis_coord *>(user);
    if (reply == nullptr || c.stopping)
        return;
    size_t i = coord_script_count - c.scripts_loading;
    --c.scripts_loading;
    if (reply_is_error(reply)) {
        redis_link_fail(c.command, std::string("cannot load ") + coord_scripts[i].name +
                                       ".lua: " + std::string(reply_text(reply)));
        return;
    }
    c.sha[i] = reply_text(reply);
    if (c.scripts_loading == 0 && (!c.registered || c.must_register))
        register_now(c);
}

void load_scripts(redis_coord &c) {
    if (c.scripts_loading > 0)
        return; // on their way
    c.scripts_loading = coord_script_count;
    for (const coord_script &s : coord_scripts)
        redis_link_command(c.command, {"SCRIPT", "LOAD", s.text}, on_loaded, &c);
}

// --- Eviction
// ----------------------------------------------------------------------------------------------------------

static void check_policy(std::string_view policy) {
    if (!policy.empty() && policy != "noeviction")
        log_warn("redis may evict heartbeats and counts: set maxmemory-policy noeviction",
                 {{"maxmemory_policy", policy}});
}

static void on_config(void *, const redisReply *reply) {
    check_policy(reply_text(reply_element(reply, 1)));
}

static void on_info(void *user, const redisReply *reply) {
    redis_coord &c = *static_cast<redis_coord *>(user);
    std::string_view policy = info_value(reply_text(reply), "maxmemory_policy");
    if (reply != nullptr && !c.stopping && policy.empty()) // refused by an ACL; CONFIG may be refused as well
        redis_link_command(c.command, {"CONFIG", "GET", "maxmemory-policy"}, on_config, &c);
    else
        check_policy(policy);
}

// --- The command connection
// --------------------------------------------------------------------------------------------

static void on_ready(void *user) {
    redis_coord &c = *static_cast<redis_coord *>(user);
    count_operation(c, redis_op::connect, redis_outcome::ok);
    c.message = "registering";
    load_scripts(c);
    if (!c.introduced)
        redis_link_command(c.command, {"INFO", "memory"}, on_info, &c);
}

static void count_unanswered(redis_coord &c, redis_outcome outcome) {
    if (c.beat.in_flight)
        count_operation(c, redis_op::register_, outcome);
    for (const redis_bucket &b : c.buckets) {
        if (b.account.in_flight == ledger_op::acquire)
            count_operation(c, redis_op::acquire, outcome);
        if (b.account.in_flight == ledger_op::release)
            count_operation(c, redis_op::release, outcome);
    }
}

void follow_moved(redis_coord &c, std::string_view error) {
    size_t space = error.rfind(' '), colon = error.rfind(':');
    unsigned long port = colon == std::string_view::npos ? 0 : strtoul(error.data() + colon + 1, nullptr, 10);
    if (space != std::string_view::npos && colon > space && port > 0 && port <= UINT16_MAX) {
        // An empty host means: the one that was asked.
        c.moved_host = colon > space + 1 ? std::string(error.substr(space + 1, colon - space - 1)) : c.host;
        c.moved_port = static_cast<uint16_t>(port);
    }
    redis_link_fail(c.command, error);
}

static void on_lost(void *user, const char *reason, bool timed_out) {
    redis_coord &c = *static_cast<redis_coord *>(user);
    c.command = nullptr;
    bool was_registered = c.registered;
    count_unanswered(c, timed_out ? redis_outcome::timeout : redis_outcome::error);
    c.registered = c.must_register = c.beat.in_flight = false;
    c.scripts_loading = 0;
    for (redis_bucket &b : c.buckets)
        ledger_disconnected(b.account);
    unsubscribe(c);
    if (!was_registered)
        ++c.sentinel_next; // the one asked may not know better
    link_gone(c);
    if (c.stopping) {
        finish_stop(c);
        return;
    }
    if (was_registered || c.attempts < 3)
        log_warn("redis connection lost", {{"host", c.host}, {"port", c.port}, {"reason", reason}});
    attempt_failed(c, reason, timed_out, was_registered);
}

static void open_command(redis_coord &c) {
    const redis_config &o = c.configuration->redis;
    ++c.epoch;
    ++c.open_links;
    redis_link_options options{c.host, c.port,         o.username,     o.password,
                               o.db,   o.dial_timeout, o.read_timeout, c.configuration->proxy.keepalive};
    c.command = redis_link_open(c.loop, options, {&c, on_ready, on_lost, on_link_closed});
}

// --- Sentinel
// ----------------------------------------------------------------------------------------------------------

static void on_master(void *user, const redisReply *reply) {
    redis_coord &c = *static_cast<redis_coord *>(user);
    if (reply == nullptr || c.stopping)
        return;
    std::vector<std::string> address = reply_strings(reply);
    unsigned long port = address.size() == 2 ? strtoul(address[1].c_str(), nullptr, 10) : 0;
    if (port == 0 || port > UINT16_MAX) {
        redis_link_fail(c.sentinel, reply_is_error(reply) ? reply_text(reply) : "sentinel does not know the master");
        return;
    }
    c.host = address[0];
    c.port = static_cast<uint16_t>(port);
    redis_link_close(c.sentinel);
    c.sentinel = nullptr;
    log_info("sentinel named the master", {{"host", c.host}, {"port", c.port}});
    open_command(c);
}

static void on_sentinel_ready(void *user) {
    redis_coord &c = *static_cast<redis_coord *>(user);
    redis_link_command(c.sentinel, {"SENTINEL", "get-master-addr-by-name", c.configuration->redis.master_name},
                       on_master, &c);
}

static void on_sentinel_lost(void *user, const char *reason, bool timed_out) {
    redis_coord &c = *static_cast<redis_coord *>(user);
    c.sentinel = nullptr;
    ++c.sentinel_next;
    link_gone(c);
    if (c.stopping)
        return;
    if (c.attempts < 3)
        log_warn("sentinel failed", {{"reason", reason}});
    attempt_failed(c, std::string("sentinel: ") + reason, timed_out, false);
}

void connect_redis(redis_coord &c) {
    if (c.stopping || c.command != nullptr || c.sentinel != nullptr)
        return;
    const redis_config &o = c.configuration->redis;
    if (o.sentinels.empty()) {
        c.host = c.moved_host.empty() ? o.host : c.moved_host;
        c.port = c.moved_host.empty() ? o.port : c.moved_port;
        c.moved_host.clear(); // if it fails the configured node knows better
        open_command(c);
        return;
    }
    const sentinel_address &s = o.sentinels[c.sentinel_next % o.sentinels.size()];
    redis_link_options options{
        s.host, s.port, "", o.sentinel_password, 0, o.dial_timeout, o.read_timeout, c.configuration->proxy.keepalive};
    ++c.open_links;
    c.sentinel = redis_link_open(c.loop, options, {&c, on_sentinel_ready, on_sentinel_lost, on_link_closed});
}
