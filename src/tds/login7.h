// LOGIN7: a client's login (MS-TDS 2.2.6.4). Input from unauthenticated strangers: every
// offset and length is checked, nothing is allocated by a length that was not checked.
//
//      payload = fixed part (94 bytes, 86 before TDS 7.2) + areas that the fixed part's offsets point to
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

inline constexpr uint32_t tds_7_0 = 0x70000000;
inline constexpr uint32_t tds_7_1 = 0x71000000;
inline constexpr uint32_t tds_7_1_sp1 = 0x71000001;
inline constexpr uint32_t tds_7_2 = 0x72090002;
inline constexpr uint32_t tds_7_3a = 0x730a0003;
inline constexpr uint32_t tds_7_3b = 0x730b0003;
inline constexpr uint32_t tds_7_4 = 0x74000004;
inline constexpr uint32_t tds_8_0 = 0x08000000; // strict; formats are those of 7.4

// The known version that a client's value means: the next lower one. 0 when there is none.
uint32_t tds_version_known(uint32_t client_value);

// 7.2 and later: 8-byte row counts, 4-byte line numbers and user types, 94-byte LOGIN7.
inline bool tds_version_is_wide(uint32_t version) {
    return version >= 0x72000000 || version == tds_8_0;
}

inline constexpr uint8_t tds_flags1_use_db = 0x20;
inline constexpr uint8_t tds_flags1_init_db_fatal = 0x40;
inline constexpr uint8_t tds_flags1_set_lang = 0x80;
inline constexpr uint8_t tds_flags2_odbc = 0x02;
inline constexpr uint8_t tds_flags2_integrated = 0x80; // SSPI login
inline constexpr uint8_t tds_type_flags_oledb = 0x10;
inline constexpr uint8_t tds_type_flags_read_only = 0x20;
inline constexpr uint8_t tds_flags3_change_password = 0x01;
inline constexpr uint8_t tds_flags3_user_instance = 0x04;
inline constexpr uint8_t tds_flags3_extension = 0x10;

inline constexpr size_t tds_name_max = 128; // units of every name
inline constexpr size_t tds_file_max = 260; // units of the file to attach

// A password in clear as UTF-8. Overwritten when wiped or destroyed; never copied.
struct tds_secret {
    char text[tds_name_max * 3] = {};
    size_t size = 0;

    tds_secret() = default;
    ~tds_secret();
    tds_secret(const tds_secret &) = delete;
    tds_secret &operator=(const tds_secret &) = delete;
};
inline std::string_view tds_secret_view(const tds_secret &s) {
    return {s.text, s.size};
}
void tds_secret_wipe(tds_secret &s);

// What a LOGIN7 says in fixed places and passes from one to another as it is.
struct tds_login7_fixed {
    uint32_t program_version = 0;
    uint32_t process_id = 0;
    uint8_t flags1 = 0, flags2 = 0, type_flags = 0, flags3 = 0;
    int32_t time_zone = 0;
    uint32_t lcid = 0;
    uint8_t client_id[6] = {};
};

struct tds_login7 : tds_login7_fixed {
    uint32_t tds_version = 0; // as sent
    uint32_t packet_size = 0; // as sent, 0: server's default
    uint32_t connection_id = 0;
    std::string host_name, user_name, app_name, server_name, library_name, language, database, attach_file; // UTF-8
    tds_secret password, new_password;
    // These point into the payload that was parsed.
    std::span<const uint8_t> sspi;     // empty: none
    std::span<const uint8_t> features; // checked run of features without its terminator; empty: none
};

enum class tds_login7_error : uint8_t {
    none,
    truncated,     // shorter than its fixed part
    bad_length,    // Length is not the message's length
    bad_version,   // under 7.0 or unknown
    bad_layout,    // first offset inside the fixed part of this TDS version
    outside,       // an area is outside the message or inside the fixed part
    too_long,      // a name over its limit
    bad_extension, // FeatureExt outside, without end, with a length over the end, a feature twice, over 64 features
};

const char *tds_login7_error_text(tds_login7_error error);

// Parses the payload of a complete LOGIN7 message. On error `out` holds nothing of use (secrets are wiped). Per the
// specification a LOGIN7 that does not parse gets no answer, only a close.
[[nodiscard]] tds_login7_error tds_login7_parse(std::span<const uint8_t> payload, tds_login7 &out);

struct tds_feature {
    uint8_t id;
    std::span<const uint8_t> data;
};

// Takes the next feature off the front of `rest` (start with tds_login7.features). False at the end, or when the bytes
// are not well formed: then `rest` is not empty.
bool tds_feature_next(std::span<const uint8_t> &rest, tds_feature &out);

// Decodes the wire form of a password in place: works byte by byte, needs no alignment.
void tds_password_decode(std::span<uint8_t> bytes);
