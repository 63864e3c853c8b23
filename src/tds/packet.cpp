#include "tds/packet.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "tds/bytes.h"

// Packets without payload cost the sender nothing: this many per message are borne.
static constexpr uint32_t empty_packet_limit = 8;
static constexpr size_t smallest_buffer = 256;

tds_header_result tds_header_parse(std::span<const uint8_t> bytes, size_t limit, tds_header &out) {
    if (bytes.size() < tds_header_size)
        return tds_header_result::more;
    const uint8_t *p = bytes.data();
    out = {p[0], p[1], get_u16be(p + 2), get_u16be(p + 4), p[6], p[7]};
    if (out.length < tds_header_size)
        return tds_header_result::too_short;
    return out.length > limit ? tds_header_result::too_long : tds_header_result::ok;
}

void tds_header_write(const tds_header &h, uint8_t out[tds_header_size]) {
    out[0] = h.type;
    out[1] = h.status;
    out[2] = static_cast<uint8_t>(h.length >> 8);
    out[3] = static_cast<uint8_t>(h.length);
    out[4] = static_cast<uint8_t>(h.spid >> 8);
    out[5] = static_cast<uint8_t>(h.spid);
    out[6] = h.packet_id;
    out[7] = h.window;
}

const char *tds_read_error_text(tds_read_error error) {
    switch (error) {
    case tds_read_error::none: return "no error";
    case tds_read_error::packet_too_short: return "packet length under 8";
    case tds_read_error::packet_too_long: return "packet longer than allowed";
    case tds_read_error::wrong_type: return "unexpected packet type";
    case tds_read_error::type_changed: return "packet type changed inside a message";
    case tds_read_error::message_too_long: return "message longer than allowed";
    case tds_read_error::empty_packets: return "too many empty packets";
    case tds_read_error::memory: return "out of memory";
    }
    return "unknown";
}

static void drop_payload(tds_message_reader &r) {
    if (r.data != nullptr)
        explicit_bzero(r.data, r.capacity);
    free(r.data);
    r.data = nullptr;
    r.size = r.capacity = 0;
}

tds_message_reader::~tds_message_reader() {
    drop_payload(*this);
}

void tds_message_start(tds_message_reader &r, uint8_t expected_type, size_t packet_limit, size_t message_limit) {
    drop_payload(r);
    r.packet_limit = packet_limit;
    r.message_limit = std::min<size_t>(message_limit, UINT32_MAX / 4);
    r.expected_type = expected_type;
    r.type = r.status = r.header_have = 0;
    r.packets = r.empty = 0;
    r.packet_left = 0;
    r.last_packet = false;
    r.error = tds_read_error::none;
}

// Not realloc: it would leave a copy of the payload in memory that was given back.
static bool grow(tds_message_reader &r, size_t need) {
    if (need <= r.capacity)
        return true;
    size_t capacity = std::max<size_t>(smallest_buffer, r.capacity);
    while (capacity < need)
        capacity *= 2;
    auto *data = static_cast<uint8_t *>(malloc(capacity));
    if (data == nullptr)
        return false;
    uint32_t size = r.size;
    if (size > 0)
        memcpy(data, r.data, size);
    drop_payload(r);
    r.data = data;
    r.size = size;
    r.capacity = static_cast<uint32_t>(capacity);
    return true;
}

static tds_read_error check_header(tds_message_reader &r) {
    tds_header h;
    switch (tds_header_parse(r.header, r.packet_limit, h)) {
    case tds_header_result::ok: break;
    case tds_header_result::too_long: return tds_read_error::packet_too_long;
    case tds_header_result::more:
    case tds_header_result::too_short: return tds_read_error::packet_too_short;
    }
    if (r.packets == 0) {
        r.type = h.type;
        r.status = h.status;
    }
    if (h.type != r.type)
        return tds_read_error::type_changed;
    r.packet_left = static_cast<uint16_t>(h.length - tds_header_size);
    r.last_packet = (h.status & tds_status_eom) != 0;
    if (r.packet_left > r.message_limit - r.size)
        return tds_read_error::message_too_long;
    if (r.packet_left == 0 && !r.last_packet && ++r.empty > empty_packet_limit)
        return tds_read_error::empty_packets;
    return tds_read_error::none;
}

static size_t take_header(tds_message_reader &r, std::span<const uint8_t> in) {
    // The type is judged by the first byte: a stranger that speaks something else may never send eight.
    if (r.header_have == 0 && r.packets == 0 && r.expected_type != 0 && in[0] != r.expected_type) {
        r.error = tds_read_error::wrong_type;
        return 0;
    }
    size_t n = std::min<size_t>(tds_header_size - r.header_have, in.size());
    memcpy(r.header + r.header_have, in.data(), n);
    r.header_have = static_cast<uint8_t>(r.header_have + n);
    if (r.header_have == tds_header_size)
        r.error = check_header(r);
    return n;
}

static size_t take_payload(tds_message_reader &r, std::span<const uint8_t> in) {
    size_t n = std::min<size_t>(r.packet_left, in.size());
    if (n == 0)
        return 0;
    if (!grow(r, r.size + n)) {
        r.error = tds_read_error::memory;
        return 0;
    }
    memcpy(r.data + r.size, in.data(), n);
    r.size += static_cast<uint32_t>(n);
    r.packet_left = static_cast<uint16_t>(r.packet_left - n);
    return n;
}

static bool message_complete(const tds_message_reader &r) {
    return tds_message_at_border(r) && r.last_packet;
}

tds_read_result tds_message_read(tds_message_reader &r, std::span<const uint8_t> in, size_t &consumed) {
    consumed = 0;
    while (r.error == tds_read_error::none && !message_complete(r) && consumed < in.size()) {
        auto rest = in.subspan(consumed);
        consumed += r.header_have < tds_header_size ? take_header(r, rest) : take_payload(r, rest);
        if (r.error == tds_read_error::none && r.header_have == tds_header_size && r.packet_left == 0) {
            r.header_have = 0;
            ++r.packets;
        }
    }
    if (r.error != tds_read_error::none)
        return tds_read_result::error;
    return message_complete(r) ? tds_read_result::complete : tds_read_result::more;
}
