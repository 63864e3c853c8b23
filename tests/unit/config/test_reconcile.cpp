// What a reload changes, what it leaves alone, and what it says of that.
#include <string>

#include "config/option_table.h"
#include "config/reconcile.h"

#include "cmocka_cpp.h" // last: it defines fail()

using kind = config_change::kind;

static config two_buckets() {
    config c;
    c.proxy.instance_id = "i";
    for (const char *id : {"b1", "b2"}) {
        bucket_config &b = c.buckets.emplace_back();
        b.id = id;
        b.host = std::string(id) + ".example";
        b.max_connections = 5;
    }
    return c;
}

static void expect(const std::vector<config_change> &got, const std::vector<std::pair<kind, std::string>> &wanted) {
    assert_int_equal(got.size(), wanted.size());
    for (size_t i = 0; i < wanted.size(); ++i) {
        assert_string_equal(got[i].where.c_str(), wanted[i].second.c_str());
        assert_int_equal(got[i].what, wanted[i].first);
    }
}

static void nothing_changes(void **) {
    config now = two_buckets(), fresh = two_buckets();
    expect(config_reconcile(now, fresh), {});
    std::swap(fresh.buckets[0], fresh.buckets[1]); // known by their ids, not their places
    expect(config_reconcile(now, fresh), {});
}

static void values_change_or_stay(void **) {
    config now = two_buckets(), fresh = two_buckets();
    fresh.proxy.queue_timeout = 7;
    fresh.proxy.http_threads = 9;
    fresh.fallback.local_limit_divisor = 4;
    fresh.redis.password = "new";
    fresh.buckets[0].password = "secret";
    fresh.buckets[0].mode = pool_mode::session;
    fresh.buckets[1].host = "other.example";
    fresh.buckets[1].databases = {"x*"};
    expect(config_reconcile(now, fresh), {{kind::applied, "proxy.queue_timeout"},
                                          {kind::needs_restart, "proxy.http_threads"},
                                          {kind::needs_restart, "redis.password"},
                                          {kind::applied, "fallback.local_limit_divisor"},
                                          {kind::applied, "buckets.b1.password"},
                                          {kind::needs_restart, "buckets.b1.pool_mode"},
                                          {kind::applied, "buckets.b2.host"},
                                          {kind::applied, "buckets.b2.databases"}});
    assert_int_equal(fresh.proxy.queue_timeout, 7);
    assert_int_equal(fresh.proxy.http_threads, now.proxy.http_threads);
    assert_string_equal(fresh.redis.password.c_str(), "");
    assert_int_equal(fresh.buckets[0].mode, pool_mode::transaction);
    assert_string_equal(fresh.buckets[1].host.c_str(), "other.example");
}

static void buckets_come_and_go(void **) {
    config now = two_buckets(), fresh = two_buckets();
    fresh.buckets[0].id = "b3";
    expect(config_reconcile(now, fresh), {{kind::added, "buckets.b3"}, {kind::removed, "buckets.b1"}});
    assert_ptr_equal(config_find_bucket(fresh, "b3"), &fresh.buckets[0]);
    assert_null(config_find_bucket(fresh, "b1"));
}

static void redis_comes_with_a_restart_only(void **) {
    config now = two_buckets(), fresh = two_buckets();
    fresh.redis.enabled = true;
    fresh.redis.host = "r";
    expect(config_reconcile(now, fresh), {{kind::needs_restart, "redis"}});
    assert_false(fresh.redis.enabled);
}

// All durations and sizes of the table: what needs a restart is put back, the others stay.
static void every_row_can_be_compared(void **) {
    config now = two_buckets(), fresh = two_buckets();
    for (const option_row &row : option_table()) {
        void *section = row.section == option_section::proxy      ? static_cast<void *>(&fresh.proxy)
                        : row.section == option_section::redis    ? static_cast<void *>(&fresh.redis)
                        : row.section == option_section::fallback ? static_cast<void *>(&fresh.fallback)
                                                                  : static_cast<void *>(&fresh.buckets[0]);
        if (row.target == nullptr || row.type == option_type::secret_file)
            continue;
        option_target target = row.target(section);
        if (auto *number = std::get_if<uint64_t *>(&target); number != nullptr)
            **number += 1;
    }
    assert_true(config_reconcile(now, fresh).size() > 20);
    for (const config_change &c : config_reconcile(now, fresh))
        assert_int_equal(c.what, kind::applied); // what needs a restart has been put back
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(nothing_changes),           cmocka_unit_test(values_change_or_stay),
        cmocka_unit_test(buckets_come_and_go),       cmocka_unit_test(redis_comes_with_a_restart_only),
        cmocka_unit_test(every_row_can_be_compared),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
