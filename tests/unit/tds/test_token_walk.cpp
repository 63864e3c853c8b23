// The token walker: every token and type at every split, cut anywhere, with every byte spoilt; what a message may hold.
#include "cmocka_cpp.h"

#include "tds/token_samples.h"

static void assert_same(const walked &a, const walked &b, const char *name, size_t split) {
    if (a.ok != b.ok || a.error != b.error || a.told != b.told || a.forwarded != b.forwarded)
        fail_msg("%s, split at %zu: %s / %s\n%s\n%s", name, split, tds_walk_error_text(a.error),
                 tds_walk_error_text(b.error), a.told.c_str(), b.told.c_str());
}

static void test_every_token_at_every_split(void **) {
    for (const token_sample &s : token_samples()) {
        walked whole = walk_whole(s.options, s.payload);
        if (!whole.ok)
            fail_msg("%s: %s", s.name, tds_walk_error_text(whole.error));
        assert_true(whole.forwarded == s.payload);
        assert_true(whole.between_tokens);
        for (size_t split = 1; split < s.payload.size(); ++split)
            assert_same(whole, walk_pieces(s.options, s.payload, {split, s.payload.size()}), s.name, split);
        for (size_t piece : {1, 2, 3, 5, 64})
            assert_same(whole, walk_pieces(s.options, s.payload, pieces_of(s.payload.size(), piece)), s.name, piece);
    }
}

// No beginning of a message is a message, with the exception of one that ends at a DONE that may be the last.
static void test_every_token_cut_anywhere(void **) {
    for (const token_sample &s : token_samples()) {
        std::string_view name = s.name;
        for (size_t size = 0; size < s.payload.size(); ++size) {
            auto part = std::span(s.payload).first(size);
            walked cut = walk_pieces(s.options, part, {size});
            bool response_ended =
                (name == "attention-same-message" && size == 13) || (name == "batch-of-calls" && size == 26);
            assert_int_equal(cut.ok, response_ended);
            if (!response_ended)
                assert_true(cut.error == (size == 0            ? tds_walk_error::empty
                                          : cut.between_tokens ? tds_walk_error::no_done
                                                               : tds_walk_error::inside_token));
        }
    }
}

// Whatever a byte says, a walk in pieces finds the same as a walk over the whole.
static void test_every_byte_spoilt(void **) {
    size_t errors = 0;
    for (const token_sample &s : token_samples()) {
        for (size_t at = 0; at < s.payload.size(); ++at) {
            for (int value : {0x00, 0x01, 0x80, 0xff}) {
                bytes spoilt = s.payload;
                spoilt[at] = static_cast<uint8_t>(value);
                walked whole = walk_whole(s.options, spoilt);
                walked parts = walk_pieces(s.options, spoilt, pieces_of(spoilt.size(), 13));
                assert_int_equal(whole.error, parts.error);
                assert_string_equal(whole.told.c_str(), parts.told.c_str());
                size_t n = std::min(whole.forwarded.size(), parts.forwarded.size());
                assert_memory_equal(whole.forwarded.data(), spoilt.data(), n);
                assert_memory_equal(parts.forwarded.data(), spoilt.data(), n);
                errors += whole.ok ? 0 : 1;
            }
        }
    }
    assert_true(errors > 1000);
}

static void test_each_type_in_each_row(void **) {
    for (const type_sample &t : type_samples()) {
        for (uint32_t version : {tds_7_0, tds_7_1, tds_7_2, tds_7_4, tds_8_0}) {
            if (!t.old && !tds_version_is_wide(version))
                continue;
            std::vector<type_sample> one{t};
            bytes payload = rows_of(one, version) + nbcrow(one, 0) + nbcrow(one, 1) + done(0, tds_token_done, version);
            walked result = walk_whole(options_of(version), payload);
            if (!result.ok)
                fail_msg("%s, TDS %x: %s", t.name, version, tds_walk_error_text(result.error));
            for (size_t split = 1; split < payload.size(); ++split)
                assert_same(result, walk_pieces(options_of(version), payload, {split, payload.size()}), t.name, split);
        }
    }
}

static void test_types_that_no_server_sends(void **) {
    for (unsigned id = 0; id < 256; ++id) {
        auto known = type_samples();
        bool sent = std::any_of(known.begin(), known.end(), [id](const type_sample &t) { return t.info[0] == id; });
        bytes type{static_cast<uint8_t>(id)};
        walked column_result = walk_whole(metadata(1) + column(type + fill(40, 1)) + done(0));
        walked value_result = walk_whole(return_value(type + fill(40, 1)) + done(0));
        assert_int_equal(column_result.error == tds_walk_error::unknown_type, !sent);
        assert_int_equal(value_result.error == tds_walk_error::unknown_type, !sent);
    }
}

static void test_unknown_tokens(void **) {
    auto options = options_of(tds_7_4);
    options.data_classification = 2;
    for (unsigned id = 0; id < 256; ++id) {
        bytes payload = done(tds_done_more) + bytes{static_cast<uint8_t>(id)} + fill(100, 1);
        walked result = walk_whole(options, payload);
        static const std::string known = "\x78\x79\x81\x88\xa3\xa4\xa5\xa9\xaa\xab\xac\xad\xae\xd1\xd2\xd3\xe3\xe4"
                                         "\xed\xee\xfd\xfe\xff";
        bool is_known = known.find(static_cast<char>(id)) != std::string::npos;
        // With these bytes behind it, a known token is walked into before anything is found wrong.
        assert_int_equal(result.error == tds_walk_error::unknown_token && result.forwarded.size() == 13, !is_known);
        if (!is_known)
            assert_true(result.between_tokens);
    }
    walked not_negotiated = walk_whole(metadata(1) + column({0x38}) + classification(1) + done(0));
    assert_int_equal(not_negotiated.error, tds_walk_error::unknown_token);
}

static void test_rows_need_columns(void **) {
    bytes row = bytes{tds_token_row} + fill(4) + done(0);
    bytes alt_row = bytes{tds_token_altrow} + little16(1) + fill(4) + done(0);
    bytes columns = metadata(1) + column({0x38});
    for (const bytes &payload :
         {row, alt_row, bytes{tds_token_nbcrow, 0} + fill(4) + done(0), metadata(0) + row, metadata(0xffff) + row,
          columns + metadata(0) + row, columns + alt_row, compute_result(tds_7_4) + columns + alt_row})
        assert_int_equal(walk_whole(payload).error, tds_walk_error::no_columns);
    assert_true(walk_whole(columns + row).ok);
}

// The columns of an earlier message hold for metadata 0xFFFF, and for nothing else.
static void test_columns_of_an_earlier_message(void **) {
    tds_walker w;
    tds_walk_init(w, options_of(tds_7_4));
    bytes forwarded;
    bytes first = metadata(1) + column({0x34}) + bytes{tds_token_row} + fill(2) + done(0);
    bytes same = metadata(0xffff) + bytes{tds_token_row} + fill(2) + done(0);
    bytes bare = bytes{tds_token_row} + fill(2) + done(0);
    assert_true(feed_message(w, first, {first.size()}, forwarded));
    assert_true(feed_message(w, done(0), {13}, forwarded));
    assert_true(feed_message(w, same, {same.size()}, forwarded));
    assert_false(feed_message(w, bare, {bare.size()}, forwarded));
    assert_int_equal(w.error, tds_walk_error::no_columns);
}

static void test_after_the_last_done(void **) {
    bytes more = done(tds_done_more), last = done(0);
    assert_true(walk_whole(more + last).ok);
    for (const bytes &behind : {notice(1, 0), last, more, bytes{0}, reset_token, session_state(1, {}),
                                done(0, tds_token_doneproc), done(tds_done_attention, tds_token_doneproc)}) {
        walked result = walk_whole(last + behind);
        assert_int_equal(result.error, tds_walk_error::after_done);
        assert_true(result.forwarded == last && result.between_tokens);
    }
    // An acknowledged attention ends the message for good.
    assert_true(walk_whole(last + done(tds_done_attention)).ok);
    assert_true(walk_whole(last + done(tds_done_attention) + done(tds_done_attention)).ok);
    assert_int_equal(walk_whole(done(tds_done_attention) + last).error, tds_walk_error::after_done);
    // DONEINPROC never ends a response, but a message may end with it.
    assert_true(walk_whole(done(0, tds_token_doneinproc) + done(0, tds_token_doneproc)).ok);
    assert_true(walk_whole(done(0, tds_token_doneinproc)).ok);
    assert_int_equal(walk_whole(more).error, tds_walk_error::no_done);
    assert_int_equal(walk_whole(notice(1, 16)).error, tds_walk_error::no_done);
    assert_int_equal(walk_whole({}).error, tds_walk_error::empty);
}

// Lengths that no buffer could hold are stepped over as they arrive.
static void test_giant_values_pass(void **) {
    static constexpr size_t chunk = size_t{1} << 20;
    bytes megabyte(chunk, 0xd1), forwarded;
    struct {
        bytes info, head, tail;
        uint64_t size;
    } cases[] = {
        {bytes{0xe7, 0xff, 0xff} + collation_latin, little64(plp_unknown) + little32(0xffffffff), little32(0),
         0xffffffff},
        {bytes{0x22} + little32(0x7fffffff) + bytes{0}, bytes{16} + fill(24) + little32(0x7fffffff), {}, 0x7fffffff},
        {bytes{0x62} + little32(8009), little32(0x7fffffff), {}, 0x7fffffff},
    };
    for (const auto &c : cases) {
        tds_walker w;
        tds_walk_init(w, options_of(tds_7_4));
        bytes begin = metadata(1) + column(c.info) + bytes{tds_token_row} + c.head;
        bytes end = c.tail + done(0);
        auto feed = [&w](std::span<const uint8_t> in) {
            std::span<const uint8_t> forward;
            size_t n = in.size();
            assert_int_equal(tds_walk(w, in, forward), tds_walk_result::ok);
            assert_true(in.empty());
            assert_int_equal(forward.size(), n);
        };
        feed(begin);
        assert_false(tds_walk_between_tokens(w));
        for (uint64_t left = c.size; left > 0; left -= std::min<uint64_t>(left, chunk))
            feed(std::span(megabyte).first(std::min<uint64_t>(left, chunk)));
        feed(end);
        assert_int_equal(tds_walk_end(w), tds_walk_result::ok);
        assert_int_equal(w.message.bytes, begin.size() + c.size + end.size());
    }
}

static void test_lengths_over_their_limit(void **) {
    bytes variant_row = metadata(1) + column(bytes{0x62} + little32(8009)) + bytes{tds_token_row};
    bytes image_row = metadata(1) + column(bytes{0x22} + little32(1), tds_7_4, {0}) + bytes{tds_token_row, 1} + fill(9);
    bytes long_token = little32(tds_long_token_max + 1) + fill(4) + bytes{1};
    bytes promote = bytes{tds_token_envchange, 1, 0, tds_env_promote};
    for (const bytes &head :
         {variant_row + little32(0x80000000), image_row + little32(0xffffffff),
          bytes{tds_token_sessionstate} + long_token, bytes{tds_token_sessionstate} + little32(4) + fill(5),
          bytes{tds_token_fedauthinfo} + long_token, bytes{tds_token_featureextack, 1} + long_token,
          promote + long_token}) {
        walked result = walk_whole(head + fill(64) + done(0));
        assert_int_equal(result.error, tds_walk_error::bad_length);
    }
    for (int type : {1, 7, 8, 20}) // lengths that lead out of the token
        for (size_t length : {1, 2, 5, 9}) {
            bytes body = bytes{static_cast<uint8_t>(type)} + bytes(length - 1, 0xff);
            auto error = walk_whole(token16(tds_token_envchange, body) + done(0)).error;
            assert_int_equal(error, tds_walk_error::bad_length);
        }
    assert_int_equal(walk_whole(token16(tds_token_envchange, {}) + done(0)).error, tds_walk_error::bad_length);
    assert_int_equal(walk_whole(token16(tds_token_loginack, {}) + done(0)).error, tds_walk_error::bad_length);
}

// The texts of an ERROR have to fill it exactly: some clients go by the one, some by the other.
static void test_error_texts_agree_with_its_length(void **) {
    bytes good = notice(1, 16) + done(2);
    assert_true(walk_whole(good).ok);
    for (size_t at : {1, 9, 9 + 2 + 18}) // token's length, text's, server name's
        for (int by : {-1, 100}) {
            bytes bad = good;
            bad[at] = static_cast<uint8_t>(bad[at] + by);
            assert_int_equal(walk_whole(bad).error, tds_walk_error::bad_length);
        }
    for (uint8_t length = 0; length < 6; ++length)
        assert_int_equal(walk_whole(token16(tds_token_error, fill(length)) + done(2)).error,
                         tds_walk_error::bad_length);
}

// The most columns that can be announced, and one byte of memory for each of them.
static void test_many_columns(void **) {
    bytes payload = metadata(65534);
    for (int i = 0; i < 65534; ++i)
        payload.insert(payload.end(), {0, 0, 0, 0, 0, 0, 0x26, 4, 0});
    payload.push_back(tds_token_nbcrow);
    payload.insert(payload.end(), 8192, 0xff);
    payload = payload + done(0);
    tds_walker w;
    tds_walk_init(w, options_of(tds_7_4));
    bytes forwarded;
    assert_true(feed_message(w, payload, pieces_of(payload.size(), 4088), forwarded));
    assert_int_equal(w.layout.size, 65534);
    assert_true(w.layout.capacity <= 2 * 65534);
    // Small metadata gives the memory back.
    bytes small = metadata(1) + column({0x38}) + done(0);
    assert_true(feed_message(w, small, {small.size()}, forwarded));
    assert_true(w.layout.capacity <= 1024 && w.layout.nulls_capacity <= 1024);
}

// Announced columns cost nothing until they arrive.
static void test_memory_grows_with_what_arrived(void **) {
    tds_walker w;
    tds_walk_init(w, options_of(tds_7_4));
    bytes payload = metadata(65534) + column({0x38});
    std::span<const uint8_t> in(payload), forward;
    assert_int_equal(tds_walk(w, in, forward), tds_walk_result::ok);
    assert_true(w.layout.capacity <= 64);
    tds_walk_init(w, options_of(tds_7_4));
    bytes change_begun = bytes{tds_token_envchange, 0xff, 0xff, 99, 1, 2, 3};
    in = change_begun;
    assert_int_equal(tds_walk(w, in, forward), tds_walk_result::ok);
    assert_true(w.gathered_capacity < 64);
}

static void test_too_many_compute_clauses(void **) {
    bytes one =
        bytes{tds_token_altmetadata} + little16(1) + little16(1) + bytes{0, 0x4d} + little16(1) + column({0x38});
    bytes payload = metadata(1) + column({0x38});
    for (size_t i = 0; i < tds_alt_max; ++i)
        payload = payload + one;
    assert_true(walk_whole(payload + done(0)).ok);
    assert_int_equal(walk_whole(payload + one + done(0)).error, tds_walk_error::too_many);
}

// After an error nothing more is taken, and the error stays.
static void test_an_error_stays(void **) {
    tds_walker w;
    tds_walk_init(w, options_of(tds_7_4));
    bytes bad = bytes{0x55} + done(0), good = done(0);
    std::span<const uint8_t> in(bad), forward;
    assert_int_equal(tds_walk(w, in, forward), tds_walk_result::error);
    assert_int_equal(w.bad_byte, 0x55);
    in = good;
    assert_int_equal(tds_walk(w, in, forward), tds_walk_result::error);
    assert_int_equal(in.size(), good.size());
    assert_true(forward.empty());
    assert_int_equal(tds_walk_end(w), tds_walk_result::error);
    assert_int_equal(w.error, tds_walk_error::unknown_token);
    tds_walk_init(w, options_of(tds_7_4));
    assert_int_equal(tds_walk(w, in, forward), tds_walk_result::ok);
    assert_int_equal(tds_walk_end(w), tds_walk_result::ok);
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_every_token_at_every_split),
        cmocka_unit_test(test_every_token_cut_anywhere),
        cmocka_unit_test(test_every_byte_spoilt),
        cmocka_unit_test(test_each_type_in_each_row),
        cmocka_unit_test(test_types_that_no_server_sends),
        cmocka_unit_test(test_unknown_tokens),
        cmocka_unit_test(test_rows_need_columns),
        cmocka_unit_test(test_columns_of_an_earlier_message),
        cmocka_unit_test(test_after_the_last_done),
        cmocka_unit_test(test_giant_values_pass),
        cmocka_unit_test(test_lengths_over_their_limit),
        cmocka_unit_test(test_error_texts_agree_with_its_length),
        cmocka_unit_test(test_many_columns),
        cmocka_unit_test(test_memory_grows_with_what_arrived),
        cmocka_unit_test(test_too_many_compute_clauses),
        cmocka_unit_test(test_an_error_stays),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
