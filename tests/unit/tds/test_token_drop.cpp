// What the walker takes out of the stream, what it holds back for that, and what is forwarded around it.
#include "cmocka_cpp.h"

#include "tds/token_samples.h"

static tds_walk_options dropping(bool reset, bool state) {
    auto o = options_of(tds_7_4);
    o.drop_reset = reset;
    o.drop_session_state = state;
    return o;
}

static const bytes row = metadata(1) + column({0x38}) + bytes{tds_token_row} + fill(4);
static const bytes state = session_state(1, {5, 4, 0xfd, 0xe3, 3, 0});

struct drop_case {
    bytes payload, without_reset, without_state, without_both;
};

static std::vector<drop_case> drop_cases() {
    bytes end = done(0), begin = change(tds_env_begin, descriptor_1, {});
    bytes pair = token16(tds_token_envchange, {18, 0, 0, 18, 0, 0}); // not 18 alone: stays
    return {
        {reset_token + end, end, reset_token + end, end},
        {reset_token + row + end, row + end, reset_token + row + end, row + end},
        {row + reset_token + end, row + end, row + reset_token + end, row + end},
        {row + state + end, row + state + end, row + end, row + end},
        {state + state + end, state + state + end, end, end},
        // Only the first one of a message: another is the answer to a reset that the client called by name.
        {reset_token + state + reset_token + begin + state + end, state + reset_token + begin + state + end,
         reset_token + reset_token + begin + end, reset_token + begin + end},
        {reset_token + reset_token + reset_token + end, reset_token + reset_token + end,
         reset_token + reset_token + reset_token + end, reset_token + reset_token + end},
        {begin + begin + end, begin + begin + end, begin + begin + end, begin + begin + end},
        {pair + end, pair + end, pair + end, pair + end},
        // Heads that are like that of 18 for one, two and three bytes.
        {change(1, utf16("x"), utf16("y"), 2) + end, change(1, utf16("x"), utf16("y"), 2) + end,
         change(1, utf16("x"), utf16("y"), 2) + end, change(1, utf16("x"), utf16("y"), 2) + end},
        {change(7, {}, {}) + reset_token + end, change(7, {}, {}) + end, change(7, {}, {}) + reset_token + end,
         change(7, {}, {}) + end},
    };
}

static void check(const tds_walk_options &options, const bytes &payload, const bytes &expected) {
    walked whole = walk_whole(options, payload);
    assert_true(whole.ok);
    assert_true(whole.forwarded == expected);
    for (size_t first = 0; first <= payload.size(); ++first)
        for (size_t second = first; second <= payload.size(); ++second) {
            walked parts = walk_pieces(options, payload, {first, second, payload.size()});
            assert_true(parts.ok);
            assert_true(parts.forwarded == expected);
            assert_string_equal(parts.told.c_str(), whole.told.c_str());
        }
    assert_true(walk_pieces(options, payload, pieces_of(payload.size(), 1)).forwarded == expected);
}

static void test_dropped_at_every_pair_of_splits(void **) {
    for (const drop_case &c : drop_cases()) {
        check(dropping(false, false), c.payload, c.payload);
        check(dropping(true, false), c.payload, c.without_reset);
        check(dropping(false, true), c.payload, c.without_state);
        check(dropping(true, true), c.payload, c.without_both);
    }
}

// What is dropped is understood all the same.
static void test_dropped_tokens_are_noted(void **) {
    tds_walker w;
    tds_walk_init(w, dropping(true, true));
    bytes payload = reset_token + session_state(0, {1, 2, 3}) + done(0), forwarded;
    assert_true(feed_message(w, payload, {payload.size()}, forwarded));
    assert_true(w.message.reset_seen && w.message.session_state_seen && tds_walk_unrecoverable(w.session));
    assert_int_equal(w.message.bytes, payload.size());
    assert_int_equal(forwarded.size(), 13);
}

// The usual case: one call takes the piece and gives it back whole, without a copy.
static void test_piece_comes_back_whole(void **) {
    bytes payload = change(tds_env_begin, descriptor_1, {}) + row + done(0);
    tds_walker w;
    tds_walk_init(w, dropping(true, true));
    std::span<const uint8_t> in(payload), forward;
    assert_int_equal(tds_walk(w, in, forward), tds_walk_result::ok);
    assert_true(in.empty());
    assert_ptr_equal(forward.data(), payload.data());
    assert_int_equal(forward.size(), payload.size());
}

// At most three bytes wait, and only while they look like the token to take out.
static void test_held_back(void **) {
    bytes payload = done(tds_done_more) + reset_token;
    for (size_t n = 1; n <= reset_token.size(); ++n) {
        tds_walker w;
        tds_walk_init(w, dropping(true, false));
        std::span<const uint8_t> in = std::span(payload).first(13 + n), forward;
        assert_int_equal(tds_walk(w, in, forward), tds_walk_result::ok);
        assert_int_equal(forward.size(), 13);
        assert_int_equal(w.held, n < 4 && in.empty() ? n : 0);
        assert_true(tds_walk_between_tokens(w));
    }
    tds_walker w;
    tds_walk_init(w, dropping(true, false));
    bytes other = done(tds_done_more) + bytes{tds_token_envchange, 4};
    std::span<const uint8_t> in(other), forward;
    assert_int_equal(tds_walk(w, in, forward), tds_walk_result::ok);
    assert_int_equal(forward.size(), other.size());
    assert_false(tds_walk_between_tokens(w));
}

// A message that ends in the middle of what is held or dropped is no message, but nothing of it was forwarded.
static void test_cut_inside_a_dropped_token(void **) {
    for (const bytes &token : {reset_token, state}) {
        bytes payload = done(tds_done_more) + token;
        for (size_t n = 14; n < payload.size(); ++n) {
            walked cut = walk_pieces(dropping(true, true), std::span(payload).first(n), pieces_of(n, 1));
            assert_int_equal(cut.error, tds_walk_error::inside_token);
            assert_int_equal(cut.forwarded.size(), 13);
            assert_true(cut.between_tokens);
        }
    }
}

// Where the forwarded stream ends when something is wrong: the proxy may add an error of its own only between tokens.
static void test_between_tokens_after_an_error(void **) {
    bytes bad_change = token16(tds_token_envchange, {8, 3, 1, 2, 3, 0});
    bytes payload = row + bad_change + done(0);
    walked whole = walk_whole(dropping(false, false), payload);
    assert_int_equal(whole.error, tds_walk_error::bad_value);
    assert_true(whole.forwarded == row && whole.between_tokens);
    walked inside = walk_pieces(dropping(false, false), payload, {row.size() + 5, payload.size()});
    assert_int_equal(inside.error, tds_walk_error::bad_value);
    assert_int_equal(inside.forwarded.size(), row.size() + 5);
    assert_false(inside.between_tokens);
    walked at_start = walk_pieces(dropping(false, false), payload, {row.size(), payload.size()});
    assert_true(at_start.forwarded == row && at_start.between_tokens);
}

// Options may change from message to message.
static void test_reset_dropped_in_one_message_only(void **) {
    tds_walker w;
    tds_walk_init(w, dropping(false, false));
    bytes payload = reset_token + done(0), forwarded;
    w.options.drop_reset = true;
    assert_true(feed_message(w, payload, {payload.size()}, forwarded));
    assert_int_equal(forwarded.size(), 13);
    w.options.drop_reset = false;
    assert_true(feed_message(w, payload, {payload.size()}, forwarded));
    assert_int_equal(forwarded.size(), 13 + payload.size());
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_dropped_at_every_pair_of_splits),
        cmocka_unit_test(test_dropped_tokens_are_noted),
        cmocka_unit_test(test_piece_comes_back_whole),
        cmocka_unit_test(test_held_back),
        cmocka_unit_test(test_cut_inside_a_dropped_token),
        cmocka_unit_test(test_between_tokens_after_an_error),
        cmocka_unit_test(test_reset_dropped_in_one_message_only),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
