// What the walker learns of session and message from the tokens.
#include "cmocka_cpp.h"

#include "tds/token_samples.h"

// A walker that stays for several messages.
struct fixture {
    tds_walker w;
    bytes forwarded;

    explicit fixture(uint32_t version = tds_7_4) { tds_walk_init(w, options_of(version)); }
    bool feed(const bytes &payload) { return feed_message(w, payload, {payload.size()}, forwarded); }
};

static const bytes begin_1 = change(tds_env_begin, descriptor_1, {});
static const bytes commit_1 = change(tds_env_commit, {}, descriptor_1);

static void test_transaction_state(void **) {
    fixture f;
    assert_false(f.w.session.in_transaction);
    assert_true(f.feed(begin_1 + done(0)));
    assert_true(f.w.session.in_transaction && f.w.message.transaction_seen);
    assert_memory_equal(f.w.session.descriptor, descriptor_1.data(), 8);
    assert_true(f.feed(notice(1, 16) + done(tds_done_error)));
    assert_true(f.w.session.in_transaction);
    assert_false(f.w.message.transaction_seen);
    for (uint8_t type : {tds_env_commit, tds_env_rollback, tds_env_defect, tds_env_ended}) {
        assert_true(f.feed(begin_1 + done(0)));
        assert_true(f.feed(change(type, {}, descriptor_1) + done(0)));
        assert_false(f.w.session.in_transaction);
        assert_memory_equal(f.w.session.descriptor, bytes(8, 0).data(), 8);
    }
    // Commit-and-begin, and begin-and-commit in one response.
    assert_true(f.feed(commit_1 + begin_1 + done(0)));
    assert_true(f.w.session.in_transaction);
    assert_true(f.feed(begin_1 + commit_1 + done(0)));
    assert_false(f.w.session.in_transaction);
    // A reset says nothing of it: with RESETCONNECTIONSKIPTRAN the transaction lives on.
    assert_true(f.feed(begin_1 + done(0)));
    assert_true(f.feed(reset_token + done(0)));
    assert_true(f.w.session.in_transaction && f.w.message.reset_seen);
    assert_true(f.feed(done(0)));
    assert_false(f.w.message.reset_seen);
}

static void test_state_is_known_before_the_message_ends(void **) {
    fixture f;
    bytes payload = begin_1 + notice(1205, 13) + done(tds_done_more);
    std::span<const uint8_t> in(payload), forward;
    assert_int_equal(tds_walk(f.w, in, forward), tds_walk_result::ok);
    assert_true(f.w.session.in_transaction);
    assert_int_equal(f.w.message.first_error, 1205);
    assert_int_equal(f.w.message.done_status, tds_done_more);
}

static void test_dtc(void **) {
    fixture f;
    for (bool swapped : {false, true}) { // MS-TDS's table and its notes disagree
        bytes enlist = swapped ? change(tds_env_enlist, {}, descriptor_1) : change(tds_env_enlist, descriptor_1, {});
        assert_true(f.feed(enlist + done(0)));
        assert_true(f.w.session.in_transaction && f.w.session.enlisted);
        assert_memory_equal(f.w.session.descriptor, descriptor_1.data(), 8);
        assert_true(f.feed(change(tds_env_rollback, {}, descriptor_1) + done(0)));
        assert_false(f.w.session.in_transaction);
        assert_true(f.w.session.enlisted);
        assert_true(f.feed(change(tds_env_defect, {}, descriptor_1) + done(0)));
        assert_false(f.w.session.enlisted);
    }
    assert_true(f.feed(promoted(0) + promoted(1000) + done(0)));
    bytes bad = promoted(3);
    bad.back() = 1;
    assert_false(f.feed(bad + done(0)));
}

static void test_descriptor_of_a_wrong_size(void **) {
    for (uint8_t type : {tds_env_begin, tds_env_enlist})
        for (size_t n : {0, 1, 7, 9, 255})
            assert_int_equal(walk_whole(change(type, fill(n), {}) + done(0)).error, tds_walk_error::bad_value);
}

static void test_login(void **) {
    fixture f;
    f.w.options.version = 0;
    assert_true(f.feed(login_answer()));
    const auto &s = f.w.session;
    assert_string_equal(s.database.c_str(), "labdb");
    assert_string_equal(s.language.c_str(), "us_english");
    assert_int_equal(s.collation_size, 5);
    assert_memory_equal(s.collation, collation_latin.data(), 5);
    assert_int_equal(s.packet_size, 8000);
    assert_true(s.login_acknowledged);
    assert_int_equal(s.version, tds_7_4);
    assert_int_equal(s.server_version.major, 16);
    assert_int_equal(s.server_version.build, 0x1068);
    assert_int_equal(s.features, 1 << 1 | 1 << 4 | 1 << 9 | 1 << 10);
    assert_true(f.w.options.column_encryption);
    assert_int_equal(f.w.options.data_classification, 2);
    assert_int_equal(f.w.message.infos, 2);
    assert_true(f.w.message.database_seen && f.w.message.language_seen && f.w.message.collation_seen);
    // From here on every COLMETADATA has a key table.
    assert_true(f.feed(encrypted_result() + done(0)));
    assert_false(f.w.message.database_seen);
    assert_false(f.feed(metadata(1) + column({0x38}) + bytes{tds_token_row} + fill(4) + done(0)));
}

// The widths after LOGINACK are those of the version that it names.
static void test_loginack_decides_the_version(void **) {
    struct {
        uint32_t asked, acknowledged, version;
    } cases[] = {
        {tds_7_4, 0x74000004, tds_7_4},     {tds_7_4, 0x730b0003, tds_7_3b}, {tds_7_4, 0x72090002, tds_7_2},
        {tds_7_4, 0x71000001, tds_7_1_sp1}, {tds_7_4, 0x07010000, tds_7_1},  {tds_7_1, 0x07000000, tds_7_0},
        {tds_8_0, 0x08000000, tds_8_0},
    };
    for (const auto &c : cases) {
        fixture f(c.asked);
        assert_int_equal(f.w.session.version, c.asked);
        assert_true(f.feed(login_ack(c.acknowledged) + done(0, tds_token_done, c.version)));
        assert_int_equal(f.w.session.version, c.version);
        assert_true(f.feed(rows_of(old_types(), c.version) + done(0, tds_token_done, c.version)));
    }
    assert_int_equal(walk_whole(login_ack(0x12345678) + done(0)).error, tds_walk_error::bad_value);
    // A version between two known ones is the lower one.
    fixture between(0x72ffffff);
    assert_int_equal(between.w.session.version, tds_7_2);
}

static void test_loginack_lengths(void **) {
    bytes good = login_ack(0x74000004);
    for (size_t cut = 1; cut < good.size() - 3; ++cut) {
        bytes body(good.begin() + 3, good.end() - static_cast<long>(cut));
        auto error = walk_whole(token16(tds_token_loginack, body) + done(0)).error;
        assert_int_equal(error, tds_walk_error::bad_length);
    }
}

static void test_routing(void **) {
    for (uint8_t type : {tds_env_routing, tds_env_routing_enhanced}) {
        fixture f;
        assert_true(f.feed(routing(type) + done(0)));
        assert_int_equal(f.w.session.routing.type, type);
        assert_int_equal(f.w.session.routing.port, 11000);
        assert_string_equal(f.w.session.routing.server.c_str(), "other.example");
        assert_string_equal(f.w.session.routing.database.c_str(), type == tds_env_routing_enhanced ? "db2" : "");
    }
}

static void test_packet_size(void **) {
    struct {
        const char *text;
        bool good;
    } cases[] = {{"512", true}, {"32767", true}, {"32768", false}, {"0", false},
                 {"", false},   {"4k", false},   {"-1", false},    {"4294967808", false}};
    for (const auto &c : cases)
        assert_int_equal(walk_whole(change(4, utf16(c.text), {}, 2) + done(0)).ok, c.good);
}

static void test_collation_sizes(void **) {
    for (size_t n : {0, 1, 4, 5, 6})
        assert_int_equal(walk_whole(change(7, fill(n), {}) + done(0)).ok, n == 0 || n == 5);
}

static void test_database_names(void **) {
    fixture f;
    bytes lone{0x00, 0xd8}; // a lone surrogate
    assert_true(f.feed(change(1, lone, {}, 2) + done(0)));
    assert_string_equal(f.w.session.database.c_str(), "\xef\xbf\xbd");
    assert_true(f.feed(change(1, utf16(std::string(255, 'n')), utf16(std::string(255, 'o')), 2) + done(0)));
    assert_string_equal(f.w.session.database.c_str(), std::string(255, 'n').c_str());
}

static void test_errors_of_a_message(void **) {
    fixture f;
    assert_true(f.feed(notice(50000, 16) + notice(1205, 13) + notice(823, 24) + notice(824, 24) + notice(5701, 10) +
                       done(tds_done_error)));
    const auto &m = f.w.message;
    assert_int_equal(m.errors, 4);
    assert_int_equal(m.infos, 1);
    assert_int_equal(m.first_error, 50000);
    assert_int_equal(m.first_error_class, 16);
    assert_int_equal(m.first_error_state, 7);
    assert_int_equal(m.worst_error, 823);
    assert_int_equal(m.worst_error_class, 24);
    assert_int_equal(m.done_status, tds_done_error);
    assert_true(f.feed(done(0)));
    assert_int_equal(m.errors, 0);
    assert_int_equal(m.first_error, 0);
    assert_int_equal(m.worst_error_class, 0);
    assert_true(f.feed(notice(-5, 11) + done(tds_done_error)));
    assert_int_equal(m.worst_error, -5);
}

static void test_done_fields(void **) {
    fixture f;
    bytes payload = done(tds_done_more, tds_token_doneinproc) + bytes{tds_token_returnstatus} + little32(0xfffffffe) +
                    done(tds_done_count, tds_token_doneproc);
    assert_true(f.feed(payload));
    assert_int_equal(f.w.message.done_token, tds_token_doneproc);
    assert_int_equal(f.w.message.done_status, tds_done_count);
    assert_int_equal(f.w.message.done_command, 0xc1);
    assert_true(f.w.message.done_rows == 0x1122334455667788);
    assert_true(f.w.message.has_return_status);
    assert_int_equal(f.w.message.return_status, -2);
    fixture old(tds_7_1);
    assert_true(old.feed(done(0, tds_token_done, tds_7_1)));
    assert_true(old.w.message.done_rows == 0xffffffff);
}

static void test_attentions_are_counted(void **) {
    fixture f;
    assert_true(f.feed(done(tds_done_error)));
    assert_int_equal(f.w.message.attentions, 0);
    assert_true(f.feed(done(tds_done_attention)));
    assert_int_equal(f.w.message.attentions, 1);
    assert_true(f.feed(done(tds_done_error) + done(tds_done_attention) + done(tds_done_attention)));
    assert_int_equal(f.w.message.attentions, 2);
    // Row data that looks like an acknowledgement is none.
    bytes row = metadata(1) + column({0xad, 13, 0}) + bytes{tds_token_row} + little16(13) + done(tds_done_attention);
    assert_true(f.feed(row + done(0)));
    assert_int_equal(f.w.message.attentions, 0);
}

// Of each state the last word counts; a reset takes all back.
static void test_session_state(void **) {
    fixture f;
    bytes long_value{7, 0xff, 44, 1, 0, 0};
    long_value.resize(long_value.size() + 300);
    assert_true(f.feed(session_state(1, bytes{1, 1, 9} + long_value) + done(0)));
    assert_true(f.w.message.session_state_seen);
    assert_false(tds_walk_unrecoverable(f.w.session));
    assert_true(f.feed(session_state(0, {1, 1, 9, 200, 0}) + done(0)));
    assert_true(tds_walk_unrecoverable(f.w.session));
    assert_true(f.feed(session_state(1, {1, 1, 9}) + done(0)));
    assert_true(tds_walk_unrecoverable(f.w.session)); // 200 is still as it was
    assert_true(f.feed(done(0)));
    assert_true(tds_walk_unrecoverable(f.w.session) && !f.w.message.session_state_seen);
    assert_true(f.feed(session_state(1, {200, 1, 3}) + done(0)));
    assert_false(tds_walk_unrecoverable(f.w.session));
    assert_true(f.feed(session_state(0, long_value) + done(0)));
    assert_true(tds_walk_unrecoverable(f.w.session));
    assert_true(f.feed(reset_token + done(0)));
    assert_false(tds_walk_unrecoverable(f.w.session));
}

// The last sequence number, and forms that nobody knows: never recoverable again, and the stream goes on.
static void test_session_state_ends(void **) {
    for (const bytes &states :
         {bytes{1}, bytes{1, 2, 9}, bytes{1, 0xff, 0, 0}, bytes{1, 0xff, 2, 0, 0, 0, 9}, bytes{1, 1, 9, 4}}) {
        fixture f;
        assert_true(f.feed(session_state(1, states) + done(0)));
        assert_true(f.w.session.recovery_off);
        assert_true(f.feed(reset_token + session_state(1, {1, 1, 9}) + done(0)));
        assert_true(tds_walk_unrecoverable(f.w.session));
    }
    fixture f;
    assert_true(f.feed(session_state(1, {}, UINT32_MAX) + done(0)));
    assert_true(tds_walk_unrecoverable(f.w.session));
}

static void test_encrypted_column_needs_keys(void **) {
    auto options = options_of(tds_7_4);
    options.column_encryption = true;
    bytes crypto = crypto_of({0x38}, false);
    bytes payload = metadata(1) + little16(0) + column(cipher_info, tds_7_4, {}, 0x0809, crypto) + done(0);
    assert_int_equal(walk_whole(options, payload).error, tds_walk_error::bad_value);
    // Where encryption was not negotiated the flag means nothing.
    bytes plain = metadata(1) + column({0x38}, tds_7_4, {}, 0x0809) + bytes{tds_token_row} + fill(4) + done(0);
    assert_true(walk_whole(plain).ok);
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_transaction_state),
        cmocka_unit_test(test_state_is_known_before_the_message_ends),
        cmocka_unit_test(test_dtc),
        cmocka_unit_test(test_descriptor_of_a_wrong_size),
        cmocka_unit_test(test_login),
        cmocka_unit_test(test_loginack_decides_the_version),
        cmocka_unit_test(test_loginack_lengths),
        cmocka_unit_test(test_routing),
        cmocka_unit_test(test_packet_size),
        cmocka_unit_test(test_collation_sizes),
        cmocka_unit_test(test_database_names),
        cmocka_unit_test(test_errors_of_a_message),
        cmocka_unit_test(test_done_fields),
        cmocka_unit_test(test_attentions_are_counted),
        cmocka_unit_test(test_session_state),
        cmocka_unit_test(test_session_state_ends),
        cmocka_unit_test(test_encrypted_column_needs_keys),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
