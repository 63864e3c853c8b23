// SMP's headers on their way through: streams split anywhere, and every way in which a header can be wrong.
#include "cmocka_cpp.h"

#include <algorithm>
#include <string>
#include <vector>

#include "tds/packet.h"
#include "tds/smp.h"

using bytes = std::vector<uint8_t>;

static void put_u32(bytes &out, uint32_t v) {
    for (int shift = 0; shift < 32; shift += 8)
        out.push_back(static_cast<uint8_t>(v >> shift));
}

static bytes packet(uint8_t flags, uint32_t length, uint8_t id = smp_id, uint16_t sid = 0x0102) {
    bytes out{id, flags, static_cast<uint8_t>(sid), static_cast<uint8_t>(sid >> 8)};
    put_u32(out, length);
    put_u32(out, 0x53535353); // as if a header began in the middle of one
    put_u32(out, 0xffffffff);
    return out;
}

static void append(bytes &stream, const bytes &more) {
    stream.insert(stream.end(), more.begin(), more.end());
}

static bytes data(size_t payload) {
    bytes out = packet(smp_data, static_cast<uint32_t>(smp_header_size + payload));
    out.resize(out.size() + payload, smp_id);
    return out;
}

// All that there is, with payloads of sizes that matter.
static bytes good_stream() {
    bytes stream = packet(smp_syn, 16);
    for (size_t payload : {8, 0, 1, 16, 40})
        append(stream, data(payload));
    append(stream, packet(smp_ack, 16));
    append(stream, data(100));
    append(stream, packet(smp_fin, 16));
    return stream;
}

static const char *walk(smp_cursor &c, std::span<const uint8_t> in, smp_sender sender = smp_sender::client) {
    return smp_walk(
        c, sender, in, [](void *, const smp_tds_packet &) {}, nullptr);
}

static void a_stream_may_be_split_at_every_byte(void **) {
    bytes stream = good_stream();
    std::vector<bool> border(stream.size() + 1);
    for (size_t at = 0; at < stream.size(); at += size_t{stream[at + 4]} | static_cast<size_t>(stream[at + 5]) << 8)
        border[at] = true;
    border[stream.size()] = true;
    for (size_t first = 0; first <= stream.size(); ++first)
        for (size_t second = first; second <= stream.size(); ++second) {
            smp_cursor c;
            assert_null(walk(c, std::span(stream).first(first)));
            assert_int_equal(smp_cursor_idle(c), border[first]);
            assert_null(walk(c, std::span(stream).subspan(first, second - first)));
            assert_int_equal(smp_cursor_idle(c), border[second]);
            assert_null(walk(c, std::span(stream).subspan(second)));
            assert_true(smp_cursor_idle(c));
        }
    for (size_t piece = 1; piece < 20; ++piece) {
        smp_cursor c;
        for (size_t at = 0; at < stream.size(); at += piece)
            assert_null(walk(c, std::span(stream).subspan(at, std::min(piece, stream.size() - at))));
        assert_true(smp_cursor_idle(c));
    }
}

// What is wrong is found whatever the split, with the header's last byte at the latest, and never taken for what
// follows.
static void expect_wrong(const bytes &bad, const char *words, smp_sender sender = smp_sender::client) {
    bytes stream = good_stream();
    if (sender == smp_sender::server)
        stream.erase(stream.begin(), stream.begin() + smp_header_size); // its SYN
    size_t at = stream.size();
    append(stream, bad);
    append(stream, good_stream());
    for (size_t split = 0; split <= stream.size(); ++split) {
        smp_cursor c;
        const char *why = walk(c, std::span(stream).first(split), sender);
        if (split <= at)
            assert_null(why);
        if (split >= at + smp_header_size)
            assert_non_null(why);
        if (why == nullptr)
            why = walk(c, std::span(stream).subspan(split), sender);
        assert_string_equal(why, words);
    }
    smp_cursor c;
    const char *why = nullptr;
    for (size_t i = 0; i < stream.size() && why == nullptr; ++i)
        why = walk(c, std::span(stream).subspan(i, 1), sender);
    assert_string_equal(why, words);
}

static void every_wrong_header_is_found(void **) {
    for (int id = 0; id < 256; ++id)
        if (id != smp_id)
            expect_wrong(packet(smp_data, 24, static_cast<uint8_t>(id)), "not an SMP packet");
    for (int flags = 0; flags < 256; ++flags)
        if (flags != smp_syn && flags != smp_ack && flags != smp_fin && flags != smp_data)
            expect_wrong(packet(static_cast<uint8_t>(flags), 16), "SMP flags that no packet has");
    for (uint8_t flags : {smp_syn, smp_ack, smp_fin, smp_data})
        for (uint32_t length : {0U, 1U, 15U})
            expect_wrong(packet(flags, length), "SMP length under 16");
    for (uint8_t flags : {smp_syn, smp_ack, smp_fin})
        for (uint32_t length : {17U, 24U, 0xffffffffU})
            expect_wrong(packet(flags, length), "SMP control packet with a payload");
    for (uint32_t length : {static_cast<uint32_t>(16 + tds_packet_size_max + 1), 0x7fffffffU, 0xffffffffU})
        expect_wrong(packet(smp_data, length), "SMP packet longer than a TDS packet");
    expect_wrong(packet(smp_syn, 16), "SMP SYN from the server", smp_sender::server);
}

static void the_longest_packet_passes(void **) {
    smp_cursor c;
    bytes longest = data(tds_packet_size_max);
    for (int i = 0; i < 3; ++i)
        assert_null(walk(c, longest, smp_sender::server));
    assert_true(smp_cursor_idle(c));
}

// "sid:type:status" of each.
static void note(void *user, const smp_tds_packet &p) {
    auto &noted = *static_cast<std::string *>(user);
    noted += std::to_string(p.sid) + ":" + std::to_string(p.type) + ":" + std::to_string(p.status) + " ";
}

static void tds_packets_are_told_whatever_the_split(void **) {
    bytes stream = packet(smp_syn, 16);
    for (uint8_t n = 1; n <= 3; ++n) {
        bytes one = data(n == 2 ? 60 : 8);
        one[2] = n; // SID
        one[3] = 1;
        one[smp_header_size] = n;
        one[smp_header_size + 1] = n == 3;
        append(stream, one);
        append(stream, packet(smp_ack, 16));
    }
    append(stream, data(1)); // too short for a type and a status
    for (size_t piece = 1; piece <= stream.size(); ++piece) {
        smp_cursor c;
        std::string noted;
        for (size_t at = 0; at < stream.size(); at += piece)
            assert_null(smp_walk(c, smp_sender::client,
                                 std::span(stream).subspan(at, std::min(piece, stream.size() - at)), note, &noted));
        assert_string_equal(noted.c_str(), "257:1:0 258:2:0 259:3:1 ");
    }
}

static void nothing_is_nothing(void **) {
    smp_cursor c;
    assert_null(walk(c, {}));
    assert_true(smp_cursor_idle(c));
    bytes stream = good_stream();
    assert_null(walk(c, std::span(stream).first(3)));
    assert_null(walk(c, {}));
    assert_false(smp_cursor_idle(c));
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_may_be_split_at_every_byte),
        cmocka_unit_test(tds_packets_are_told_whatever_the_split),
        cmocka_unit_test(every_wrong_header_is_found),
        cmocka_unit_test(the_longest_packet_passes),
        cmocka_unit_test(nothing_is_nothing),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
