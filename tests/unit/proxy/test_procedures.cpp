// Names of procedures in all spellings, what is remembered of them, and how their definitions are asked for.
#include "proxy/procedures.h"

#include <cstring>

#include "tds/tsql_scan.h"

#include "cmocka_cpp.h" // last: it defines fail()

static void expect_name(const char *text, const char *server, const char *database, const char *schema,
                        const char *name) {
    procedure_name n;
    assert_true(procedure_name_parse(text, n));
    assert_string_equal(n.server.c_str(), server);
    assert_string_equal(n.database.c_str(), database);
    assert_string_equal(n.schema.c_str(), schema);
    assert_string_equal(n.name.c_str(), name);
}

static void names_are_taken_apart(void **) {
    expect_name("p", "", "", "", "p");
    expect_name("dbo.p", "", "", "dbo", "p");
    expect_name("[d b]..[p]", "", "d b", "", "p");
    expect_name("\"s\".[a]]b].[c.d].p;1", "s", "a]b", "c.d", "p");
}

static void what_is_no_name_is_refused(void **) {
    procedure_name n;
    for (const char *text : {"", "a.b.c.d.e", "[p", "[p]q", "p'", "a.", "."}) {
        n = {};
        assert_false(procedure_name_parse(text, n));
    }
}

static void what_was_read_is_known_for_a_while(void **) {
    procedure_table table;
    procedure_name n;
    assert_true(procedure_name_parse("p", n));
    std::string key = procedure_key("u", "d", n);
    assert_null(procedure_find(table, key, 0));
    tsql_effect body;
    body.turned_on = tsql_app_lock;
    procedure_store(table, key, std::move(body), 100);
    assert_int_equal(procedure_find(table, key, 100)->body.turned_on, tsql_app_lock);
    assert_non_null(procedure_find(table, key, 99 + procedures_ttl));
    assert_null(procedure_find(table, key, 100 + procedures_ttl));
    assert_null(procedure_find(table, procedure_key("u", "other", n), 100));
    assert_null(procedure_find(table, procedure_key("v", "d", n), 100));
}

static void the_table_has_an_end(void **) {
    procedure_table table;
    for (size_t i = 0; i < procedures_max + 10; ++i)
        procedure_store(table, std::to_string(i), {}, 5);
    assert_true(table.known.size() <= procedures_max);
}

static void the_question_quotes_the_name(void **) {
    procedure_name n;
    assert_true(procedure_name_parse("[s]]].[it's]", n));
    std::string sql = procedure_question(n);
    assert_non_null(strstr(sql.c_str(), "OBJECT_ID(N'[s]]].[it''s]')"));
    assert_null(strstr(sql.c_str(), " FROM "));
}

static void a_body_says_what_it_leaves_and_calls(void **) {
    tsql_scanner *scanner = tsql_scanner_create();
    tsql_effect body = procedure_effect(scanner, "sales",
                                        "CREATE PROCEDURE sales.p AS BEGIN SET NOCOUNT ON; CREATE TABLE #t (i int); "
                                        "EXEC sp_set_session_context N'k', 1; EXEC q; EXEC dbo.r END");
    assert_int_equal(body.turned_on, tsql_session_context);
    assert_true(body.temps.empty());
    assert_true(body.sets.empty());
    assert_int_equal(body.procedures.size(), 2);
    assert_string_equal(body.procedures[0].c_str(), "[sales].[q]");
    assert_string_equal(body.procedures[1].c_str(), "dbo.r");
    tsql_scanner_destroy(scanner);
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(names_are_taken_apart),
        cmocka_unit_test(what_is_no_name_is_refused),
        cmocka_unit_test(what_was_read_is_known_for_a_while),
        cmocka_unit_test(the_table_has_an_end),
        cmocka_unit_test(the_question_quotes_the_name),
        cmocka_unit_test(a_body_says_what_it_leaves_and_calls),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
