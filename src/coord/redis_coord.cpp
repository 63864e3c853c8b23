// The function table of the redis coordinator, its modes, and the turn: what buckets and upper layer are told.
//
//      starting --registered--> settling or normal <--registered-- fallback
//          \_____ no connection, or fenced _____________________________^
#include "coord/redis_coord.h"

#include <cassert>
#include <ctime>

#include <sys/random.h>

#include "base/log.h"
#include "coord/share.h"

static redis_coord *self(coord *c) {
    return reinterpret_cast<redis_coord *>(c);
}
static const redis_coord *self(const coord *c) {
    return reinterpret_cast<const redis_coord *>(c);
}

uint64_t boottime_ms() {
    timespec now{};
    clock_gettime(CLOCK_BOOTTIME, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1000 + static_cast<uint64_t>(now.tv_nsec) / 1'000'000;
}

uint64_t random_u64() {
    uint64_t n = 0;
    if (getrandom(&n, sizeof n, 0) != sizeof n)
        n = uv_hrtime();
    return n;
}

void count_operation(redis_coord &c, redis_op op, redis_outcome outcome) {
    static constexpr const char *ops[] = {"acquire", "release", "register",  "reap",
                                          "audit",   "publish", "subscribe", "connect"};
    static constexpr const char *outcomes[] = {"ok", "full", "settling", "stale", "error", "timeout"};
    auto &handle = c.operations[static_cast<size_t>(op)][static_cast<size_t>(outcome)];
    if (handle == nullptr)
        handle = metric_counter(c.meters, metric::redis_operations_total,
                                {ops[static_cast<size_t>(op)], outcomes[static_cast<size_t>(outcome)]});
    counter_add(handle);
}

std::string instance_key(const redis_coord &c, const std::string &id, const char *what) {
    return c.configuration->redis.key_prefix + ":instance:" + id + ":" + what;
}

uint32_t share_of(const redis_coord &c, const redis_bucket &b) {
    const fallback_config &f = c.configuration->fallback;
    return fallback_share(f.enabled, b.account.max, f.local_limit_divisor, static_cast<uint32_t>(c.instances.size()));
}

// --- Modes
// -------------------------------------------------------------------------------------------------------------

static void log_mode(const redis_coord &c, coord_mode from, std::string_view why) {
    if (c.mode == coord_mode::fallback)
        log_warn("fallback: redis cannot be used", {{"reason", why}, {"enabled", c.configuration->fallback.enabled}});
    else if (from == coord_mode::fallback)
        log_info("reconciled with redis, fallback has ended", {{"mode", coord_mode_name(c.mode)}});
    if (c.mode == coord_mode::settling)
        log_info("settling: no new slots until every instance has registered", {{"reason", why}});
    if (from == coord_mode::settling && c.mode == coord_mode::normal)
        log_info("settling has ended");
}

static void tell_surplus(redis_coord &c, redis_bucket &b) {
    uint32_t surplus = b.surplus + (b.gives ? 1 : 0);
    if (b.told_surplus == surplus)
        return;
    b.told_surplus = surplus;
    c.callbacks.shrink(c.callbacks.user, b.index, b.told_surplus);
}

void enter_mode(redis_coord &c, coord_mode mode, std::string_view why) {
    if (c.mode == mode)
        return;
    coord_mode from = c.mode;
    c.mode = mode;
    log_mode(c, from, why);
    gauge_set(c.fallback_gauge, mode == coord_mode::fallback ? 1 : 0);
    if (mode != coord_mode::settling)
        uv_timer_stop(&c.settle);
    if (mode == coord_mode::normal)
        tell_freed(c);
    else
        for (redis_bucket &b : c.buckets)
            stop_giving(b);
    schedule_turn(c);
    c.callbacks.mode_changed(c.callbacks.user, from, mode);
    for (redis_bucket &b : c.buckets) { // at once: nothing may be attached above the share meanwhile
        set_surplus(c, b);
        tell_surplus(c, b);
    }
}

bool check_fence(redis_coord &c) {
    if (!beat_clock_fenced(c.clock, boottime_ms()))
        return false;
    if (c.mode != coord_mode::normal && c.mode != coord_mode::settling)
        return true;
    c.message = "no heartbeat for too long";
    enter_mode(c, coord_mode::fallback, "fenced: no heartbeat for too long");
    c.registered = false;
    // A new connection: whatever the old one still carries is refused by its epoch, and the register that comes first
    // on the new one leaves nothing out.
    if (c.command != nullptr)
        redis_link_fail(c.command, "fenced");
    return true;
}

// --- The turn
// ----------------------------------------------------------------------------------------------------------

void tell_freed(redis_coord &c) {
    for (redis_bucket &b : c.buckets)
        b.freed = true;
    schedule_turn(c);
}

static void refuse_want(redis_coord &c, redis_bucket &b) {
    if (!b.account.wanted)
        return;
    b.account.wanted = false;
    give_answer(c, b, ledger_answer::unavailable);
}

// In fallback a want is answered from the share, but not while a register is under way that has already said how many
// slots are held.
static void serve_bucket(redis_coord &c, redis_bucket &b) {
    if (b.account.wanted && b.account.in_flight != ledger_op::acquire &&
        (b.account.held >= b.ceiling || leaves_to_others(c, b))) {
        b.account.wanted = false;
        give_answer(c, b, ledger_answer::full);
    }
    switch (c.mode) {
    case coord_mode::starting: refuse_want(c, b); return;
    case coord_mode::settling: refuse_want(c, b); [[fallthrough]];
    case coord_mode::normal:
        if (c.registered)
            send_next(c, b);
        return;
    case coord_mode::fallback:
        if (!c.configuration->fallback.enabled)
            refuse_want(c, b);
        else if (!c.beat.in_flight)
            give_answer(c, b, ledger_take_share(b.account, share_of(c, b)));
        return;
    case coord_mode::closed: return;
    }
}

static void tell_bucket(redis_coord &c, redis_bucket &b) {
    if (b.told_max != b.account.max) {
        b.told_max = b.account.max;
        c.callbacks.max_changed(c.callbacks.user, b.index, b.told_max);
    }
    tell_surplus(c, b);
    if (b.freed) {
        b.freed = false;
        c.callbacks.freed(c.callbacks.user, b.index);
    }
}

static void let_go(redis_coord &c, redis_bucket &b) {
    if (!b.removed || b.gone || b.account.registered > 0 || b.account.in_flight != ledger_op::none)
        return;
    b.gone = true;
    if (c.registered)
        register_now(c);
}

static void on_turn(uv_timer_t *timer) {
    redis_coord &c = *static_cast<redis_coord *>(timer->data);
    check_fence(c);
    for (redis_bucket &b : c.buckets) {
        if (c.stopping)
            return;
        serve_bucket(c, b);
        tell_bucket(c, b);
        let_go(c, b);
    }
}

void schedule_turn(redis_coord &c) {
    if (!c.stopping)
        uv_timer_start(&c.turn, on_turn, 0, 0);
}

// Twice per interval: every second time a beat; dead instances are looked for every time, right after the beat's answer
// or between two beats.
static void on_tick(uv_timer_t *timer) {
    redis_coord &c = *static_cast<redis_coord *>(timer->data);
    uint64_t half = c.configuration->redis.heartbeat_interval / 2;
    uv_timer_start(timer, on_tick, jittered(half > 0 ? half : 1, random_u64()), 0);
    if (check_fence(c) || !c.registered)
        return;
    reap_others(c);
    if (++c.ticks % 2 != 0)
        return;
    if (!c.beat.in_flight)
        register_now(c);
    if (c.ticks % 6 == 0)
        audit(c);
    subscribe(c);
}

// --- The function table
// ------------------------------------------------------------------------------------------------

static void redis_want(coord *base, uint32_t i) {
    redis_coord &c = *self(base);
    assert(!c.buckets[i].account.wanted);
    c.buckets[i].account.wanted = true;
    schedule_turn(c);
}

static void redis_cancel_want(coord *base, uint32_t i) {
    self(base)->buckets[i].account.wanted = false;
}

static void redis_release(coord *base, uint32_t i) {
    redis_coord &c = *self(base);
    redis_bucket &b = c.buckets[i];
    assert(b.account.held > 0);
    --b.account.held;
    if (b.surplus > 0)
        --b.surplus;
    else
        stop_giving(b);
    if (c.mode == coord_mode::fallback)
        b.freed = true; // nobody publishes now
    schedule_turn(c);
}

static void redis_waiting(coord *base, uint32_t i, uint64_t oldest_wait) {
    say_waiting(*self(base), self(base)->buckets[i], oldest_wait);
}

static void redis_set_ceiling(coord *base, uint32_t i, uint32_t slots) {
    self(base)->buckets[i].ceiling = slots;
}

static bool redis_allowed(coord *base) {
    redis_coord &c = *self(base);
    if (c.mode != coord_mode::normal && c.mode != coord_mode::settling)
        return true; // fallback: its share and surplus rule
    if (!beat_clock_fenced(c.clock, boottime_ms()))
        return true;
    schedule_turn(c);
    return false;
}

static coord_status redis_status(const coord *base) {
    const redis_coord &c = *self(base);
    return {c.mode, c.message, c.registered ? c.latency_us : 0, c.last_beat_unix, c.id, c.instances};
}

static coord_bucket_status redis_bucket_status(const coord *base, uint32_t i) {
    const redis_coord &c = *self(base);
    const redis_bucket &b = c.buckets[i];
    return {b.account.held, c.registered ? b.account.count : 0, b.account.max, share_of(c, b)};
}

// --- Stopping: deregister, close the links, close the timers, tell
// ------------------------------------------------------

static constexpr uint64_t deregister_timeout = 2000; // ms

static void on_timer_closed(uv_handle_t *handle) {
    redis_coord &c = *static_cast<redis_coord *>(handle->data);
    if (--c.open_timers == 0)
        c.stopped(c.stopped_user);
}

void link_gone(redis_coord &c) {
    assert(c.open_links > 0);
    if (--c.open_links > 0 || !c.stopping || uv_is_closing(reinterpret_cast<uv_handle_t *>(&c.turn)))
        return;
    for (uv_timer_t *t : {&c.turn, &c.tick, &c.retry, &c.fence, &c.settle, &c.resubscribe, &c.giving})
        uv_close(reinterpret_cast<uv_handle_t *>(t), on_timer_closed);
}

void finish_stop(redis_coord &c) {
    ++c.open_links; // held here until all have been asked to close
    unsubscribe(c);
    for (redis_link **l : {&c.command, &c.sentinel}) {
        if (*l != nullptr)
            redis_link_close(*l);
        *l = nullptr;
    }
    link_gone(c);
}

static void redis_stop(coord *base, void (*stopped)(void *user), void *user) {
    redis_coord &c = *self(base);
    assert(!c.stopping);
    c.mode = coord_mode::closed;
    c.stopping = true;
    c.stopped = stopped;
    c.stopped_user = user;
    gauge_set(c.fallback_gauge, 0);
    if (c.heartbeat_gauge != nullptr)
        gauge_set(c.heartbeat_gauge, 0);
    for (uv_timer_t *t : {&c.turn, &c.tick, &c.retry, &c.fence, &c.settle, &c.resubscribe, &c.giving})
        uv_timer_stop(t);
    if (!deregister(c)) {
        finish_stop(c);
        return;
    }
    auto give_up = [](uv_timer_t *t) { finish_stop(*static_cast<redis_coord *>(t->data)); };
    uv_timer_start(&c.retry, give_up, deregister_timeout, 0);
}

static void redis_destroy(coord *base) {
    delete self(base);
}

// --- Creation
// ----------------------------------------------------------------------------------------------------------

static std::string make_token() {
    static constexpr char digits[] = "0123456789abcdef";
    std::string token;
    for (int i = 0; i < 2; ++i)
        for (uint64_t n = random_u64(), k = 0; k < 16; ++k, n >>= 4)
            token += digits[n & 15];
    return token;
}

static redis_bucket &create_bucket(redis_coord &c, const bucket_config &conf) {
    const std::string &prefix = c.configuration->redis.key_prefix;
    redis_bucket out{};
    out.owner = &c;
    out.index = static_cast<uint32_t>(c.buckets.size());
    out.id = conf.id;
    out.count_key = prefix + ":bucket:" + conf.id + ":count";
    out.max_key = prefix + ":bucket:" + conf.id + ":max";
    out.channel = prefix + ":release:" + conf.id;
    out.want_channel = prefix + ":want:" + conf.id;
    out.configured_max = out.account.max = conf.max_connections;
    out.told_max = UINT32_MAX;
    out.ceiling = UINT32_MAX;
    c.buckets.push_back(std::move(out));
    return c.buckets.back();
}

static redis_bucket &obtain_bucket(redis_coord &c, const bucket_config &conf) {
    for (redis_bucket &b : c.buckets)
        if (b.id == conf.id)
            return b;
    return create_bucket(c, conf);
}

// Redis hears of it with the next register, which is sent at once. Until then a new bucket has no slots there.
static uint32_t redis_configure(coord *base, const bucket_config &conf) {
    redis_coord &c = *self(base);
    size_t before = c.buckets.size();
    redis_bucket &b = obtain_bucket(c, conf);
    bool news = b.removed || c.buckets.size() > before || b.configured_max != conf.max_connections;
    b.removed = b.gone = false;
    b.configured_max = conf.max_connections;
    if (!news)
        return b.index;
    ++c.limits;
    if (c.buckets.size() > before)
        subscribe_bucket(c, b);
    if (c.registered)
        register_now(c);
    schedule_turn(c);
    return b.index;
}

static void redis_remove(coord *base, uint32_t i) {
    redis_coord &c = *self(base);
    assert(c.buckets[i].account.held == 0 && !c.buckets[i].account.wanted);
    c.buckets[i].removed = true;
    c.buckets[i].surplus = 0;
    stop_giving(c.buckets[i]);
    schedule_turn(c);
}

static constexpr coord_ops redis_ops = {redis_want,        redis_cancel_want,   redis_release, redis_waiting,
                                        redis_set_ceiling, redis_configure,     redis_remove,  redis_allowed,
                                        redis_status,      redis_bucket_status, redis_stop,    redis_destroy};

coord *coord_redis_create(uv_loop_t *loop, const config &configuration, metrics *meters,
                          const coord_callbacks &callbacks) {
    auto *c = new redis_coord{};
    c->base.ops = &redis_ops;
    c->loop = loop;
    c->configuration = &configuration;
    c->meters = meters;
    c->callbacks = callbacks;
    c->base_id = c->id = configuration.proxy.instance_id;
    c->id_suffix = 1;
    c->token = make_token();
    c->message = "connecting";
    c->clock.interval = configuration.redis.heartbeat_interval;
    c->clock.ttl = configuration.redis.heartbeat_ttl;
    c->fallback_gauge = metric_gauge(meters, metric::fallback_active, {});
    c->instances = {c->id};
    c->limits = 1; // not said yet
    for (const bucket_config &b : configuration.buckets)
        create_bucket(*c, b);
    for (uv_timer_t *t : {&c->turn, &c->tick, &c->retry, &c->fence, &c->settle, &c->resubscribe, &c->giving}) {
        uv_timer_init(loop, t);
        t->data = c;
        ++c->open_timers;
    }
    schedule_turn(*c);
    uv_timer_start(&c->tick, on_tick, 0, 0);
    connect_redis(*c);
    return &c->base;
}
