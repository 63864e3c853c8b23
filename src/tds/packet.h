// TDS packets and messages (MS-TDS 2.2.3).
//
//      message  = packet, packet, ... packet with EOM
//      packet   = header (8 bytes) + payload
//
//      type | status | length BE, header included | SPID BE | packet id | window
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

inline constexpr size_t tds_header_size = 8;
inline constexpr size_t tds_initial_packet_size = 4096; // until the login response's end
inline constexpr size_t tds_packet_size_max = 32767;
inline constexpr size_t tds_login7_max = 128 * 1024 - 1; // payload of a LOGIN7 message

inline constexpr uint8_t tds_type_sql_batch = 0x01;
inline constexpr uint8_t tds_type_old_login = 0x02; // TDS 4.2 and 5.0
inline constexpr uint8_t tds_type_rpc = 0x03;
inline constexpr uint8_t tds_type_response = 0x04;
inline constexpr uint8_t tds_type_attention = 0x06;
inline constexpr uint8_t tds_type_bulk = 0x07;
inline constexpr uint8_t tds_type_fedauth = 0x08;
inline constexpr uint8_t tds_type_transaction = 0x0e;
inline constexpr uint8_t tds_type_login7 = 0x10;
inline constexpr uint8_t tds_type_sspi = 0x11;
inline constexpr uint8_t tds_type_prelogin = 0x12; // also wrapped pieces of a TLS handshake

inline constexpr uint8_t tds_status_eom = 0x01;
inline constexpr uint8_t tds_status_ignore = 0x02;
inline constexpr uint8_t tds_status_reset = 0x08;
inline constexpr uint8_t tds_status_reset_skip_tran = 0x10;
inline constexpr uint8_t tds_status_resets = tds_status_reset | tds_status_reset_skip_tran;

struct tds_header {
    uint8_t type;
    uint8_t status;
    uint16_t length; // header included
    uint16_t spid;   // as sent; never validated, like the two below
    uint8_t packet_id;
    uint8_t window;
};

enum class tds_header_result : uint8_t {
    ok,
    more,      // fewer than eight bytes
    too_short, // length under 8
    too_long,  // length over the limit
};

// Reads the header at the start of `bytes`. `limit`: the largest legal packet, header included.
[[nodiscard]] tds_header_result tds_header_parse(std::span<const uint8_t> bytes, size_t limit, tds_header &out);

void tds_header_write(const tds_header &h, uint8_t out[tds_header_size]);

enum class tds_read_result : uint8_t { more, complete, error };

enum class tds_read_error : uint8_t {
    none,
    packet_too_short,
    packet_too_long,
    wrong_type,       // not the type that the reader expects
    type_changed,     // in the middle of a message
    message_too_long, // over message_limit
    empty_packets,    // too many packets without payload and without EOM
    memory,
};

const char *tds_read_error_text(tds_read_error error);

// Reassembles one message of bounded size from input split in any way. Memory grows with the bytes that really
// arrived, never by a length that was only announced. The payload may hold a password: memory is overwritten before
// it is given back.
struct tds_message_reader {
    size_t packet_limit = tds_initial_packet_size;
    size_t message_limit = 0;  // payload bytes
    uint8_t expected_type = 0; // 0: any

    uint8_t type = 0;         // of the first packet
    uint8_t status = 0;       // of the first packet
    uint32_t packets = 0;     // complete ones
    uint32_t empty = 0;       // of them without payload
    uint16_t packet_left = 0; // payload bytes of the current packet still to come
    bool last_packet = false; // the current packet has EOM
    uint8_t header_have = 0;  // 8: inside a payload
    uint8_t header[tds_header_size] = {};
    tds_read_error error = tds_read_error::none;

    uint8_t *data = nullptr;
    uint32_t size = 0;
    uint32_t capacity = 0;

    tds_message_reader() = default;
    ~tds_message_reader();
    tds_message_reader(const tds_message_reader &) = delete;
    tds_message_reader &operator=(const tds_message_reader &) = delete;
};

// Makes the reader ready for a new message; the old payload is overwritten and freed.
void tds_message_start(tds_message_reader &r, uint8_t expected_type, size_t packet_limit, size_t message_limit);

// Takes bytes off the front of `in`; `consumed` says how many. Bytes after the packet with EOM are left alone.
// After `complete` or `error` nothing more is consumed.
[[nodiscard]] tds_read_result tds_message_read(tds_message_reader &r, std::span<const uint8_t> in, size_t &consumed);

inline std::span<const uint8_t> tds_message_payload(const tds_message_reader &r) {
    return {r.data, r.size};
}

// Between two packets of the message: at least one is complete and nothing of the next one has come.
inline bool tds_message_at_border(const tds_message_reader &r) {
    return r.packets > 0 && r.header_have == 0;
}
