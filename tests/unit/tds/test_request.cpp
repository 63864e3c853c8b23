// What a client's request says at its beginning.
#include <string_view>
#include <vector>

#include "cmocka_cpp.h"

#include "tds/bytes.h"
#include "tds/login7.h"
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

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_name_in_every_spelling),
        cmocka_unit_test(test_headers_only_from_7_2_on),
        cmocka_unit_test(test_call_by_number),
        cmocka_unit_test(test_lengths_that_lie),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
