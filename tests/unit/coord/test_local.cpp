// The local coordinator: the same rules as redis, counted in memory; every answer comes from the loop.
#include "config/config.h" // before cmocka, whose `fail` is a macro
#include "coord/coord.h"

#include "cmocka_cpp.h"

struct heard {
    uint32_t granted[2], full[2], unavailable[2], freed[2], max[2];
    coord_mode mode;
    bool stopped;
};

struct fixture {
    uv_loop_t loop;
    config conf;
    heard h{};
    coord *c = nullptr;
};

static void on_granted(void *user, uint32_t b) {
    ++static_cast<heard *>(user)->granted[b];
}
static void on_refused(void *user, uint32_t b, coord_refusal why) {
    auto &h = *static_cast<heard *>(user);
    ++(why == coord_refusal::full ? h.full : h.unavailable)[b];
}
static void on_freed(void *user, uint32_t b) {
    ++static_cast<heard *>(user)->freed[b];
}
static void on_max(void *user, uint32_t b, uint32_t max) {
    static_cast<heard *>(user)->max[b] = max;
}
static void on_shrink(void *, uint32_t, uint32_t) {
    assert_true(false);
}
static void on_mode(void *user, coord_mode, coord_mode to) {
    static_cast<heard *>(user)->mode = to;
}
static void on_stopped(void *user) {
    static_cast<heard *>(user)->stopped = true;
}

static int setup(void **state) {
    auto *f = new fixture;
    uv_loop_init(&f->loop);
    f->conf.proxy.instance_id = "alone";
    for (uint32_t max : {2U, 1U}) {
        bucket_config b;
        b.id = "b";
        b.id += std::to_string(f->conf.buckets.size());
        b.max_connections = max;
        f->conf.buckets.push_back(b);
    }
    f->c = coord_local_create(&f->loop, f->conf, nullptr,
                              {&f->h, on_granted, on_refused, on_freed, on_max, on_shrink, on_mode});
    *state = f;
    return 0;
}

static int teardown(void **state) {
    auto *f = static_cast<fixture *>(*state);
    coord_stop(f->c, on_stopped, &f->h);
    assert_false(f->h.stopped); // not from inside the call
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_true(f->h.stopped);
    coord_destroy(f->c);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    delete f;
    return 0;
}

static void turn(fixture *f) {
    uv_run(&f->loop, UV_RUN_DEFAULT);
} // nothing keeps it alive but what is due

static void test_starts_normal_with_the_configured_limits(void **state) {
    auto *f = static_cast<fixture *>(*state);
    assert_true(coord_get_status(f->c).mode == coord_mode::starting);
    turn(f);
    assert_true(f->h.mode == coord_mode::normal);
    assert_int_equal(f->h.max[0], 2);
    assert_int_equal(f->h.max[1], 1);
    assert_true(coord_get_status(f->c).instance_id == "alone");
    assert_true(coord_allowed(f->c));
}

static void test_grants_up_to_the_limit_of_each_bucket(void **state) {
    auto *f = static_cast<fixture *>(*state);
    for (int i = 0; i < 3; ++i) {
        coord_want(f->c, 0);
        assert_int_equal(f->h.granted[0], i); // answered from the loop only
        turn(f);
    }
    assert_int_equal(f->h.granted[0], 2);
    assert_int_equal(f->h.full[0], 1);
    coord_want(f->c, 1);
    turn(f);
    assert_int_equal(f->h.granted[1], 1);
    assert_int_equal(coord_get_bucket_status(f->c, 0).held, 2);
}

static void test_release_wakes_and_frees(void **state) {
    auto *f = static_cast<fixture *>(*state);
    coord_want(f->c, 1);
    turn(f);
    coord_release(f->c, 1);
    assert_int_equal(f->h.freed[1], 0);
    turn(f);
    assert_int_equal(f->h.freed[1], 1);
    assert_int_equal(f->h.freed[0], 0);
    coord_want(f->c, 1);
    turn(f);
    assert_int_equal(f->h.granted[1], 2);
}

static void test_cancelled_want_has_no_answer(void **state) {
    auto *f = static_cast<fixture *>(*state);
    coord_want(f->c, 0);
    coord_cancel_want(f->c, 0);
    turn(f);
    assert_int_equal(f->h.granted[0] + f->h.full[0] + f->h.unavailable[0], 0);
    assert_int_equal(coord_get_bucket_status(f->c, 0).held, 0);
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_starts_normal_with_the_configured_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_grants_up_to_the_limit_of_each_bucket, setup, teardown),
        cmocka_unit_test_setup_teardown(test_release_wakes_and_frees, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cancelled_want_has_no_answer, setup, teardown),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
