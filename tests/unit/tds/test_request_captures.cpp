// Recorded requests of real clients, read whole, at every split, cut and spoilt.
// requests/<client>-<version>.bin: a client's packets behind its login, every message that is not in another file.
#include "cmocka_cpp.h"

#include "tds/captures.h"
#include "tds/request_stream.h"

struct captured_requests {
    const char *name;
    uint32_t version;
    unsigned batches_rpcs_bulks_transactions[4];
    unsigned texts;    // for the scanner: batches, and the statements of what runs one
    const char *calls; // in their order; by name, or number and its first parameter if that is an int
};

// clang-format off
static constexpr captured_requests captured[] = {
    {"freetds-bsqldb-7.4", tds_7_4, {24, 0, 0, 0}, 24, ""},
    {"freetds-fisql-7.4", tds_7_4, {13, 0, 0, 0}, 13, ""},
    {"freetds-freebcp-7.4", tds_7_4, {5, 0, 1, 0}, 5, ""},
    {"freetds-odbc-7.4", tds_7_4, {26, 28, 0, 5}, 34, "sp_tables sp_columns sp_pkeys 2 8:180150001 9:180150001 2 8:180150002 9:180150002 2 8:180150003 9:180150003 2 2 10 11 12:1 12:1 12:1 12:1 12:1 15:1 13 12:1 12:1 11 15:2 13 15:3 p_ret p_multi no_such_proc"},
    {"freetds-tsql-7.1", tds_7_1_sp1, {3, 0, 0, 0}, 3, ""},
    {"freetds-tsql-7.2", tds_7_2, {3, 0, 0, 0}, 3, ""},
    {"freetds-tsql-7.3", tds_7_3b, {3, 0, 0, 0}, 3, ""},
    {"freetds-tsql-7.4", tds_7_4, {30, 0, 0, 0}, 30, ""},
    {"go-mssqldb-7.4", tds_7_4, {18, 7, 1, 10}, 25, "10 10 10 10 10 10 10"},
    {"jtds-7.1", tds_7_1_sp1, {48, 36, 0, 0}, 59, "11 12:1 12:1 12:1 12:1 12:1 2 7:180150001 7:180150001 9:180150001 2 2 3 2 11 #jtds000001 #jtds000001 #jtds000001 #jtds000001 #jtds000002 #jtds000003 10 10 10 10 10 10 11 12:1 12:1 12:1 12:1 11 12:2 11 p_ret p_multi p_err 11 12:1 2"},
    {"pymssql-7.1", tds_7_1_sp1, {3, 0, 0, 0}, 3, ""},
    {"pymssql-7.3", tds_7_3b, {4, 0, 0, 0}, 4, ""},
    {"pymssql-7.4", tds_7_4, {16, 2, 1, 0}, 16, "p_ret p_err"},
    {"pytds-7.2", tds_7_2, {2, 0, 0, 0}, 2, ""},
    {"pytds-7.3", tds_7_3b, {1, 0, 0, 0}, 1, ""},
    {"pytds-7.4", tds_7_4, {15, 18, 0, 7}, 29, "100 p_ret p_nocount p_maxout 10 10 10 10 10 10 10 10 10 10 10 10 10 10"},
    {"raw-7.4", tds_7_4, {47, 43, 0, 18}, 66, "10 2 2 7:180150001 8:180150001 9:180150001 10 7:180150001 7:180150001 7:180150001 7:180150001 7:180150001 7:180150001 7:180150001 5 3 4:1 6:1 1:1 10 10 11 12:1 12:1 15:99 13 13 12:2 12:1 13:1 13 13 14 10 11 12:1 10 10 p_nocount 10 10 p_ret 10 p_ret p_many_types labdb.dbo.p_nocount"},
    {"tedious-7.1", tds_7_1_sp1, {3, 0, 0, 0}, 3, ""},
    {"tedious-7.2", tds_7_2, {5, 0, 0, 0}, 5, ""},
    {"tedious-7.3", tds_7_3b, {3, 0, 0, 0}, 3, ""},
    {"tedious-7.4", tds_7_4, {96, 29, 1, 7}, 110, "10 2 7:180150001 9:180150001 p_ret p_maxout p_many_types p_tvp 10 p_tvp 10 10 10 10 10 10 10 10 11 12:1 12:1 12:1 15:1 13 12:1 15:1 13 10 10"},
};
// clang-format on

struct request {
    request_kind kind;
    bytes payload;
};

static std::vector<request> requests_of(const captured_requests &c) {
    bytes wire = file_read(std::string(TEST_SOURCE_DIR "/requests/") + c.name + ".bin"), payload;
    std::span<const uint8_t> rest(wire);
    std::vector<request> all;
    assert_false(wire.empty());
    while (!rest.empty()) {
        tds_header h{};
        assert_int_equal(tds_header_parse(rest, tds_packet_size_max, h), tds_header_result::ok);
        assert_true(h.length <= rest.size());
        auto part = rest.subspan(tds_header_size, h.length - tds_header_size);
        payload.insert(payload.end(), part.begin(), part.end());
        rest = rest.subspan(h.length);
        if ((h.status & tds_status_eom) == 0)
            continue;
        all.push_back({{h.type, c.version}, payload});
        payload.clear();
    }
    assert_true(payload.empty());
    return all;
}

static size_t place_of(uint8_t type) {
    switch (type) {
    case tds_type_sql_batch: return 0;
    case tds_type_rpc: return 1;
    case tds_type_bulk: return 2;
    default: assert_int_equal(type, tds_type_transaction); return 3;
    }
}

static void spell_calls(const tds_request_info &info, std::string &out) {
    for (const tds_rpc_call &c : info.calls) {
        bool known = c.proc != tds_proc::other;
        if (!out.empty())
            out += ' ';
        out += known ? std::to_string(static_cast<int>(c.proc)) : c.name;
        if (known && c.has_first)
            out.append(":").append(std::to_string(c.first));
    }
}

// The text of a batch is what stands behind its headers.
static void check_batch(const request &q, const reading &k) {
    size_t at = tds_version_is_wide(q.kind.version) ? get_u32le(q.payload.data()) : 0;
    assert_int_equal(k.texts.size(), 1);
    assert_true(std::ranges::equal(k.texts[0].utf16, std::span(q.payload).subspan(at)));
}

static void test_what_clients_send(void **) {
    for (const captured_requests &c : captured) {
        unsigned counts[4] = {}, texts = 0;
        std::string calls;
        for (const request &q : requests_of(c)) {
            reading k = read_whole(q.kind, q.payload);
            if (k.info.broken || (k.info.effect.turned_on & tsql_unknown) != 0)
                fail_msg("%s:\n%s", c.name, k.told.c_str());
            ++counts[place_of(q.kind.type)];
            texts += static_cast<unsigned>(k.texts.size());
            spell_calls(k.info, calls);
            if (q.kind.type == tds_type_sql_batch)
                check_batch(q, k);
            assert_int_equal(k.info.descriptor_at,
                             tds_version_is_wide(c.version) && q.kind.type != tds_type_bulk ? 10 : 0);
        }
        for (size_t i = 0; i < 4; ++i)
            assert_int_equal(counts[i], c.batches_rpcs_bulks_transactions[i]);
        assert_int_equal(texts, c.texts);
        assert_string_equal(calls.c_str(), c.calls);
    }
}

static void assert_same(const reading &a, const reading &b, const char *name, size_t at) {
    if (a.told != b.told)
        fail_msg("%s, %zu:\n%s\n\n%s", name, at, a.told.c_str(), b.told.c_str());
}

// From byte to byte; in long messages, mostly one value, not to each of them.
static size_t step_of(size_t size) {
    return size <= 2000 ? 1 : 17;
}

static void test_at_every_split(void **) {
    for (const captured_requests &c : captured) {
        for (const request &q : requests_of(c)) {
            size_t size = q.payload.size();
            reading whole = read_whole(q.kind, q.payload);
            for (size_t split = 1; split < size; split += step_of(size))
                assert_same(whole, read_pieces(q.kind, q.payload, {split, size}), c.name, split);
            for (size_t piece : {1, 3, 7, 64})
                assert_same(whole, read_pieces(q.kind, q.payload, pieces_of(size, piece)), c.name, piece);
        }
    }
}

static void test_cut_anywhere(void **) {
    for (const captured_requests &c : captured) {
        for (const request &q : requests_of(c)) {
            for (size_t size = 0; size < q.payload.size(); size += step_of(q.payload.size())) {
                auto part = std::span(q.payload).first(size);
                reading cut = read_whole(q.kind, part);
                assert_same(cut, read_pieces(q.kind, part, {size / 2, size}), c.name, size);
                assert_true(!cut.info.broken || (cut.info.effect.turned_on & tsql_unknown) != 0);
            }
        }
    }
}

static void test_every_byte_spoilt(void **) {
    for (const captured_requests &c : captured) {
        for (const request &q : requests_of(c)) {
            bytes spoilt = q.payload;
            for (size_t at = 0; at < spoilt.size(); at += step_of(spoilt.size())) {
                for (int value : {0x00, 0x7f, 0xff}) {
                    spoilt[at] = static_cast<uint8_t>(value);
                    reading whole = read_whole(q.kind, spoilt);
                    assert_same(whole, read_pieces(q.kind, spoilt, {at / 2, at, at + 1, spoilt.size()}), c.name, at);
                }
                spoilt[at] = q.payload[at];
            }
        }
    }
}

// What a client's statement is replaced by is what is read there afterwards, and nothing else changes.
static void test_other_text_in_its_place(void **) {
    size_t places = 0;
    for (const captured_requests &c : captured) {
        for (const request &q : requests_of(c)) {
            reading k = read_whole(q.kind, q.payload);
            bytes out, same, text = utf16("SELECT 1 AS other");
            if (k.info.place.kind == tds_text_place::kind_t::none) {
                assert_false(tds_request_put_text(q.payload, k.info, text, out));
                continue;
            }
            ++places;
            assert_true(tds_request_put_text(q.payload, k.info, k.texts[0].utf16, same));
            assert_true(same == q.payload || k.info.place.plp);
            assert_true(tds_request_put_text(q.payload, k.info, text, out));
            reading other = read_whole(q.kind, out);
            assert_true(!other.info.broken && other.texts.at(0).utf16 == text);
            std::string before, after;
            spell_calls(k.info, before), spell_calls(other.info, after);
            assert_string_equal(before.c_str(), after.c_str());
        }
    }
    assert_true(places > 400);
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_what_clients_send),
        cmocka_unit_test(test_at_every_split),
        cmocka_unit_test(test_cut_anywhere),
        cmocka_unit_test(test_every_byte_spoilt),
        cmocka_unit_test(test_other_text_in_its_place),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
