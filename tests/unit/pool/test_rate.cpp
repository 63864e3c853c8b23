// Requests per second of a tenant.
#include "pool/rate.h"

#include "cmocka_cpp.h" // last: it defines fail()

// Asks `each` ms for `period` ms; how many were allowed.
static unsigned ask(rate_tenant &tenant, uint32_t limit, uint64_t from, uint64_t period, uint64_t each) {
    unsigned allowed = 0;
    for (uint64_t now = from; now < from + period; now += each)
        allowed += rate_take(tenant, limit, now);
    return allowed;
}

static void one_second_is_the_burst(void **) {
    for (uint32_t limit : {1u, 3u, 10u, 1000u}) {
        rate_tenant tenant;
        unsigned at_once = 0;
        while (rate_take(tenant, limit, 5))
            ++at_once;
        assert_int_equal(at_once, limit);
        assert_int_equal(tenant.refused, 1);
        assert_true(rate_take(tenant, limit, 5 + (1000 + limit - 1) / limit)); // one is paid for again
        assert_false(rate_take(tenant, limit, 5 + (1000 + limit - 1) / limit));
    }
}

static void the_rate_holds_over_time(void **) {
    for (uint32_t limit : {7u, 50u, 900u}) {
        rate_tenant tenant;
        unsigned allowed = ask(tenant, limit, 0, 60'000, 1);
        assert_in_range(allowed, 60 * limit, 61 * limit + limit / 100); // whole microseconds
        assert_int_equal(tenant.refused, 60'000 - allowed);
    }
    rate_tenant slow; // who stays below is never refused
    assert_int_equal(ask(slow, 10, 0, 60'000, 100), 600);
}

static void what_is_refused_costs_nothing(void **) {
    rate_tenant tenant;
    while (rate_take(tenant, 10, 0)) {
    }
    for (int i = 0; i < 100'000; ++i)
        assert_false(rate_take(tenant, 10, 0));
    assert_true(rate_take(tenant, 10, 100));
}

static void what_must_pass_counts_but_for_no_more_than_the_burst(void **) {
    rate_tenant tenant;
    for (int i = 0; i < 10; ++i)
        rate_charge(tenant, 10, 0);
    assert_false(rate_take(tenant, 10, 0));
    for (int i = 0; i < 100'000; ++i)
        rate_charge(tenant, 10, 0);
    assert_false(rate_take(tenant, 10, 99));
    assert_true(rate_take(tenant, 10, 100));
}

static void a_changed_limit_holds_at_once(void **) {
    rate_tenant tenant;
    assert_int_equal(ask(tenant, 1'000'000, 0, 1, 1), 1);
    while (rate_take(tenant, 1000, 0)) {
    }
    assert_false(rate_take(tenant, 2, 400)); // half a second each
    assert_true(rate_take(tenant, 2, 500));
    assert_true(rate_take(tenant, 1000, 500 + 1));
}

static void a_tenant_is_a_login_and_a_database(void **) {
    rate_table table;
    auto tenant = rate_find(table, "App", "Sales", 0);
    assert_true(tenant == rate_find(table, "aPP", "SALES", 0));
    assert_true(tenant != rate_find(table, "app", "sales2", 0));
    assert_true(tenant != rate_find(table, "app2", "sales", 0));
    assert_true(tenant != rate_find(table, "apps", "ales", 0)); // not one behind the other
    assert_true(tenant != rate_find(table, "", "", 0));
}

static void those_that_owe_nothing_are_forgotten(void **) {
    rate_table table;
    auto kept = rate_find(table, "kept", "", 0);
    assert_true(rate_take(*rate_find(table, "owes", "", 0), 1, 999'999)); // paid for at 1,000,999
    std::weak_ptr<rate_tenant> owes = rate_find(table, "owes", "", 0);
    for (int i = 0; i < 1'000'000; ++i)
        (void)rate_find(table, std::to_string(i), "", 1'000'000);
    assert_true(table.tenants.size() < 1000);
    assert_true(kept == rate_find(table, "kept", "", 1'000'000));
    assert_false(owes.expired());
    for (int i = 0; i < 1000; ++i)
        (void)rate_find(table, std::to_string(i), "", 1'001'000);
    assert_true(owes.expired());
    kept.reset(); // outlives neither its sessions nor the table
}

static void the_log_is_told_now_and_then(void **) {
    rate_tenant tenant;
    assert_int_equal(rate_tell(tenant, 10'000, 0), 0);
    while (rate_take(tenant, 5, 0)) {
    }
    assert_int_equal(rate_tell(tenant, 10'000, 0), 1);
    assert_false(rate_take(tenant, 5, 1));
    assert_false(rate_take(tenant, 5, 2));
    assert_int_equal(rate_tell(tenant, 10'000, 9'999), 0);
    assert_int_equal(rate_tell(tenant, 10'000, 10'000), 2);
    assert_int_equal(rate_tell(tenant, 10'000, 30'000), 0);
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(one_second_is_the_burst),
        cmocka_unit_test(the_rate_holds_over_time),
        cmocka_unit_test(what_is_refused_costs_nothing),
        cmocka_unit_test(what_must_pass_counts_but_for_no_more_than_the_burst),
        cmocka_unit_test(a_changed_limit_holds_at_once),
        cmocka_unit_test(a_tenant_is_a_login_and_a_database),
        cmocka_unit_test(those_that_owe_nothing_are_forgotten),
        cmocka_unit_test(the_log_is_told_now_and_then),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
