// The server connections of one bucket on this instance that clients may share: which one a client gets, which one
// goes. It decides; the proxy acts. Pure: time (milliseconds, monotonic) and randomness are arguments.
//
//      pool_set (one bucket)
//        map key -> server_pool   pools in the order of their last use
//                     members: warming | busy | idle (front: idle longest)
//        idle members of all pools, front: idle longest
//
// A member is embedded in what the proxy keeps for a connection and owned by it. Slots are counted elsewhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/list.h"

struct server_pool;
struct pool_set;

enum class pool_member_state : uint8_t {
    none,    // in no pool
    warming, // being opened for nobody yet
    busy,    // being opened for a client, or serving one
    idle,
};

// Set by the functions below only; `settings` by the proxy while the member is not idle.
struct pool_member {
    list_node<pool_member> pool_node; // its pool's idle members
    list_node<pool_member> set_node;  // the set's idle members
    server_pool *pool = nullptr;
    pool_member_state state = pool_member_state::none;
    uint64_t born = 0;
    uint64_t idle_since = 0;
    uint64_t retire_at = UINT64_MAX; // past its lifetime from here on
    const void *settings = nullptr;  // the session state that it is in; equal states have the same address
};

struct server_pool {
    list_node<server_pool> node;
    pool_set *set = nullptr;
    std::string key;
    list<pool_member, &pool_member::pool_node> idle;
    uint32_t warming = 0, busy = 0;
    uint32_t holders = 0;    // client sessions that keep a pointer to it (pool_hold)
    uint64_t used_at = 0;    // when a client last asked for it
    uint64_t warm_after = 0; // no warm connection is wanted before this
    bool may_warm = true;    // the proxy knows how to log in by itself
    bool abandoned = false;  // pool_abandon
    void *user = nullptr;    // what the proxy needs to open further connections; given to free_user
};

struct pool_limits {
    uint32_t max_pools = 10'000;
    uint32_t min_idle = 0;            // kept open for the pools used last, over all of them
    uint64_t max_idle_time = 300'000; // ms; 0: idle members stay (and empty pools go after an hour)
    uint64_t lifetime = 3'600'000;    // ms, shortened or lengthened by up to a tenth for each member; 0: unlimited
    bool oldest_first = false;        // of idle members in the state asked for the one idle longest is taken
};

struct pool_set {
    pool_limits limits;                      // may be changed at any time
    void (*free_user)(void *user) = nullptr; // called for server_pool.user, if that is set, when a pool goes

    std::unordered_map<std::string_view, std::unique_ptr<server_pool>> pools; // the view is of the pool's key
    list<server_pool, &server_pool::node> by_use;                             // front: unused longest
    list<server_pool, &server_pool::node> abandoned;
    list<pool_member, &pool_member::set_node> idle; // front: idle longest
    uint32_t warming = 0, busy = 0;
    uint64_t next_retire = UINT64_MAX; // no idle member is past its lifetime before this

    pool_set() = default;
    pool_set(const pool_set &) = delete;
    pool_set &operator=(const pool_set &) = delete;
};

// Frees all pools, abandoned ones too. No member is in any, and no holder is left.
void pool_set_clear(pool_set &set);

// The pool of this key, or nullptr. A look, no use.
server_pool *pool_find(pool_set &set, std::string_view key);
// Likewise, made if there is none; counts as a use by a client. At limits.max_pools the empty pool unused longest makes
// room; nullptr when all have members or holders.
[[nodiscard]] server_pool *pool_obtain(pool_set &set, std::string_view key, uint64_t now);
// Its password is refused from now on, or its server state is in doubt: the pool is found no more (a new one may get
// the same key), what is idle is for pool_set_expired, what is busy will not be taken back by pool_put_idle. The pool
// itself goes with its last member and holder: at once if it has none.
void pool_abandon(server_pool *pool);

// A client uses it again.
void pool_touch(server_pool *pool, uint64_t now);
// A client session keeps a pointer to the pool, with or without a server connection: it does not go meanwhile.
void pool_hold(server_pool *pool);
void pool_drop(server_pool *pool); // ends a hold; may free an abandoned pool

// A new member: `warming` or `busy`. Its life counts from now; `random` spreads the end of lives.
void pool_add(server_pool *pool, pool_member &member, pool_member_state state, uint64_t now, uint32_t random);
// Out of its pool, whatever its state; harmless if it is in none. May free an abandoned pool.
void pool_remove(pool_member &member);
// A warming or busy member comes free, in the state that its `settings` say. False: it is past its lifetime or its pool
// is abandoned: it stays busy and the caller closes it.
[[nodiscard]] bool pool_put_idle(pool_member &member, uint64_t now);
// Its life is over whatever its age: idle, it is one of pool_set_expired's; else it is not taken back.
void pool_expire(pool_member &member);
[[nodiscard]] inline bool pool_expired(const pool_member &member, uint64_t now) {
    return member.retire_at <= now;
}
// A warming or idle member goes to a client.
void pool_use(pool_member &member);

enum class pool_match : uint8_t {
    equal, // only a member whose state is already the one asked for
    any,   // if there is none, the one idle longest in another state
};
// An idle member, now busy, or nullptr. Of those in the state asked for the one used last (or first: oldest_first).
// Members past their lifetime and those of an abandoned pool are left for pool_set_expired.
[[nodiscard]] pool_member *pool_take_idle(server_pool *pool, const void *settings, pool_match match, uint64_t now);

// For taking over its slot: of all idle members in other pools than `except` (nullptr: in all) the one idle longest, or
// nullptr. It stays idle: pool_remove it.
[[nodiscard]] pool_member *pool_set_lru_idle(const pool_set &set, const server_pool *except);

// An idle member that must be closed: past its lifetime, of an abandoned pool, or idle for longer than max_idle_time
// and not one of the min_idle used last. nullptr: none. It stays idle: pool_remove it, and ask again.
[[nodiscard]] pool_member *pool_set_expired(pool_set &set, uint64_t now);
// Frees pools without members and holders that no client has asked for during max_idle_time. Call it about once a
// second.
void pool_set_sweep(pool_set &set, uint64_t now);

// The pool that should get one more warm connection: while fewer than min_idle are idle or warming, of the min_idle
// pools used last the one that has fewest. nullptr: none. A try that fails: pool_warm_failed.
[[nodiscard]] server_pool *pool_set_warm_wanted(const pool_set &set, uint64_t now);
// No warm connection for this pool before `retry_at`.
void pool_warm_failed(server_pool *pool, uint64_t retry_at);

inline uint32_t pool_set_idle_count(const pool_set &set) {
    return static_cast<uint32_t>(set.idle.count);
}
// Warming and busy ones too.
inline uint32_t pool_set_member_count(const pool_set &set) {
    return set.warming + set.busy + pool_set_idle_count(set);
}
inline uint32_t pool_member_count(const server_pool *pool) {
    return pool->warming + pool->busy + static_cast<uint32_t>(pool->idle.count);
}
