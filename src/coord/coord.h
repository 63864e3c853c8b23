// The coordinator: how many server connections of each bucket this instance may hold (docs/architecture.md).
//
//      pool/proxy  --coord_want/coord_release-->  coordinator  --EVALSHA-->  Redis, shared by all instances
//                  <--granted, refused, freed, max, mode--
//
// Two implementations behind one function table: `redis` (counts shared through Redis, with fallback) and `local`
// (counts in memory, one instance). Everything runs on the loop's thread; callbacks are never called from inside a call
// of the upper layer, always from the loop.
//
// Rules
// - A bucket is an index, 0..bucket_count-1, at first in the order of config.buckets; those added later follow. The
// index
//   of one that was removed is its own when it is added again.
// - `held` of a bucket is the number of slots granted to the upper layer and not yet given back. The upper layer
// changes
//   it only through `granted` (+1) and coord_release (-1). It is the true number that register reports to Redis.
// - At most one want per bucket is outstanding; it ends with exactly one answer: granted or refused, or with
//   coord_cancel_want. A slot that arrives after a cancel is given back by the coordinator itself.
// - One operation per bucket is in flight at Redis, with an absolute target; lost or late replies never change a count.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <uv.h>

struct config;
struct bucket_config;
struct metrics;

enum class coord_mode : uint8_t {
    starting, // not yet registered
    normal,   // registered, Redis answers
    settling, // registered, but Redis has lost data: no new slots until every instance has registered
    fallback, // Redis cannot be reached (or this instance is fenced): at most the fallback share
    closed,   // deregistered, or stopped
};
const char *coord_mode_name(coord_mode);

enum class coord_refusal : uint8_t {
    full,        // the bucket's limit is reached (the share, in fallback)
    unavailable, // no decision can be had now: starting, settling, fallback disabled. Ask again later
};

struct coord_callbacks {
    void *user;
    void (*granted)(void *user, uint32_t bucket);
    void (*refused)(void *user, uint32_t bucket, coord_refusal why);
    // A slot of the bucket may be free somewhere: let the first waiter ask again.
    void (*freed)(void *user, uint32_t bucket);
    // The limit over all instances, as Redis has it now (also called once at start with the configured value).
    void (*max_changed)(void *user, uint32_t bucket, uint32_t max);
    // While this number is > 0 the upper layer should give back that many slots of the bucket as connections come free
    // (idle ones at once): the limit was lowered, the instance is above its fallback share, or another instance has
    // clients waiting and holds fewer (coord/want). 0: no longer.
    void (*shrink)(void *user, uint32_t bucket, uint32_t surplus);
    void (*mode_changed)(void *user, coord_mode from, coord_mode to);
};

// What /health and the status page show.
struct coord_status {
    coord_mode mode;
    std::string message;                // for a person: "connected", "connection refused", ...
    uint64_t latency_us;                // of the last heartbeat; 0 when unknown
    int64_t last_beat_unix;             // seconds; 0 when never
    std::string instance_id;            // as registered, with .2, .3 where the id was taken
    std::vector<std::string> instances; // seen at the last beat
};

struct coord_bucket_status {
    uint32_t held;  // by this instance
    uint32_t count; // over all instances, as of the last reply; 0 when unknown
    uint32_t max;   // as of the last reply, else configured
    uint32_t share; // what fallback would allow here
};

struct coord;

// Function table of one implementation; use the inline wrappers below.
struct coord_ops {
    void (*want)(coord *, uint32_t bucket);
    void (*cancel_want)(coord *, uint32_t bucket);
    void (*release)(coord *, uint32_t bucket);
    void (*waiting)(coord *, uint32_t bucket, uint64_t oldest_wait);
    void (*set_ceiling)(coord *, uint32_t bucket, uint32_t slots);
    uint32_t (*configure)(coord *, const bucket_config &);
    void (*remove)(coord *, uint32_t bucket);
    bool (*allowed)(coord *);
    coord_status (*status)(const coord *);
    coord_bucket_status (*bucket_status)(const coord *, uint32_t bucket);
    void (*stop)(coord *, void (*stopped)(void *user), void *user);
    void (*destroy)(coord *);
};

struct coord {
    const coord_ops *ops;
};

// Starts at once: redis connects, registers and beats by itself; local is in mode `normal` after the first loop turn.
// `configuration` and `metrics` must outlive it. Never null; a bad address is a state (fallback), not a failure.
coord *coord_redis_create(uv_loop_t *, const config &configuration, metrics *, const coord_callbacks &);
coord *coord_local_create(uv_loop_t *, const config &configuration, metrics *, const coord_callbacks &);

// Asks for one more slot. Answer by callback. Asserts that no want of this bucket is outstanding.
inline void coord_want(coord *c, uint32_t bucket) {
    c->ops->want(c, bucket);
}
inline void coord_cancel_want(coord *c, uint32_t bucket) {
    c->ops->cancel_want(c, bucket);
}
// Gives back one slot whose server connection is gone.
inline void coord_release(coord *c, uint32_t bucket) {
    c->ops->release(c, bucket);
}
// Clients wait for a slot of the bucket, the first of them for so many ms, and the last want was refused as full: the
// other instances are told, at most once per proxy.fairness_interval, and those that hold more give way.
inline void coord_waiting(coord *c, uint32_t bucket, uint64_t oldest_wait) {
    c->ops->waiting(c, bucket, oldest_wait);
}
// No want is granted while this instance holds so many slots of the bucket or more; UINT32_MAX: as the limit says.
inline void coord_set_ceiling(coord *c, uint32_t bucket, uint32_t slots) {
    c->ops->set_ceiling(c, bucket, slots);
}
// A reload: a bucket that is new, or one whose configuration may have changed (max_connections, which then goes for all
// instances). Returns its index.
inline uint32_t coord_configure(coord *c, const bucket_config &conf) {
    return c->ops->configure(c, conf);
}
// A bucket that nothing is asked for any more: no slot of it is held and no want outstanding.
inline void coord_remove(coord *c, uint32_t bucket) {
    c->ops->remove(c, bucket);
}
// Compares clocks (CLOCK_BOOTTIME): false when this instance has been paused or cut off so long that it is fenced now,
// even if no timer has run yet. To be asked before any request or session is attached to a server connection.
inline bool coord_allowed(coord *c) {
    return c->ops->allowed(c);
}
inline coord_status coord_get_status(const coord *c) {
    return c->ops->status(c);
}
inline coord_bucket_status coord_get_bucket_status(const coord *c, uint32_t bucket) {
    return c->ops->bucket_status(c, bucket);
}
// Gives everything back (deregister) within a few seconds at most and closes the connections; then calls `stopped`
// once.
inline void coord_stop(coord *c, void (*stopped)(void *user), void *user) {
    c->ops->stop(c, stopped, user);
}
// After `stopped` only.
inline void coord_destroy(coord *c) {
    c->ops->destroy(c);
}
