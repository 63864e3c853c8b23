// Handles of prepared statements in T-SQL text.
#include "tds/handle_text.h"

#include <string>
#include <string_view>

#include "tds/utf16.h"

#include "cmocka_cpp.h"

// "handle at character, ...", with "ends" for sp_unprepare.
static std::string uses_of(std::string_view text) {
    std::vector<uint8_t> wire;
    tds_utf16_append(text, SIZE_MAX, wire);
    std::string line;
    for (const tds_handle_use &use : tds_handles_in_text(wire)) {
        std::string digits = tds_utf8(std::span(wire).subspan(use.at, use.bytes));
        assert_string_equal(digits.c_str(), std::to_string(use.handle).c_str());
        line += std::to_string(use.handle) + (use.ends ? " ends" : "") + " at " + std::to_string(use.at / 2) + ",";
    }
    return line;
}

static void expect(std::string_view text, const char *uses) {
    assert_string_equal(uses_of(text).c_str(), uses);
}

static void handles_are_found(void **) {
    expect("EXEC sp_execute 536870913", "536870913 at 16,");
    expect("exec SP_Execute\r\n\t7, 'a'", "7 at 18,");
    expect("EXEC sys.[sp_execute] 1;EXEC \"sp_unprepare\" 2", "1 at 22,2 ends at 44,");
    expect("EXEC @r = sp_execute @handle = 5, @p = 1", "5 at 31,");
    expect("sp_execute @HANDLE=5", "5 at 19,");
    expect("sp_execute 2147483647", "2147483647 at 11,");
}

static void what_is_no_handle_is_left(void **) {
    for (std::string_view text :
         {"", "EXEC sp_execute", "EXEC sp_execute @h", "sp_execute '5'", "xsp_execute 5", "sp_executesql 5",
          "sp_execute2 5", "@sp_execute 5", "sp_execute 5x", "sp_execute 5.5", "sp_execute -5", "sp_execute 2147483648",
          "sp_execute 99999999999999999999", "sp_execute @handle 5", "sp_execute @handle2 = 5", "sp_execute 0x5"})
        expect(text, "");
}

static void an_odd_byte_is_no_character(void **) {
    std::vector<uint8_t> wire;
    tds_utf16_append("sp_execute 12", SIZE_MAX, wire);
    for (size_t n = 0; n <= wire.size(); ++n)
        assert_true(tds_handles_in_text(std::span(wire).first(n)).size() <= 1);
    wire.pop_back();
    assert_int_equal(tds_handles_in_text(wire).at(0).handle, 1);
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(handles_are_found),
        cmocka_unit_test(what_is_no_handle_is_left),
        cmocka_unit_test(an_odd_byte_is_no_character),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
