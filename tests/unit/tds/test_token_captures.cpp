// Recorded responses of a real server (Babelfish) to real clients, walked to their end.
// responses/<client>-<scenario>.bin are the server's packets behind its PRELOGIN answer. What they hold was counted by
// another program, written for that alone.
#include "cmocka_cpp.h"

#include "tds/captures.h"
#include "tds/packet.h"
#include "tds/token_stream.h"

struct captured_responses {
    const char *name;
    uint32_t version;
    unsigned messages;
    size_t bytes; // of payload
    unsigned errors, infos, attentions, resets;
    unsigned counts, returns; // DONEs with DONE_COUNT, RETURNVALUEs
    const char *ints;         // the values of those that are one
    const char *transactions; // state after each message
    const char *database;     // at the end
};

// clang-format off
static constexpr captured_responses captured[] = {
    {"freetds-bsqldb-info", tds_7_4, 4, 661, 0, 6, 0, 0, 2, 0, "", "....", "labdb"},
    {"freetds-bsqldb-login", tds_7_4, 2, 374, 0, 2, 0, 0, 0, 0, "", "..", "labdb"},
    {"freetds-bsqldb-multi_results", tds_7_4, 2, 712, 0, 3, 0, 0, 5, 0, "", "..", "labdb"},
    {"freetds-bsqldb-proc_return_status", tds_7_4, 5, 1011, 1, 3, 0, 0, 8, 0, "", ".....", "labdb"},
    {"freetds-bsqldb-select_simple", tds_7_4, 4, 578, 0, 2, 0, 0, 3, 0, "", "....", "labdb"},
    {"freetds-bsqldb-tx_batch", tds_7_4, 14, 630, 0, 2, 0, 0, 5, 0, "", "..............", "labdb"},
    {"freetds-fisql-errors", tds_7_4, 15, 1840, 13, 2, 0, 0, 7, 0, "", "...............", "labdb"},
    {"freetds-fisql-multi_results", tds_7_4, 2, 712, 0, 3, 0, 0, 5, 0, "", "..", "labdb"},
    {"freetds-freebcp-bulk_load_error", tds_7_4, 6, 749, 1, 2, 0, 0, 2, 0, "", "......", "master"},
    {"freetds-freebcp-bulk_out", tds_7_4, 5, 672, 0, 2, 0, 0, 3, 0, "", ".....", "master"},
    {"freetds-odbc-catalog", tds_7_4, 7, 8044, 0, 3, 0, 0, 5, 0, "", ".......", "master"},
    {"freetds-odbc-cursors", tds_7_4, 12, 1609, 5, 2, 0, 0, 0, 12, "180150001 8 8193 -1 180150002 1 8193 -1 180150003 2 8193 -1", "............", "labdb"},
    {"freetds-odbc-errors", tds_7_4, 8, 972, 5, 3, 0, 0, 3, 0, "", "........", "labdb"},
    {"freetds-odbc-execdirect_params", tds_7_4, 2, 439, 0, 2, 0, 0, 1, 0, "", "..", "labdb"},
    {"freetds-odbc-login_failure", tds_7_4, 1, 100, 1, 0, 0, 0, 0, 0, "", ".", ""},
    {"freetds-odbc-mars", tds_7_4, 2, 461, 0, 2, 0, 0, 1, 0, "", "..", "labdb"},
    {"freetds-odbc-multi_results", tds_7_4, 2, 604, 0, 3, 0, 0, 4, 0, "", "..", "labdb"},
    {"freetds-odbc-param_array", tds_7_4, 4, 570, 0, 2, 0, 0, 5, 1, "1", "....", "labdb"},
    {"freetds-odbc-prepared", tds_7_4, 9, 858, 0, 2, 0, 0, 4, 3, "1 2 3", ".........", "labdb"},
    {"freetds-odbc-proc_return_status", tds_7_4, 4, 886, 1, 3, 0, 0, 6, 2, "", "....", "labdb"},
    {"freetds-odbc-tx_manual_commit", tds_7_4, 11, 828, 1, 2, 0, 0, 4, 0, "", ".TTTTTTTT..", "labdb"},
    {"freetds-odbc-types", tds_7_4, 3, 21824, 0, 2, 0, 0, 2, 0, "", "...", "labdb"},
    {"freetds-tsql-cursor_tsql", tds_7_4, 2, 813, 0, 2, 0, 0, 5, 0, "", "..", "labdb"},
    {"freetds-tsql-login_tds7.1", tds_7_1_sp1, 4, 774, 1, 2, 0, 0, 2, 0, "", "....", "labdb"},
    {"freetds-tsql-login_tds7.2", tds_7_2, 4, 811, 1, 2, 0, 0, 2, 0, "", "....", "labdb"},
    {"freetds-tsql-login_tds7.3", tds_7_3b, 4, 806, 1, 2, 0, 0, 2, 0, "", "....", "labdb"},
    {"freetds-tsql-multi_results", tds_7_4, 2, 712, 0, 3, 0, 0, 5, 0, "", "..", "labdb"},
    {"freetds-tsql-set_options", tds_7_4, 13, 815, 0, 3, 0, 0, 0, 0, "", ".............", "labdb"},
    {"freetds-tsql-temp_tables", tds_7_4, 7, 541, 0, 2, 0, 0, 4, 0, "", ".......", "labdb"},
    {"freetds-tsql-types", tds_7_4, 4, 21989, 0, 2, 0, 0, 3, 0, "", "....", "labdb"},
    {"go-mssqldb-bulk_load", tds_7_4, 9, 460, 0, 1, 0, 0, 4, 0, "", ".TTTTT...", "labdb"},
    {"go-mssqldb-multi_results", tds_7_4, 2, 385, 0, 1, 0, 0, 4, 0, "", "..", "labdb"},
    {"go-mssqldb-pool_reuse", tds_7_4, 7, 514, 2, 1, 0, 0, 3, 0, "", ".......", "labdb"},
    {"go-mssqldb-prepared", tds_7_4, 4, 540, 0, 1, 0, 0, 3, 0, "", "....", "labdb"},
    {"go-mssqldb-rpc_params", tds_7_4, 4, 520, 0, 1, 0, 0, 3, 0, "", "....", "labdb"},
    {"go-mssqldb-tx_error", tds_7_4, 5, 409, 1, 1, 0, 0, 1, 0, "", ".TTT.", "labdb"},
    {"go-mssqldb-tx_mgr", tds_7_4, 17, 855, 0, 1, 0, 0, 6, 0, "", ".TTT.TT.TT.TT.TT.", "labdb"},
    {"jtds-batch_update", tds_7_1_sp1, 5, 537, 1, 1, 0, 0, 8, 1, "1", ".....", "labdb"},
    {"jtds-catalog", tds_7_1_sp1, 4, 512, 0, 2, 0, 0, 2, 0, "", "....", "master"},
    {"jtds-cursors", tds_7_1_sp1, 9, 1100, 5, 1, 0, 0, 1, 4, "180150001 8 1 -1", ".........", "labdb"},
    {"jtds-errors", tds_7_1_sp1, 10, 1007, 6, 2, 0, 0, 4, 0, "", "..........", "labdb"},
    {"jtds-lobs", tds_7_1_sp1, 4, 756, 1, 1, 0, 0, 1, 1, "1", "....", "labdb"},
    {"jtds-login_failure", tds_7_1_sp1, 1, 94, 1, 0, 0, 0, 0, 0, "", ".", ""},
    {"jtds-multi_results", tds_7_1_sp1, 3, 513, 0, 2, 0, 0, 5, 0, "", "...", "labdb"},
    {"jtds-prepared_mode0", tds_7_1_sp1, 8, 750, 0, 1, 0, 0, 8, 0, "", "........", "labdb"},
    {"jtds-prepared_mode1", tds_7_1_sp1, 11, 861, 0, 1, 0, 0, 8, 0, "", "...........", "labdb"},
    {"jtds-prepared_mode2", tds_7_1_sp1, 8, 834, 0, 1, 0, 0, 8, 0, "", "........", "labdb"},
    {"jtds-prepared_mode3", tds_7_1_sp1, 11, 1119, 1, 1, 0, 0, 8, 2, "1 2", "...........", "labdb"},
    {"jtds-proc_return_status", tds_7_1_sp1, 5, 835, 1, 2, 0, 0, 9, 2, "", ".....", "labdb"},
    {"jtds-select_simple", tds_7_1_sp1, 5, 493, 0, 1, 0, 0, 4, 0, "", ".....", "labdb"},
    {"jtds-temp_tables", tds_7_1_sp1, 7, 444, 0, 1, 0, 0, 3, 1, "1", ".......", "labdb"},
    {"jtds-tx_error", tds_7_1_sp1, 7, 589, 2, 1, 0, 0, 2, 0, "", ".......", "labdb"},
    {"jtds-types", tds_7_1_sp1, 4, 1689, 0, 1, 0, 0, 3, 0, "", "....", "labdb"},
    {"jtds-use_cursors", tds_7_1_sp1, 2, 332, 1, 1, 0, 0, 0, 0, "", "..", "labdb"},
    {"pymssql-bulk_load_error", tds_7_4, 8, 934, 1, 3, 1, 0, 1, 0, "", "........", "labdb"},
    {"pymssql-errors", tds_7_4, 11, 1184, 5, 3, 1, 0, 1, 0, "", "...........", "labdb"},
    {"pymssql-executemany", tds_7_4, 11, 769, 0, 3, 1, 0, 4, 0, "", "...........", "labdb"},
    {"pymssql-login_tds71", tds_7_1_sp1, 6, 747, 0, 3, 1, 0, 1, 0, "", "......", "labdb"},
    {"pymssql-login_tds73", tds_7_3b, 6, 819, 0, 3, 1, 0, 1, 0, "", "......", "labdb"},
    {"pymssql-proc_return_status", tds_7_4, 10, 1429, 2, 4, 2, 0, 8, 2, "", "..........", "labdb"},
    {"pymssql-select_simple", tds_7_4, 8, 833, 0, 3, 1, 0, 3, 0, "", "........", "labdb"},
    {"pytds-bulk_load", tds_7_4, 5, 280, 0, 1, 0, 0, 3, 0, "", ".....", "labdb"},
    {"pytds-isolation.conn2", tds_7_4, 4, 361, 0, 1, 0, 0, 1, 0, "", ".TTT", "labdb"},
    {"pytds-isolation.conn3", tds_7_4, 4, 361, 0, 1, 0, 0, 1, 0, "", ".TTT", "labdb"},
    {"pytds-isolation", tds_7_4, 4, 361, 0, 1, 0, 0, 1, 0, "", ".TTT", "labdb"},
    {"pytds-login_bytes_readonly", tds_7_4, 2, 255, 0, 1, 0, 0, 1, 0, "", "..", "labdb"},
    {"pytds-login_tds71", tds_7_1, 3, 384, 1, 1, 0, 0, 1, 0, "", "...", "labdb"},
    {"pytds-login_tds72", tds_7_2, 3, 406, 1, 1, 0, 0, 1, 0, "", "...", "labdb"},
    {"pytds-login_tds73", tds_7_3a, 3, 406, 1, 1, 0, 0, 1, 0, "", "...", "labdb"},
    {"pytds-pooling.conn2", tds_7_4, 3, 373, 1, 1, 0, 0, 1, 0, "", "...", "labdb"},
    {"pytds-pooling.conn3", tds_7_4, 2, 233, 0, 1, 0, 0, 1, 0, "", "..", "labdb"},
    {"pytds-proc_return_status", tds_7_4, 7, 1222, 3, 2, 0, 0, 8, 2, "", ".......", "labdb"},
    {"pytds-proc_tvp", tds_7_4, 2, 280, 0, 1, 0, 0, 1, 0, "", "..", "labdb"},
    {"pytds-rpc_sp_executesql", tds_7_4, 17, 15101, 0, 1, 0, 0, 16, 0, "", ".................", "labdb"},
    {"pytds-tx_error", tds_7_4, 5, 436, 1, 1, 0, 0, 1, 0, "", ".TTTT", "labdb"},
    {"pytds-tx_mgr", tds_7_4, 8, 453, 0, 1, 0, 0, 3, 0, "", ".TTTTT..", "labdb"},
    {"raw-attention_in_tran", tds_7_4, 5, 308, 0, 1, 1, 0, 2, 0, "", ".....", "labdb"},
    {"raw-bad_packet_type", tds_7_4, 3, 355, 1, 1, 0, 0, 1, 0, "", "...", "labdb"},
    {"raw-bytewise", tds_7_4, 3, 284, 0, 1, 0, 0, 2, 0, "", "...", "labdb"},
    {"raw-cursor_autofetch", tds_7_4, 2, 388, 0, 1, 0, 0, 0, 4, "180150001 8208 8193 -1", "..", "labdb"},
    {"raw-done_states", tds_7_4, 19, 855, 0, 3, 0, 0, 10, 0, "", "...................", "labdb"},
    {"raw-ignored_message", tds_7_4, 3, 469, 1, 1, 0, 0, 1, 0, "", "...", "labdb"},
    {"raw-isolation", tds_7_4, 18, 2778, 6, 1, 0, 0, 0, 0, "", "......T.T.T.....T.", "labdb"},
    {"raw-login_other_user", tds_7_4, 3, 351, 1, 1, 0, 0, 1, 0, "", "...", "labdb"},
    {"raw-pipelined_requests", tds_7_4, 4, 317, 0, 1, 0, 0, 3, 0, "", "....", "labdb"},
    {"raw-procids_cursor", tds_7_4, 12, 1088, 2, 1, 0, 0, 0, 4, "180150001 8 1 -1", "............", "labdb"},
    {"raw-procids_cursorprep", tds_7_4, 6, 760, 5, 1, 0, 0, 0, 0, "", "......", "labdb"},
    {"raw-procids_output_params", tds_7_4, 3, 18400, 0, 1, 0, 0, 4, 3, "42", "...", "labdb"},
    {"raw-procids_prepare", tds_7_4, 7, 563, 1, 1, 0, 0, 2, 1, "1", ".......", "labdb"},
    {"raw-procids_prepexec", tds_7_4, 10, 841, 3, 1, 0, 0, 5, 4, "1 2 3 4", "..........", "labdb"},
    {"raw-reset_batch", tds_7_4, 12, 926, 1, 3, 0, 2, 4, 0, "", "............", "master"},
    {"raw-reset_login_db", tds_7_4, 3, 430, 0, 2, 0, 1, 1, 0, "", "...", "master"},
    {"raw-reset_multipacket", tds_7_4, 2, 247, 0, 1, 0, 1, 1, 0, "", "..", "labdb"},
    {"raw-reset_rpc", tds_7_4, 5, 454, 1, 1, 0, 2, 2, 1, "1", ".....", "labdb"},
    {"raw-reset_skip_tran", tds_7_4, 3, 367, 1, 1, 0, 0, 0, 0, "", ".TT", "labdb"},
    {"raw-reset_tm", tds_7_4, 4, 350, 0, 1, 0, 2, 2, 0, "", ".TTT", "labdb"},
    {"raw-rpc_batch", tds_7_4, 3, 506, 1, 1, 0, 0, 3, 0, "", "...", "labdb"},
    {"raw-rpc_flags", tds_7_4, 8, 1079, 2, 1, 0, 0, 8, 4, "", "........", "labdb"},
    {"raw-severity20", tds_7_4, 3, 289, 1, 1, 0, 0, 1, 0, "", "...", "labdb"},
    {"raw-small_packets", tds_7_4, 3, 3116, 0, 1, 0, 0, 2, 0, "", "...", "labdb"},
    {"raw-tm_requests", tds_7_4, 13, 934, 2, 1, 0, 0, 2, 0, "", ".TTTTT.TT....", "labdb"},
    {"raw-tm_stale_descriptor", tds_7_4, 5, 378, 0, 1, 0, 0, 2, 0, "", ".TT..", "labdb"},
    {"tedious-big_request", tds_7_4, 4, 817, 0, 3, 0, 0, 2, 0, "", "....", "labdb"},
    {"tedious-bulk_load", tds_7_4, 9, 1021, 1, 3, 0, 0, 4, 0, "", ".........", "labdb"},
    {"tedious-cursor_tsql", tds_7_4, 8, 1585, 5, 3, 0, 0, 3, 0, "", "........", "labdb"},
    {"tedious-cursors", tds_7_4, 7, 1096, 0, 3, 0, 0, 0, 4, "180150001 8 1 0", ".......", "labdb"},
    {"tedious-errors", tds_7_4, 25, 3063, 17, 7, 0, 0, 9, 0, "", ".........................", "labdb"},
    {"tedious-info", tds_7_4, 5, 1140, 1, 7, 0, 0, 1, 0, "", ".....", "labdb"},
    {"tedious-login_bad_db", tds_7_4, 1, 116, 1, 0, 0, 0, 0, 0, "", ".", ""},
    {"tedious-login_nodb_bigpacket", tds_7_4, 3, 776, 0, 3, 0, 0, 1, 0, "", "...", "master"},
    {"tedious-login_tds71", tds_7_1_sp1, 4, 814, 0, 3, 0, 0, 2, 0, "", "....", "labdb"},
    {"tedious-login_tds72", tds_7_2, 5, 11988, 0, 3, 0, 0, 3, 0, "", ".....", "labdb"},
    {"tedious-many_columns", tds_7_4, 3, 19094, 0, 3, 0, 0, 1, 0, "", "...", "labdb"},
    {"tedious-multi_results", tds_7_4, 3, 1040, 0, 4, 0, 0, 5, 0, "", "...", "labdb"},
    {"tedious-order_by", tds_7_4, 4, 945, 0, 3, 0, 0, 2, 0, "", "....", "labdb"},
    {"tedious-proc_return_status", tds_7_4, 9, 1909, 2, 4, 0, 0, 11, 2, "", ".........", "labdb"},
    {"tedious-proc_tvp", tds_7_4, 5, 1262, 1, 3, 0, 0, 2, 0, "", ".....", "labdb"},
    {"tedious-reset_connection", tds_7_4, 12, 2363, 3, 6, 0, 2, 1, 0, "", "............", "master"},
    {"tedious-return_identity", tds_7_4, 5, 946, 1, 3, 0, 0, 3, 0, "", ".....", "labdb"},
    {"tedious-rpc_param_types", tds_7_4, 6, 25652, 2, 3, 0, 0, 2, 0, "", "......", "labdb"},
    {"tedious-rpc_sp_executesql", tds_7_4, 6, 13112, 0, 3, 0, 0, 7, 5, "42", "......", "labdb"},
    {"tedious-set_options", tds_7_4, 22, 1396, 1, 4, 0, 0, 2, 0, "", "......................", "labdb"},
    {"tedious-sp_prepare", tds_7_4, 8, 1144, 0, 3, 0, 0, 4, 1, "1", "........", "labdb"},
    {"tedious-sp_prepexec", tds_7_4, 6, 1234, 2, 3, 0, 0, 2, 1, "1", "......", "labdb"},
    {"tedious-sp_prepexec_named", tds_7_4, 3, 861, 1, 3, 0, 0, 0, 0, "", "...", "labdb"},
    {"tedious-temp_tables", tds_7_4, 10, 1257, 2, 3, 0, 0, 4, 0, "", "..........", "labdb"},
    {"tedious-tx_batch", tds_7_4, 17, 1097, 0, 3, 0, 0, 7, 0, "", ".................", "labdb"},
    {"tedious-tx_error_abort", tds_7_4, 11, 1206, 2, 3, 0, 0, 2, 0, "", "...T.......", "labdb"},
    {"tedious-tx_mgr", tds_7_4, 16, 1318, 1, 3, 0, 0, 5, 0, "", "..TTT.TTTTT.TT..", "labdb"},
    {"tedious-types", tds_7_4, 5, 22387, 0, 3, 0, 0, 3, 0, "", ".....", "labdb"},
    {"tedious-types_inferred", tds_7_4, 3, 1095, 0, 3, 0, 0, 1, 0, "", "...", "labdb"},
    {"tedious-use_db", tds_7_4, 6, 1205, 1, 5, 0, 0, 1, 0, "", "......", "labdb"},
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

static std::vector<bytes> messages_of(const captured_responses &c) {
    bytes wire = responses_read(c.name);
    std::span<const uint8_t> rest(wire);
    std::vector<bytes> messages;
    while (!rest.empty())
        messages.push_back(next_payload(rest));
    return messages;
}

static std::string ints_of(const tds_walk_message &m) {
    std::string text;
    for (const tds_walk_return &r : m.returns)
        if (r.is_int)
            text += std::to_string(r.value) + " ";
    return text;
}

static void check(const captured_responses &c, size_t piece) {
    tds_walker w;
    tds_walk_init(w, options_of(c.version));
    unsigned messages = 0, errors = 0, infos = 0, attentions = 0, resets = 0, counts = 0, returns = 0;
    size_t total = 0;
    std::string transactions, ints;
    for (const bytes &payload : messages_of(c)) {
        bytes forwarded;
        if (!feed_message(w, payload, pieces_of(payload.size(), std::min(piece, payload.size())), forwarded))
            fail_msg("%s, message %u: %s", c.name, messages, tds_walk_error_text(w.error));
        assert_true(forwarded == payload);
        assert_int_equal(w.message.bytes, payload.size());
        total += payload.size();
        ++messages;
        errors += w.message.errors;
        infos += w.message.infos;
        attentions += w.message.attentions;
        resets += w.message.reset_seen ? 1 : 0;
        counts += w.message.dones_with_count;
        returns += w.message.returns_count;
        ints += ints_of(w.message);
        transactions += w.session.in_transaction ? 'T' : '.';
    }
    assert_int_equal(messages, c.messages);
    assert_int_equal(total, c.bytes);
    assert_int_equal(errors, c.errors);
    assert_int_equal(infos, c.infos);
    assert_int_equal(attentions, c.attentions);
    assert_int_equal(resets, c.resets);
    assert_int_equal(counts, c.counts);
    assert_int_equal(returns, c.returns);
    assert_string_equal(ints.c_str(), (std::string(c.ints) + (c.ints[0] == '\0' ? "" : " ")).c_str());
    assert_string_equal(transactions.c_str(), c.transactions);
    assert_string_equal(w.session.database.c_str(), c.database);
    assert_int_equal(w.session.version, c.version);
    assert_int_equal(w.session.server_version.major, w.session.login_acknowledged ? 12 : 0);
}

static void test_captures_to_their_end(void **) {
    for (const captured_responses &c : captured)
        for (size_t piece : {SIZE_MAX, size_t{1}, size_t{7}, size_t{512}})
            check(c, piece);
}

// What a walk says behind each message, when every message is split at `split`.
static std::vector<std::string> told(const captured_responses &c, const std::vector<bytes> &messages, size_t split) {
    tds_walker w;
    tds_walk_init(w, options_of(c.version));
    std::vector<std::string> all;
    for (const bytes &payload : messages) {
        bytes forwarded;
        size_t first = std::min(split, payload.size());
        if (!feed_message(w, payload, {first, payload.size()}, forwarded) || forwarded != payload)
            fail_msg("%s, split at %zu: %s", c.name, split, tds_walk_error_text(w.error));
        all.push_back(spell(w));
    }
    return all;
}

// At every byte, of long messages at every byte of the beginning and then at some.
static void test_captures_at_every_split(void **) {
    for (const captured_responses &c : captured) {
        auto messages = messages_of(c);
        size_t longest = 0;
        for (const bytes &payload : messages)
            longest = std::max(longest, payload.size());
        auto whole = told(c, messages, 0);
        for (size_t split = 1; split < longest; split += split < 2048 ? 1 : 61)
            if (told(c, messages, split) != whole)
                fail_msg("%s, split at %zu", c.name, split);
    }
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
        cmocka_unit_test(test_captures_at_every_split),
        cmocka_unit_test(test_malformed_cursor_fetch),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
