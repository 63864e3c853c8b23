// What the walker keeps of a response beyond its session: output parameters that are ints, and row counts.
#include "cmocka_cpp.h"

#include "tds/token_samples.h"

static bytes returned(uint16_t ordinal, const bytes &info_and_value, uint32_t version = tds_7_4, uint16_t flags = 0) {
    bytes token = return_value(info_and_value, version, flags);
    set_u16le(token, 1, ordinal);
    return token;
}
static bytes int_value(int32_t value) {
    return bytes{0x26, 4, 4} + little32(static_cast<uint32_t>(value));
}

// The message, walked in pieces of every size up to a few bytes with the same result.
static tds_walk_message message_of(const bytes &payload, const tds_walk_options &options) {
    walked whole = walk_whole(options, payload);
    assert_true(whole.ok && whole.forwarded == payload);
    for (size_t piece : {1, 2, 3, 5, 7})
        assert_string_equal(whole.told.c_str(),
                            walk_pieces(options, payload, pieces_of(payload.size(), piece)).told.c_str());
    tds_walker w;
    bytes forwarded;
    tds_walk_init(w, options);
    assert_true(feed_message(w, payload, {payload.size()}, forwarded));
    return w.message;
}
static tds_walk_message message_of(const bytes &payload, uint32_t version = tds_7_4) {
    return message_of(payload, options_of(version));
}

static const bytes end_of_call = done(0, tds_token_doneproc);

static void assert_return(const tds_walk_return &r, uint32_t call, uint16_t ordinal, int32_t value) {
    assert_int_equal(r.call, call);
    assert_int_equal(r.ordinal, ordinal);
    assert_true(r.is_int);
    assert_int_equal(r.value, value);
}

static void test_handle_of_prepared_statement(void **) {
    auto m = message_of(bytes{tds_token_returnstatus} + little32(0) + returned(0, int_value(0x12345678)) + end_of_call);
    assert_int_equal(m.returns_count, 1);
    assert_return(m.returns[0], 0, 0, 0x12345678);
    assert_int_equal(m.calls_done, 1);
    assert_false(m.returns[1].is_int);
}

static void test_handle_below_7_2(void **) {
    bytes end = done(0, tds_token_doneproc, tds_7_1);
    auto m = message_of(returned(9, int_value(7), tds_7_1) + returned(9, {0x38, 8, 0, 0, 0}, tds_7_1) + end, tds_7_1);
    assert_int_equal(m.returns_count, 2);
    assert_return(m.returns[0], 0, 9, 7); // 9 is a length there
    assert_return(m.returns[1], 0, 9, 8);
}

static void test_ints_of_every_size(void **) {
    auto m = message_of(returned(1, {0x26, 1, 1, 200}) + returned(2, bytes{0x26, 2, 2} + little16(0xfffe)) +
                        returned(3, bytes{0x26, 8, 8} + little64(static_cast<uint64_t>(-3))) +
                        returned(4, bytes{0x38} + little32(0x80000000)) + end_of_call);
    assert_return(m.returns[0], 0, 1, 200);
    assert_return(m.returns[1], 0, 2, -2);
    assert_return(m.returns[2], 0, 3, -3);
    assert_return(m.returns[3], 0, 4, INT32_MIN);
}

static void test_values_that_are_no_ints(void **) {
    for (const bytes &value :
         {bytes{0x26, 4, 0}, bytes{0x26, 8, 8} + little64(0x80000000), bytes{0x26, 4, 3, 1, 2, 3}, bytes{0x30, 5},
          bytes{0x6d, 4, 4} + little32(1), bytes{0xe7, 8, 0} + collation_latin + little16(4) + utf16("12")}) {
        auto m = message_of(returned(5, value) + returned(6, int_value(1)) + end_of_call);
        assert_int_equal(m.returns_count, 2);
        assert_int_equal(m.returns[0].ordinal, 5);
        assert_false(m.returns[0].is_int || m.returns[0].value != 0);
        assert_return(m.returns[1], 0, 6, 1);
    }
}

static void test_encrypted_value_is_no_int(void **) {
    auto options = options_of(tds_7_4);
    options.column_encryption = true;
    bytes cipher = bytes{0x26, 4} + bytes(4, 0) + bytes{0x38, 2, 1, 1} + bytes{4, 1, 2, 3, 4};
    auto m = message_of(returned(0, cipher, tds_7_4, 0x0800) + returned(1, int_value(2)) + end_of_call, options);
    assert_false(m.returns[0].is_int);
    assert_return(m.returns[1], 0, 1, 2);
}

// More than are kept are walked and counted.
static void test_many_return_values(void **) {
    bytes payload;
    for (uint16_t i = 0; i < 300; ++i)
        payload = payload + returned(i, int_value(i * 10));
    auto m = message_of(payload + end_of_call);
    assert_int_equal(m.returns_count, 300);
    for (uint16_t i = 0; i < tds_walk_returns_kept; ++i)
        assert_return(m.returns[i], 0, i, i * 10);
}

static void test_return_values_of_several_calls(void **) {
    bytes more = done(tds_done_more | tds_done_rpc_in_batch, tds_token_doneproc),
          inside = done(tds_done_more, tds_token_doneinproc);
    auto m =
        message_of(inside + returned(0, int_value(1)) + more + more + inside + returned(0, int_value(2)) + end_of_call);
    assert_return(m.returns[0], 0, 0, 1);
    assert_return(m.returns[1], 2, 0, 2);
    assert_int_equal(m.calls_done, 3);
}

static bytes counted(uint64_t rows, bool has_count, bool more, uint8_t token = tds_token_done) {
    bytes b;
    tds_put_done(b, tds_7_4, token,
                 static_cast<uint16_t>((has_count ? tds_done_count : 0) | (more ? tds_done_more : 0)), 0xc1, rows);
    return b;
}

static void test_row_counts(void **) {
    auto lone = message_of(counted(5, true, false));
    assert_true(lone.dones_with_count == 1 && lone.last_count == 5 && (lone.done_status & tds_done_count) != 0);
    auto two = message_of(counted(5, true, true, tds_token_doneinproc) + counted(0x100000007, true, true) +
                          counted(9, false, false));
    assert_true(two.dones_with_count == 2 && two.last_count == 0x100000007 && two.done_rows == 9);
    assert_true((two.done_status & tds_done_count) == 0);
    auto none = message_of(counted(5, false, false));
    assert_true(none.dones_with_count == 0 && none.last_count == 0);
}

// Nothing of a message is left in the next one.
static void test_each_message_begins_anew(void **) {
    tds_walker w;
    bytes forwarded, first = returned(3, int_value(4)) + counted(5, true, false, tds_token_doneproc), second = done(0);
    tds_walk_init(w, options_of(tds_7_4));
    assert_true(feed_message(w, first, {first.size()}, forwarded));
    assert_int_equal(w.message.returns_count, 1);
    assert_true(feed_message(w, second, {second.size()}, forwarded));
    const auto &m = w.message;
    assert_true(m.returns_count == 0 && !m.returns[0].is_int && m.dones_with_count == 0 && m.last_count == 0 &&
                m.calls_done == 0);
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_handle_of_prepared_statement),
        cmocka_unit_test(test_handle_below_7_2),
        cmocka_unit_test(test_ints_of_every_size),
        cmocka_unit_test(test_values_that_are_no_ints),
        cmocka_unit_test(test_encrypted_value_is_no_int),
        cmocka_unit_test(test_many_return_values),
        cmocka_unit_test(test_return_values_of_several_calls),
        cmocka_unit_test(test_row_counts),
        cmocka_unit_test(test_each_message_begins_anew),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
