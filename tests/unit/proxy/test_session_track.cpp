// What pins a session and what frees it: requests and answers in, pins and questions out.
#include "proxy/session_track.h"

#include <cstring>

#include "tds/packet.h"

#include "cmocka_cpp.h" // last: it defines fail()

using reason = pin_reason;

struct fixture {
    session_track track;
    tds_session_state settings;
    track_outcome outcome{.cancelled = false, .announced = true, .in_transaction = false, .implicit = false};

    fixture() { settings.database = "a", settings.language = "us_english"; }
};

static tds_walk_message answer(uint32_t errors = 0) {
    tds_walk_message m;
    m.errors = errors;
    return m;
}

static void add_return(tds_walk_message &m, int32_t value) {
    m.returns[m.returns_count].is_int = true;
    m.returns[m.returns_count++].value = value;
}

static void request(fixture &f, const tds_request_info &info, const tds_walk_message &m = answer()) {
    tds_session_state before = f.settings;
    track_request(f.track, info, m, f.outcome, f.settings);
    if (!track_sets(info, m)) // then the caller has given it settings of nobody's
        assert_true(f.settings == before);
}

static tds_request_info batch(const tsql_effect &e) {
    tds_request_info info;
    info.type = tds_type_sql_batch;
    info.effect = e;
    return info;
}

static tds_request_info call(tds_proc proc, int32_t first = 0) {
    tds_request_info info;
    info.type = tds_type_rpc;
    tds_rpc_call c;
    c.proc = proc;
    c.has_first = first != 0;
    c.first = first;
    info.calls.push_back(c);
    return info;
}

static tsql_effect setting(tds_option option, const char *value) {
    tsql_effect e;
    e.sets.push_back({option, value});
    return e;
}

// What the ask batch brings: transactions, the four values, then whatever was asked.
static tds_small_result row(std::initializer_list<const char *> values) {
    tds_small_result r;
    r.rows.emplace_back();
    for (const char *v : values)
        r.rows.back().push_back(v != nullptr ? std::optional<std::string>(v) : std::nullopt);
    return r;
}

static void what_can_be_replayed_pins_nobody(void **) {
    fixture f;
    request(f, batch(setting(tds_option::nocount, "ON")));
    assert_int_equal(track_pins(f.track), 0);
    assert_false(track_asks(f.track));
    assert_string_equal(f.settings[tds_option::nocount].c_str(), "ON");
}

static void settings_behind_an_error_are_asked_for(void **) {
    fixture f;
    request(f, batch(setting(tds_option::nocount, "ON")), answer(1));
    assert_true(track_asks(f.track));
    assert_string_equal(f.settings[tds_option::nocount].c_str(), "");
    assert_non_null(strstr(track_question(f.track).c_str(), "@@OPTIONS"));
    last_values v;
    assert_true(track_answers(f.track, row({"0", nullptr, nullptr, "0", "0", "512", "7", "-1"}), f.settings, v));
    assert_string_equal(f.settings[tds_option::nocount].c_str(), "ON");
    assert_false(track_asks(f.track));
    assert_int_equal(track_pins(f.track), 0);
}

static void what_nobody_can_read_back_pins(void **) {
    fixture f;
    request(f, batch(setting(tds_option::rowcount, "5")), answer(1));
    assert_int_equal(track_pins(f.track), pin_bit(reason::session_state));
}

static void useroptions_are_read_where_needed(void **) {
    fixture f;
    f.outcome.cancelled = true;
    request(f, batch(setting(tds_option::isolation_level, "SERIALIZABLE")));
    assert_non_null(strstr(track_question(f.track).c_str(), "DBCC USEROPTIONS"));
    tds_small_result r = row({"0", "7", "7", "1", "0", "0", "7", "-1"});
    r.rows.push_back({"textsize", "4096"});
    r.rows.push_back({"isolation level", "read committed snapshot"});
    last_values v;
    assert_true(track_answers(f.track, r, f.settings, v));
    assert_string_equal(f.settings[tds_option::isolation_level].c_str(), "READ COMMITTED");
    assert_string_equal(v.identity->c_str(), "7");
    r.rows.pop_back();
    f.track.doubtful = tds_option_bit(tds_option::isolation_level);
    assert_false(track_answers(f.track, r, f.settings, v)); // the row is not there
}

static void a_transaction_pins_while_the_tokens_say_so(void **) {
    fixture f;
    f.outcome.in_transaction = true;
    request(f, batch({}));
    assert_int_equal(track_pins(f.track), pin_bit(reason::transaction));
    assert_false(track_asks(f.track));
    f.outcome.in_transaction = false;
    request(f, batch({}));
    assert_int_equal(track_pins(f.track), 0);
}

static void a_silent_server_is_asked_unless_the_text_is_harmless(void **) {
    fixture f;
    f.outcome.announced = false;
    request(f, batch({}));
    assert_false(track_asks(f.track));
    tsql_effect e;
    e.transactions = true;
    request(f, batch(e));
    assert_true(track_asks(f.track));
    last_values v;
    assert_true(track_answers(f.track, row({"2", nullptr, nullptr, "1", "0"}), f.settings, v));
    assert_int_equal(track_pins(f.track), pin_bit(reason::transaction));
    request(f, batch({}));
    assert_false(track_asks(f.track)); // a SELECT in it
    request(f, batch({}), answer(1));  // an error may have ended it
    assert_true(track_asks(f.track));
    assert_true(track_answers(f.track, row({"0", nullptr, nullptr, "1", "0"}), f.settings, v));
    assert_int_equal(track_pins(f.track), 0);
    f.outcome.implicit = true;
    request(f, batch({}));
    assert_true(track_asks(f.track));
}

static void temp_tables_pin_until_all_are_gone(void **) {
    fixture f;
    tsql_effect made;
    made.temps = {"#a", "#B"};
    request(f, batch(made));
    assert_int_equal(track_pins(f.track), pin_bit(reason::temp_table));
    assert_false(track_asks(f.track));
    tsql_effect dropped;
    dropped.drops_temps = true;
    request(f, batch(dropped));
    assert_true(track_asks(f.track));
    std::string question = track_question(f.track);
    assert_non_null(
        strstr(question.c_str(), "OBJECT_ID(N'tempdb..[#a]') IS NULL AND OBJECT_ID(N'tempdb..[#B]') IS NULL"));
    last_values v;
    assert_true(track_answers(f.track, row({"0", nullptr, nullptr, "0", "0", "1"}), f.settings, v));
    assert_int_equal(track_pins(f.track), pin_bit(reason::temp_table));
    request(f, batch(dropped));
    assert_true(track_answers(f.track, row({"0", nullptr, nullptr, "0", "0", "0"}), f.settings, v));
    assert_int_equal(track_pins(f.track), 0);
}

// A rollback takes the DROP back.
static void a_temp_table_dropped_in_a_transaction_is_looked_for_at_its_end(void **) {
    for (bool announced : {true, false}) {
        for (const char *left : {"0", "1"}) {
            fixture f;
            last_values v;
            f.outcome.announced = announced;
            tsql_effect made, begun, dropped, ended;
            made.temps = {"#a"};
            request(f, batch(made));
            begun.transactions = dropped.drops_temps = true;
            f.outcome.in_transaction = announced;
            request(f, batch(begun));
            assert_true(announced || track_answers(f.track, row({"1", nullptr, nullptr, "1", "0"}), f.settings, v));
            request(f, batch(dropped));
            assert_true(track_answers(f.track, row({"1", nullptr, nullptr, "1", "0", "0"}), f.settings, v));
            assert_int_equal(track_pins(f.track), pin_bit(reason::transaction));
            assert_false(track_asks(f.track));
            f.outcome.in_transaction = false;
            ended.transactions = true;
            request(f, batch(ended));
            assert_true(track_asks(f.track));
            assert_true(announced || track_answers(f.track, row({"0", nullptr, nullptr, "1", "0"}), f.settings, v));
            assert_non_null(strstr(track_question(f.track).c_str(), "[#a]"));
            assert_true(track_answers(f.track, row({"0", nullptr, nullptr, "1", "0", left}), f.settings, v));
            assert_false(track_asks(f.track));
            assert_int_equal(track_pins(f.track), left[0] == '0' ? 0 : pin_bit(reason::temp_table));
        }
    }
}

static void more_temp_tables_than_can_be_named_pin_for_good(void **) {
    fixture f;
    for (int i = 0; i < 100; ++i) {
        tsql_effect made;
        made.temps = {"#" + std::to_string(i)};
        request(f, batch(made));
    }
    tsql_effect dropped;
    dropped.drops_temps = true;
    request(f, batch(dropped));
    last_values v;
    assert_true(track_answers(f.track, row({"0", nullptr, nullptr, "0", "0", "0"}), f.settings, v));
    assert_int_equal(track_pins(f.track), pin_bit(reason::temp_table));
}

static void cursors_of_rpcs_pin_until_closed(void **) {
    fixture f;
    tds_walk_message opened = answer();
    add_return(opened, 180150001);
    request(f, call(tds_proc::cursor_open), opened);
    assert_int_equal(track_pins(f.track), pin_bit(reason::cursor));
    request(f, call(tds_proc::cursor_close, 180150001), answer(1));
    assert_int_equal(track_pins(f.track), pin_bit(reason::cursor)); // the server refused
    request(f, call(tds_proc::cursor_close, 180150001));
    assert_int_equal(track_pins(f.track), 0);
    tds_walk_message closed_at_once = answer();
    add_return(closed_at_once, 0);
    request(f, call(tds_proc::cursor_open), closed_at_once);
    assert_int_equal(track_pins(f.track), 0);
}

static void a_fetch_may_close_its_cursor(void **) {
    fixture f;
    tds_walk_message m = answer();
    add_return(m, 5);
    request(f, call(tds_proc::cursor_open), m);
    tds_walk_message fetched = answer();
    fetched.has_return_status = true;
    request(f, call(tds_proc::cursor_fetch, 5), fetched);
    assert_int_equal(track_pins(f.track), pin_bit(reason::cursor));
    fetched.return_status = 0x10;
    request(f, call(tds_proc::cursor_fetch, 5), fetched);
    assert_int_equal(track_pins(f.track), 0);
}

static void prepared_cursors_have_two_handles(void **) {
    fixture f;
    tds_walk_message m = answer();
    add_return(m, 0x40000001);
    add_return(m, 7);
    request(f, call(tds_proc::cursor_prepexec), m);
    request(f, call(tds_proc::cursor_close, 7));
    assert_int_equal(track_pins(f.track), pin_bit(reason::cursor));
    request(f, call(tds_proc::cursor_unprepare, 0x40000001));
    assert_int_equal(track_pins(f.track), 0);
}

// Those of the other procedures are known by proxy/prepared_calls.
static void handles_of_prepexecrpc_pin(void **) {
    fixture f;
    tds_walk_message first = answer();
    add_return(first, 1);
    request(f, call(tds_proc::prepare), first);
    assert_int_equal(track_pins(f.track), 0);
    request(f, call(tds_proc::prepexec_rpc), first);
    assert_int_equal(track_pins(f.track), pin_bit(reason::handle));
}

static void bulk_load_pins_for_one_request(void **) {
    fixture f;
    tsql_effect e;
    e.bulk_load = true;
    request(f, batch(e));
    assert_int_equal(track_pins(f.track), pin_bit(reason::bulk_load));
    assert_false(track_asks(f.track));
    tds_request_info data;
    data.type = tds_type_bulk;
    request(f, data);
    assert_int_equal(track_pins(f.track), 0);
}

static void state_pins_until_it_is_off(void **) {
    fixture f;
    tsql_effect on, off;
    on.turned_on = tsql_no_execution;
    on.marks = {{tsql_no_execution, "noexec", true, true}};
    off.turned_off = tsql_no_execution;
    off.marks = {{tsql_no_execution, "noexec", false, true}};
    request(f, batch(on));
    assert_int_equal(track_pins(f.track), pin_bit(reason::session_state));
    f.track.ask_transaction = true;
    assert_false(track_asks(f.track)); // nothing of ours would run
    request(f, batch(off), answer(1));
    assert_int_equal(track_pins(f.track), pin_bit(reason::session_state));
    request(f, batch(off));
    assert_int_equal(track_pins(f.track), 0);
}

static void a_language_takes_two_options_with_it(void **) {
    fixture f;
    request(f, batch(setting(tds_option::dateformat, "dmy")));
    tsql_effect e = setting(tds_option::datefirst, "1");
    e.sets_language = true;
    tds_walk_message m = answer();
    m.language_seen = true;
    request(f, batch(e), m);
    assert_string_equal(f.settings[tds_option::dateformat].c_str(), "");
    assert_string_equal(f.settings[tds_option::datefirst].c_str(), "1");
    assert_false(track_asks(f.track));
}

static void a_use_that_no_token_told_of_is_asked_for(void **) {
    fixture f;
    tsql_effect e;
    e.uses_database = true;
    request(f, batch(e));
    assert_true(track_asks(f.track));
    last_values v;
    assert_true(track_answers(f.track, row({"0", nullptr, nullptr, "0", "0", "b", "Deutsch"}), f.settings, v));
    assert_string_equal(f.settings.database.c_str(), "b");
    assert_string_equal(f.settings.language.c_str(), "Deutsch");
    tds_walk_message told = answer();
    told.database_seen = true;
    request(f, batch(e), told);
    assert_false(track_asks(f.track));
    request(f, batch({}), told); // by something that may end with a call
    assert_true(track_asks(f.track));
}

static void the_manager_sets_the_isolation_level(void **) {
    fixture f;
    tds_request_info info;
    info.type = tds_type_transaction;
    info.tm_type = tds_tm_begin;
    info.tm_isolation = 4;
    request(f, info);
    assert_string_equal(f.settings[tds_option::isolation_level].c_str(), "SERIALIZABLE");
}

// No reset takes the level back: where it is not known, it is on that connection only.
static void a_level_that_could_not_be_read_outlives_a_reset(void **) {
    tsql_effect sets;
    sets.sets = {{tds_option::isolation_level, "SERIALIZABLE"}};
    fixture f;
    f.outcome.in_transaction = true;
    request(f, batch(sets), answer(1)); // before the error or behind it
    assert_true(track_asks(f.track) && track_ask_less(f.track));
    track_reset(f.track, true);
    assert_true(f.track.transaction);
    assert_int_equal(track_pins(f.track), pin_bit(reason::session_state) | pin_bit(reason::transaction));
    track_reset(f.track, false);
    assert_int_equal(track_pins(f.track), pin_bit(reason::session_state));
    f.outcome.in_transaction = false;
    request(f, batch(sets));
    assert_int_equal(track_pins(f.track), 0);
    assert_string_equal(f.settings[tds_option::isolation_level].c_str(), "SERIALIZABLE");
    fixture known; // of other settings nothing is left
    tsql_effect others;
    others.sets = {{tds_option::dateformat, "dmy"}};
    request(known, batch(others), answer(1));
    assert_true(track_ask_less(known.track));
    track_reset(known.track, true);
    assert_int_equal(track_pins(known.track), 0);
}

static void an_answer_that_says_something_else_is_refused(void **) {
    fixture f;
    f.track.ask_transaction = true;
    last_values v;
    assert_false(track_answers(f.track, {}, f.settings, v));
    assert_false(track_answers(f.track, row({"1"}), f.settings, v));
    assert_false(track_answers(f.track, row({nullptr, nullptr, nullptr, "0", "0"}), f.settings, v));
    track_give_up(f.track);
    assert_int_equal(track_pins(f.track), pin_bit(reason::session_state));
    assert_false(track_asks(f.track));
}

static void a_procedure_may_leave_what_its_body_does(void **) {
    fixture f;
    tsql_effect body;
    body.turned_on = tsql_session_context;
    body.cursors = {"c"};
    track_procedure(f.track, body);
    assert_int_equal(track_pins(f.track), pin_bit(reason::session_state) | pin_bit(reason::cursor));
    assert_non_null(strstr(track_question(f.track).c_str(), "CURSOR_STATUS('global',N'c')=-3"));
}

static void what_ends_with_a_text_leaves_nothing(void **) {
    fixture f;
    tsql_effect e;
    e.inner = {tds_option_bit(tds_option::rowcount), true, tsql_no_execution, {"#t"}};
    request(f, batch(e));
    assert_int_equal(track_pins(f.track), 0);
    assert_false(track_asks(f.track));
}

static void what_outlives_a_text_is_asked_for(void **) {
    fixture f;
    f.outcome.inner_outlives = true;
    tsql_effect e;
    e.inner = {tds_option_bit(tds_option::nocount), true, 0, {"#t"}};
    request(f, batch(e));
    std::string question = track_question(f.track);
    for (const char *part : {"@@OPTIONS", "DB_NAME()", "#t"})
        assert_non_null(strstr(question.c_str(), part));
    fixture g;
    g.outcome.inner_outlives = true;
    e.inner = {tds_option_bit(tds_option::rowcount), false, 0, {}};
    request(g, batch(e));
    assert_int_equal(track_pins(g.track), pin_bit(reason::session_state));
}

// The text is not in the request that runs it.
static void what_outlives_a_prepared_text_is_asked_for_each_time(void **) {
    fixture f;
    f.outcome.inner_outlives = true;
    tds_request_info info = call(tds_proc::cursor_prepexec);
    info.effect.inner.options = tds_option_bit(tds_option::nocount);
    request(f, info);
    for (int i = 0; i < 2; ++i) {
        f.track.doubtful = 0;
        request(f, call(tds_proc::cursor_execute, 1));
        assert_true(f.track.doubtful == tds_option_bit(tds_option::nocount));
    }
    assert_false(f.track.ask_database);
    request(f, call(tds_proc::cursor_prepare)); // whose text is not read
    request(f, call(tds_proc::cursor_execute, 2));
    assert_true(f.track.ask_database && (f.track.doubtful & tds_option_bit(tds_option::datefirst)) != 0);
}

// Babelfish's SET LANGUAGE does not take it back.
static void a_language_may_leave_the_first_day_alone(void **) {
    fixture f;
    f.outcome.inner_outlives = true;
    tsql_effect e;
    e.sets_language = true;
    tds_walk_message told = answer();
    told.language_seen = true;
    request(f, batch(e), told);
    assert_true(f.track.doubtful == tds_option_bit(tds_option::datefirst));
}

// SESSIONSTATE: what the text does not explain is read back.
static void told_changes_are_read_back(void **) {
    tds_walk_message told = answer();
    told.session_state_seen = true;
    tsql_effect calls;
    calls.calls = true;
    for (const tsql_effect &e : {tsql_effect(), calls}) {
        fixture f;
        request(f, batch(e));
        assert_false(track_asks(f.track));
        request(f, batch(e), told);
        assert_true(track_asks(f.track) && f.track.ask_database && f.track.doubtful != 0);
        assert_int_equal(track_pins(f.track), 0);
    }
    fixture explained;
    request(explained, batch(setting(tds_option::nocount, "ON")), told);
    assert_false(track_asks(explained.track));
}

// Nobody has seen what it is, but the server says that a session like this cannot be had elsewhere.
static void unrecoverable_state_pins(void **) {
    fixture f;
    f.outcome.unrecoverable = true;
    request(f, batch({}));
    assert_int_equal(track_pins(f.track), pin_bit(reason::session_state));
    f.outcome.in_transaction = true; // that explains it
    request(f, batch({}));
    assert_int_equal(track_pins(f.track), pin_bit(reason::transaction));
    f.outcome.in_transaction = f.outcome.unrecoverable = false;
    request(f, batch({}));
    assert_int_equal(track_pins(f.track), 0);
}

// A #table made in a transaction is gone with its rollback: looked for when the transaction ends.
static void temps_are_looked_for_when_a_transaction_ends(void **) {
    for (bool announced : {true, false}) {
        fixture f;
        f.outcome.announced = announced;
        f.outcome.in_transaction = true;
        tsql_effect made;
        made.temps = {"#t"};
        made.transactions = true;
        request(f, batch(made));
        f.track.transaction = true;
        f.track.ask_transaction = false;
        request(f, batch({}));
        assert_false(f.track.ask_temps);
        f.outcome.in_transaction = false;
        tsql_effect ends;
        ends.transactions = true;
        request(f, batch(ends));
        assert_true(f.track.ask_temps);
    }
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(temps_are_looked_for_when_a_transaction_ends),
        cmocka_unit_test(told_changes_are_read_back),
        cmocka_unit_test(unrecoverable_state_pins),
        cmocka_unit_test(what_can_be_replayed_pins_nobody),
        cmocka_unit_test(what_ends_with_a_text_leaves_nothing),
        cmocka_unit_test(a_language_may_leave_the_first_day_alone),
        cmocka_unit_test(what_outlives_a_text_is_asked_for),
        cmocka_unit_test(what_outlives_a_prepared_text_is_asked_for_each_time),
        cmocka_unit_test(settings_behind_an_error_are_asked_for),
        cmocka_unit_test(what_nobody_can_read_back_pins),
        cmocka_unit_test(useroptions_are_read_where_needed),
        cmocka_unit_test(a_transaction_pins_while_the_tokens_say_so),
        cmocka_unit_test(a_silent_server_is_asked_unless_the_text_is_harmless),
        cmocka_unit_test(temp_tables_pin_until_all_are_gone),
        cmocka_unit_test(a_temp_table_dropped_in_a_transaction_is_looked_for_at_its_end),
        cmocka_unit_test(more_temp_tables_than_can_be_named_pin_for_good),
        cmocka_unit_test(cursors_of_rpcs_pin_until_closed),
        cmocka_unit_test(a_fetch_may_close_its_cursor),
        cmocka_unit_test(prepared_cursors_have_two_handles),
        cmocka_unit_test(handles_of_prepexecrpc_pin),
        cmocka_unit_test(bulk_load_pins_for_one_request),
        cmocka_unit_test(state_pins_until_it_is_off),
        cmocka_unit_test(a_language_takes_two_options_with_it),
        cmocka_unit_test(a_use_that_no_token_told_of_is_asked_for),
        cmocka_unit_test(the_manager_sets_the_isolation_level),
        cmocka_unit_test(a_level_that_could_not_be_read_outlives_a_reset),
        cmocka_unit_test(an_answer_that_says_something_else_is_refused),
        cmocka_unit_test(a_procedure_may_leave_what_its_body_does),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
