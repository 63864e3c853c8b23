// The pool key: what must be equal for two clients to share a server connection of one bucket
// (docs/architecture.md).
//
// A canonical byte string: each part in a fixed order, texts with their lengths in front, so that different parts never
// make equal strings. It holds no password, only its keyed digest; still it is no text for a log: pool_key_label is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

inline constexpr size_t pool_key_digest_size = 32;

// What a client's LOGIN7 asked for in FEATUREEXT and what changes the stream of tokens (MS-TDS 2.2.6.4). 0: not asked.
struct pool_key_features {
    uint8_t column_encryption = 0;   // version of 0x04
    uint8_t data_classification = 0; // version of 0x09
    uint8_t utf8 = 0;                // 0x0A: 1 if asked
    uint8_t json = 0;                // version of 0x0D
    uint8_t vector = 0;              // version of 0x0E
};

struct pool_key_parts {
    std::string_view user{};                                        // as sent, "@bucket" removed
    std::span<const uint8_t, pool_key_digest_size> password_digest; // src/tls/digest.h
    uint32_t tds_version = 0;                                       // a known one; 8.0 counts as 7.4
    uint8_t flags1 = 0, flags2 = 0, type_flags = 0, flags3 = 0;     // of LOGIN7 as sent
    bool read_only = false;                                         // ApplicationIntent=ReadOnly
    pool_key_features features{};
    bool with_application_name = false;  // pool_key_extra: [application_name]
    std::string_view application_name{}; // counts only with the former
    bool with_database = false;          // share_across_databases: false, or this login's USE was refused
    std::string_view database{};         // counts only with the former
};

std::string pool_key_make(const pool_key_parts &parts);

// Eight hexadecimal digits that stand for a key in a log line. Not unique, and of no use without the process's key.
std::string pool_key_label(std::string_view key);
