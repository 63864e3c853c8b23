// Session state: what a SET does to it, what leads from one state to another, and in which order.
#include <set>
#include <string>

#include "cmocka_cpp.h"

#include "tds/session_option.h"

static tds_session_state fresh() {
    tds_session_state s;
    tds_state_reset(s, "db", "us_english");
    return s;
}

static void test_names(void **) {
    std::set<std::string> names;
    for (size_t i = 0; i < tds_option_count; ++i) {
        auto option = static_cast<tds_option>(i);
        names.insert(tds_option_name(option));
        tds_option found = tds_option_find(tds_option_name(option));
        assert_true(found == (option == tds_option::isolation_level ? tds_option::count_ : option));
    }
    assert_int_equal(names.size(), tds_option_count);
    assert_true(tds_option_find("nocount") == tds_option::count_);
    assert_true(tds_option_find("FMTONLY") == tds_option::count_);
    assert_true(tds_option_find("IO") == tds_option::count_);
    assert_true(tds_option_find("STATISTICS IO") == tds_option::statistics_io);
    assert_true(tds_option_is_switch(tds_option::nocount));
    for (auto option : {tds_option::dateformat, tds_option::datefirst, tds_option::deadlock_priority,
                        tds_option::lock_timeout, tds_option::query_governor_cost_limit, tds_option::textsize,
                        tds_option::isolation_level, tds_option::rowcount})
        assert_false(tds_option_is_switch(option));
}

static void test_equal_states_need_nothing(void **) {
    tds_session_state s = fresh();
    tds_state_set(s, tds_option::nocount, "ON");
    assert_true(tds_state_reachable(s, s));
    assert_string_equal(tds_state_batch(s, s).c_str(), "");
}

// The order is the header's: what LANGUAGE changes comes behind it, what keeps rows from being counted last.
static void test_order(void **) {
    tds_session_state from = fresh(), to = fresh();
    to.database = "my]db";
    tds_state_set(to, tds_option::rowcount, "5");
    tds_state_set(to, tds_option::isolation_level, "SNAPSHOT");
    tds_state_set(to, tds_option::lock_timeout, "-1");
    tds_state_set(to, tds_option::statistics_io, "ON");
    tds_state_set_language(to, "fran'ais");
    tds_state_set(to, tds_option::dateformat, "dmy");
    assert_true(tds_state_reachable(from, to));
    assert_string_equal(tds_state_batch(from, to).c_str(),
                        "USE [my]]db];SET LANGUAGE N'fran''ais';SET DATEFORMAT dmy;SET LOCK_TIMEOUT -1;"
                        "SET STATISTICS IO ON;SET TRANSACTION ISOLATION LEVEL SNAPSHOT;SET ROWCOUNT 5;");
}

static void test_only_the_difference(void **) {
    tds_session_state from = fresh(), to = fresh();
    tds_state_set(from, tds_option::ansi_nulls, "ON");
    tds_state_set(from, tds_option::nocount, "ON");
    tds_state_set(to, tds_option::ansi_nulls, "ON");
    tds_state_set(to, tds_option::nocount, "OFF");
    assert_true(tds_state_reachable(from, to));
    assert_string_equal(tds_state_batch(from, to).c_str(), "SET NOCOUNT OFF;");
}

// No SET leads back to a login's default.
static void test_back_to_default(void **) {
    tds_session_state from = fresh(), to = fresh();
    tds_state_set(from, tds_option::textsize, "100");
    assert_false(tds_state_reachable(from, to));
    assert_true(tds_state_reachable(to, from));
    tds_state_reset(from, "db", "us_english");
    assert_true(tds_state_reachable(from, to));
    assert_string_equal(tds_state_batch(from, to).c_str(), "");
}

static void test_reset_keeps_isolation(void **) {
    tds_session_state s = fresh();
    tds_state_set(s, tds_option::isolation_level, "SERIALIZABLE");
    tds_state_set(s, tds_option::nocount, "ON");
    tds_state_set_language(s, "Deutsch");
    tds_state_reset(s, "other", "us_english");
    assert_string_equal(s[tds_option::isolation_level].c_str(), "SERIALIZABLE");
    assert_string_equal(s[tds_option::nocount].c_str(), "");
    assert_string_equal(s.database.c_str(), "other");
    assert_string_equal(tds_state_batch(s, fresh()).c_str(),
                        "USE [db];SET TRANSACTION ISOLATION LEVEL READ COMMITTED;");
}

static void test_null_defaults_turn_each_other_off(void **) {
    tds_session_state s = fresh();
    tds_state_set(s, tds_option::ansi_null_dflt_on, "ON");
    assert_string_equal(s[tds_option::ansi_null_dflt_off].c_str(), "OFF");
    tds_state_set(s, tds_option::ansi_null_dflt_off, "ON");
    assert_string_equal(s[tds_option::ansi_null_dflt_on].c_str(), "OFF");
    tds_state_set(s, tds_option::ansi_null_dflt_off, "OFF");
    assert_string_equal(s[tds_option::ansi_null_dflt_on].c_str(), "OFF");
}

// SET LANGUAGE takes DATEFORMAT and DATEFIRST with it: those that were set before are gone, on the server too.
static void test_language_and_dates(void **) {
    tds_session_state from = fresh(), to = fresh();
    tds_state_set(from, tds_option::dateformat, "dmy");
    tds_state_set(from, tds_option::datefirst, "1");
    assert_true(tds_state_reachable(from, to)); // by the language
    assert_string_equal(tds_state_batch(from, to).c_str(), "SET LANGUAGE us_english;");
    tds_state_set(to, tds_option::dateformat, "dmy");
    assert_string_equal(tds_state_batch(from, to).c_str(), "SET LANGUAGE us_english;SET DATEFORMAT dmy;");
    tds_state_set_language(to, "Deutsch");
    assert_string_equal(to[tds_option::dateformat].c_str(), "");
    tds_state_set(to, tds_option::dateformat, "dmy");
    tds_state_set(to, tds_option::datefirst, "1");
    assert_string_equal(tds_state_batch(from, to).c_str(), "SET LANGUAGE Deutsch;SET DATEFORMAT dmy;SET DATEFIRST 1;");
}

static void test_unknown_database_and_language(void **) {
    tds_session_state from = fresh(), to = fresh();
    to.database.clear();
    assert_false(tds_state_reachable(from, to));
    assert_true(tds_state_reachable(to, from));
    assert_string_equal(tds_state_batch(to, from).c_str(), "USE [db];");
    to = fresh();
    to.language.clear();
    assert_false(tds_state_reachable(from, to));
    assert_string_equal(tds_state_batch(to, from).c_str(), "SET LANGUAGE us_english;");
}

static void test_forget(void **) {
    tds_session_state s = fresh();
    tds_state_set(s, tds_option::nocount, "ON");
    tds_state_set(s, tds_option::rowcount, "1");
    tds_state_set(s, tds_option::isolation_level, "SNAPSHOT");
    tds_state_forget(s, tds_option_bit(tds_option::nocount) | tds_option_bit(tds_option::isolation_level));
    assert_string_equal(s[tds_option::nocount].c_str(), "");
    assert_string_equal(s[tds_option::rowcount].c_str(), "1");
    assert_string_equal(s[tds_option::isolation_level].c_str(), "SNAPSHOT");
}

static void test_key(void **) {
    tds_session_state a = fresh(), b = fresh();
    assert_true(tds_state_key(a) == tds_state_key(b));
    tds_state_set(b, tds_option::nocount, "ON");
    assert_false(tds_state_key(a) == tds_state_key(b));
    tds_state_reset(a, "x3:y", "z");
    tds_state_reset(b, "x", "y1:z");
    assert_false(tds_state_key(a) == tds_state_key(b));
    b = a;
    tds_state_set(a, tds_option::textsize, "10");
    tds_state_set(b, tds_option::rowcount, "10");
    assert_false(tds_state_key(a) == tds_state_key(b));
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_equal_states_need_nothing),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_only_the_difference),
        cmocka_unit_test(test_back_to_default),
        cmocka_unit_test(test_reset_keeps_isolation),
        cmocka_unit_test(test_null_defaults_turn_each_other_off),
        cmocka_unit_test(test_language_and_dates),
        cmocka_unit_test(test_unknown_database_and_language),
        cmocka_unit_test(test_forget),
        cmocka_unit_test(test_key),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
