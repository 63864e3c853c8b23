// The server connections of one bucket that clients may share. Contract in server_pool.h.
#include "pool/server_pool.h"

#include <algorithm>
#include <cassert>

namespace {

constexpr uint64_t empty_pool_time = 3'600'000; // of an empty pool, where idle members stay for ever

bool unused(const server_pool *pool) {
    return pool_member_count(pool) == 0 && pool->holders == 0;
}

void free_user(const server_pool *pool) {
    assert(unused(pool));
    if (pool->set->free_user != nullptr && pool->user != nullptr)
        pool->set->free_user(pool->user);
}

void free_pool(server_pool *pool) {
    pool_set *set = pool->set;
    free_user(pool);
    list_remove(set->by_use, *pool);
    set->pools.erase(set->pools.find(pool->key)); // frees it
}

void free_abandoned(server_pool *pool) {
    free_user(pool);
    list_remove(pool->set->abandoned, *pool);
    delete pool;
}

void free_if_over(server_pool *pool) {
    if (pool->abandoned && unused(pool))
        free_abandoned(pool);
}

server_pool *oldest_unused(const pool_set &set) {
    server_pool *pool = list_front(set.by_use);
    while (pool != nullptr && !unused(pool))
        pool = list_next(set.by_use, *pool);
    return pool;
}

bool make_room(pool_set &set) {
    if (set.pools.size() < set.limits.max_pools)
        return true;
    server_pool *oldest = oldest_unused(set);
    if (oldest != nullptr)
        free_pool(oldest);
    return oldest != nullptr;
}

server_pool *make_pool(pool_set &set, std::string_view key) {
    auto made = std::make_unique<server_pool>();
    server_pool *pool = made.get();
    pool->set = &set;
    pool->key = key;
    set.pools.emplace(pool->key, std::move(made));
    list_push_back(set.by_use, *pool);
    return pool;
}

void count(pool_member &member, uint32_t change) { // 1 or -1
    server_pool *pool = member.pool;
    if (member.state == pool_member_state::warming) {
        pool->warming += change;
        pool->set->warming += change;
    } else if (member.state == pool_member_state::busy) {
        pool->busy += change;
        pool->set->busy += change;
    }
}

// The only place where a member changes its state. New idle members go to the back of both lists.
void move(pool_member &member, pool_member_state to) {
    server_pool *pool = member.pool;
    count(member, UINT32_MAX);
    if (member.state == pool_member_state::idle) {
        list_remove(pool->idle, member);
        list_remove(pool->set->idle, member);
    }
    member.state = to;
    count(member, 1);
    if (to == pool_member_state::idle) {
        list_push_back(pool->idle, member);
        list_push_back(pool->set->idle, member);
    }
}

// The earliest end of life of all idle members is known only as a lower bound: taking a member out does not look for
// the next one. When the bound is reached it is found anew.
pool_member *past_lifetime(pool_set &set, uint64_t now) {
    if (now < set.next_retire)
        return nullptr;
    set.next_retire = UINT64_MAX;
    pool_member *found = nullptr;
    for (pool_member *m = list_front(set.idle); m != nullptr; m = list_next(set.idle, *m)) {
        if (m->retire_at <= now && found == nullptr)
            found = m;
        set.next_retire = std::min(set.next_retire, m->retire_at);
    }
    return found;
}

pool_member *abandoned_idle(const pool_set &set) {
    for (server_pool *pool = list_front(set.abandoned); pool != nullptr; pool = list_next(set.abandoned, *pool))
        if (!list_empty(pool->idle))
            return list_front(pool->idle);
    return nullptr;
}

} // namespace

void pool_set_clear(pool_set &set) {
    while (server_pool *pool = list_front(set.by_use))
        free_pool(pool);
    for (server_pool *pool = list_front(set.abandoned), *next; pool != nullptr; pool = next) {
        next = list_next(set.abandoned, *pool);
        free_abandoned(pool);
    }
}

server_pool *pool_find(pool_set &set, std::string_view key) {
    auto found = set.pools.find(key);
    return found != set.pools.end() ? found->second.get() : nullptr;
}

server_pool *pool_obtain(pool_set &set, std::string_view key, uint64_t now) {
    server_pool *pool = pool_find(set, key);
    if (pool == nullptr && !make_room(set))
        return nullptr;
    if (pool == nullptr)
        pool = make_pool(set, key);
    pool_touch(pool, now);
    return pool;
}

void pool_touch(server_pool *pool, uint64_t now) {
    pool->used_at = now;
    if (pool->abandoned)
        return;
    list_remove(pool->set->by_use, *pool);
    list_push_back(pool->set->by_use, *pool);
}

void pool_abandon(server_pool *pool) {
    if (pool->abandoned)
        return;
    pool_set *set = pool->set;
    auto found = set->pools.find(pool->key);
    assert(found != set->pools.end());
    (void)found->second.release(); // it is on the list of abandoned ones from here on, whose end frees it
    set->pools.erase(found);
    list_remove(set->by_use, *pool);
    list_push_back(set->abandoned, *pool);
    pool->abandoned = true;
    free_if_over(pool);
}

void pool_hold(server_pool *pool) {
    ++pool->holders;
}

void pool_drop(server_pool *pool) {
    assert(pool->holders > 0);
    --pool->holders;
    free_if_over(pool);
}

void pool_add(server_pool *pool, pool_member &member, pool_member_state state, uint64_t now, uint32_t random) {
    assert(member.pool == nullptr && member.state == pool_member_state::none);
    assert(state == pool_member_state::warming || state == pool_member_state::busy);
    uint64_t lifetime = pool->set->limits.lifetime;
    member.pool = pool;
    member.born = now;
    member.retire_at = UINT64_MAX;
    if (lifetime != 0) // nine to eleven tenths of it
        member.retire_at = now + lifetime - lifetime / 10 + lifetime / 5 * (random & 0xFFFF) / 0xFFFF;
    move(member, state);
}

void pool_remove(pool_member &member) {
    server_pool *pool = member.pool;
    if (pool == nullptr)
        return;
    move(member, pool_member_state::none);
    member.pool = nullptr;
    free_if_over(pool);
}

bool pool_put_idle(pool_member &member, uint64_t now) {
    assert(member.state == pool_member_state::warming || member.state == pool_member_state::busy);
    pool_set *set = member.pool->set;
    if (member.pool->abandoned || member.retire_at <= now) {
        move(member, pool_member_state::busy);
        return false;
    }
    member.idle_since = now;
    set->next_retire = std::min(set->next_retire, member.retire_at);
    move(member, pool_member_state::idle);
    return true;
}

void pool_expire(pool_member &member) {
    assert(member.pool != nullptr);
    member.retire_at = 0;
    member.pool->set->next_retire = 0;
}

void pool_use(pool_member &member) {
    assert(member.state == pool_member_state::warming || member.state == pool_member_state::idle);
    move(member, pool_member_state::busy);
}

static pool_member *next_idle(const server_pool *pool, pool_member *m) {
    if (pool->set->limits.oldest_first)
        return m == nullptr ? list_front(pool->idle) : list_next(pool->idle, *m);
    return m == nullptr ? list_back(pool->idle) : m->pool_node.prev;
}

pool_member *pool_take_idle(server_pool *pool, const void *settings, pool_match match, uint64_t now) {
    pool_member *oldest = nullptr;
    if (pool->abandoned)
        return nullptr;
    for (pool_member *m = next_idle(pool, nullptr); m != nullptr; m = next_idle(pool, m)) {
        if (m->retire_at <= now)
            continue;
        if (m->settings == settings) {
            pool_use(*m);
            return m;
        }
        if (oldest == nullptr || !pool->set->limits.oldest_first)
            oldest = m;
    }
    if (match == pool_match::equal || oldest == nullptr)
        return nullptr;
    pool_use(*oldest);
    return oldest;
}

pool_member *pool_set_lru_idle(const pool_set &set, const server_pool *except) {
    pool_member *m = list_front(set.idle);
    while (m != nullptr && m->pool == except)
        m = list_next(set.idle, *m);
    return m;
}

pool_member *pool_set_expired(pool_set &set, uint64_t now) {
    if (pool_member *m = abandoned_idle(set))
        return m;
    if (pool_member *m = past_lifetime(set, now))
        return m;
    pool_member *oldest = list_front(set.idle);
    if (oldest == nullptr || set.limits.max_idle_time == 0 || set.idle.count <= set.limits.min_idle)
        return nullptr;
    return now - oldest->idle_since >= set.limits.max_idle_time ? oldest : nullptr;
}

void pool_set_sweep(pool_set &set, uint64_t now) {
    uint64_t longest = set.limits.max_idle_time != 0 ? set.limits.max_idle_time : empty_pool_time;
    server_pool *pool = list_front(set.by_use);
    while (pool != nullptr && now - pool->used_at >= longest) {
        server_pool *next = list_next(set.by_use, *pool);
        if (unused(pool))
            free_pool(pool);
        pool = next;
    }
}

server_pool *pool_set_warm_wanted(const pool_set &set, uint64_t now) {
    uint32_t wanted = set.limits.min_idle;
    if (set.warming + pool_set_idle_count(set) >= wanted)
        return nullptr;
    server_pool *best = nullptr;
    size_t fewest = SIZE_MAX;
    uint32_t seen = 0;
    for (server_pool *pool = list_back(set.by_use); pool != nullptr && seen < wanted; pool = pool->node.prev) {
        if (!pool->may_warm)
            continue;
        ++seen;
        size_t ready = pool->warming + pool->idle.count;
        if (now >= pool->warm_after && ready < fewest) {
            fewest = ready;
            best = pool;
        }
    }
    return best;
}

void pool_warm_failed(server_pool *pool, uint64_t retry_at) {
    pool->warm_after = retry_at;
}
