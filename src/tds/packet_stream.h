// Messages of any size on their way through: the sender's packets are taken apart piece by piece, the receiver's put
// together with the packet size that it has negotiated (MS-TDS 2.2.3). Nothing is held but what a full packet still
// lacks.
//
//      bytes of one side -> tds_packet_cursor -> pieces of payload -> tds_packet_writer -> bytes for the other side
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "tds/packet.h"

// Where a sender is in its packets.
struct tds_packet_cursor {
    uint8_t header[tds_header_size] = {};
    uint8_t have = 0;        // bytes of the header that have come; 0 at a packet's border
    bool in_message = false; // the message's first packet has begun and its last has not ended
    uint8_t type = 0;        // of the message
    uint8_t status = 0;      // of the packet
    uint16_t left = 0;       // payload bytes of the packet still to come
    uint32_t empty = 0;      // packets of this message without payload
};

// At the border of two messages: the next byte begins one.
inline bool tds_cursor_idle(const tds_packet_cursor &c) {
    return !c.in_message && c.have == 0;
}

struct tds_piece {
    std::span<const uint8_t> payload; // points into what was given; may be empty
    uint8_t type;                     // of the message
    uint8_t status;                   // of the packet that the piece is part of
    bool begins;                      // the message begins with it
    bool ends;                        // the message ends with it
};

// The piece taken last was the end of its packet.
inline bool tds_cursor_packet_over(const tds_packet_cursor &c) {
    return c.have == 0;
}

// ... and the packet is not full although the message goes on: the sender wants it to be seen now (RAISERROR WITH
// NOWAIT). `limit`: as in tds_next_piece.
bool tds_cursor_flushed(const tds_packet_cursor &c, size_t limit);

enum class tds_piece_result : uint8_t {
    piece, // one was taken
    more,  // `in` is used up
    error,
};

// Takes bytes off the front of `in`, up to a packet's end at most. `limit`: the sender's negotiated packet size.
// `error`: a length under 8 or over the limit, a message that changes its type, or endless empty packets; `why` is then
// a constant.
[[nodiscard]] tds_piece_result tds_next_piece(tds_packet_cursor &c, std::span<const uint8_t> &in, size_t limit,
                                              tds_piece &piece, const char *&why);

// Puts messages together for one receiver.
struct tds_packet_writer {
    uint16_t packet_size = tds_initial_packet_size;
    uint16_t spid = 0;
    uint8_t next_id = 1;
    uint8_t type = 0;             // of the message that is being written
    uint8_t status = 0;           // for its first packet: RESET bits
    uint32_t packets = 0;         // put out; whoever counts them takes it back to 0
    std::vector<uint8_t> partial; // payload that does not fill a packet yet
};

enum class tds_write : uint8_t {
    hold,  // keep what does not fill a packet: SQL Server wants every packet but the last to be full, and python-tds
           // reads on behind the end of a short one
    flush, // send it on as a packet of its own, as the sender has done
    end,   // the message ends
};

// Begins a message. `status`: bits of its first packet besides EOM.
void tds_writer_begin(tds_packet_writer &w, uint8_t type, uint8_t status);
// Appends payload to the message, and complete packets of it to `out`. `last_status`: with `end`, bits of the last
// packet besides EOM (IGNORE).
void tds_writer_put(tds_packet_writer &w, std::span<const uint8_t> payload, tds_write mode, std::vector<uint8_t> &out,
                    uint8_t last_status = 0);
// Nothing of the message has been put out, nor is held.
inline bool tds_writer_at_start(const tds_packet_writer &w) {
    return w.next_id == 1 && w.partial.empty();
}
