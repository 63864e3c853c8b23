// The Session Multiplex Protocol's packets on their way through (MC-SMP 2.2.1). With MARS they carry the TDS packets of
// several sessions over one connection.
//
//      0x53 | flags | SID (2) | LENGTH (4), header included | SEQNUM (4) | WNDW (4)        little-endian, 16 bytes
//      DATA alone goes on: one TDS packet of LENGTH - 16 bytes
//
// Sequence numbers and windows are for the two ends to keep.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

inline constexpr uint8_t smp_id = 0x53;
inline constexpr size_t smp_header_size = 16;

inline constexpr uint8_t smp_syn = 1; // a client's only
inline constexpr uint8_t smp_ack = 2;
inline constexpr uint8_t smp_fin = 4;
inline constexpr uint8_t smp_data = 8;

enum class smp_sender : uint8_t { client, server };

// Where a sender is in its packets.
struct smp_cursor {
    uint8_t header[8] = {}; // of the packet's 16 those that say anything here
    uint8_t have = 0;       // bytes of the header that have come; 0 at a packet's border
    uint32_t left = 0;      // bytes of the packet still to come behind the header
    uint8_t tds[2] = {};    // of the TDS packet inside: type and status
    uint8_t tds_have = 0;
};

// A TDS packet has passed, to its end.
struct smp_tds_packet {
    uint16_t sid;
    uint8_t type;
    uint8_t status;
};
using smp_packet_fn = void (*)(void *user, const smp_tds_packet &);

// Looks at the next bytes of a sender, split in any way. nullptr, or, a constant, why they are not SMP: the cursor is
// good for nothing then.
[[nodiscard]] const char *smp_walk(smp_cursor &, smp_sender, std::span<const uint8_t> bytes, smp_packet_fn, void *user);
// At the border of two packets.
inline bool smp_cursor_idle(const smp_cursor &c) {
    return c.have == 0;
}
