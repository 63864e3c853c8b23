// Packet headers and the message reader.
#include "cmocka_cpp.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "tds/packet.h"

using bytes = std::vector<uint8_t>;

static bytes packet(uint8_t type, uint8_t status, size_t payload, uint8_t fill = 0x55) {
    bytes p(tds_header_size + payload, fill);
    tds_header_write({type, status, static_cast<uint16_t>(p.size()), 0x1234, 7, 0}, p.data());
    return p;
}

static bytes operator+(bytes a, const bytes &b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

static void test_header_round_trip(void **) {
    uint8_t wire[tds_header_size];
    tds_header_write({0x04, 0x01, 0x0b0a, 0x1234, 200, 0}, wire);
    const uint8_t expected[] = {0x04, 0x01, 0x0b, 0x0a, 0x12, 0x34, 200, 0};
    assert_memory_equal(wire, expected, sizeof wire);
    tds_header h;
    assert_int_equal(tds_header_parse(wire, 4096, h), tds_header_result::ok);
    assert_int_equal(h.length, 0x0b0a);
    assert_int_equal(h.spid, 0x1234);
    assert_int_equal(h.packet_id, 200);
}

static void test_header_limits(void **) {
    tds_header h;
    for (unsigned length = 0; length <= 65535; ++length) {
        uint8_t wire[tds_header_size] = {1, 1, static_cast<uint8_t>(length >> 8), static_cast<uint8_t>(length)};
        auto expected = length < 8      ? tds_header_result::too_short
                        : length > 4096 ? tds_header_result::too_long
                                        : tds_header_result::ok;
        assert_int_equal(tds_header_parse(wire, 4096, h), expected);
    }
    uint8_t wire[tds_header_size] = {};
    for (size_t n = 0; n < tds_header_size; ++n)
        assert_int_equal(tds_header_parse({wire, n}, 4096, h), tds_header_result::more);
}

static tds_read_result read_all(tds_message_reader &r, const bytes &wire, size_t piece, size_t &used) {
    used = 0;
    auto result = tds_read_result::more;
    while (used < wire.size() && result == tds_read_result::more) {
        size_t consumed = 0;
        size_t n = std::min(piece, wire.size() - used);
        result = tds_message_read(r, std::span(wire).subspan(used, n), consumed);
        used += consumed;
        if (result == tds_read_result::more)
            assert_int_equal(consumed, n);
    }
    return result;
}

static void test_message_of_three_packets_leaves_the_rest(void **) {
    bytes wire = packet(0x10, 0, 100, 1) + packet(0x10, 0, 50, 2) + packet(0x10, 1, 3, 3);
    size_t end = wire.size();
    wire = wire + bytes{0xde, 0xad};
    for (size_t piece = 1; piece <= wire.size(); ++piece) {
        tds_message_reader r;
        tds_message_start(r, 0x10, 4096, 153);
        size_t used = 0;
        assert_int_equal(read_all(r, wire, piece, used), tds_read_result::complete);
        assert_int_equal(used, end);
        auto payload = tds_message_payload(r);
        assert_int_equal(payload.size(), 153);
        assert_int_equal(payload[99], 1);
        assert_int_equal(payload[100], 2);
        assert_int_equal(payload[152], 3);
        assert_int_equal(r.packets, 3);
        size_t more = 1;
        assert_int_equal(tds_message_read(r, std::span(wire).subspan(end), more), tds_read_result::complete);
        assert_int_equal(more, 0);
    }
}

static tds_read_error error_of(const bytes &wire, uint8_t expected_type, size_t limit) {
    tds_read_error first = tds_read_error::none;
    bool again = false;
    for (size_t piece : {wire.size(), size_t{1}}) {
        tds_message_reader r;
        tds_message_start(r, expected_type, 4096, limit);
        size_t used = 0;
        auto result = read_all(r, wire, piece, used);
        assert_true((result == tds_read_result::error) == (r.error != tds_read_error::none));
        if (!std::exchange(again, true))
            first = r.error;
        else
            assert_int_equal(first, r.error);
    }
    return first;
}

static void test_errors(void **) {
    assert_int_equal(error_of({0x10, 1, 0, 7, 0, 0, 0, 0}, 0x10, 100), tds_read_error::packet_too_short);
    assert_int_equal(error_of({0x10, 1, 0, 0, 0, 0, 0, 0}, 0x10, 100), tds_read_error::packet_too_short);
    assert_int_equal(error_of({0x10, 1, 0x10, 1, 0, 0, 0, 0}, 0x10, 10000), tds_read_error::packet_too_long);
    assert_int_equal(error_of({0x10, 1, 0xff, 0xff, 0, 0, 0, 0}, 0x10, 100000), tds_read_error::packet_too_long);
    assert_int_equal(error_of({0x01}, 0x10, 100), tds_read_error::wrong_type);
    assert_int_equal(error_of(packet(0x10, 0, 10) + packet(0x12, 1, 10), 0x10, 100), tds_read_error::type_changed);
    assert_int_equal(error_of(packet(0x10, 0, 60) + packet(0x10, 1, 41), 0x10, 100), tds_read_error::message_too_long);
    assert_int_equal(error_of(packet(0x10, 0, 60) + packet(0x10, 1, 40), 0x10, 100), tds_read_error::none);
}

// A message that is too long is refused by its header: nothing of it is stored.
static void test_too_long_allocates_nothing(void **) {
    tds_message_reader r;
    tds_message_start(r, 0x10, 32767, 1000);
    bytes wire = packet(0x10, 1, 1001);
    size_t used = 0;
    assert_int_equal(tds_message_read(r, wire, used), tds_read_result::error);
    assert_int_equal(r.capacity, 0);
}

// Announced lengths allocate nothing either; memory follows what has arrived.
static void test_memory_follows_arrival(void **) {
    tds_message_reader r;
    tds_message_start(r, 0x10, 32767, 100000);
    bytes wire = packet(0x10, 0, 32000);
    size_t used = 0;
    assert_int_equal(tds_message_read(r, std::span(wire).first(8), used), tds_read_result::more);
    assert_int_equal(r.capacity, 0);
    assert_int_equal(tds_message_read(r, std::span(wire).subspan(8, 10), used), tds_read_result::more);
    assert_true(r.capacity <= 256);
}

// A hundred thousand packets of eight bytes are not free work.
static void test_empty_packets_are_capped(void **) {
    bytes wire;
    for (int i = 0; i < 100; ++i)
        wire = wire + packet(0x10, 0, 0);
    assert_int_equal(error_of(wire, 0x10, 100), tds_read_error::empty_packets);
    wire = packet(0x10, 0, 0) + packet(0x10, 0, 2) + packet(0x10, 0, 0) + packet(0x10, 1, 0);
    assert_int_equal(error_of(wire, 0x10, 100), tds_read_error::none);
}

// Status, SPID, packet id and window of any value are taken.
static void test_ignored_header_fields(void **) {
    for (unsigned v = 0; v < 256; ++v) {
        auto b = static_cast<uint8_t>(v);
        bytes wire = {0x12, static_cast<uint8_t>(b | 1), 0, 9, b, b, b, b, 0xff};
        assert_int_equal(error_of(wire, 0, 100), tds_read_error::none);
    }
}

static void test_border(void **) {
    tds_message_reader r;
    tds_message_start(r, 0, 4096, 100);
    assert_false(tds_message_at_border(r));
    bytes wire = packet(0x10, 0, 2) + packet(0x10, 1, 2);
    size_t used = 0;
    assert_int_equal(tds_message_read(r, std::span(wire).first(10), used), tds_read_result::more);
    assert_true(tds_message_at_border(r));
    assert_int_equal(tds_message_read(r, std::span(wire).subspan(10, 1), used), tds_read_result::more);
    assert_false(tds_message_at_border(r));
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_header_round_trip),
        cmocka_unit_test(test_header_limits),
        cmocka_unit_test(test_message_of_three_packets_leaves_the_rest),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_too_long_allocates_nothing),
        cmocka_unit_test(test_memory_follows_arrival),
        cmocka_unit_test(test_empty_packets_are_capped),
        cmocka_unit_test(test_ignored_header_fields),
        cmocka_unit_test(test_border),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
