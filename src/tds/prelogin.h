// PRELOGIN: the options both sides exchange before TLS and login (MS-TDS 2.2.6.5).
//
//      payload = option table (token, offset BE, length BE)* 0xFF, then the options' data
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

inline constexpr uint8_t tds_prelogin_version = 0x00;
inline constexpr uint8_t tds_prelogin_encryption = 0x01;
inline constexpr uint8_t tds_prelogin_instance = 0x02;
inline constexpr uint8_t tds_prelogin_thread = 0x03;
inline constexpr uint8_t tds_prelogin_mars = 0x04;
inline constexpr uint8_t tds_prelogin_trace = 0x05;
inline constexpr uint8_t tds_prelogin_fedauth = 0x06;
inline constexpr uint8_t tds_prelogin_nonce = 0x07;
inline constexpr uint8_t tds_prelogin_terminator = 0xff;

inline constexpr uint8_t tds_encrypt_off = 0x00;
inline constexpr uint8_t tds_encrypt_on = 0x01;
inline constexpr uint8_t tds_encrypt_not_supported = 0x02;
inline constexpr uint8_t tds_encrypt_required = 0x03;
inline constexpr uint8_t tds_encrypt_extended = 0x20;    // flag, ignored
inline constexpr uint8_t tds_encrypt_client_cert = 0x80; // flag

// The sender's product version, not its TDS version.
struct tds_product_version {
    uint8_t major = 0;
    uint8_t minor = 0;
    uint16_t build = 0;
    uint16_t sub_build = 0;

    bool operator==(const tds_product_version &) const = default;
};

struct tds_prelogin {
    bool has_encryption = false; // VERSION is always there, else the parser refuses
    bool has_instance = false;
    bool has_thread = false;
    bool has_mars = false;
    bool has_trace = false;
    bool has_fedauth = false;
    bool has_nonce = false;
    tds_product_version version;
    uint8_t encryption = 0; // as sent, flags included
    uint8_t mars = 0;
    uint8_t fedauth = 0;
    // These point into the payload that was parsed. Empty when the option had no data.
    std::string_view instance; // up to its zero byte
    std::span<const uint8_t> thread;
    std::span<const uint8_t> trace;
    std::span<const uint8_t> nonce;
};

// Asked for, or granted.
inline bool tds_prelogin_mars_on(const tds_prelogin &p) {
    return p.has_mars && p.mars == 1;
}

enum class tds_prelogin_error : uint8_t {
    none,
    no_terminator,     // or the table is cut off
    version_not_first, // or missing
    outside,           // an option's data is outside the payload or inside the table
    bad_length,        // VERSION not 6, ENCRYPTION not 1, MARS or FEDAUTHREQUIRED over 1, NONCE not 32 bytes
    duplicate,
    too_many, // over 32 options
};

const char *tds_prelogin_error_text(tds_prelogin_error error);

// Parses a client's or a server's payload (without packet header). Unknown options are skipped, options may come in any
// order after VERSION, data areas may overlap.
[[nodiscard]] tds_prelogin_error tds_prelogin_parse(std::span<const uint8_t> payload, tds_prelogin &out);

enum class tds_tls_policy : uint8_t { disable, allow, require };

enum class tds_encryption : uint8_t {
    none,
    login_only, // the first packet of LOGIN7 is encrypted, nothing else
    full,
    refuse, // send the answer, then close: the two sides cannot agree
};

struct tds_encryption_decision {
    uint8_t answer; // the server's ENCRYPTION byte
    tds_encryption outcome;
};

// The table of 2.4 (TDS 7.x only; strict TDS 8.0 ignores the option).
tds_encryption_decision tds_encryption_decide(uint8_t client_byte, tds_tls_policy policy);

struct tds_prelogin_answer {
    tds_product_version version; // major >= 9, JDBC refuses less
    uint8_t encryption = tds_encrypt_not_supported;
    bool mars = false; // put MARS in: do so if the client sent the option (FreeTDS falls to 7.1 without)
    uint8_t mars_value = 0;
    bool thread = false;  // put an empty THREADID in; only done together with MARS
    bool fedauth = false; // put FEDAUTHREQUIRED in; only if the client sent it
    uint8_t fedauth_value = 0;
    uint16_t spid = 0;
};

// Appends the whole answer packet (type 0x04, EOM). Obeys every rule that a driver is known to have.
void tds_prelogin_answer_build(const tds_prelogin_answer &answer, std::vector<uint8_t> &out);

// Appends a client's PRELOGIN packet (type 0x12, EOM): VERSION, ENCRYPTION, INSTOPT, THREADID, MARS and,
// when asked for, FEDAUTHREQUIRED = 1.
void tds_prelogin_request_build(const tds_product_version &version, uint8_t encryption, std::vector<uint8_t> &out,
                                bool fedauth = false, bool mars = false);
