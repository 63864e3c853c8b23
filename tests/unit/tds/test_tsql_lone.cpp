// Texts that are one BEGIN, COMMIT or ROLLBACK and nothing else.
#include "tds/tsql_lone.h"

#include <string_view>
#include <vector>

#include "tds/utf16.h"

#include "cmocka_cpp.h"

static tsql_lone kind_of(std::string_view text, std::string &name) {
    std::vector<uint8_t> wire;
    tds_utf16_append(text, SIZE_MAX, wire);
    return tsql_lone_transaction(wire, name);
}

static void expect(tsql_lone kind, std::string_view text, const char *name = "") {
    std::string found;
    assert_true(kind_of(text, found) == kind);
    if (kind != tsql_lone::none)
        assert_string_equal(found.c_str(), name);
}

static void begins(void **) {
    for (std::string_view text : {"BEGIN TRAN", "begin transaction;", " \t\r\n/* a /* b */ */ BEGIN -- c\n TRAN ; -- d",
                                  "BEGIN/**/TRAN", "BEGIN TRAN--"})
        expect(tsql_lone::begin, text);
    expect(tsql_lone::begin, "BEGIN TRAN named", "named");
    expect(tsql_lone::begin, "BEGIN TRAN [a name];", "[a name]");
    expect(tsql_lone::begin, "BEGIN TRAN _x9 -- y", "_x9");
}

static void ends(void **) {
    for (std::string_view text : {"COMMIT", "commit tran", "COMMIT TRANSACTION;", "COMMIT WORK"})
        expect(tsql_lone::commit, text);
    for (std::string_view text : {"ROLLBACK", "rollback transaction ;", "/**/ROLLBACK WORK"})
        expect(tsql_lone::rollback, text);
}

static void anything_else_is_none(void **) {
    for (std::string_view text : {"",
                                  ";",
                                  "BEGIN",
                                  "BEGIN SELECT 1 END",
                                  "BEGIN TRAN; SELECT 1",
                                  "BEGIN TRAN SELECT",
                                  "BEGIN TRAN COMMIT",
                                  "BEGIN TRAN p.q",
                                  "BEGIN TRAN EXEC",
                                  "BEGIN TRAN;;",
                                  "BEGIN TRAN x y",
                                  "BEGIN DISTRIBUTED TRAN",
                                  "BEGIN TRAN n WITH MARK",
                                  "BEGIN TRAN WITH MARK",
                                  "BEGIN TRAN @n",
                                  "BEGIN TRAN \"n\"",
                                  "BEGIN TRAN [a",
                                  "BEGIN TRAN [a]]b]",
                                  "BEGIN TRAN 'n'",
                                  "BEGIN TRAN 9x",
                                  "BEGIN TRANS",
                                  "BEGINTRAN",
                                  "COMMIT TRAN x",
                                  "ROLLBACK TRAN x",
                                  "ROLLBACK WORK x",
                                  "SAVE TRAN x",
                                  "COMMIT; COMMIT",
                                  "BEGIN TRAN /* open",
                                  "BEGIN TRY",
                                  "BEGIN TRAN abcdefghijklmnopqrstuvwxyzabcdefg",
                                  "COMMIT TRAN WITH (DELAYED_DURABILITY = ON)"})
        expect(tsql_lone::none, text);
    std::string name;
    assert_true(kind_of(std::string("BEGIN TRAN") + std::string(300, ' '), name) == tsql_lone::none);
    assert_true(tsql_lone_transaction(std::vector<uint8_t>{'C', 1}, name) == tsql_lone::none);
}

// Cut anywhere it is read to its end and no further.
static void every_beginning(void **) {
    std::vector<uint8_t> wire;
    tds_utf16_append("/* a */ BEGIN -- b\n TRANSACTION [n] ; /* c */", SIZE_MAX, wire);
    std::string name;
    for (size_t n = 0; n < wire.size(); ++n)
        (void)tsql_lone_transaction(std::vector<uint8_t>(wire.begin(), wire.begin() + static_cast<long>(n)), name);
    assert_true(tsql_lone_transaction(wire, name) == tsql_lone::begin);
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(begins),
        cmocka_unit_test(ends),
        cmocka_unit_test(anything_else_is_none),
        cmocka_unit_test(every_beginning),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
