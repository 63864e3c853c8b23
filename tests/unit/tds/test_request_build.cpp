// What the proxy sends to servers by itself, and the meaning of their errors.
#include <string>
#include <vector>

#include "cmocka_cpp.h"

#include "tds/captures.h"
#include "tds/error_number.h"
#include "tds/login7.h"
#include "tds/packet.h"
#include "tds/request_build.h"
#include "tds/utf16.h"

static bytes batch(uint32_t version, std::string_view sql, uint64_t descriptor = 0, size_t size = 4096,
                   uint8_t status = 0) {
    bytes out;
    tds_put_batch(out, version, sql, descriptor, size, status);
    return out;
}

static void test_batch_of_7_4(void **) {
    bytes expected{1, 1, 0, 34, 0, 0, 1, 0, 0x16, 0, 0, 0, 0x12, 0,   0, 0,   2,
                   0, 8, 7, 6,  5, 4, 3, 2, 1,    1, 0, 0, 0,    'g', 0, 'o', 0};
    assert_true(batch(tds_7_4, "go", 0x0102030405060708) == expected);
    assert_true(batch(tds_8_0, "go", 0x0102030405060708) == expected);
    assert_true(batch(tds_7_2, "go", 0x0102030405060708) == expected);
}

static void test_batch_without_headers_before_7_2(void **) {
    bytes expected{1, 1, 0, 12, 0, 0, 1, 0, 'g', 0, 'o', 0};
    assert_true(batch(tds_7_1, "go", 5) == expected);
    assert_true(batch(tds_7_0, "go", 5) == expected);
}

// Every packet but the last is exactly of the negotiated size, and a reset stands on the first one only.
static void test_long_batch(void **) {
    std::string sql(1000, 's');
    bytes out = batch(tds_7_4, sql, 0, 512, tds_status_reset);
    size_t at = 0, packets = 0;
    tds_header h;
    for (; at < out.size(); at += h.length, ++packets) {
        assert_int_equal(tds_header_parse(std::span(out).subspan(at), 512, h), tds_header_result::ok);
        bool last = at + h.length == out.size();
        if (!last)
            assert_int_equal(h.length, 512);
        assert_int_equal(h.status, (last ? tds_status_eom : 0) | (packets == 0 ? tds_status_reset : 0));
        assert_int_equal(h.packet_id, packets + 1);
    }
    assert_int_equal(packets, 5); // 22 + 2000 bytes in pieces of 504
    tds_message_reader r;
    tds_message_start(r, tds_type_sql_batch, 512, 100000);
    size_t used = 0;
    assert_int_equal(tds_message_read(r, out, used), tds_read_result::complete);
    assert_string_equal(tds_utf8(tds_message_payload(r).subspan(22)).c_str(), sql.c_str());
}

static void test_append_keeps_what_is_there(void **) {
    bytes out{9, 9};
    tds_put_batch(out, tds_7_1, "x", 0, 4096, tds_status_reset);
    tds_put_attention(out);
    bytes expected{9, 9, 1, 1 | 8, 0, 10, 0, 0, 1, 0, 'x', 0, 6, 1, 0, 8, 0, 0, 1, 0};
    assert_true(out == expected);
}

static void test_quoting(void **) {
    assert_string_equal(tds_quote_name("a]b").c_str(), "[a]]b]");
    assert_string_equal(tds_quote_name("]]").c_str(), "[]]]]]");
    assert_string_equal(tds_quote_name("it's [x").c_str(), "[it's [x]");
    assert_string_equal(tds_quote_name("").c_str(), "[]");
    assert_string_equal(tds_quote_text("it's").c_str(), "N'it''s'");
    assert_string_equal(tds_quote_text("''; DROP TABLE t--").c_str(), "N'''''; DROP TABLE t--'");
    assert_string_equal(tds_quote_text("]").c_str(), "N']'");
}

static void test_error_numbers(void **) {
    for (int32_t number : {10928, 10929, 40501, 17809})
        assert_int_equal(tds_error_kind_of(number), tds_error_kind::busy);
    for (int32_t number : {701, 921, 17187, 18401, 40197, 40613, 49918, 49920, 42109, 4221})
        assert_int_equal(tds_error_kind_of(number), tds_error_kind::transient);
    for (int32_t number : {1807, 3101, 3702, 5030, 5061, 5064, 5070})
        assert_int_equal(tds_error_kind_of(number), tds_error_kind::in_use);
    for (int32_t number : {18456, 4060, 911, 18486, 18488, 17828, 0, -1, INT32_MAX, 49921, 700, 702})
        assert_int_equal(tds_error_kind_of(number), tds_error_kind::permanent);
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_batch_of_7_4), cmocka_unit_test(test_batch_without_headers_before_7_2),
        cmocka_unit_test(test_long_batch),   cmocka_unit_test(test_append_keeps_what_is_there),
        cmocka_unit_test(test_quoting),      cmocka_unit_test(test_error_numbers),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
