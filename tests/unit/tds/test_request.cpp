// What a client's request says at its beginning.
#include <string_view>
#include <vector>

#include "cmocka_cpp.h"

#include "tds/bytes.h"
#include "tds/login7.h"
#include "tds/packet.h"
#include "tds/request.h"

using bytes = std::vector<uint8_t>;

static constexpr std::string_view reset = "sp_reset_connection";

static bytes rpc(std::string_view name, bool headers = true) {
    bytes out;
    if (headers) {
        put_u32le(out, 22);
        put_u32le(out, 18);
        put_u16le(out, 2);
        put_u64le(out, 0);
        put_u32le(out, 1);
    }
    put_u16le(out, static_cast<uint32_t>(name.size()));
    for (char c : name)
        put_u16le(out, static_cast<uint8_t>(c));
    put_u16le(out, 0);
    return out;
}

static void test_name_in_every_spelling(void **) {
    for (const char *name :
         {"sp_reset_connection", "SP_Reset_Connection", "sys.sp_reset_connection", "master..sp_reset_connection",
          "[sp_reset_connection]", "[master].[sys].[sp_reset_connection]"})
        assert_true(tds_rpc_calls(rpc(name), tds_7_4, reset));
    for (const char *name : {"", "sp_reset_connection2", "my_sp_reset_connection", "sp_reset", "sp_reset_connection.x"})
        assert_false(tds_rpc_calls(rpc(name), tds_7_4, reset));
}

static void test_headers_only_from_7_2_on(void **) {
    assert_true(tds_rpc_calls(rpc(reset, false), tds_7_1, reset));
    assert_true(tds_rpc_calls(rpc(reset), tds_7_2, reset));
    assert_false(tds_rpc_calls(rpc(reset, false), tds_7_4, reset));
    assert_false(tds_rpc_calls(rpc(reset), tds_7_1, reset));
}

static void test_call_by_number(void **) {
    bytes out = rpc("");
    set_u16le(out, 22, 0xffff);
    assert_false(tds_rpc_calls(out, tds_7_4, reset));
}

// Every length that does not fit, and every cut: no, and no byte read outside.
static void test_lengths_that_lie(void **) {
    bytes whole = rpc(reset);
    for (size_t size = 0; size < whole.size() - 2; ++size) {
        bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
        cut.shrink_to_fit();
        assert_false(tds_rpc_calls(cut, tds_7_4, reset));
    }
    for (uint32_t headers : {0U, 3U, 64U, 1000U, 0xffffffffU}) {
        bytes out;
        put_u32le(out, headers);
        out.insert(out.end(), whole.begin() + 4, whole.end());
        assert_false(tds_rpc_calls(out, tds_7_4, reset));
    }
    bytes out = whole;
    set_u16le(out, 22, 0xfffe);
    assert_false(tds_rpc_calls(out, tds_7_4, reset));
}

static bytes message(std::initializer_list<size_t> payloads, uint8_t type, uint8_t last_status) {
    bytes out;
    size_t left = payloads.size();
    for (size_t size : payloads) {
        uint8_t header[tds_header_size];
        auto status = static_cast<uint8_t>(--left == 0 ? tds_status_eom | last_status : 0);
        tds_header_write({type, status, static_cast<uint16_t>(size + tds_header_size), 0, 1, 0}, header);
        out.insert(out.end(), header, header + sizeof header);
        out.insert(out.end(), size, 0x41);
    }
    return out;
}

static tds_arrival arrived(std::span<const uint8_t> in, size_t enough = 65536) {
    const char *why = nullptr;
    tds_arrival result = tds_request_arrived(in, 512, enough, why);
    assert_int_equal(result == tds_arrival::broken, why != nullptr);
    return result;
}

static void test_arrival(void **) {
    bytes whole = message({504, 504, 20}, tds_type_sql_batch, 0);
    for (size_t n = 0; n < whole.size(); ++n)
        assert_int_equal(arrived(std::span(whole).first(n)), tds_arrival::more);
    assert_int_equal(arrived(whole), tds_arrival::enough);
    assert_int_equal(arrived(std::span(whole).first(600), 600), tds_arrival::enough);
    bytes next = message({1}, tds_type_attention, 0);
    whole.insert(whole.end(), next.begin(), next.end());
    assert_int_equal(arrived(whole), tds_arrival::enough); // what follows is not looked at
    assert_int_equal(arrived(message({504, 0}, tds_type_rpc, tds_status_ignore)), tds_arrival::ignored);
    assert_int_equal(arrived(message({504, 505}, tds_type_rpc, 0)), tds_arrival::broken);
    bytes changed = message({504, 20}, tds_type_rpc, 0);
    changed[512] = tds_type_sql_batch;
    assert_int_equal(arrived(changed), tds_arrival::broken);
}

static void test_attention_behind_a_request(void **) {
    bytes in = message({504, 20}, tds_type_sql_batch, 0);
    size_t request = in.size(), size = 0;
    assert_false(tds_find_attention(in, size));
    bytes attention = message({0}, tds_type_attention, 0);
    in.insert(in.end(), attention.begin(), attention.end());
    for (size_t n = 0; n < in.size(); ++n)
        assert_false(tds_find_attention(std::span(in).first(n), size));
    in.insert(in.end(), {1, 1, 0, 8}); // and something behind it
    assert_true(tds_find_attention(in, size));
    assert_int_equal(size, request + tds_header_size);
    bytes inside = message({504, 0}, tds_type_sql_batch, 0);
    inside[512] = tds_type_attention; // in the middle of a message it is none
    assert_false(tds_find_attention(inside, size));
}

// --- the transaction that a request names

static void set_length(bytes &out, size_t at, uint32_t length) {
    set_u16le(out, at, length & 0xffff);
    set_u16le(out, at + 2, length >> 16);
}

static bytes headers(std::initializer_list<std::pair<uint32_t, uint16_t>> lengths_and_types) {
    bytes out;
    put_u32le(out, 0);
    for (auto [length, type] : lengths_and_types) {
        put_u32le(out, length);
        put_u16le(out, type);
        for (uint32_t i = 6; i < length; ++i)
            put_u8(out, 0xd0 + i);
    }
    set_length(out, 0, static_cast<uint32_t>(out.size()));
    return out;
}

static void test_descriptor_among_headers(void **) {
    assert_int_equal(tds_descriptor_at(headers({{18, 2}})), 10);
    assert_int_equal(tds_descriptor_at(headers({{20, 1}, {26, 3}, {18, 2}})), 4 + 20 + 26 + 6);
    assert_int_equal(tds_descriptor_at(headers({})), 0);
    assert_int_equal(tds_descriptor_at(headers({{26, 3}})), 0);
    assert_int_equal(tds_descriptor_at(headers({{17, 2}})), 0);
    assert_int_equal(tds_descriptor_at(headers({{19, 2}, {18, 2}})), 0);
    bytes text = headers({{18, 2}});
    put_u16le(text, 'x');
    assert_int_equal(tds_descriptor_at(text), 10);
}

static void test_descriptor_not_there_as_a_whole(void **) {
    bytes whole = headers({{20, 1}, {18, 2}});
    for (size_t size = 0; size < whole.size(); ++size) {
        bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
        cut.shrink_to_fit();
        assert_int_equal(tds_descriptor_at(cut), 0);
    }
    for (size_t at : {0, 4, 24})
        for (uint32_t lie : {0u, 1u, 5u, 21u, 100u, 0x80000000u, 0xffffffffu}) {
            bytes changed = whole;
            set_length(changed, at, lie);
            size_t found = tds_descriptor_at(changed);
            assert_true(found == 0 || found + 8 <= changed.size());
        }
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_arrival),
        cmocka_unit_test(test_descriptor_among_headers),
        cmocka_unit_test(test_descriptor_not_there_as_a_whole),
        cmocka_unit_test(test_attention_behind_a_request),
        cmocka_unit_test(test_name_in_every_spelling),
        cmocka_unit_test(test_headers_only_from_7_2_on),
        cmocka_unit_test(test_call_by_number),
        cmocka_unit_test(test_lengths_that_lie),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
