// The statement that a call gives as a parameter, in every form that drivers send.
#include "cmocka_cpp.h"

#include "tds/request_samples.h"
#include "tds/rpc_text.h"

static bool read(const bytes &payload, uint64_t at, uint32_t version, bytes &out, size_t limit = 100) {
    bytes exact(payload);
    exact.shrink_to_fit(); // so that AddressSanitizer sees a read behind it
    return tds_rpc_text(exact, at, version, limit, out);
}

static void expect(const bytes &parameter, uint32_t version, const char *text) {
    bytes out, front = fill(5);
    assert_true(read(front + parameter, 5, version, out));
    assert_true(out == utf16(text));
    for (size_t n = 0; n < parameter.size(); ++n) { // cut anywhere
        bytes cut(parameter.begin(), parameter.begin() + static_cast<long>(n));
        out.clear();
        assert_false(read(front + cut, 5, version, out));
    }
}

static void every_form(void **) {
    expect(nvarchar("SHOW POOLS"), tds_7_4, "SHOW POOLS");
    expect(nvarchar("SHOW POOLS"), tds_7_1, "SHOW POOLS");
    expect(nvarchar_max("SHOW POOLS"), tds_7_2, "SHOW POOLS");
    expect(nvarchar_max("SHOW POOLS", 6), tds_7_4, "SHOW POOLS");
    expect(parameter(bytes{0x63} + little32(0x7ffffffe) + collation_latin, little32(8) + utf16("HELP"), "@stmt"),
           tds_7_4, "HELP");
    expect(parameter(bytes{0xe7, 100, 0}, little16(4) + utf16("SE")), tds_7_0, "SE");
    expect(parameter(bytes{0x63} + little32(100), little32(4) + utf16("SE")), tds_7_0, "SE");
}

static void what_is_no_text(void **) {
    bytes out;
    assert_false(read(parameter(nvarchar_info(20), {0xff, 0xff}), 0, tds_7_4, out)); // NULL
    assert_false(read(parameter(nvarchar_info(0xffff), fill(8, 0xff)), 0, tds_7_4, out));
    assert_false(read(parameter(bytes{0x63} + little32(100) + collation_latin, fill(4, 0xff)), 0, tds_7_4, out));
    assert_false(read(int_parameter(7), 0, tds_7_4, out));
    assert_false(read(parameter(bytes{0xa7, 20, 0} + collation_latin, {1, 0, 'S'}), 0, tds_7_4, out));    // VARCHAR
    assert_false(read(parameter(nvarchar_info(20), {3, 0, 'S', 0, 'E'}), 0, tds_7_4, out));               // half a unit
    assert_false(read(parameter(nvarchar_info(20), little16(2) + utf16("S"), "@a", 8), 0, tds_7_4, out)); // encrypted
    assert_false(read(nvarchar("SHOW POOLS"), 0, tds_7_4, out, 19));
    assert_false(read(nvarchar_max("SHOW POOLS", 2), 0, tds_7_4, out, 19));
    assert_false(read(nvarchar("SHOW POOLS"), 1'000, tds_7_4, out));
    assert_false(read({}, 0, tds_7_4, out));
    assert_true(out.empty());
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(every_form),
        cmocka_unit_test(what_is_no_text),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
