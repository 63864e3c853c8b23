#include "tds/smp.h"

#include <algorithm>
#include <cstring>

#include "tds/bytes.h"
#include "tds/packet.h"

static const char *take_header(smp_cursor &c, smp_sender sender) {
    uint8_t flags = c.header[1];
    uint32_t length = get_u32le(c.header + 4);
    switch (flags) {
    case smp_syn:
        if (sender == smp_sender::server)
            return "SMP SYN from the server";
        break;
    case smp_ack:
    case smp_fin:
    case smp_data: break;
    default: return "SMP flags that no packet has";
    }
    if (length < smp_header_size)
        return "SMP length under 16";
    if (flags != smp_data && length != smp_header_size)
        return "SMP control packet with a payload";
    if (length > smp_header_size + tds_packet_size_max)
        return "SMP packet longer than a TDS packet";
    c.left = static_cast<uint32_t>(length - smp_header_size);
    return nullptr;
}

static void take_payload(smp_cursor &c, std::span<const uint8_t> payload) {
    while (c.tds_have < sizeof c.tds && !payload.empty()) {
        c.tds[c.tds_have++] = payload.front();
        payload = payload.subspan(1);
    }
}

static void packet_over(smp_cursor &c, smp_packet_fn on_packet, void *user) {
    if (c.tds_have == sizeof c.tds)
        on_packet(user, {get_u16le(c.header + 2), c.tds[0], c.tds[1]});
    c.have = c.tds_have = 0;
}

const char *smp_walk(smp_cursor &c, smp_sender sender, std::span<const uint8_t> bytes, smp_packet_fn on_packet,
                     void *user) {
    while (!bytes.empty()) {
        if (c.have < smp_header_size) {
            if (c.have == 0 && bytes.front() != smp_id)
                return "not an SMP packet";
            size_t n = std::min<size_t>(smp_header_size - c.have, bytes.size());
            if (c.have < sizeof c.header)
                memcpy(c.header + c.have, bytes.data(), std::min(n, sizeof c.header - c.have));
            c.have = static_cast<uint8_t>(c.have + n);
            bytes = bytes.subspan(n);
            if (c.have < smp_header_size)
                return nullptr;
            if (const char *why = take_header(c, sender); why != nullptr)
                return why;
        }
        size_t n = std::min<size_t>(c.left, bytes.size());
        take_payload(c, bytes.first(n));
        c.left -= static_cast<uint32_t>(n);
        bytes = bytes.subspan(n);
        if (c.left == 0)
            packet_over(c, on_packet, user);
    }
    return nullptr;
}
