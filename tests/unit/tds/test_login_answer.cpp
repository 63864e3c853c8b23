// Login responses taken apart, as recorded from Babelfish and as SQL Server orders them, and what is refused.
#include <random> // before cmocka.h, which makes `fail` a macro

#include <string>
#include <vector>

#include "cmocka_cpp.h"

#include "tds/login_tokens.h"

static void test_recorded_babelfish(void **) {
    struct {
        const char *name;
        uint32_t asked, version, packet_size;
        const char *database, *language;
        size_t notices;
    } cases[] = {
        {"freetds-tsql", tds_7_4, tds_7_4, 0, "labdb", "us_english", 2},
        {"freetds-tsql-tds7.1", tds_7_1_sp1, tds_7_1_sp1, 0, "labdb", "us_english", 2},
        {"jtds", tds_7_1_sp1, tds_7_1_sp1, 4096, "labdb", "", 1},
        {"go-mssqldb-packet_size", tds_7_4, tds_7_4, 32764, "labdb", "", 1},
        {"tedious-bigpacket", tds_7_4, tds_7_4, 16384, "master", "us_english", 2},
    };
    for (const auto &c : cases) {
        tds_login_answer a;
        assert_int_equal(parse(recorded_answer(c.name), a, c.asked), e::none);
        assert_int_equal(a.outcome, tds_login_outcome::accepted);
        assert_int_equal(a.tds_version, c.version);
        assert_int_equal(a.packet_size, c.packet_size);
        assert_string_equal(a.database.c_str(), c.database);
        assert_string_equal(a.language.c_str(), c.language);
        assert_int_equal(a.notices.size(), c.notices);
        assert_int_equal(a.notices[0].number, 0); // Babelfish's way of saying 5701
        assert_int_equal(a.notices[0].about, tds_env_database);
        if (c.notices > 1)
            assert_int_equal(a.notices[1].about, tds_env_language);
        assert_string_equal(a.notices[0].server_name.c_str(), "BABELFISH");
        assert_true(a.has_collation);
        assert_memory_equal(a.collation, collation, 5);
        assert_string_equal(a.program.c_str(), "Microsoft SQL Server");
        assert_int_equal(a.program_version.major, 12);
        assert_int_equal(a.program_version.build, 2000);
        assert_null(tds_login_answer_error(a));
    }
}

static void test_recorded_refusals(void **) {
    struct {
        const char *name;
        int32_t number;
        uint8_t severity;
        const char *words;
    } cases[] = {{"freetds-tsql-failure", 18456, 14, "Login failed for user \"sa\""},
                 {"tedious-bad_db", 911, 16, "database \"nosuchdb\" does not exist"}};
    for (const auto &c : cases) {
        tds_login_answer a;
        assert_int_equal(parse(recorded_answer(c.name), a), e::none);
        assert_int_equal(a.outcome, tds_login_outcome::refused);
        const tds_login_notice *error = tds_login_answer_error(a);
        assert_non_null(error);
        assert_int_equal(error->number, c.number);
        assert_int_equal(error->severity, c.severity);
        assert_int_equal(error->state, 1);
        assert_string_equal(error->text.c_str(), c.words);
        assert_false(tds_login_answer_transient(a));
    }
}

static void test_sql_server(void **) {
    tds_login_answer a;
    assert_int_equal(parse(sql_server_answer(), a), e::none);
    assert_int_equal(a.outcome, tds_login_outcome::accepted);
    assert_string_equal(a.database.c_str(), "tenant");
    assert_string_equal(a.old_database.c_str(), "master");
    assert_int_equal(a.program.size(), 22);
    assert_int_equal(a.program[20], 0);
    assert_int_equal(a.program_version.build, 4135);
    assert_int_equal(a.packet_size, 8000);
    assert_true(a.session_recovery);
    bytes acks = feature_acks();
    assert_true(a.feature_acks == bytes(acks.begin() + 1, acks.end() - 1));
    assert_false(a.routing.present);
}

// A server older than what was asked: its LOGINACK comes behind notices that are already in its own, narrower form.
static void test_server_answers_with_an_older_version(void **) {
    bytes payload = notice(5701, 0, "x", tds_7_1);
    append(payload, loginack(tds_7_1));
    append(payload, done(0, tds_7_1));
    tds_login_answer a;
    assert_int_equal(parse(payload, a, tds_7_4), e::none);
    assert_int_equal(a.tds_version, tds_7_1);
    assert_int_equal(a.notices[0].line, 7);
    bytes oldest = loginack(tds_7_0);
    append(oldest, done(0, tds_7_0));
    assert_int_equal(parse(oldest, a, tds_7_4), e::none);
    assert_int_equal(a.tds_version, tds_7_0);
}

static void test_routing(void **) {
    bytes payload = loginack();
    append(payload, routing(20, 0, 14330, "node2\\inst", ""));
    append(payload, done());
    tds_login_answer a;
    assert_int_equal(parse(payload, a), e::none);
    assert_int_equal(a.outcome, tds_login_outcome::accepted);
    assert_true(a.routing.present);
    assert_int_equal(a.routing.port, 14330);
    assert_string_equal(a.routing.host.c_str(), "node2\\inst");
    assert_string_equal(a.routing.database.c_str(), "");
    payload = loginack();
    append(payload, routing(21, 0, 1, "h", "db2"));
    append(payload, done());
    assert_int_equal(parse(payload, a), e::none);
    assert_string_equal(a.routing.database.c_str(), "db2");
    for (const bytes &bad : {routing(20, 1, 1433, "h", ""), routing(20, 0, 0, "h", ""), routing(20, 0, 1433, "", "")}) {
        payload = loginack();
        append(payload, bad);
        append(payload, done());
        assert_int_equal(parse(payload), e::bad_field);
    }
}

static void test_tokens_for_the_client(void **) {
    bytes blob{1, 2, 3, 4, 5};
    tds_login_answer a;
    assert_int_equal(parse(token(0xed, blob), a), e::none);
    assert_int_equal(a.outcome, tds_login_outcome::token);
    assert_true(a.sspi == blob);
    bytes info{0xee, 5, 0, 0, 0, 1, 2, 3, 4, 5};
    assert_int_equal(parse(info, a), e::none);
    assert_int_equal(a.outcome, tds_login_outcome::token);
    assert_true(a.fedauth_info == blob);
    append(info, done());
    assert_int_equal(parse(info, a), e::none);
    assert_int_equal(a.outcome, tds_login_outcome::token);
    // The last round: the blob comes with the LOGINACK.
    bytes last = token(0xed, blob);
    append(last, loginack());
    append(last, done());
    assert_int_equal(parse(last, a), e::none);
    assert_int_equal(a.outcome, tds_login_outcome::accepted);
    assert_true(a.sspi == blob);
    bytes refused = token(0xed, blob);
    append(refused, notice(18452, 14, "untrusted domain"));
    append(refused, done(tds_done_error));
    assert_int_equal(parse(refused, a), e::none);
    assert_int_equal(a.outcome, tds_login_outcome::refused);
}

static void test_refused_even_with_loginack(void **) {
    bytes payload = loginack();
    append(payload, notice(4064, 11, "Cannot open user default database."));
    append(payload, done(tds_done_error));
    tds_login_answer a;
    assert_int_equal(parse(payload, a), e::none);
    assert_int_equal(a.outcome, tds_login_outcome::refused);
}

// An ERROR beside a LOGINACK and a good DONE is a warning: a client without fDatabase asked for an unknown database.
static void test_warning_does_not_refuse(void **) {
    bytes payload = notice(4060, 11, "Cannot open database.");
    append(payload, loginack());
    append(payload, done());
    tds_login_answer a;
    assert_int_equal(parse(payload, a), e::none);
    assert_int_equal(a.outcome, tds_login_outcome::accepted);
    assert_int_equal(tds_login_answer_error(a)->number, 4060);
}

static void test_several_groups_in_one_envchange(void **) {
    bytes body{1, 2, 'd', 0, 'b', 0, 0, 2, 1, 'l', 0, 1, 'm', 0};
    bytes payload = token(tds_token_envchange, body);
    append(payload, token(tds_token_envchange, {99, 1, 2, 3})); // unknown type: skipped by its length
    append(payload, token(tds_token_envchange, {7, 0, 0}));     // no collation
    append(payload, loginack());
    append(payload, bytes{0xe4, 3, 0, 0, 0, 0, 0, 0}); // SESSIONSTATE
    append(payload, done());
    tds_login_answer a;
    assert_int_equal(parse(payload, a), e::none);
    assert_string_equal(a.database.c_str(), "db");
    assert_string_equal(a.language.c_str(), "l");
    assert_string_equal(a.old_language.c_str(), "m");
    assert_false(a.has_collation);
}

static void test_transient(void **) {
    for (int32_t number : {40613, 18401, 10928, 18456}) {
        bytes payload = notice(number, 16, "no");
        append(payload, notice(18456, 14, "Login failed."));
        append(payload, done(tds_done_error));
        tds_login_answer a;
        assert_int_equal(parse(payload, a), e::none);
        assert_int_equal(tds_login_answer_transient(a), number != 18456);
    }
    bytes info = notice(40613, 10, "only a remark");
    append(info, done(tds_done_error));
    tds_login_answer a;
    assert_int_equal(parse(info, a), e::none);
    assert_false(tds_login_answer_transient(a));
}

// ---- malformed

static void test_malformed(void **) {
    const bytes ack = loginack(), end = done();
    auto with = [&](const bytes &before) {
        bytes payload = before;
        append(payload, ack);
        append(payload, end);
        return parse(payload);
    };
    assert_int_equal(with({}), e::none);
    assert_int_equal(parse({}), e::empty);
    assert_int_equal(parse(ack), e::no_end);
    assert_int_equal(parse(done(tds_done_more)), e::no_end);
    bytes late = ack;
    append(late, end);
    append(late, end);
    assert_int_equal(parse(late), e::after_end);
    assert_int_equal(with({0x81, 0, 0}), e::bad_token);
    assert_int_equal(with({0}), e::bad_token);
    assert_int_equal(with(token(tds_token_envchange, {})), e::bad_field);
    assert_int_equal(with(token(tds_token_envchange, {1, 9, 'x', 0})), e::bad_field);
    assert_int_equal(with(token(tds_token_envchange, {1, 0})), e::bad_field); // without old value
    assert_int_equal(with(token(tds_token_envchange, {7, 4, 1, 2, 3, 4, 0})), e::bad_field);
    assert_int_equal(with(env(tds_env_packet_size, "511", "")), e::bad_field);
    assert_int_equal(with(env(tds_env_packet_size, "32768", "")), e::bad_field);
    assert_int_equal(with(env(tds_env_packet_size, "4x96", "")), e::bad_field);
    assert_int_equal(with(env(tds_env_packet_size, "", "")), e::bad_field);
    assert_int_equal(with(env(tds_env_packet_size, "4294971392", "")), e::bad_field);
    bytes longer = notice(1, 0, "x");
    longer.push_back(0);
    longer[1] = static_cast<uint8_t>(longer[1] + 1);
    assert_int_equal(with(longer), e::bad_field);
    bytes unknown = ack;
    unknown[4] = 0x05; // LOGINACK's TDSVersion
    append(unknown, end);
    assert_int_equal(parse(unknown), e::bad_field);
    assert_int_equal(with({0xae, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0xff}), e::bad_features);
    assert_int_equal(with({0xae, 1, 0xff, 0xff, 0xff, 0xff}), e::bad_features);
    assert_int_equal(parse({0xe4, 0xff, 0xff, 0xff, 0xff, 0}), e::truncated);
    assert_int_equal(parse({0xee, 0xff, 0xff, 0xff, 0xff, 0}), e::truncated);
    bytes huge(tds_login_answer_max + 1, 0xfd);
    assert_int_equal(parse(huge), e::too_long);
}

static void test_cut_at_every_byte(void **) {
    bytes whole = sql_server_answer();
    assert_int_equal(parse(whole), e::none);
    for (size_t n = 0; n < whole.size(); ++n) {
        e error = parse({whole.begin(), whole.begin() + static_cast<long>(n)});
        assert_int_not_equal(error, e::none);
        assert_true(*tds_answer_error_text(error) != 0);
    }
}

static void test_mangled(void **) {
    std::mt19937 random(3);
    for (const bytes &whole : {sql_server_answer(), recorded_answer("freetds-tsql"), recorded_answer("tedious-bad_db")})
        for (int round = 0; round < 5000; ++round) {
            bytes changed = whole;
            for (auto k = random() % 6 + 1; k-- > 0;)
                changed[random() % changed.size()] = static_cast<uint8_t>(random());
            (void)parse(changed);
        }
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded_babelfish),
        cmocka_unit_test(test_recorded_refusals),
        cmocka_unit_test(test_sql_server),
        cmocka_unit_test(test_server_answers_with_an_older_version),
        cmocka_unit_test(test_routing),
        cmocka_unit_test(test_tokens_for_the_client),
        cmocka_unit_test(test_refused_even_with_loginack),
        cmocka_unit_test(test_warning_does_not_refuse),
        cmocka_unit_test(test_several_groups_in_one_envchange),
        cmocka_unit_test(test_transient),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_cut_at_every_byte),
        cmocka_unit_test(test_mangled),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
