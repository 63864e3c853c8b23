// Messages taken apart and put together again: whatever packets the sender made and however its bytes arrive, the
// receiver gets the same payload in packets of its own size, and nothing that is not a message passes.

#include <random>
#include <vector>

#include "tds/packet_stream.h"

#include "cmocka_cpp.h" // last: its macros are lower-case words

using bytes = std::vector<uint8_t>;

static bytes payload_of(size_t size) {
    bytes b(size);
    for (size_t i = 0; i < size; ++i)
        b[i] = static_cast<uint8_t>(i * 7 + i / 251);
    return b;
}

static void put_packet(bytes &out, uint8_t type, uint8_t status, std::span<const uint8_t> payload) {
    uint8_t header[tds_header_size];
    tds_header_write({type, status, static_cast<uint16_t>(payload.size() + tds_header_size), 51, 1, 0}, header);
    out.insert(out.end(), header, header + sizeof header);
    out.insert(out.end(), payload.begin(), payload.end());
}

// A message as a sender of this packet size makes it.
static bytes message(uint8_t type, const bytes &payload, size_t packet_size) {
    tds_packet_writer w;
    bytes out;
    w.packet_size = static_cast<uint16_t>(packet_size);
    tds_writer_begin(w, type, 0);
    tds_writer_put(w, payload, tds_write::end, out);
    return out;
}

struct parsed {
    bytes payload;
    std::vector<size_t> sizes; // of the packets
    std::vector<uint8_t> statuses;
    uint8_t type = 0;
    bool complete = false;
};

// Reads the packets of one message by hand.
static parsed parse(const bytes &in) {
    parsed p;
    size_t at = 0;
    while (at < in.size()) {
        assert_false(p.complete);
        size_t length = static_cast<size_t>(in[at + 2] << 8 | in[at + 3]);
        assert_true(length >= tds_header_size && at + length <= in.size());
        p.type = in[at];
        p.statuses.push_back(in[at + 1]);
        p.sizes.push_back(length);
        p.payload.insert(p.payload.end(), in.begin() + static_cast<ptrdiff_t>(at + tds_header_size),
                         in.begin() + static_cast<ptrdiff_t>(at + length));
        p.complete = in[at + 1] & tds_status_eom;
        at += length;
    }
    return p;
}

// Bytes from one side to the other, in pieces of `piece` bytes.
static bytes pass(const bytes &in, size_t from_size, size_t to_size, size_t piece, tds_write middle) {
    tds_packet_cursor c;
    tds_packet_writer w;
    bytes out;
    w.packet_size = static_cast<uint16_t>(to_size);
    for (size_t at = 0; at < in.size(); at += piece) {
        auto part = std::span(in).subspan(at, std::min(piece, in.size() - at));
        while (!part.empty()) {
            tds_piece p;
            const char *why = nullptr;
            tds_piece_result result = tds_next_piece(c, part, from_size, p, why);
            assert_true(result != tds_piece_result::error);
            if (result == tds_piece_result::more)
                break;
            if (p.begins)
                tds_writer_begin(w, p.type, p.status & tds_status_reset);
            tds_writer_put(w, p.payload, p.ends ? tds_write::end : middle, out, p.status & tds_status_ignore);
        }
    }
    assert_true(tds_cursor_idle(c));
    return out;
}

static void check_sizes(const parsed &p, size_t size, bool full) {
    for (size_t i = 0; i < p.sizes.size(); ++i) {
        assert_true(p.sizes[i] <= size);
        if (full && i + 1 < p.sizes.size())
            assert_int_equal(p.sizes[i], size); // SQL Server wants every packet but the last to be full
        assert_int_equal((p.statuses[i] & tds_status_eom) != 0, i + 1 == p.sizes.size());
    }
}

static void test_every_size_to_every_other(void **) {
    const size_t sizes[] = {512, 4096, 8000, 32767};
    for (size_t length : {1UL, 503UL, 504UL, 505UL, 4088UL, 4089UL, 40'000UL, 200'001UL}) {
        bytes payload = payload_of(length);
        for (size_t from : sizes)
            for (size_t to : sizes)
                for (tds_write middle : {tds_write::hold, tds_write::flush}) {
                    bytes out = pass(message(tds_type_sql_batch, payload, from), from, to, 1500, middle);
                    parsed p = parse(out);
                    assert_true(p.complete && p.payload == payload);
                    assert_int_equal(p.type, tds_type_sql_batch);
                    check_sizes(p, to, middle == tds_write::hold);
                }
    }
}

static void test_split_anywhere(void **) {
    bytes payload = payload_of(1300);
    bytes in = message(tds_type_rpc, payload, 600);
    for (size_t piece = 1; piece <= in.size(); ++piece) {
        parsed p = parse(pass(in, 600, 512, piece, tds_write::hold));
        assert_true(p.complete && p.payload == payload);
        check_sizes(p, 512, true);
    }
}

// What has come is on its way to a client before the rest has: a message's beginning may be all there is for minutes.
static void test_flush_holds_nothing_back(void **) {
    tds_packet_writer w;
    bytes out;
    tds_writer_begin(w, tds_type_response, 0);
    tds_writer_put(w, payload_of(10), tds_write::flush, out);
    assert_int_equal(out.size(), 18);
    assert_int_equal(out[1], 0);
    tds_writer_put(w, {}, tds_write::flush, out);
    assert_int_equal(out.size(), 18); // no empty packets
    tds_writer_put(w, payload_of(3), tds_write::end, out);
    assert_int_equal(out.size(), 29);
    assert_int_equal(out[19], tds_status_eom);
}

// A sender that ends a packet early wants it to be seen; one whose packet has only come in part does not.
static void test_flushed_packets_are_known(void **) {
    for (size_t length : {size_t{100}, size_t{512}}) {
        bytes in = message(tds_type_response, payload_of(length - tds_header_size), 512);
        in[1] = 0; // the message goes on
        tds_packet_cursor c;
        tds_piece piece;
        const char *why = "";
        std::span<const uint8_t> first = std::span(in).first(50), rest = std::span(in).subspan(50);
        assert_true(tds_next_piece(c, first, 512, piece, why) == tds_piece_result::piece);
        assert_false(tds_cursor_flushed(c, 512));
        assert_true(tds_next_piece(c, rest, 512, piece, why) == tds_piece_result::piece);
        assert_true(tds_cursor_flushed(c, 512) == (length < 512));
    }
}

static void test_status_bits(void **) {
    tds_packet_writer w;
    bytes out;
    w.packet_size = 512;
    tds_writer_begin(w, tds_type_sql_batch, tds_status_reset);
    assert_true(tds_writer_at_start(w));
    tds_writer_put(w, payload_of(1200), tds_write::end, out, tds_status_ignore);
    parsed p = parse(out);
    assert_int_equal(p.statuses.size(), 3);
    assert_int_equal(p.statuses[0], tds_status_reset);
    assert_int_equal(p.statuses[1], 0);
    assert_int_equal(p.statuses[2], tds_status_eom | tds_status_ignore);
    out.clear();
    tds_writer_begin(w, tds_type_sql_batch, 0);
    tds_writer_put(w, {}, tds_write::end, out); // legal: an empty last packet
    assert_int_equal(out.size(), 8);
}

static const char *refused(const bytes &in, size_t limit) {
    tds_packet_cursor c;
    std::span<const uint8_t> rest = in;
    while (!rest.empty()) {
        tds_piece p;
        const char *why = nullptr;
        switch (tds_next_piece(c, rest, limit, p, why)) {
        case tds_piece_result::error: assert_non_null(why); return why;
        case tds_piece_result::more: return nullptr;
        case tds_piece_result::piece: break;
        }
    }
    return nullptr;
}

static void test_what_is_no_message(void **) {
    for (uint8_t length : std::initializer_list<uint8_t>{0, 1, 7}) {
        bytes in = {1, 1, 0, length, 0, 0, 1, 0};
        assert_non_null(refused(in, 4096));
    }
    bytes in;
    put_packet(in, tds_type_sql_batch, 1, payload_of(4089));
    assert_non_null(refused(in, 4096)); // longer than negotiated
    assert_null(refused(in, 4097));
    in.clear();
    put_packet(in, tds_type_sql_batch, 0, payload_of(10));
    put_packet(in, tds_type_rpc, 1, payload_of(10));
    assert_non_null(refused(in, 4096)); // changes its type
    in.clear();
    for (int i = 0; i < 17; ++i)
        put_packet(in, tds_type_sql_batch, 0, {});
    assert_non_null(refused(in, 4096)); // endless empty packets
    in.clear();
    for (int i = 0; i < 100; ++i) { // but now and then one is legal
        put_packet(in, tds_type_sql_batch, 0, {});
        put_packet(in, tds_type_sql_batch, 0, payload_of(1));
    }
    assert_null(refused(in, 4096));
}

static void test_messages_in_a_row(void **) {
    bytes in = message(tds_type_sql_batch, payload_of(700), 512), attention;
    put_packet(attention, tds_type_attention, 1, {});
    in.insert(in.end(), attention.begin(), attention.end());
    tds_packet_cursor c;
    std::span<const uint8_t> rest = in;
    std::vector<uint8_t> begun, ended;
    while (!rest.empty()) {
        tds_piece p;
        const char *why = nullptr;
        assert_int_equal(static_cast<int>(tds_next_piece(c, rest, 512, p, why)),
                         static_cast<int>(tds_piece_result::piece));
        if (p.begins)
            begun.push_back(p.type);
        if (p.ends)
            ended.push_back(p.type);
    }
    assert_true((begun == std::vector<uint8_t>{tds_type_sql_batch, tds_type_attention}) && begun == ended);
}

static void test_random_bytes(void **) {
    std::minstd_rand random(7);
    for (int round = 0; round < 2000; ++round) {
        bytes in(random() % 200);
        for (uint8_t &b : in)
            b = static_cast<uint8_t>(random() % 4 == 0 ? random() : random() % 20);
        (void)refused(in, 512);
    }
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_every_size_to_every_other),
        cmocka_unit_test(test_split_anywhere),
        cmocka_unit_test(test_flush_holds_nothing_back),
        cmocka_unit_test(test_flushed_packets_are_known),
        cmocka_unit_test(test_status_bits),
        cmocka_unit_test(test_what_is_no_message),
        cmocka_unit_test(test_messages_in_a_row),
        cmocka_unit_test(test_random_bytes),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
