// The coordinator of a single instance: counts in memory against the configured limits. No Redis.
#include "coord/coord.h"

#include <algorithm>
#include <cassert>

#include "config/config.h"

struct local_bucket {
    std::string id;
    uint32_t held;
    uint32_t max;
    uint32_t ceiling;
    bool wanted;
    bool freed;
    uint32_t told_max; // UINT32_MAX: nothing yet
    uint32_t told_surplus;
};

struct local_coord {
    coord base;
    uv_timer_t turn; // answers are given from the loop, never from inside a call
    coord_callbacks callbacks;
    std::string instance_id;
    std::vector<local_bucket> buckets;
    coord_mode mode;
    void (*stopped)(void *user);
    void *stopped_user;
};

static local_coord *self(coord *c) {
    return reinterpret_cast<local_coord *>(c);
}
static const local_coord *self(const coord *c) {
    return reinterpret_cast<const local_coord *>(c);
}

static void enter_mode(local_coord &c, coord_mode mode) {
    coord_mode from = c.mode;
    c.mode = mode;
    c.callbacks.mode_changed(c.callbacks.user, from, mode);
}

static void answer_want(local_coord &c, uint32_t i) {
    local_bucket &b = c.buckets[i];
    b.wanted = false;
    if (b.held >= std::min(b.max, b.ceiling)) {
        c.callbacks.refused(c.callbacks.user, i, coord_refusal::full);
        return;
    }
    ++b.held;
    c.callbacks.granted(c.callbacks.user, i);
}

// Above a lowered limit slots go back as they come free.
static void tell_max(local_coord &c, uint32_t i) {
    local_bucket &b = c.buckets[i];
    if (b.told_max != b.max) {
        b.told_max = b.max;
        c.callbacks.max_changed(c.callbacks.user, i, b.max);
    }
    uint32_t surplus = b.held > b.max ? b.held - b.max : 0;
    if (b.told_surplus != surplus) {
        b.told_surplus = surplus;
        c.callbacks.shrink(c.callbacks.user, i, surplus);
    }
}

static void on_turn(uv_timer_t *timer) {
    local_coord &c = *static_cast<local_coord *>(timer->data);
    auto count = static_cast<uint32_t>(c.buckets.size());
    for (uint32_t i = 0; i < count; ++i)
        tell_max(c, i);
    if (c.mode == coord_mode::starting)
        enter_mode(c, coord_mode::normal);
    for (uint32_t i = 0; i < count; ++i) {
        if (c.buckets[i].wanted)
            answer_want(c, i);
        if (c.buckets[i].freed) {
            c.buckets[i].freed = false;
            c.callbacks.freed(c.callbacks.user, i);
        }
    }
}

static void schedule(local_coord &c) {
    if (c.mode != coord_mode::closed)
        uv_timer_start(&c.turn, on_turn, 0, 0);
}

static void local_want(coord *base, uint32_t i) {
    local_coord &c = *self(base);
    assert(!c.buckets[i].wanted);
    c.buckets[i].wanted = true;
    schedule(c);
}

static void local_cancel_want(coord *base, uint32_t i) {
    self(base)->buckets[i].wanted = false;
}

static void local_release(coord *base, uint32_t i) {
    local_coord &c = *self(base);
    assert(c.buckets[i].held > 0);
    --c.buckets[i].held;
    c.buckets[i].freed = true;
    schedule(c);
}

// There is nobody else to give way.
static void local_waiting(coord *, uint32_t, uint64_t) {}

static void local_set_ceiling(coord *base, uint32_t i, uint32_t slots) {
    self(base)->buckets[i].ceiling = slots;
}

static uint32_t local_configure(coord *base, const bucket_config &conf) {
    local_coord &c = *self(base);
    auto same = [&conf](const local_bucket &b) { return b.id == conf.id; };
    auto found = std::find_if(c.buckets.begin(), c.buckets.end(), same);
    if (found == c.buckets.end())
        found = c.buckets.insert(found, {conf.id, 0, 0, UINT32_MAX, false, false, UINT32_MAX, 0});
    found->max = conf.max_connections;
    schedule(c);
    return static_cast<uint32_t>(found - c.buckets.begin());
}

static void local_remove(coord *, uint32_t) {}

static bool local_allowed(coord *) {
    return true;
}

static coord_status local_status(const coord *base) {
    const local_coord &c = *self(base);
    return {c.mode, "local: counts in memory, no Redis", 0, 0, c.instance_id, {c.instance_id}};
}

static coord_bucket_status local_bucket_status(const coord *base, uint32_t i) {
    const local_bucket &b = self(base)->buckets[i];
    return {b.held, b.held, b.max, b.max};
}

static void on_closed(uv_handle_t *handle) {
    local_coord &c = *static_cast<local_coord *>(handle->data);
    c.stopped(c.stopped_user);
}

static void local_stop(coord *base, void (*stopped)(void *user), void *user) {
    local_coord &c = *self(base);
    assert(c.mode != coord_mode::closed);
    c.mode = coord_mode::closed;
    c.stopped = stopped;
    c.stopped_user = user;
    uv_close(reinterpret_cast<uv_handle_t *>(&c.turn), on_closed);
}

static void local_destroy(coord *base) {
    delete self(base);
}

static constexpr coord_ops local_ops = {local_want,        local_cancel_want,   local_release, local_waiting,
                                        local_set_ceiling, local_configure,     local_remove,  local_allowed,
                                        local_status,      local_bucket_status, local_stop,    local_destroy};

coord *coord_local_create(uv_loop_t *loop, const config &configuration, metrics *, const coord_callbacks &callbacks) {
    auto *c = new local_coord{};
    c->base.ops = &local_ops;
    c->callbacks = callbacks;
    c->instance_id = configuration.proxy.instance_id;
    for (const bucket_config &b : configuration.buckets)
        c->buckets.push_back({b.id, 0, b.max_connections, UINT32_MAX, false, false, UINT32_MAX, 0});
    c->mode = coord_mode::starting;
    uv_timer_init(loop, &c->turn);
    c->turn.data = c;
    schedule(*c);
    return &c->base;
}
