// The rows of the proxy's own queries.
#include "cmocka_cpp.h"

#include "tds/small_result.h"
#include "tds/token_samples.h"

static const bytes value_null{0xff, 0xff};

static bytes info_of(uint16_t max, uint32_t version) {
    return bytes{0xe7} + little16(max) + (version == tds_7_0 ? bytes{} : collation_latin);
}
static bytes text(std::string_view ascii) {
    return little16(static_cast<uint32_t>(2 * ascii.size())) + utf16(ascii);
}
static bytes text_max(std::string_view ascii, size_t chunk) {
    bytes all = utf16(ascii), b = little64(plp_unknown);
    for (size_t at = 0; at < all.size(); at += chunk) {
        size_t n = std::min(chunk, all.size() - at);
        b = b + little32(static_cast<uint32_t>(n)) +
            bytes(all.begin() + static_cast<long>(at), all.begin() + static_cast<long>(at + n));
    }
    return b + little32(0);
}

using row = std::vector<std::optional<std::string>>;

static bool read(const bytes &payload, tds_small_result &out, const tds_walk_options &options, size_t limit = 1000) {
    assert_true(walk_whole(options, payload).ok);
    bytes exact(payload);
    exact.shrink_to_fit();
    return tds_small_result_read(exact, options, options.version, limit, out);
}

// Columns of 100 characters and of (max), below 7.2 of 100 alone; a row, one with NULLs and one of empty texts.
static void test_rows(void **) {
    for (uint32_t version : {tds_7_0, tds_7_1, tds_7_2, tds_7_4, tds_8_0}) {
        bool wide = tds_version_is_wide(version);
        bytes second = wide ? info_of(0xffff, version) : info_of(100, version);
        bytes payload = metadata(2) + column(info_of(100, version), version) + column(second, version);
        payload =
            payload + bytes{tds_token_row} + text("one") + (wide ? text_max("two and more", 5) : text("two and more"));
        payload = payload + bytes{tds_token_row} + value_null + (wide ? plp_null : value_null);
        payload = payload + bytes{tds_token_row} + text("") + (wide ? text_max("", 1) : text(""));
        payload = payload + done(tds_done_count, tds_token_done, version);
        tds_small_result r;
        assert_true(read(payload, r, options_of(version)));
        assert_false(r.cut);
        assert_int_equal(r.rows.size(), 3);
        assert_true(r.rows[0] == (row{"one", "two and more"}));
        assert_true(r.rows[1] == (row{std::nullopt, std::nullopt}));
        assert_true(r.rows[2] == (row{"", ""}));
    }
}

static void test_rows_with_a_bitmap(void **) {
    bytes payload = metadata(9);
    for (int i = 0; i < 9; ++i)
        payload = payload + column(info_of(20, tds_7_4));
    payload = payload + bytes{tds_token_nbcrow, 0xfe, 0x00} + text("a") + text("b") + done(0);
    tds_small_result r;
    assert_true(read(payload, r, options_of(tds_7_4)));
    row expected(9);
    expected[0] = "a";
    expected[8] = "b";
    assert_true(r.rows.size() == 1 && r.rows[0] == expected);
}

// Notices, changes of the session and several results around and between them.
static void test_what_is_between_the_rows(void **) {
    bytes columns = metadata(1) + column(info_of(20, tds_7_4));
    bytes payload = notice(5701, 0) + reset_token + columns + bytes{tds_token_row} + text("1") + notice(3, 0) +
                    bytes{tds_token_row} + text("2") + done(tds_done_more) + metadata(2) +
                    column(info_of(20, tds_7_4)) + column(info_of(20, tds_7_4)) + bytes{tds_token_row} + text("3") +
                    text("4") + session_state(1, {}) + done(0);
    tds_walk_options options = options_of(tds_7_4);
    options.drop_reset = options.drop_session_state = true;
    tds_small_result r;
    assert_true(tds_small_result_read(payload, options, tds_7_4, 1000, r));
    assert_true(r.rows == (std::vector<row>{{"1"}, {"2"}, {"3", "4"}}));
    tds_small_result nothing;
    assert_true(read(done(0), nothing, options_of(tds_7_4)));
    assert_true(nothing.rows.empty());
}

static void test_text_beyond_ascii(void **) {
    bytes pair{0x3d, 0xd8, 0x00, 0xde}, euro{0xac, 0x20};
    bytes payload =
        metadata(1) + column(info_of(20, tds_7_4)) + bytes{tds_token_row} + little16(6) + pair + euro + done(0);
    tds_small_result r;
    assert_true(read(payload, r, options_of(tds_7_4)));
    assert_string_equal(r.rows.at(0).at(0)->c_str(), "\xf0\x9f\x98\x80\xe2\x82\xac");
}

static void test_limit(void **) {
    bytes payload = metadata(1) + column(info_of(20, tds_7_4));
    for (int i = 0; i < 10; ++i)
        payload = payload + bytes{tds_token_row} + text("12345");
    payload = payload + done(0);
    for (size_t limit : {0, 4, 5, 24, 49}) {
        tds_small_result r;
        assert_true(read(payload, r, options_of(tds_7_4), limit));
        assert_true(r.cut && r.rows.size() == limit / 5);
    }
    tds_small_result r;
    assert_true(read(payload, r, options_of(tds_7_4), 50));
    assert_true(!r.cut && r.rows.size() == 10);
}

static void test_columns_of_other_types(void **) {
    for (const type_sample &t : type_samples()) {
        bytes payload = metadata(1) + column(t.info, tds_7_4, t.table) + bytes{tds_token_row} + t.value + done(0);
        tds_small_result r;
        assert_int_equal(read(payload, r, options_of(tds_7_4)), t.info[0] == 0xe7);
    }
    tds_small_result r;
    assert_false(read(compute_result(tds_7_4) + done(0), r, options_of(tds_7_4)));
    bytes payload; // sp_prepare tells such columns, and no row of them
    for (const type_sample &t : type_samples())
        payload = payload + metadata(1) + column(t.info, tds_7_4, t.table) + done(tds_done_more);
    payload = payload + metadata(1) + column(info_of(20, tds_7_4)) + bytes{tds_token_row} + text("7") + done(0);
    assert_true(read(payload, r, options_of(tds_7_4)));
    assert_true(r.rows == std::vector<row>{{"7"}});
}

// With column encryption a table of keys precedes the columns.
static void test_encryption(void **) {
    tds_walk_options options = options_of(tds_7_4);
    options.column_encryption = true;
    bytes payload =
        metadata(1) + little16(0) + column(info_of(20, tds_7_4)) + bytes{tds_token_row} + text("x") + done(0);
    tds_small_result r;
    assert_true(read(payload, r, options));
    assert_true(r.rows == std::vector<row>{{"x"}});
}

// Any cut, and any byte spoilt: no row that is not there, and no read outside.
static void test_what_is_not_well_formed(void **) {
    bytes payload = metadata(2) + column(info_of(20, tds_7_4)) + column(info_of(0xffff, tds_7_4)) +
                    bytes{tds_token_row} + text("ab") + text_max("cdef", 3) + bytes{tds_token_nbcrow, 1} +
                    text_max("g", 1) + done(0);
    for (size_t size = 0; size < payload.size(); ++size) {
        bytes cut(payload.begin(), payload.begin() + static_cast<long>(size));
        cut.shrink_to_fit();
        tds_small_result r;
        assert_false(tds_small_result_read(cut, options_of(tds_7_4), tds_7_4, 1000, r));
    }
    for (size_t at = 0; at < payload.size(); ++at)
        for (int value : {0, 1, 0x7f, 0xff}) {
            bytes spoilt = payload;
            spoilt[at] = static_cast<uint8_t>(value);
            spoilt.shrink_to_fit();
            tds_small_result r;
            bool good = tds_small_result_read(spoilt, options_of(tds_7_4), tds_7_4, 1000, r);
            assert_true(!good || walk_whole(spoilt).ok);
            assert_true(r.rows.size() <= 2);
        }
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_rows_with_a_bitmap),
        cmocka_unit_test(test_what_is_between_the_rows),
        cmocka_unit_test(test_text_beyond_ascii),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_columns_of_other_types),
        cmocka_unit_test(test_encryption),
        cmocka_unit_test(test_what_is_not_well_formed),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
