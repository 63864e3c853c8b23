// When an instance is fenced, and when it may reap others.
#include "cmocka_cpp.h"

#include "coord/beat_clock.h"

static beat_clock defaults() {
    beat_clock c;
    c.interval = 10'000;
    c.ttl = 30'000;
    return c;
}

static void test_never_registered_is_not_fenced(void **) {
    beat_clock c = defaults();
    assert_false(beat_clock_fenced(c, 1'000'000));
    assert_false(beat_clock_may_reap(c, 1'000'000));
}

static void test_fenced_ttl_minus_interval_after_sending(void **) {
    beat_clock c = defaults();
    assert_true(beat_clock_good(c, 100'000, 102'000, true)); // counted from when it was sent
    assert_false(beat_clock_fenced(c, 119'999));
    assert_int_equal(beat_clock_left(c, 119'000), 1000);
    assert_true(beat_clock_fenced(c, 120'000));
    assert_int_equal(beat_clock_left(c, 120'000), 0);
    assert_int_equal(beat_clock_left(c, 500'000), 0);
    assert_true(beat_clock_good(c, 120'500, 120'501, true));
    assert_false(beat_clock_fenced(c, 120'502));
}

static void test_an_old_answer_proves_nothing(void **) {
    beat_clock c = defaults();
    assert_true(beat_clock_good(c, 100'000, 100'001, true));
    assert_false(beat_clock_good(c, 110'000, 130'000, true)); // read after a pause of 20 s
    assert_true(beat_clock_fenced(c, 130'000));
    assert_true(beat_clock_good(c, 130'000, 130'001, true));
}

// Beats every 10 s from `from`, answered in 1 ms.
static uint64_t beat_steadily(beat_clock &c, uint64_t from, int n) {
    for (int i = 0; i < n; ++i, from += 10'000)
        assert_true(beat_clock_good(c, from, from + 1, true));
    return from - 10'000;
}

static void test_reaping_waits_after_the_first_beat_and_after_every_gap(void **) {
    beat_clock c = defaults();
    uint64_t last = beat_steadily(c, 100'000, 2);
    assert_false(beat_clock_may_reap(c, 112'000)); // 100'001 + 12 s
    assert_true(beat_clock_may_reap(c, 112'001));
    last = beat_steadily(c, last + 15'001, 1); // late: Redis may have stood still
    assert_false(beat_clock_may_reap(c, last + 2));
    assert_false(beat_clock_may_reap(c, last + 12'000));
    assert_true(beat_clock_may_reap(c, last + 12'001));
    assert_false(beat_clock_may_reap(c, last + 20'000)); // fenced
}

static void test_reaping_waits_after_a_slow_answer_and_a_jumping_clock(void **) {
    beat_clock c = defaults();
    uint64_t last = beat_steadily(c, 100'000, 4);
    assert_true(beat_clock_may_reap(c, last + 5000));
    assert_true(beat_clock_good(c, last + 10'000, last + 15'001, true));
    assert_false(beat_clock_may_reap(c, last + 15'002));
    c = defaults();
    last = beat_steadily(c, 100'000, 4);
    assert_true(beat_clock_good(c, last + 10'000, last + 10'001, false)); // our heartbeat had expired at Redis
    assert_false(beat_clock_may_reap(c, last + 10'002));
    assert_true(beat_clock_may_reap(c, last + 10'001 + settle_time(10'000)));
}

static void test_ttl_not_longer_than_interval_is_always_fenced(void **) {
    beat_clock c = defaults();
    c.ttl = 10'000;
    assert_false(beat_clock_good(c, 100, 100, true));
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_never_registered_is_not_fenced),
        cmocka_unit_test(test_fenced_ttl_minus_interval_after_sending),
        cmocka_unit_test(test_an_old_answer_proves_nothing),
        cmocka_unit_test(test_reaping_waits_after_the_first_beat_and_after_every_gap),
        cmocka_unit_test(test_reaping_waits_after_a_slow_answer_and_a_jumping_clock),
        cmocka_unit_test(test_ttl_not_longer_than_interval_is_always_fenced),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
