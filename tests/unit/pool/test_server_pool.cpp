// Which pooled connection a client gets, which one is closed, and that the books are right.
#include "pool/server_pool.h"

#include <memory>
#include <random>
#include <set>
#include <vector>

#include "cmocka_cpp.h" // last: it defines fail()

using state = pool_member_state;

constexpr uint32_t no_jitter = 0x7FFF; // about the middle

// Equal names, one address: as the proxy keeps session states.
static const void *in(const std::string &name) {
    static std::set<std::string> states;
    return states.insert(name).first->c_str();
}

static pool_member idle_member_of(const char *name) {
    pool_member m;
    m.settings = in(name);
    return m;
}

static void put(server_pool *pool, pool_member &m, uint64_t now) {
    pool_add(pool, m, state::busy, now, no_jitter);
    assert_true(pool_put_idle(m, now));
}

static void pools_are_found_by_key(void **) {
    pool_set set;
    assert_null(pool_find(set, "a"));
    server_pool *a = pool_obtain(set, "a", 1), *b = pool_obtain(set, std::string("b\0c", 3), 2);
    assert_non_null(a);
    assert_true(a != b);
    assert_ptr_equal(pool_obtain(set, "a", 3), a);
    assert_ptr_equal(pool_find(set, std::string("b\0c", 3)), b);
    assert_null(pool_find(set, "b"));
    assert_int_equal(a->used_at, 3);
    pool_set_clear(set);
    assert_true(set.pools.empty());
}

static void equal_state_is_preferred_and_used_last_first(void **) {
    pool_set set;
    server_pool *pool = pool_obtain(set, "k", 0);
    pool_member m[] = {idle_member_of("a"), idle_member_of("b"), idle_member_of("a"), idle_member_of("c")};
    for (uint64_t i = 0; i < 4; ++i)
        put(pool, m[i], i);
    assert_ptr_equal(pool_take_idle(pool, in("a"), pool_match::any, 5), &m[2]);
    assert_ptr_equal(pool_take_idle(pool, in("a"), pool_match::equal, 5), &m[0]);
    assert_null(pool_take_idle(pool, in("a"), pool_match::equal, 5));
    assert_null(pool_take_idle(pool, in("d"), pool_match::equal, 5));
    assert_ptr_equal(pool_take_idle(pool, in("a"), pool_match::any, 5), &m[1]); // idle longest
    assert_ptr_equal(pool_take_idle(pool, in("a"), pool_match::any, 5), &m[3]);
    assert_null(pool_take_idle(pool, in("a"), pool_match::any, 5));
    assert_int_equal(pool->busy, 4);
    for (pool_member &one : m)
        pool_remove(one);
    pool_set_clear(set);
}

static void counts_follow_the_states(void **) {
    pool_set set;
    server_pool *a = pool_obtain(set, "a", 0), *b = pool_obtain(set, "b", 0);
    pool_member one, two, three;
    pool_add(a, one, state::warming, 0, 0);
    pool_add(a, two, state::busy, 0, 0);
    pool_add(b, three, state::warming, 0, 0);
    assert_true(set.warming == 2 && set.busy == 1 && pool_set_idle_count(set) == 0);
    assert_true(pool_put_idle(one, 1) && pool_put_idle(three, 1));
    pool_use(one);
    assert_true(set.warming == 0 && set.busy == 2 && pool_set_idle_count(set) == 1 && pool_set_member_count(set) == 3);
    assert_true(a->busy == 2 && pool_member_count(a) == 2 && pool_member_count(b) == 1);
    pool_remove(two);
    pool_remove(three);
    pool_remove(three); // harmless
    pool_remove(one);
    assert_true(pool_set_member_count(set) == 0 && one.pool == nullptr && one.state == state::none);
    pool_set_clear(set);
}

static void the_slot_idle_longest_is_taken_over(void **) {
    pool_set set;
    server_pool *a = pool_obtain(set, "a", 0), *b = pool_obtain(set, "b", 0);
    pool_member a1, a2, b1;
    put(a, a1, 1);
    put(b, b1, 2);
    put(a, a2, 3);
    assert_ptr_equal(pool_set_lru_idle(set, nullptr), &a1);
    assert_ptr_equal(pool_set_lru_idle(set, b), &a1);
    assert_ptr_equal(pool_set_lru_idle(set, a), &b1);
    pool_remove(b1);
    assert_null(pool_set_lru_idle(set, a));
    pool_use(a1);
    assert_true(pool_put_idle(a1, 4)); // used again: now the youngest
    assert_ptr_equal(pool_set_lru_idle(set, nullptr), &a2);
    pool_remove(a1);
    pool_remove(a2);
    pool_set_clear(set);
}

static void idle_ones_expire_but_min_idle_of_them(void **) {
    pool_set set;
    set.limits = {.max_idle_time = 100, .lifetime = 0};
    server_pool *pool = pool_obtain(set, "k", 0);
    pool_member m[3];
    for (uint64_t i = 0; i < 3; ++i)
        put(pool, m[i], i);
    assert_null(pool_set_expired(set, 99));
    assert_ptr_equal(pool_set_expired(set, 100), &m[0]);
    set.limits.min_idle = 2;
    assert_ptr_equal(pool_set_expired(set, 1000), &m[0]);
    pool_remove(m[0]);
    assert_null(pool_set_expired(set, 1000)); // the two used last stay
    set.limits.min_idle = 1;
    assert_ptr_equal(pool_set_expired(set, 1000), &m[1]);
    set.limits.max_idle_time = 0;
    assert_null(pool_set_expired(set, 1'000'000));
    pool_remove(m[1]);
    pool_remove(m[2]);
    pool_set_clear(set);
}

static void lives_end_idle_or_not(void **) {
    pool_set set;
    set.limits = {.min_idle = 10, .max_idle_time = 0, .lifetime = 1000};
    server_pool *pool = pool_obtain(set, "k", 0);
    pool_member early, late, busy;
    pool_add(pool, early, state::busy, 0, 0);
    pool_add(pool, late, state::busy, 0, 0xFFFF);
    pool_add(pool, busy, state::busy, 0, 0);
    assert_true(early.retire_at == 900 && late.retire_at == 1100); // a tenth less, a tenth more
    assert_true(pool_put_idle(late, 10) && pool_put_idle(early, 20));
    assert_null(pool_set_expired(set, 899));
    assert_ptr_equal(pool_set_expired(set, 900), &early);
    assert_ptr_equal(pool_set_expired(set, 950), &early);
    assert_ptr_equal(pool_take_idle(pool, nullptr, pool_match::any, 950), &late); // nobody gets the other one
    assert_null(pool_take_idle(pool, nullptr, pool_match::any, 950));
    pool_remove(early);
    assert_null(pool_set_expired(set, 2000));
    assert_false(pool_put_idle(busy, 900)); // for the caller to close
    assert_true(busy.state == state::busy && pool_put_idle(late, 1099));
    assert_ptr_equal(pool_set_expired(set, 1100), &late);
    pool_remove(late);
    pool_remove(busy);
    pool_set_clear(set);
}

// A member that joins the idle ones after the bound was found anew must not be missed.
static void no_end_of_life_is_missed(void **) {
    pool_set set;
    set.limits = {.max_idle_time = 0, .lifetime = 1000};
    server_pool *pool = pool_obtain(set, "k", 0);
    std::minstd_rand random(7);
    std::vector<std::unique_ptr<pool_member>> members;
    std::set<pool_member *> out;
    for (uint64_t now = 0; now < 20'000; ++now) {
        if (random() % 20 == 0) {
            members.push_back(std::make_unique<pool_member>());
            pool_add(pool, *members.back(), state::busy, now, static_cast<uint32_t>(random()));
        }
        pool_member *any = members.empty() ? nullptr : members[random() % members.size()].get();
        if (any != nullptr && any->state == state::busy && !pool_put_idle(*any, now)) {
            pool_remove(*any);
        } else if (any != nullptr && any->state == state::idle && random() % 4 == 0) {
            pool_use(*any);
        }
        while (pool_member *gone = pool_set_expired(set, now)) {
            assert_true(gone->retire_at <= now);
            pool_remove(*gone);
        }
        for (auto &m : members)
            assert_false(m->state == state::idle && m->retire_at <= now);
        std::erase_if(members, [](const auto &m) { return m->state == state::none; });
    }
    for (auto &m : members)
        pool_remove(*m);
    assert_int_equal(pool_set_member_count(set), 0);
    pool_set_clear(set);
}

static int freed;
static void free_user(void *user) {
    freed += *static_cast<int *>(user);
}

static void unused_pools_go(void **) {
    pool_set set;
    int one = 1, two = 10, three = 100;
    freed = 0;
    set.free_user = free_user;
    set.limits.max_idle_time = 100;
    server_pool *a = pool_obtain(set, "a", 0), *b = pool_obtain(set, "b", 0), *c = pool_obtain(set, "c", 50);
    a->user = &one;
    b->user = &two;
    c->user = &three;
    pool_member m;
    pool_add(b, m, state::busy, 0, 0);
    pool_set_sweep(set, 99);
    assert_int_equal(freed, 0);
    pool_set_sweep(set, 120);
    assert_int_equal(freed, 1); // a; b has a member, c was used later
    pool_hold(c);
    pool_set_sweep(set, 1000);
    assert_int_equal(freed, 1);
    pool_drop(c);
    pool_remove(m);
    pool_set_sweep(set, 1000);
    assert_int_equal(freed, 111);
    assert_true(set.pools.empty());
}

static void the_number_of_pools_is_bounded(void **) {
    pool_set set;
    set.limits.max_pools = 3;
    assert_non_null(pool_obtain(set, "a", 1));
    server_pool *b = pool_obtain(set, "b", 2);
    assert_non_null(pool_obtain(set, "c", 3));
    assert_non_null(pool_obtain(set, "a", 4));
    pool_member m;
    pool_add(b, m, state::busy, 5, 0);
    assert_non_null(pool_obtain(set, "d", 6)); // b is the oldest but has a member: c goes
    assert_non_null(pool_find(set, "a"));
    assert_ptr_equal(pool_find(set, "b"), b);
    assert_null(pool_find(set, "c"));
    pool_hold(pool_find(set, "a"));
    pool_hold(pool_find(set, "d"));
    assert_null(pool_obtain(set, "e", 7));
    assert_ptr_equal(pool_obtain(set, "b", 7), b); // those that exist are found all the same
    pool_drop(pool_find(set, "d"));
    assert_non_null(pool_obtain(set, "e", 8));
    assert_null(pool_find(set, "d"));
    pool_drop(pool_find(set, "a"));
    pool_remove(m);
    pool_set_clear(set);
}

static void an_abandoned_pool_ends_with_its_last_user(void **) {
    pool_set set;
    int one = 1;
    freed = 0;
    set.free_user = free_user;
    server_pool *old = pool_obtain(set, "k", 0);
    old->user = &one;
    pool_hold(old);
    pool_member idle, busy;
    put(old, idle, 0);
    pool_add(old, busy, state::busy, 0, no_jitter);
    pool_abandon(old);
    pool_abandon(old); // harmless
    assert_null(pool_find(set, "k"));
    server_pool *fresh = pool_obtain(set, "k", 1);
    assert_true(fresh != old);
    assert_null(pool_take_idle(old, nullptr, pool_match::any, 1));
    assert_ptr_equal(pool_set_expired(set, 1), &idle);
    pool_remove(idle);
    assert_null(pool_set_expired(set, 1));
    assert_false(pool_put_idle(busy, 2));
    pool_touch(old, 3);
    pool_drop(old);
    assert_int_equal(freed, 0);
    pool_remove(busy);
    assert_int_equal(freed, 1);
    pool_abandon(fresh); // nobody has it: gone at once
    assert_true(list_empty(set.abandoned) && set.pools.empty());
}

static void the_pools_used_last_are_kept_warm(void **) {
    pool_set set;
    server_pool *a = pool_obtain(set, "a", 1), *b = pool_obtain(set, "b", 2), *c = pool_obtain(set, "c", 3);
    assert_null(pool_set_warm_wanted(set, 10));
    set.limits.min_idle = 2;
    pool_member one;
    assert_ptr_equal(pool_set_warm_wanted(set, 10), c);
    pool_add(c, one, state::warming, 10, 0);
    assert_ptr_equal(pool_set_warm_wanted(set, 10), b); // the next used last has fewer
    pool_warm_failed(b, 20);
    assert_ptr_equal(pool_set_warm_wanted(set, 19), c);
    assert_ptr_equal(pool_set_warm_wanted(set, 20), b);
    b->may_warm = false;
    assert_ptr_equal(pool_set_warm_wanted(set, 20), a); // in its place the next one
    pool_remove(one);
    pool_set_clear(set);
}

static void enough_idle_ones_want_no_more(void **) {
    pool_set set;
    set.limits.min_idle = 2;
    server_pool *a = pool_obtain(set, "a", 1);
    pool_member m[3];
    pool_add(a, m[0], state::busy, 1, 0);
    assert_ptr_equal(pool_set_warm_wanted(set, 1), a); // busy ones do not count
    pool_add(a, m[1], state::warming, 1, 0);
    assert_ptr_equal(pool_set_warm_wanted(set, 1), a);
    pool_add(a, m[2], state::warming, 1, 0);
    assert_null(pool_set_warm_wanted(set, 1));
    assert_true(pool_put_idle(m[1], 2) && pool_put_idle(m[2], 2));
    assert_null(pool_set_warm_wanted(set, 3));
    pool_use(m[1]);
    assert_ptr_equal(pool_set_warm_wanted(set, 3), a);
    for (pool_member &one : m)
        pool_remove(one);
    pool_set_clear(set);
}

static void the_one_idle_longest_comes_first_where_homes_matter(void **) {
    pool_set set;
    set.limits.oldest_first = true;
    server_pool *pool = pool_obtain(set, "k", 0);
    pool_member m[3] = {idle_member_of("a"), idle_member_of("b"), idle_member_of("a")};
    for (uint64_t i = 0; i < 3; ++i) {
        pool_add(pool, m[i], pool_member_state::busy, 0, 0);
        assert_true(pool_put_idle(m[i], i));
    }
    assert_ptr_equal(pool_take_idle(pool, in("a"), pool_match::equal, 5), &m[0]);
    assert_ptr_equal(pool_take_idle(pool, in("c"), pool_match::any, 5), &m[1]);
    assert_ptr_equal(pool_take_idle(pool, in("a"), pool_match::any, 5), &m[2]);
    for (pool_member &each : m)
        pool_remove(each);
    pool_set_clear(set);
}

// Whatever its age: an idle one goes at once, a busy one when it comes back.
static void expired_members_go(void **) {
    pool_set set;
    server_pool *pool = pool_obtain(set, "a", 0);
    pool_member idle, busy, other;
    for (pool_member *m : {&idle, &busy, &other})
        pool_add(pool, *m, pool_member_state::busy, 0, 0);
    assert_true(pool_put_idle(idle, 10));
    assert_true(pool_put_idle(other, 10));
    assert_null(pool_set_expired(set, 20));
    pool_expire(idle);
    pool_expire(busy);
    assert_true(pool_expired(idle, 20) && !pool_expired(other, 20));
    assert_ptr_equal(pool_take_idle(pool, nullptr, pool_match::any, 20), &other);
    assert_ptr_equal(pool_set_expired(set, 20), &idle);
    pool_remove(idle);
    assert_null(pool_set_expired(set, 20));
    assert_false(pool_put_idle(busy, 20));
    pool_remove(busy);
    pool_remove(other);
    pool_set_clear(set);
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(expired_members_go),
        cmocka_unit_test(pools_are_found_by_key),
        cmocka_unit_test(equal_state_is_preferred_and_used_last_first),
        cmocka_unit_test(counts_follow_the_states),
        cmocka_unit_test(the_slot_idle_longest_is_taken_over),
        cmocka_unit_test(idle_ones_expire_but_min_idle_of_them),
        cmocka_unit_test(lives_end_idle_or_not),
        cmocka_unit_test(no_end_of_life_is_missed),
        cmocka_unit_test(unused_pools_go),
        cmocka_unit_test(the_number_of_pools_is_bounded),
        cmocka_unit_test(an_abandoned_pool_ends_with_its_last_user),
        cmocka_unit_test(the_pools_used_last_are_kept_warm),
        cmocka_unit_test(enough_idle_ones_want_no_more),
        cmocka_unit_test(the_one_idle_longest_comes_first_where_homes_matter),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
