// Shares, surplus, jitter.
#include "cmocka_cpp.h"

#include "coord/share.h"

static void test_fallback_share(void **) {
    assert_int_equal(fallback_share(true, 50, 3, 1), 16);
    assert_int_equal(fallback_share(true, 50, 3, 5), 10); // more instances than the divisor says
    assert_int_equal(fallback_share(true, 2, 3, 1), 1);   // at least one
    assert_int_equal(fallback_share(true, 0, 3, 1), 0);   // unless the bucket is closed
    assert_int_equal(fallback_share(true, 7, 0, 0), 7);
    assert_int_equal(fallback_share(false, 50, 3, 1), 0);
}

static void test_surplus_is_in_proportion_and_suffices(void **) {
    assert_int_equal(surplus_share(20, 50, 50), 0);
    assert_int_equal(surplus_share(0, 70, 50), 0);
    assert_int_equal(surplus_share(20, 70, 50), 6); // 20 * 20 / 70, up
    assert_int_equal(surplus_share(50, 70, 50), 15);
    assert_int_equal(surplus_share(20, 70, 0), 20);
    assert_int_equal(surplus_share(3, 2, 1), 2); // more than Redis counts: never more than held
    assert_int_equal(surplus_share(9, 2, 0), 9);
    for (uint32_t max = 0; max < 60; ++max) {
        uint32_t held[] = {1, 7, 12, 40}, given = 0;
        for (uint32_t h : held)
            given += surplus_share(h, 60, max);
        assert_true(given >= 60 - max);
        assert_true(given <= 60 - max + 3); // at most one too many for each but one
    }
}

static void test_surplus_of_large_numbers(void **) {
    assert_int_equal(surplus_share(UINT32_MAX, UINT32_MAX, 0), UINT32_MAX);
}

static void test_jitter_and_delay(void **) {
    for (uint64_t r = 0; r < 5000; r += 7) {
        assert_in_range(jittered(5000, r), 4500, 5000);
        assert_in_range(jittered(1, r), 1, 1);
        assert_in_range(reconnect_delay(0, r), 25, 50);
        assert_in_range(reconnect_delay(3, r), 200, 400);
        assert_in_range(reconnect_delay(1000, r), 500, 1000);
    }
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_fallback_share),
        cmocka_unit_test(test_surplus_is_in_proportion_and_suffices),
        cmocka_unit_test(test_surplus_of_large_numbers),
        cmocka_unit_test(test_jitter_and_delay),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
