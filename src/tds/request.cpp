#include "tds/request.h"

#include <string>

#include "tds/bytes.h"
#include "tds/login7.h"
#include "tds/packet_stream.h"

// Behind ALL_HEADERS, whose length stands in front; nothing when that is not all there.
static std::span<const uint8_t> without_headers(std::span<const uint8_t> payload, uint32_t version) {
    if (!tds_version_is_wide(version))
        return payload;
    uint32_t size = payload.size() >= 4 ? get_u32le(payload.data()) : 0;
    return size < 4 || size > payload.size() ? std::span<const uint8_t>() : payload.subspan(size);
}

// The last part of a name, in lower case and without brackets. What is not ASCII becomes '?'.
static std::string bare_name(std::span<const uint8_t> wire) {
    std::string name;
    for (size_t at = 0; at + 1 < wire.size(); at += 2) {
        char c = wire[at + 1] == 0 && wire[at] < 0x80 ? static_cast<char>(wire[at]) : '?';
        if (c == '.')
            name.clear();
        else if (c != '[' && c != ']' && c != '"')
            name.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c);
    }
    return name;
}

bool tds_rpc_calls(std::span<const uint8_t> payload, uint32_t version, std::string_view name) {
    std::span<const uint8_t> call = without_headers(payload, version);
    if (call.size() < 2)
        return false;
    size_t units = get_u16le(call.data());
    if (units == 0xffff || units * 2 > call.size() - 2) // 0xffff: by number
        return false;
    return bare_name(call.subspan(2, units * 2)) == name;
}

size_t tds_descriptor_at(std::span<const uint8_t> payload) {
    static constexpr size_t head = 6, descriptor_header = head + 8 + 4;
    static constexpr uint16_t transaction = 2;
    if (payload.size() < 4)
        return 0;
    size_t end = get_u32le(payload.data());
    for (size_t at = 4; end <= payload.size() && at + head <= end;) {
        size_t length = get_u32le(payload.data() + at);
        if (length < head || length > end - at)
            return 0;
        if (get_u16le(payload.data() + at + 4) == transaction)
            return length == descriptor_header ? at + head : 0;
        at += length;
    }
    return 0;
}

tds_arrival tds_request_arrived(std::span<const uint8_t> in, size_t packet_size, size_t enough, const char *&why) {
    tds_packet_cursor c;
    tds_piece piece;
    size_t size = in.size();
    for (;;)
        switch (tds_next_piece(c, in, packet_size, piece, why)) {
        case tds_piece_result::more: return size >= enough ? tds_arrival::enough : tds_arrival::more;
        case tds_piece_result::error: return tds_arrival::broken;
        case tds_piece_result::piece:
            if (piece.ends)
                return piece.status & tds_status_ignore ? tds_arrival::ignored : tds_arrival::enough;
        }
}

bool tds_find_attention(std::span<const uint8_t> in, size_t &size) {
    bool at_border = true;
    size_t at = 0;
    tds_header h;
    while (tds_header_parse(in.subspan(at), tds_packet_size_max, h) == tds_header_result::ok) {
        if (at_border && h.type == tds_type_attention) {
            size = at + tds_header_size;
            return true;
        }
        at += h.length;
        at_border = h.status & tds_status_eom;
        if (at >= in.size())
            break;
    }
    return false;
}
