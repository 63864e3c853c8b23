// ENVCHANGE: what changed in the session (MS-TDS 2.2.7.9).
//
//      E3 | u16 length | group, group ...        group = type u8, new value, old value
//
// Almost always there is one group. Type 15 (promote) lies about its length and is the walker's business, not this
// file's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "tds/response.h"

inline constexpr uint8_t tds_env_begin = 8;
inline constexpr uint8_t tds_env_commit = 9;
inline constexpr uint8_t tds_env_rollback = 10;
inline constexpr uint8_t tds_env_enlist = 11;
inline constexpr uint8_t tds_env_defect = 12;
inline constexpr uint8_t tds_env_promote = 15;
inline constexpr uint8_t tds_env_ended = 17;
inline constexpr uint8_t tds_env_reset = 18;
inline constexpr uint8_t tds_env_routing = 20;
inline constexpr uint8_t tds_env_routing_enhanced = 21;

struct tds_envchange {
    uint8_t type;
    // Point into the token: UTF-16 of names (types 1 to 6, 13, 19), else bytes. A type that is not known has all that
    // is left of the token as its new value.
    std::span<const uint8_t> new_value, old_value;
};

// Takes the next group off the front of `rest` (start with the whole token behind its length). False at the end, or
// when a length leads out of the token: then `rest` is not empty.
bool tds_envchange_next(std::span<const uint8_t> &rest, tds_envchange &out);

// Where a server sends its client to.
struct tds_routing {
    uint8_t type = 0;     // tds_env_routing or tds_env_routing_enhanced; 0: not routed
    uint16_t port = 0;    // never 0 when routed
    std::string server;   // UTF-8, may be host\instance; never empty when routed
    std::string database; // of the enhanced form
};

// Reads the new value of types 20 and 21. False: not well formed, protocol not TCP, port 0 or no server.
[[nodiscard]] bool tds_routing_parse(uint8_t type, std::span<const uint8_t> new_value, tds_routing &out);

// The number in the text of type 4 (packet size); 0 when it is none or over tds_packet_size_max.
uint32_t tds_envchange_packet_size(std::span<const uint8_t> new_value);
