// ENVCHANGE groups and routing, each length too short, too long and right.
#include "cmocka_cpp.h"

#include "tds/envchange.h"
#include "tds/token_stream.h"

static std::vector<tds_envchange> groups(std::span<const uint8_t> body, bool &whole) {
    std::vector<tds_envchange> found;
    tds_envchange g;
    while (tds_envchange_next(body, g))
        found.push_back(g);
    whole = body.empty();
    return found;
}

static void test_names_count_units_and_bytes_count_bytes(void **) {
    bool whole = false;
    bytes body = bytes{1, 2, 'a', 0, 'b', 0, 1, 'c', 0, 8, 2, 1, 2, 0, 20, 3, 0, 9, 9, 9, 0, 0};
    auto found = groups(body, whole);
    assert_true(whole);
    assert_int_equal(found.size(), 3);
    assert_int_equal(found[0].type, 1);
    assert_int_equal(found[0].new_value.size(), 4);
    assert_int_equal(found[0].old_value.size(), 2);
    assert_int_equal(found[0].old_value[0], 'c');
    assert_int_equal(found[1].type, 8);
    assert_int_equal(found[1].new_value.size(), 2);
    assert_true(found[1].old_value.empty());
    assert_int_equal(found[2].type, 20);
    assert_int_equal(found[2].new_value.size(), 3);
    // Cut anywhere, a group is never found beyond the end.
    for (size_t n = 0; n < body.size(); ++n) {
        bytes part(body.begin(), body.begin() + static_cast<long>(n));
        part.shrink_to_fit();
        size_t complete = n < 9 ? 0 : n < 14 ? 1 : 2;
        assert_int_equal(groups(part, whole).size(), complete);
        assert_int_equal(whole, n == 0 || n == 9 || n == 14);
    }
}

static void test_unknown_types_take_the_rest(void **) {
    bool whole = false;
    for (int type : {0, 14, 15, 22, 255}) {
        auto found = groups(bytes{static_cast<uint8_t>(type), 200, 1, 2}, whole);
        assert_true(whole);
        assert_int_equal(found.size(), 1);
        assert_int_equal(found[0].new_value.size(), 3);
    }
}

static void test_routing_values(void **) {
    tds_routing r;
    bytes good = bytes{0, 0x34, 0x12} + name16("h\\i");
    assert_true(tds_routing_parse(tds_env_routing, good, r));
    assert_int_equal(r.port, 0x1234);
    assert_string_equal(r.server.c_str(), "h\\i");
    for (size_t n = 0; n < good.size(); ++n)
        assert_false(tds_routing_parse(tds_env_routing, std::span(good).first(n), r));
    assert_int_equal(r.type, 0);
    assert_false(tds_routing_parse(tds_env_routing_enhanced, good, r));
    assert_true(tds_routing_parse(tds_env_routing_enhanced, good + name16("db"), r));
    assert_string_equal(r.database.c_str(), "db");
    assert_false(tds_routing_parse(tds_env_routing, bytes{1, 1, 0} + name16("h"), r)); // not TCP
    assert_false(tds_routing_parse(tds_env_routing, bytes{0, 0, 0} + name16("h"), r)); // no port
    assert_false(tds_routing_parse(tds_env_routing, bytes{0, 1, 0} + name16(""), r));
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_names_count_units_and_bytes_count_bytes),
        cmocka_unit_test(test_unknown_types_take_the_rest),
        cmocka_unit_test(test_routing_values),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
