#include "tds/packet_stream.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "tds/bytes.h"

static constexpr uint32_t empty_packets_max = 16;

// Bytes taken. As a rule the header is there as a whole.
static size_t gather_header(tds_packet_cursor &c, std::span<const uint8_t> in) {
    if (c.have == 0 && in.size() >= tds_header_size) {
        memcpy(c.header, in.data(), tds_header_size);
        c.have = tds_header_size;
        return tds_header_size;
    }
    size_t n = std::min(tds_header_size - c.have, in.size());
    memcpy(c.header + c.have, in.data(), n);
    c.have = static_cast<uint8_t>(c.have + n);
    return n;
}

static const char *take_header(tds_packet_cursor &c, size_t limit) {
    tds_header h;
    switch (tds_header_parse(c.header, limit, h)) {
    case tds_header_result::too_short: return "packet length under 8";
    case tds_header_result::too_long: return "packet longer than negotiated";
    default: break;
    }
    if (c.in_message && h.type != c.type)
        return "type changes inside a message";
    if (h.length > tds_header_size)
        c.empty = 0;
    else if (++c.empty > empty_packets_max)
        return "too many empty packets";
    c.type = h.type;
    c.status = h.status;
    c.left = static_cast<uint16_t>(h.length - tds_header_size);
    return nullptr;
}

tds_piece_result tds_next_piece(tds_packet_cursor &c, std::span<const uint8_t> &in, size_t limit, tds_piece &piece,
                                const char *&why) {
    if (c.have < tds_header_size) {
        in = in.subspan(gather_header(c, in));
        if (c.have < tds_header_size)
            return tds_piece_result::more;
        why = take_header(c, limit);
        if (why != nullptr)
            return tds_piece_result::error;
        piece.begins = !c.in_message;
        c.in_message = true;
        // A header alone is a piece only when nothing else would tell of the message's border.
        if (in.empty() && c.left > 0 && !piece.begins)
            return tds_piece_result::more;
    } else {
        piece.begins = false;
        if (in.empty())
            return tds_piece_result::more;
    }
    size_t n = std::min<size_t>(c.left, in.size());
    piece.payload = in.first(n);
    piece.type = c.type;
    piece.status = c.status;
    c.left = static_cast<uint16_t>(c.left - n);
    in = in.subspan(n);
    bool packet_ends = c.left == 0;
    piece.ends = packet_ends && (c.status & tds_status_eom);
    if (packet_ends)
        c.have = 0;
    if (piece.ends)
        c.in_message = false;
    return tds_piece_result::piece;
}

bool tds_cursor_flushed(const tds_packet_cursor &c, size_t limit) {
    return tds_cursor_packet_over(c) && c.in_message && get_u16be(c.header + 2) < limit;
}

// ---- writing

void tds_writer_begin(tds_packet_writer &w, uint8_t type, uint8_t status) {
    assert(w.partial.empty());
    w.type = type;
    w.status = status;
    w.next_id = 1;
}

// A packet of what is held and then `payload`.
static void put_packet(tds_packet_writer &w, std::span<const uint8_t> payload, uint8_t status,
                       std::vector<uint8_t> &out) {
    size_t length = tds_header_size + w.partial.size() + payload.size();
    size_t at = out.size();
    tds_header h{w.type, static_cast<uint8_t>(status | w.status), static_cast<uint16_t>(length), w.spid, w.next_id, 0};
    out.resize(at + tds_header_size);
    tds_header_write(h, out.data() + at);
    out.insert(out.end(), w.partial.begin(), w.partial.end());
    out.insert(out.end(), payload.begin(), payload.end());
    w.partial = {};
    w.status = 0;
    ++w.packets;
    if (++w.next_id == 1)
        w.next_id = 2; // 1 means that the message has just begun; nobody checks the number
}

void tds_writer_put(tds_packet_writer &w, std::span<const uint8_t> payload, tds_write mode, std::vector<uint8_t> &out,
                    uint8_t last_status) {
    size_t full = w.packet_size - tds_header_size;
    // A full packet goes out only when something follows: it may be the last.
    while (w.partial.size() + payload.size() > full) {
        size_t n = full - w.partial.size();
        put_packet(w, payload.first(n), 0, out);
        payload = payload.subspan(n);
    }
    if (mode == tds_write::end)
        put_packet(w, payload, static_cast<uint8_t>(tds_status_eom | last_status), out);
    else if (mode == tds_write::flush && w.partial.size() + payload.size() > 0)
        put_packet(w, payload, 0, out);
    else
        w.partial.insert(w.partial.end(), payload.begin(), payload.end());
}
