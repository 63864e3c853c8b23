// The values of a call's parameters: each type that the console takes, those that it does not, and calls cut anywhere.
#include "cmocka_cpp.h"

#include <random>

#include "tds/request_samples.h"
#include "tds/rpc_value.h"

using kind = tds_rpc_value::kind_t;

static bool read(const bytes &payload, uint32_t version, std::vector<tds_rpc_value> &values) {
    bytes exact(payload);
    exact.shrink_to_fit(); // so that AddressSanitizer sees a read behind it
    values.clear();
    return tds_rpc_values(exact, 0, exact.size(), version, values);
}

static tds_rpc_value one(const bytes &parameter, uint32_t version = tds_7_4) {
    std::vector<tds_rpc_value> values;
    assert_true(read(parameter, version, values));
    assert_int_equal(values.size(), 1);
    for (size_t n = 1; n < parameter.size(); ++n) { // cut anywhere: never a value
        std::vector<tds_rpc_value> none;
        assert_false(read(bytes(parameter.begin(), parameter.begin() + static_cast<long>(n)), version, none));
    }
    return values[0];
}

static void expect_number(const bytes &info, const bytes &value, int64_t number) {
    tds_rpc_value v = one(parameter(info, value, "@n"));
    assert_string_equal(v.name.c_str(), "@n");
    assert_true(v.kind == kind::number && v.number == number && !v.output);
}

static void numbers(void **) {
    expect_number({0x26, 1}, {1, 0xff}, 255);
    expect_number({0x26, 2}, {2, 0xfe, 0xff}, -2);
    expect_number({0x26, 4}, bytes{4} + little32(0xfffffffe), -2);
    expect_number({0x26, 8}, bytes{8} + little64(0x0102030405060708), 0x0102030405060708);
    expect_number({0x68, 1}, {1, 1}, 1);
    expect_number({0x30}, {200}, 200);
    expect_number({0x38}, little32(0xffffffff), -1);
    expect_number({0x7f}, little64(5), 5);
    tds_rpc_value v = one(parameter({0x6d, 8}, bytes{8} + little64(0x3ff8000000000000)));
    assert_true(v.kind == kind::real && v.real == 1.5);
    v = one(parameter({0x6d, 4}, bytes{4} + little32(0x3fc00000)));
    assert_true(v.kind == kind::real && v.real == 1.5);
    v = one(parameter({0x6c, 9, 10, 2}, {5, 0, 0x96, 0, 0, 0}));
    assert_true(v.kind == kind::real && v.real == -1.5);
    assert_true(one(parameter({0x26, 4}, {0})).kind == kind::null);
    assert_true(one(parameter({0x26, 4}, {0}, "@o", 1)).output);
}

static void texts(void **) {
    for (const bytes &p :
         {nvarchar("SHOW POOLS"), nvarchar_max("SHOW POOLS", 6),
          parameter(bytes{0x63} + little32(0x7ffffffe) + collation_latin, little32(20) + utf16("SHOW POOLS"))}) {
        tds_rpc_value v = one(p);
        assert_true(v.kind == kind::text);
        assert_string_equal(v.text.c_str(), "SHOW POOLS");
    }
    tds_rpc_value v = one(parameter(bytes{0xa7, 20, 0} + collation_latin, {2, 0, 'a', 0xe9}));
    assert_string_equal(v.text.c_str(), "a\xc3\xa9");
    v = one(parameter(bytes{0xa5, 20, 0}, {2, 0, 0, 7}));
    assert_true(v.kind == kind::binary && v.text == std::string("\0\7", 2));
    assert_true(one(parameter(nvarchar_info(20), {0xff, 0xff})).kind == kind::null);
    assert_true(one(parameter(nvarchar_info(0xffff), fill(8, 0xff))).kind == kind::null);
    assert_string_equal(one(parameter(bytes{0xe7, 100, 0}, little16(4) + utf16("SE")), tds_7_0).text.c_str(), "SE");
}

static void several(void **) {
    std::vector<tds_rpc_value> values;
    assert_true(read(int_parameter(7) + nvarchar("x") + parameter({0x26, 4}, {0}), tds_7_4, values));
    assert_int_equal(values.size(), 3);
    assert_true(values[0].number == 7 && values[1].text == "x" && values[2].kind == kind::null);
    assert_true(read({}, tds_7_4, values) && values.empty());
}

static void what_is_not_taken(void **) {
    std::vector<tds_rpc_value> values;
    assert_false(read(parameter({0x28}, {3, 1, 2, 3}), tds_7_4, values));                                 // DATE
    assert_false(read(parameter({0x6f, 8}, bytes{8} + fill(8)), tds_7_4, values));                        // DATETIME
    assert_false(read(parameter({0x24, 16}, bytes{16} + fill(16)), tds_7_4, values));                     // GUID
    assert_false(read(parameter(bytes{0x62} + little32(8009), little32(0)), tds_7_4, values));            // SQL_VARIANT
    assert_false(read(parameter({0xf1, 0}, fill(8, 0xff)), tds_7_4, values));                             // XML
    assert_false(read(parameter({0xf3}, fill(40)), tds_7_4, values));                                     // a table
    assert_false(read(parameter({0x26, 4}, {4, 1, 0, 0, 0}, "@a", 8), tds_7_4, values));                  // encrypted
    assert_false(read(parameter({0x26, 4}, bytes{200} + fill(200)), tds_7_4, values));                    // no integer
    assert_false(read(parameter({0x6d, 8}, bytes{3} + fill(3)), tds_7_4, values));                        // no float
    assert_false(tds_rpc_values({}, 1, 0, tds_7_4, values) || tds_rpc_values({}, 0, 5, tds_7_4, values)); // not there
}

static void any_bytes(void **) {
    std::minstd_rand random(20261130);
    const bytes whole = int_parameter(7) + nvarchar_max("SHOW POOLS", 3) +
                        parameter({0x6c, 9, 10, 2}, {5, 0, 0x96, 0, 0, 0}) +
                        parameter(bytes{0x63} + little32(100) + collation_latin, little32(4) + utf16("SE"));
    for (int i = 0; i < 50'000; ++i) {
        bytes other(whole);
        for (size_t changes = 1 + random() % 4; changes > 0; --changes)
            other[random() % other.size()] = static_cast<uint8_t>(random());
        other.resize(random() % 3 == 0 ? random() % other.size() : other.size());
        std::vector<tds_rpc_value> values;
        (void)read(other, random() % 2 == 0 ? tds_7_4 : tds_7_0, values);
        for (const tds_rpc_value &v : values)
            assert_true(v.text.size() <= 3 * other.size());
    }
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(numbers),           cmocka_unit_test(texts),     cmocka_unit_test(several),
        cmocka_unit_test(what_is_not_taken), cmocka_unit_test(any_bytes),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
