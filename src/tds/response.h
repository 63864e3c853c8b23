// Builds what a server sends: tokens, and the packets that carry them (MS-TDS 2.2.7).
// `version` is always the client's TDS version: it decides the width of line numbers and row counts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "tds/prelogin.h"

inline constexpr uint8_t tds_token_error = 0xaa;
inline constexpr uint8_t tds_token_info = 0xab;
inline constexpr uint8_t tds_token_loginack = 0xad;
inline constexpr uint8_t tds_token_envchange = 0xe3;
inline constexpr uint8_t tds_token_done = 0xfd;
inline constexpr uint8_t tds_token_doneproc = 0xfe;
inline constexpr uint8_t tds_token_doneinproc = 0xff;

inline constexpr uint16_t tds_done_more = 0x0001;
inline constexpr uint16_t tds_done_error = 0x0002;
inline constexpr uint16_t tds_done_count = 0x0010;
inline constexpr uint16_t tds_done_attention = 0x0020;

inline constexpr uint8_t tds_env_database = 1;
inline constexpr uint8_t tds_env_language = 2;
inline constexpr uint8_t tds_env_packet_size = 4;
inline constexpr uint8_t tds_env_collation = 7;

// An ERROR (severity >= 11) or INFO (severity <= 10). Texts are UTF-8; what is too long for its field is cut.
struct tds_notice {
    int32_t number = 0;
    uint8_t state = 1;
    uint8_t severity = 0;
    std::string_view text;
    std::string_view server_name;
    std::string_view procedure;
    uint32_t line = 0;
};

// Token ERROR or INFO, as the severity says.
void tds_put_notice(std::vector<uint8_t> &out, uint32_t version, const tds_notice &notice);

// `token`: DONE, DONEPROC or DONEINPROC. `rows` counts only with tds_done_count in `status`.
void tds_put_done(std::vector<uint8_t> &out, uint32_t version, uint8_t token, uint16_t status, uint16_t command,
                  uint64_t rows);

// LOGINACK with Interface 1. `version`: what the client asked for; the known version that it means is acknowledged.
void tds_put_loginack(std::vector<uint8_t> &out, uint32_t version, std::string_view program,
                      const tds_product_version &program_version);

// ENVCHANGE of the types whose values are text (1, 2, 4, 13, 19).
void tds_put_envchange(std::vector<uint8_t> &out, uint8_t type, std::string_view new_value, std::string_view old_value);

// ENVCHANGE 7 with an empty old value, which go-mssqldb needs.
void tds_put_collation(std::vector<uint8_t> &out, const uint8_t collation[5]);

// Appends `payload` (not empty) as one message of packets of at most `packet_size` bytes, header included.
void tds_put_message(std::vector<uint8_t> &out, uint8_t type, std::span<const uint8_t> payload, size_t packet_size,
                     uint16_t spid);

// Appends the complete answer to a login that failed: ERROR, DONE with DONE_ERROR, packets of at most 4096 bytes. The
// sender closes the connection after it.
void tds_build_login_error(uint32_t version, const tds_notice &notice, uint16_t spid, std::vector<uint8_t> &out);
