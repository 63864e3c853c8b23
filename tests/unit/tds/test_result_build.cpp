// Result sets of the proxy's own: every byte by hand, then as the walker and the reader of small results see them.
#include "cmocka_cpp.h"

#include "tds/result_build.h"
#include "tds/small_result.h"
#include "tds/token_stream.h"

static constexpr uint32_t versions[] = {tds_7_0, tds_7_1, tds_7_2, tds_7_3a, tds_7_3b, tds_7_4, tds_8_0};

static const tds_result_column columns[] = {
    {"name", tds_result_type::text, 3}, {"n", tds_result_type::integer}, {"big", tds_result_type::bigint}};

static bytes built(uint32_t version) {
    bytes b;
    tds_put_columns(b, version, columns);
    tds_put_row(b);
    tds_put_text(b, columns[0], "ab");
    tds_put_int(b, columns[1], -2);
    tds_put_int(b, columns[2], 0x0102030405060708);
    tds_put_row(b);
    for (const tds_result_column &c : columns)
        tds_put_null(b, c);
    return b;
}

static void every_byte(void **) {
    for (uint32_t version : versions) {
        bytes user_type(tds_version_is_wide(version) ? 4 : 2, 0),
            collation = version == tds_7_0 ? bytes{} : collation_latin;
        bytes expected = metadata(3) + user_type + little16(0x21) + bytes{0xe7, 6, 0} + collation + name8("name");
        expected = expected + user_type + little16(0x21) + bytes{0x26, 4} + name8("n");
        expected = expected + user_type + little16(0x21) + bytes{0x26, 8} + name8("big");
        expected = expected + bytes{0xd1} + little16(4) + utf16("ab") + bytes{4} + little32(0xfffffffe) + bytes{8} +
                   little64(0x0102030405060708);
        expected = expected + bytes{0xd1, 0xff, 0xff, 0, 0};
        assert_true(built(version) == expected);
    }
}

// The types that only what looks like a system view has.
static void other_types(void **) {
    using type = tds_result_type;
    static constexpr tds_result_column all[] = {{"b", type::bit},      {"t", type::tinyint},  {"s", type::smallint},
                                                {"r", type::real},     {"d", type::datetime}, {"g", type::guid},
                                                {"v", type::binary, 5}};
    static constexpr uint8_t told[][3] = {{0x68, 1}, {0x26, 1},  {0x26, 2},   {0x6d, 8},
                                          {0x6f, 8}, {0x24, 16}, {0xa5, 5, 0}};
    for (uint32_t version : versions) {
        bytes b, expected = metadata(7), user_type(tds_version_is_wide(version) ? 4 : 2, 0);
        for (size_t i = 0; i < std::size(all); ++i)
            expected = expected + user_type + little16(0x21) +
                       bytes(told[i], told[i] + (all[i].type == type::binary ? 3 : 2)) +
                       name8(std::string(all[i].name));
        tds_put_columns(b, version, all);
        assert_true(b == expected);
        tds_put_row(b);
        tds_put_int(b, all[0], 7);
        tds_put_int(b, all[1], 300);
        tds_put_int(b, all[2], -70'000);
        tds_put_real(b, 1.5);
        tds_put_datetime(b, 45'000, 300);
        tds_put_guid(b, "00112233-4455-6677-8899-aAbbccddeeff");
        tds_put_binary(b, all[6], std::string_view("\0abcdef", 7));
        expected = expected + bytes{0xd1, 1, 1, 1, 255, 2} + little16(0x8000) + bytes{8} +
                   little64(0x3ff8000000000000) + bytes{8} + little32(45'000) + little32(300) + bytes{16} +
                   bytes{0x33, 0x22, 0x11, 0, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff} +
                   little16(5) + bytes{0, 'a', 'b', 'c', 'd'};
        assert_true(b == expected);
        tds_put_row(b);
        for (const tds_result_column &c : all)
            tds_put_null(b, c);
        expected = expected + bytes{0xd1, 0, 0, 0, 0, 0, 0} + little16(0xffff);
        assert_true(b == expected);
        assert_true(walk_whole(options_of(version), b + done(tds_done_count, tds_token_done, version)).ok);
    }
}

static void the_walker_follows(void **) {
    for (uint32_t version : versions) {
        bytes payload = built(version) + done(tds_done_count, tds_token_done, version);
        for (size_t piece : {size_t{1}, size_t{7}, payload.size()})
            assert_true(walk_pieces(options_of(version), payload, pieces_of(payload.size(), piece)).ok);
    }
}

// Text is cut at its column's width, never inside of a character; numbers at their type's.
static void what_does_not_fit_is_cut(void **) {
    const tds_result_column text{"t", tds_result_type::text, 3}, number{"n", tds_result_type::integer};
    for (auto [in, out] :
         {std::pair{"abcd", "abc"}, {"", ""}, {"ab\xf0\x9f\x98\x80", "ab"}, {"a\xff", "a\xef\xbf\xbd"}}) {
        bytes b;
        tds_put_columns(b, tds_7_4, {&text, 1});
        tds_put_row(b);
        tds_put_text(b, text, in);
        b = b + done(0);
        tds_small_result r;
        assert_true(tds_small_result_read(b, options_of(tds_7_4), tds_7_4, 1000, r));
        assert_string_equal(r.rows.at(0).at(0)->c_str(), out);
    }
    bytes b;
    tds_put_int(b, number, INT64_MAX);
    tds_put_int(b, number, INT64_MIN);
    assert_true(b == bytes{4} + little32(INT32_MAX) + bytes{4} + little32(0x80000000));
}

static void what_a_procedure_returns(void **) {
    for (uint32_t version : versions) {
        bytes b;
        tds_put_return_status(b, -6);
        tds_put_return_int(b, version, 0, 77);
        b = b + done(0, tds_token_doneproc, version);
        tds_walker w;
        tds_walk_init(w, options_of(version));
        bytes forwarded;
        assert_true(feed_message(w, b, {b.size()}, forwarded));
        assert_true(w.message.has_return_status && w.message.return_status == -6);
        assert_int_equal(w.message.returns_count, 1);
        assert_true(w.message.returns[0].is_int && w.message.returns[0].value == 77);
    }
}

static void transactions_and_resets(void **) {
    tds_walker w;
    tds_walk_init(w, options_of(tds_7_4));
    bytes forwarded, begin, end;
    tds_put_reset_done(begin);
    assert_true(begin == reset_token);
    tds_put_transaction(begin, tds_env_begin, 0x0807060504030201);
    begin = begin + done(0);
    assert_true(feed_message(w, begin, {begin.size()}, forwarded));
    assert_true(w.message.reset_seen && w.session.in_transaction);
    assert_memory_equal(w.session.descriptor, descriptor_1.data(), 8);
    for (uint8_t type : {tds_env_commit, tds_env_rollback}) {
        w.session.in_transaction = true;
        end.clear();
        tds_put_transaction(end, type, 0x0807060504030201);
        assert_true(end == change(type, {}, descriptor_1));
        end = end + done(0);
        assert_true(feed_message(w, end, {end.size()}, forwarded));
        assert_false(w.session.in_transaction);
    }
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(every_byte),
        cmocka_unit_test(other_types),
        cmocka_unit_test(the_walker_follows),
        cmocka_unit_test(what_does_not_fit_is_cut),
        cmocka_unit_test(what_a_procedure_returns),
        cmocka_unit_test(transactions_and_resets),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
