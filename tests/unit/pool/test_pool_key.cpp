// The pool key: equal for what may be shared, different for everything else.
#include "pool/pool_key.h"

#include <functional>
#include <set>
#include <vector>

#include "cmocka_cpp.h" // last: it defines fail()

static const uint8_t digest_a[pool_key_digest_size] = {1, 2, 3};
static const uint8_t digest_b[pool_key_digest_size] = {1, 2, 4};

static pool_key_parts base() {
    return {.user = "tenant", .password_digest = digest_a, .tds_version = 0x74000004, .flags1 = 0xE0, .flags2 = 0x03};
}

static void equal_parts_make_equal_keys(void **) {
    std::string name = "tenant";
    pool_key_parts other = base();
    other.user = name;
    assert_true(pool_key_make(base()) == pool_key_make(other));
}

using change = std::function<void(pool_key_parts &)>;

static void every_part_counts(void **) {
    const std::vector<change> changes = {
        [](pool_key_parts &p) { p.user = "tenant2"; },
        [](pool_key_parts &p) { p.user = ""; },
        [](pool_key_parts &p) { p.password_digest = digest_b; },
        [](pool_key_parts &p) { p.tds_version = 0x730b0003; },
        [](pool_key_parts &p) { p.flags1 = 0xF0; },
        [](pool_key_parts &p) { p.flags2 = 0x01; },
        [](pool_key_parts &p) { p.type_flags = 0x10; },
        [](pool_key_parts &p) { p.flags3 = 0x10; },
        [](pool_key_parts &p) { p.read_only = true; },
        [](pool_key_parts &p) { p.features.column_encryption = 1; },
        [](pool_key_parts &p) { p.features.column_encryption = 2; },
        [](pool_key_parts &p) { p.features.data_classification = 2; },
        [](pool_key_parts &p) { p.features.utf8 = 1; },
        [](pool_key_parts &p) { p.features.json = 1; },
        [](pool_key_parts &p) { p.features.vector = 1; },
        [](pool_key_parts &p) { p.with_application_name = true; },
        [](pool_key_parts &p) { p.with_application_name = true, p.application_name = "app"; },
        [](pool_key_parts &p) { p.with_database = true; },
        [](pool_key_parts &p) { p.with_database = true, p.database = "app"; },
    };
    std::set<std::string> keys{pool_key_make(base())};
    for (const change &change_one : changes) {
        pool_key_parts p = base();
        change_one(p);
        assert_true(keys.insert(pool_key_make(p)).second);
    }
    assert_int_equal(keys.size(), changes.size() + 1);
}

static void what_does_not_count(void **) {
    const std::vector<change> changes = {
        [](pool_key_parts &p) { p.tds_version = 0x08000000; }, // strict TDS has the formats of 7.4
        [](pool_key_parts &p) { p.flags2 |= 0x80; },           // integrated security
        [](pool_key_parts &p) { p.application_name = "app"; },
        [](pool_key_parts &p) { p.database = "db"; },
    };
    for (const change &change_one : changes) {
        pool_key_parts p = base();
        change_one(p);
        assert_true(pool_key_make(p) == pool_key_make(base()));
    }
}

// Texts that flow into each other must not make one key of two.
static void parts_keep_apart(void **) {
    pool_key_parts one = base(), two = base();
    one.with_application_name = two.with_application_name = one.with_database = two.with_database = true;
    one.application_name = "ab";
    one.database = "c";
    two.application_name = "a";
    two.database = "bc";
    assert_true(pool_key_make(one) != pool_key_make(two));
}

static void a_label_is_fit_for_a_log(void **) {
    std::string key = pool_key_make(base()), label = pool_key_label(key);
    assert_int_equal(label.size(), 8);
    assert_true(label.find_first_not_of("0123456789abcdef") == std::string::npos);
    assert_true(label == pool_key_label(key));
    pool_key_parts other = base();
    other.user = "tenant2";
    assert_true(label != pool_key_label(pool_key_make(other)));
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(equal_parts_make_equal_keys), cmocka_unit_test(every_part_counts),
        cmocka_unit_test(what_does_not_count),         cmocka_unit_test(parts_keep_apart),
        cmocka_unit_test(a_label_is_fit_for_a_log),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
