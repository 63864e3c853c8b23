// Recorded responses of a real server (Babelfish) to real clients, walked to their end.
// responses/<client>-<scenario>.bin are the server's packets behind its PRELOGIN answer. What the scenarios hold is
// known from the clients' requests.
#include "cmocka_cpp.h"

#include "tds/captures.h"
#include "tds/packet.h"
#include "tds/token_stream.h"

struct captured_responses {
    const char *name;
    uint32_t version;
    unsigned messages, errors, infos, attentions, resets;
    const char *transactions; // state after each message
    const char *database;     // at the end
};

// clang-format off
static constexpr captured_responses captured[] = {
    {"jtds-catalog", tds_7_1_sp1, 4, 0, 2, 0, 0, "....", "master"}, // PLP under 7.1
    {"jtds-lobs", tds_7_1_sp1, 4, 1, 1, 0, 0, "....", "labdb"},
    {"jtds-types", tds_7_1_sp1, 4, 0, 1, 0, 0, "....", "labdb"},
    {"raw-attention_in_tran", tds_7_4, 5, 0, 1, 1, 0, ".....", "labdb"}, // BEGIN as text: silent
    {"raw-procids_cursor", tds_7_4, 12, 2, 1, 0, 0, "............", "labdb"},
    {"raw-reset_batch", tds_7_4, 12, 1, 3, 0, 2, "............", "master"},
    {"raw-rpc_batch", tds_7_4, 3, 1, 1, 0, 0, "...", "labdb"},
    {"raw-severity20", tds_7_4, 3, 1, 1, 0, 0, "...", "labdb"},
    {"raw-tm_requests", tds_7_4, 13, 2, 1, 0, 0, ".TTTTT.TT....", "labdb"},
    {"tedious-errors", tds_7_4, 25, 17, 7, 0, 0, ".........................", "labdb"},
    {"tedious-sp_prepexec", tds_7_4, 6, 2, 3, 0, 0, "......", "labdb"},
    {"tedious-tx_mgr", tds_7_4, 16, 1, 3, 0, 0, "..TTT.TTTTT.TT..", "labdb"},
    {"tedious-types", tds_7_4, 5, 0, 3, 0, 0, ".....", "labdb"},
    {"tedious-use_db", tds_7_4, 6, 1, 5, 0, 0, "......", "labdb"},
};
// clang-format on

static bytes responses_read(const char *name) {
    bytes wire = file_read(std::string(TEST_SOURCE_DIR "/responses/") + name + ".bin");
    assert_true(wire.size() > tds_header_size);
    return wire;
}

// Takes the next message's payload off the front of `wire`; no packet may be cut.
static bytes next_payload(std::span<const uint8_t> &wire) {
    bytes payload;
    tds_header h{};
    do {
        assert_int_equal(tds_header_parse(wire, tds_packet_size_max, h), tds_header_result::ok);
        assert_true(h.type == tds_type_response && h.length <= wire.size());
        auto part = wire.subspan(tds_header_size, h.length - tds_header_size);
        payload.insert(payload.end(), part.begin(), part.end());
        wire = wire.subspan(h.length);
    } while ((h.status & tds_status_eom) == 0);
    return payload;
}

static void check(const captured_responses &c, size_t piece) {
    bytes wire = responses_read(c.name), forwarded, all;
    std::span<const uint8_t> rest(wire);
    tds_walker w;
    tds_walk_init(w, options_of(c.version));
    unsigned messages = 0, errors = 0, infos = 0, attentions = 0, resets = 0;
    std::string transactions;
    while (!rest.empty()) {
        bytes payload = next_payload(rest);
        all.insert(all.end(), payload.begin(), payload.end());
        if (!feed_message(w, payload, pieces_of(payload.size(), std::min(piece, payload.size())), forwarded))
            fail_msg("%s, message %u: %s", c.name, messages, tds_walk_error_text(w.error));
        ++messages;
        errors += w.message.errors;
        infos += w.message.infos;
        attentions += w.message.attentions;
        resets += w.message.reset_seen ? 1 : 0;
        transactions += w.session.in_transaction ? 'T' : '.';
    }
    assert_true(forwarded == all);
    assert_int_equal(messages, c.messages);
    assert_int_equal(errors, c.errors);
    assert_int_equal(infos, c.infos);
    assert_int_equal(attentions, c.attentions);
    assert_int_equal(resets, c.resets);
    assert_string_equal(transactions.c_str(), c.transactions);
    assert_string_equal(w.session.database.c_str(), c.database);
    assert_int_equal(w.session.version, c.version);
    assert_int_equal(w.session.server_version.major, 12);
}

static void test_captures_to_their_end(void **) {
    for (const captured_responses &c : captured)
        for (size_t piece : {SIZE_MAX, size_t{1}, size_t{7}, size_t{512}})
            check(c, piece);
}

// The server announces one column fewer than its rows have.
static void test_malformed_cursor_fetch(void **) {
    bytes wire = responses_read("raw-cursor_fetch_malformed"), forwarded;
    std::span<const uint8_t> rest(wire);
    tds_walker w;
    tds_walk_init(w, options_of(tds_7_4));
    for (int i = 0; i < 2; ++i) {
        bytes payload = next_payload(rest);
        assert_true(feed_message(w, payload, {payload.size()}, forwarded));
    }
    bytes bad = next_payload(rest);
    assert_false(feed_message(w, bad, {bad.size()}, forwarded));
    assert_int_equal(w.error, tds_walk_error::unknown_token);
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_captures_to_their_end),
        cmocka_unit_test(test_malformed_cursor_fetch),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
