// A server's answer to a login (MS-TDS 2.2.7, protocol notes section 4): taken apart, kept, and given again to other
// clients with their own packet size, features and TDS version.
//
//      server's response -> tds_login_answer_parse -> tds_login_answer -> tds_login_answer_build  -> client's response
//                                                                      -> tds_login_refusal_build ->
//
// What is for one client or one connection only does not survive the way: packet size, SPID, mirroring partner,
// routing, SESSIONRECOVERY.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tds/prelogin.h"

inline constexpr size_t tds_login_answer_max = 128 * 1024; // payload bytes

inline constexpr int32_t tds_info_database = 5701;
inline constexpr int32_t tds_info_language = 5703;

inline constexpr uint8_t tds_env_charset = 3;
inline constexpr uint8_t tds_env_locale = 5;
inline constexpr uint8_t tds_env_compare_flags = 6;
inline constexpr uint8_t tds_env_user_instance = 19;

// ERROR (severity >= 11) or INFO, as the server sent it.
struct tds_login_notice {
    int32_t number = 0;
    uint8_t state = 0;
    uint8_t severity = 0;
    uint32_t line = 0;
    uint8_t about = 0; // tds_env_database or tds_env_language: what it tells in words. By number (5701, 5703), or as
                       // the first notice behind that ENVCHANGE: Babelfish's has number 0
    std::string text, server_name, procedure; // UTF-8
};

enum class tds_login_outcome : uint8_t {
    refused,  // DONE without LOGINACK, or with DONE_ERROR
    accepted, // LOGINACK, and a final DONE without error
    token,    // SSPI or FEDAUTHINFO and no LOGINACK: the client's turn
};

struct tds_login_routing {
    bool present = false;
    uint16_t port = 0;    // never 0 when present
    std::string host;     // never empty when present; may be "host\instance"
    std::string database; // enhanced routing only (ENVCHANGE 21); else empty
};

struct tds_login_answer {
    tds_login_outcome outcome = tds_login_outcome::refused;
    uint32_t tds_version = 0;            // acknowledged, in LOGIN7's form (tds_7_1 ...); 0: no LOGINACK
    std::string program;                 // as sent: SQL Server's has two NULs at its end
    tds_product_version program_version; // sub_build is always 0
    std::string database, old_database;  // of the last ENVCHANGE 1; empty: none
    std::string language, old_language;
    bool has_collation = false;
    uint8_t collation[5] = {};
    bool collation_last = false;       // behind the language, as Babelfish tells them
    uint32_t packet_size = 0;          // 512..32767; 0: not told, what LOGIN7 asked holds
    std::string charset;               // ENVCHANGE 3, 5 and 6: TDS 7.0 only
    std::string locale, compare_flags; //
    std::string user_instance;         // ENVCHANGE 19
    std::vector<tds_login_notice> notices;
    std::vector<uint8_t> feature_acks; // run without its terminator
    bool session_recovery = false;     // SESSIONRECOVERY is among them
    tds_login_routing routing;         // ENVCHANGE 20 or 21
    std::vector<uint8_t> sspi;         // last SSPI token's blob
    std::vector<uint8_t> fedauth_info; // FEDAUTHINFO token's data
};

enum class tds_answer_error : uint8_t {
    none,
    empty,
    too_long,     // over tds_login_answer_max
    truncated,    // ends inside a token
    bad_token,    // a token that has no place in a login response
    bad_field,    // a field outside its token, or with a value that is not legal
    bad_features, // FEATUREEXTACK malformed, or a feature twice
    no_end,       // no final DONE
    after_end,    // bytes behind the final DONE
};

const char *tds_answer_error_text(tds_answer_error error);

// Parses the payload of a complete login response. `version`: what LOGIN7 asked (it decides the widths in ERROR and
// DONE, LOGINACK's the rest). Tokens may come in any order (Babelfish's differs from SQL Server's). On error `out`
// holds what came before. `out` must be new.
[[nodiscard]] tds_answer_error tds_login_answer_parse(std::span<const uint8_t> payload, uint32_t version,
                                                      tds_login_answer &out);

// The first ERROR, or nullptr.
const tds_login_notice *tds_login_answer_error(const tds_login_answer &answer);

// A refused login that is worth another try on a new connection: an ERROR of it is transient (tds/error_number.h).
bool tds_login_answer_transient(const tds_login_answer &answer);

struct tds_login_reply {
    uint32_t client_version = 0;       // LOGIN7's TDSVersion as the client sent it
    uint32_t packet_size = 4096;       // granted to this client, 512..32767
    uint32_t packet_size_asked = 0;    // LOGIN7's PacketSize; 0: server's default
    std::span<const uint8_t> features; // the client's tds_login7.features
    uint16_t spid = 0;
    std::string_view database, language; // to announce; empty: the answer's
    const uint8_t *collation = nullptr;  // 5 bytes to announce; nullptr: the answer's
};

// The TDS version that a client with `client_version` is told: the lower one of both. A client of TDS 8.0 is told 8.0
// where the server speaks 7.4 or 8.0, whose formats are the same.
uint32_t tds_login_answer_version(const tds_login_answer &answer, uint32_t client_version);

// Appends the complete response for a client, packets of at most 4096 bytes, from an accepted `answer`: the order is
// SQL Server's, but for the collation's place. ERRORs come first, INFO 5701 and 5703 are there if the server sent them,
// others follow. A feature is acknowledged if the server did, this client asked for it, and it is one of
// tds_stream_features or FEDAUTH, whose acknowledgement is mandatory. An SSPI blob of the last round is passed on.
void tds_login_answer_build(const tds_login_answer &answer, const tds_login_reply &reply,
                            std::vector<uint8_t> &packets);

// Appends the complete response of a refused login: all notices as the server sent them, DONE with DONE_ERROR.
void tds_login_refusal_build(const tds_login_answer &answer, uint32_t client_version, uint16_t spid,
                             std::vector<uint8_t> &packets);
