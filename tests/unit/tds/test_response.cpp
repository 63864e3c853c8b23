// Tokens and packets that a server sends, byte for byte.
#include "cmocka_cpp.h"

#include <string>
#include <vector>

#include "tds/login7.h"
#include "tds/packet.h"
#include "tds/response.h"

using bytes = std::vector<uint8_t>;

static tds_notice notice(std::string_view text) {
    tds_notice n;
    n.number = 50004;
    n.severity = 16;
    n.state = 2;
    n.text = text;
    n.server_name = "S";
    n.line = 0x01020304;
    return n;
}

static void test_error_wide_and_narrow(void **) {
    bytes wide, narrow;
    tds_put_notice(wide, tds_7_2, notice("\xc3\xa4"));
    tds_put_notice(narrow, tds_7_1_sp1, notice("\xc3\xa4"));
    const bytes head = {0x54, 0xc3, 0, 0, 2, 16, 1, 0, 0xe4, 0, 1, 'S', 0, 0};
    bytes expected = {0xaa, 18, 0};
    expected.insert(expected.end(), head.begin(), head.end());
    expected.insert(expected.end(), {4, 3, 2, 1});
    assert_true(wide == expected);
    expected = {0xaa, 16, 0};
    expected.insert(expected.end(), head.begin(), head.end());
    expected.insert(expected.end(), {0xff, 0xff});
    assert_true(narrow == expected);
}

static void test_info_by_severity(void **) {
    for (unsigned severity : {0U, 10U, 11U, 25U}) {
        bytes out;
        tds_notice n = notice("x");
        n.severity = static_cast<uint8_t>(severity);
        tds_put_notice(out, tds_7_4, n);
        assert_int_equal(out[0], severity > 10 ? tds_token_error : tds_token_info);
    }
}

// go-mssqldb walks the fields and ignores the token's length: they must agree, whatever is cut.
static void check_error(const bytes &t, bool wide) {
    size_t length = static_cast<size_t>(t[1] | t[2] << 8);
    assert_int_equal(length + 3, t.size());
    size_t at = 3 + 6;
    at += 2 + 2 * static_cast<size_t>(t[at] | t[at + 1] << 8);
    at += 1 + 2 * static_cast<size_t>(t[at]);
    at += 1 + 2 * static_cast<size_t>(t[at]);
    at += wide ? 4 : 2;
    assert_int_equal(at, t.size());
}

static void test_long_texts_are_cut(void **) {
    std::string text(40000, 'x'), name(1000, 'n');
    for (uint32_t version : {tds_7_0, tds_7_1, tds_7_4, tds_8_0}) {
        tds_notice n = notice(text);
        n.server_name = n.procedure = name;
        bytes out;
        tds_put_notice(out, version, n);
        check_error(out, tds_version_is_wide(version));
        assert_true(out.size() < 8000);
    }
}

static void test_done(void **) {
    bytes out;
    tds_put_done(out, tds_7_4, tds_token_done, tds_done_count, 0xc1, 0x0807060504030201);
    assert_true((out == bytes{0xfd, 0x10, 0, 0xc1, 0, 1, 2, 3, 4, 5, 6, 7, 8}));
    out.clear();
    tds_put_done(out, tds_7_1, tds_token_doneproc, tds_done_error, 0, 5);
    assert_true((out == bytes{0xfe, 2, 0, 0, 0, 5, 0, 0, 0}));
}

static bytes loginack(uint32_t version) {
    bytes out;
    tds_put_loginack(out, version, "SQL", {16, 0, 0x0abc, 0});
    return out;
}

static void test_loginack(void **) {
    assert_true(
        (loginack(tds_7_4) == bytes{0xad, 16, 0, 1, 0x74, 0, 0, 4, 3, 'S', 0, 'Q', 0, 'L', 0, 16, 0, 0x0a, 0xbc}));
    auto version = [](uint32_t asked) {
        bytes t = loginack(asked);
        return bytes(t.begin() + 4, t.begin() + 8);
    };
    assert_true((version(tds_7_0) == bytes{7, 0, 0, 0}));
    assert_true((version(tds_7_1) == bytes{7, 1, 0, 0}));
    assert_true((version(tds_7_1_sp1) == bytes{0x71, 0, 0, 1}));
    assert_true((version(0x72090005) == bytes{0x72, 9, 0, 2}));
    assert_true((version(tds_7_3b) == bytes{0x73, 0x0b, 0, 3}));
    assert_true((version(0x7fffffff) == bytes{0x74, 0, 0, 4}));
    assert_true((version(tds_8_0) == bytes{8, 0, 0, 0}));
}

static void test_envchange(void **) {
    bytes out;
    tds_put_envchange(out, tds_env_packet_size, "4096", "8");
    assert_true((out == bytes{0xe3, 13, 0, 4, 4, '4', 0, '0', 0, '9', 0, '6', 0, 1, '8', 0}));
    out.clear();
    const uint8_t collation[] = {9, 4, 0xd0, 0, 0x34};
    tds_put_collation(out, collation);
    assert_true((out == bytes{0xe3, 8, 0, 7, 5, 9, 4, 0xd0, 0, 0x34, 0}));
}

static void test_messages_of_any_size(void **) {
    for (size_t size : {1U, 503U, 504U, 505U, 1008U, 1009U, 200000U}) {
        bytes payload(size), out;
        for (size_t i = 0; i < size; ++i)
            payload[i] = static_cast<uint8_t>(i * 7);
        tds_put_message(out, tds_type_response, payload, 512, 0x1234);
        bytes back;
        size_t packets = 0;
        for (size_t at = 0; at < out.size(); ++packets) {
            tds_header h;
            assert_int_equal(tds_header_parse(std::span(out).subspan(at), 512, h), tds_header_result::ok);
            assert_int_equal(h.type, tds_type_response);
            assert_int_equal(h.spid, 0x1234);
            assert_int_equal(h.packet_id, (packets + 1) % 256);
            bool last = at + h.length == out.size();
            assert_int_equal(h.status, last ? 1 : 0);
            assert_true(h.length > tds_header_size);
            back.insert(back.end(), out.begin() + static_cast<long>(at + 8),
                        out.begin() + static_cast<long>(at + h.length));
            at += h.length;
        }
        assert_true(back == payload);
        assert_int_equal(packets, (size + 503) / 504);
    }
}

// A long error to a client of each version: packets of at most 4096 bytes, one message, ERROR and then DONE.
static void test_login_error(void **) {
    std::string text(2048, 'y');
    for (uint32_t version : {tds_7_1, tds_7_4}) {
        bytes out;
        tds_build_login_error(version, notice(text), 7, out);
        tds_message_reader r;
        tds_message_start(r, tds_type_response, tds_initial_packet_size, 100000);
        size_t used = 0;
        assert_int_equal(tds_message_read(r, out, used), tds_read_result::complete);
        assert_int_equal(used, out.size());
        assert_int_equal(r.packets, 2);
        auto payload = tds_message_payload(r);
        size_t done = tds_version_is_wide(version) ? 13 : 9;
        check_error({payload.begin(), payload.end() - static_cast<long>(done)}, tds_version_is_wide(version));
        auto tail = payload.last(done);
        assert_int_equal(tail[0], tds_token_done);
        assert_int_equal(tail[1] | tail[2] << 8, tds_done_error);
    }
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_error_wide_and_narrow),
        cmocka_unit_test(test_info_by_severity),
        cmocka_unit_test(test_long_texts_are_cut),
        cmocka_unit_test(test_done),
        cmocka_unit_test(test_loginack),
        cmocka_unit_test(test_envchange),
        cmocka_unit_test(test_messages_of_any_size),
        cmocka_unit_test(test_login_error),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
