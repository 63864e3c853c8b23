// SELECT and IF in the admin console: values, their types in each TDS version, and what nobody knows.
#include "cmocka_cpp.h"

#include "proxy/console_select.h"
#include "tds/token_stream.h"
#include "tds/utf16.h"

static console_facts facts() {
    console_facts f;
    f.user = "operator";
    f.host = "here";
    f.application = "tool";
    f.server_name = "proxy-1";
    f.version = "tdsbouncer 1.2.3";
    f.product_version = "16.0.1000.0";
    f.spid = 57;
    f.transactions = 2;
    f.last_error = 911;
    f.unix_time = 1'764'435'723'045; // 2025-11-29 17:02:03.045
    return f;
}

static console_statement statement(std::string_view text) {
    std::vector<uint8_t> wire;
    tds_utf16_append(text, SIZE_MAX, wire);
    console_batch batch = console_parse(wire);
    assert_true(batch.good);
    assert_int_equal(batch.statements.size(), 1);
    return batch.statements[0];
}

// "57", "'text'", "NULL", or "error 195".
static std::string value(const char *expression) {
    console_problem problem;
    console_value v = console_evaluate(statement(std::string("SELECT ") + expression).items[0].value, facts(), problem);
    if (problem.number != 0)
        return "error " + std::to_string(problem.number);
    switch (v.kind) {
    case console_value::kind_t::null: return "NULL";
    case console_value::kind_t::number: return std::to_string(v.number);
    case console_value::kind_t::text: return "'" + v.text + "'";
    }
    return "";
}

static void values(void **) {
    static constexpr const char *expected[][2] = {
        {"@@SPID", "57"},
        {"@@spid", "57"},
        {"@@TRANCOUNT", "2"},
        {"@@ERROR", "911"},
        {"@@VERSION", "'tdsbouncer 1.2.3'"},
        {"@@SERVERNAME", "'proxy-1'"},
        {"@@MICROSOFTVERSION", "268435456"},
        {"@@IDENTITY", "NULL"},
        {"db_name()", "'tdsbouncer'"},
        {"SUSER_SNAME()", "'operator'"},
        {"SYSTEM_USER", "'operator'"},
        {"HOST_NAME()", "'here'"},
        {"APP_NAME()", "'tool'"},
        {"GETDATE()", "'2025-11-29 17:02:03.045'"},
        {"SERVERPROPERTY('productversion')", "'16.0.1000.0'"},
        {"SERVERPROPERTY('EngineEdition')", "3"},
        {"SERVERPROPERTY('nothing such')", "NULL"},
        {"SERVERPROPERTY()", "NULL"},
        {"ISNULL(SERVERPROPERTY('InstanceName'), 'none')", "'none'"},
        {"COALESCE(NULL, NULL, 3)", "3"},
        {"CAST(57 AS varchar(10))", "'57'"},
        {"CAST('57' AS int)", "57"},
        {"CONVERT(sysname, DB_NAME())", "'tdsbouncer'"},
        {"CAST(NULL AS int)", "NULL"},
        {"CAST('x' AS int)", "error 245"},
        {"FOO()", "error 195"},
        {"ISNULL(FOO(), 1)", "error 195"},
        {"@@FOO", "error 137"},
        {"@x", "error 137"},
    };
    for (const auto &[expression, text] : expected)
        assert_string_equal(value(expression).c_str(), text);
}

static void conditions(void **) {
    static constexpr struct {
        const char *text;
        bool holds;
    } expected[] = {
        {"IF @@TRANCOUNT > 0 COMMIT", true},
        {"IF @@TRANCOUNT = 0 COMMIT", false},
        {"IF 2 <= @@TRANCOUNT COMMIT", true},
        {"IF 3 <= @@TRANCOUNT COMMIT", false},
        {"IF 2 >= 2 COMMIT", true},
        {"IF 1 < 2 COMMIT", true},
        {"IF NULL = NULL COMMIT", false},
        {"IF 'A' = 'a' COMMIT", true},
        {"IF '2' = @@TRANCOUNT COMMIT", true},
        {"IF DB_NAME() <> 'x' COMMIT", true},
    };
    for (const auto &[text, holds] : expected) {
        console_problem problem;
        assert_int_equal(console_holds(statement(text), facts(), problem), holds);
        assert_int_equal(problem.number, 0);
    }
    console_problem problem;
    (void)console_holds(statement("IF 'x' = 1 COMMIT"), facts(), problem);
    assert_int_equal(problem.number, 245);
}

static void result_sets(void **) {
    for (uint32_t version : {tds_7_0, tds_7_1, tds_7_2, tds_7_3b, tds_7_4, tds_8_0}) {
        console_problem problem;
        bytes b;
        console_put_select(statement("SELECT @@SPID, 9999999999 AS big, DB_NAME() AS name, NULL AS nothing"), facts(),
                           version, problem, b);
        assert_int_equal(problem.number, 0);
        assert_true(walk_whole(options_of(version), b + done(tds_done_count, tds_token_done, version)).ok);
        assert_int_equal(get_u16le(b.data() + 1), 4);
    }
    console_problem problem;
    bytes b;
    console_put_select(statement("SELECT 1, FOO()"), facts(), tds_7_4, problem, b);
    assert_true(problem.number == 195 && b.empty());
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(values),
        cmocka_unit_test(conditions),
        cmocka_unit_test(result_sets),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
