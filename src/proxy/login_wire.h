// TLS during a login, the same for both of its sides (proxy/client_login, proxy/server_login): ciphertext goes to the
// engine unit by unit, and comes from it flight by flight.
//
// A unit is a TLS record, or a packet around a piece of the handshake. Nothing behind its end reaches the engine: TLS
// may stop there (MS-TDS 3.2.5.3).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/iobuf.h"
#include "tds/packet.h"
#include "tls/tls_engine.h"

// The unit that is coming: streamed, not stored.
struct login_unit {
    uint8_t header[tds_header_size] = {};
    uint8_t have = 0;
    uint32_t left = 0;
};

enum class login_unit_result : uint8_t {
    more,      // the unit goes on
    complete,  // that was its last byte; `unit` is ready for the next
    malformed, // not a unit, or of an illegal length
    overflow,  // too many bytes wait in the engine
};

// Takes bytes of a TLS record off the front of `in`; `consumed` says how many.
[[nodiscard]] login_unit_result login_unit_record(login_unit &unit, tls_engine *engine, std::span<const uint8_t> in,
                                                  size_t &consumed);
// ... of a packet whose payload is for the engine. `limit`: the longest legal packet. Its type is the caller's to
// check.
[[nodiscard]] login_unit_result login_unit_packet(login_unit &unit, tls_engine *engine, size_t limit,
                                                  std::span<const uint8_t> in, size_t &consumed);

// Moves what the engine has to send to `out` as it is. False when it does not fit under `limit`.
[[nodiscard]] bool login_flight_bare(tls_engine *engine, iobuf &out, size_t limit);
// ... as one message of PRELOGIN packets: drivers and servers read one message per flight.
[[nodiscard]] bool login_flight_wrapped(tls_engine *engine, uint16_t spid, iobuf &out, size_t limit);
