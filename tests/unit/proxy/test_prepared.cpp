// Handles of sessions, handles of server connections, and the statements between them.
#include "proxy/prepared.h"

#include "tds/login7.h"
#include "tds/tsql_scan.h"
#include "tds/utf16.h"

#include "cmocka_cpp.h" // last: it defines fail()

struct fixture {
    tsql_scanner *scanner = tsql_scanner_create();
    tds_request_reader *reader = tds_request_reader_create(scanner);
    prepared_table table;
    tds_session_state settings;

    fixture() { settings.database = "d"; }
    ~fixture() {
        tds_request_reader_destroy(reader);
        tsql_scanner_destroy(scanner);
    }

    static std::vector<uint8_t> bare(std::string_view text) {
        std::vector<uint8_t> p = {0, 0xe7, 0x40, 0x1f, 9, 4, 0xd0, 0, 0x34}, wire;
        tds_utf16_append(text, SIZE_MAX, wire);
        p.push_back(static_cast<uint8_t>(wire.size()));
        p.push_back(static_cast<uint8_t>(wire.size() >> 8));
        p.insert(p.end(), wire.begin(), wire.end());
        return p;
    }
    prepared_ptr make(std::string_view statement, std::string_view declaration = "") {
        return prepared_intern(table, reader, tds_7_4, {bare(declaration), bare(statement)}, settings);
    }
};

static void equal_statements_are_one(void **) {
    fixture f;
    prepared_ptr one = f.make("SELECT @a", "@a int");
    assert_ptr_equal(one.get(), f.make("SELECT @a", "@a int").get());
    assert_ptr_not_equal(one.get(), f.make("SELECT @a", "@a bigint").get());
    assert_string_equal(one->statement.c_str(), "SELECT @a");
    assert_string_equal(one->declaration.c_str(), "@a int");
    f.settings.database = "other";
    assert_ptr_not_equal(one.get(), f.make("SELECT @a", "@a int").get());
    f.settings.database = "d";
    f.settings[tds_option::quoted_identifier] = "OFF";
    assert_ptr_not_equal(one.get(), f.make("SELECT @a", "@a int").get());
}

static void the_effect_is_that_of_one_execution(void **) {
    fixture f;
    assert_true(f.make("SELECT 1")->effect.lone_select);
    assert_true(f.make("INSERT t VALUES (1)")->effect.writes);
    assert_true(f.make("EXEC p")->effect.calls);
    assert_true(f.make("SET CONTEXT_INFO 0x1")->effect.turned_on != 0);
}

static void a_session_has_handles_of_its_own(void **) {
    fixture f;
    prepared_book mine, theirs;
    prepared_ptr one = f.make("SELECT 1"), two = f.make("SELECT 2");
    assert_int_equal(prepared_give(mine, one), prepared_first_handle);
    assert_int_equal(prepared_give(mine, one), prepared_first_handle + 1);
    assert_int_equal(prepared_give(theirs, two), prepared_first_handle);
    assert_ptr_equal(prepared_find(theirs, prepared_first_handle).get(), two.get());
    assert_null(prepared_find(theirs, prepared_first_handle + 1).get());
    prepared_forget(mine, prepared_first_handle);
    assert_null(prepared_find(mine, prepared_first_handle).get());
    assert_int_equal(prepared_give(mine, two), prepared_first_handle + 2);
    prepared_forget_all(mine);
    assert_true(mine.known.empty() && mine.bytes == 0);
    assert_int_equal(prepared_give(mine, two), prepared_first_handle + 3);
}

static void numbers_begin_anew_without_meeting_one_in_use(void **) {
    fixture f;
    prepared_book book;
    assert_int_equal(prepared_give(book, f.make("SELECT 1")), prepared_first_handle);
    book.next = prepared_last_handle;
    assert_int_equal(prepared_give(book, f.make("SELECT 1")), prepared_last_handle);
    assert_int_equal(prepared_give(book, f.make("SELECT 1")), prepared_first_handle + 1);
}

static void a_session_can_have_only_so_many(void **) {
    fixture f;
    prepared_book book;
    prepared_ptr one = f.make("SELECT 1");
    for (size_t i = 0; i < prepared_handles_max; ++i)
        assert_int_not_equal(prepared_give(book, one), 0);
    assert_int_equal(prepared_give(book, one), 0);
    prepared_forget(book, prepared_first_handle);
    assert_int_not_equal(prepared_give(book, one), 0);
    prepared_book large;
    prepared_ptr text = f.make("SELECT '" + std::string(20'000, 'x') + "'");
    size_t given = 0;
    while (prepared_give(large, text) != 0)
        ++given;
    assert_true(given == prepared_bytes_max / (text->text.statement.size() + text->text.declaration.size()));
}

static void the_least_recently_used_goes(void **) {
    fixture f;
    prepared_list list;
    prepared_ptr a = f.make("SELECT 1"), b = f.make("SELECT 2"), c = f.make("SELECT 3");
    prepared_add(list, a, 11, 2);
    prepared_add(list, b, 12, 2);
    assert_int_equal(prepared_here(list, a.get()), 11);
    prepared_add(list, c, 13, 2);
    assert_int_equal(prepared_here(list, b.get()), 0);
    assert_int_equal(prepared_here(list, c.get()), 13);
    assert_string_equal(prepared_end_batch(list).c_str(), "EXEC sp_unprepare 12;");
}

static void a_statement_has_one_handle_there(void **) {
    fixture f;
    prepared_list list;
    prepared_ptr a = f.make("SELECT 1"), b = f.make("SELECT 2");
    prepared_add(list, a, 11, 8);
    prepared_add(list, a, 12, 8);
    prepared_add(list, a, 12, 8);
    assert_int_equal(prepared_here(list, a.get()), 12);
    assert_string_equal(prepared_end_batch(list).c_str(), "EXEC sp_unprepare 11;");
    prepared_add(list, b, 13, 8);
    assert_true(prepared_retire(list, {a}));
    assert_false(prepared_retire(list, {a}));
    assert_string_equal(prepared_end_batch(list).c_str(), "EXEC sp_unprepare 11;EXEC sp_unprepare 13;");
    prepared_remove(list, a.get());
    assert_int_equal(prepared_here(list, a.get()), 0);
    prepared_clear(list);
    assert_string_equal(prepared_end_batch(list).c_str(), "");
}

static void it_is_made_where_it_belongs(void **) {
    fixture f;
    prepared_ptr a = f.make("SELECT 'it''s'");
    assert_string_equal(prepared_make_batch(*a, "d").c_str(),
                        "DECLARE @tdsbouncer int;EXEC sp_prepare @tdsbouncer OUTPUT,NULL,N'SELECT ''it''''s''';"
                        "SELECT CAST(@tdsbouncer AS nvarchar(12))");
    std::string elsewhere = prepared_make_batch(*a, "e]f");
    assert_true(elsewhere.starts_with("USE [d];"));
    assert_true(elsewhere.find(";USE [e]]f];SELECT") != std::string::npos);
}

static void forgotten_statements_are_swept(void **) {
    fixture f;
    prepared_ptr kept = f.make("SELECT 0");
    for (int i = 1; i < 200; ++i)
        f.make("SELECT " + std::to_string(i));
    prepared_sweep(f.table);
    assert_int_equal(f.table.known.size(), 1);
    assert_ptr_equal(f.make("SELECT 0").get(), kept.get());
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(equal_statements_are_one),
        cmocka_unit_test(the_effect_is_that_of_one_execution),
        cmocka_unit_test(a_session_has_handles_of_its_own),
        cmocka_unit_test(numbers_begin_anew_without_meeting_one_in_use),
        cmocka_unit_test(a_session_can_have_only_so_many),
        cmocka_unit_test(the_least_recently_used_goes),
        cmocka_unit_test(a_statement_has_one_handle_there),
        cmocka_unit_test(it_is_made_where_it_belongs),
        cmocka_unit_test(forgotten_statements_are_swept),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
