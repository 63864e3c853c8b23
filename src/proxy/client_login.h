// The server's side of a TDS login as the proxy itself answers it, without any transport: bytes from the client in,
// bytes to the client out.
//
//      first byte 0x12   PRELOGIN -> [TLS inside PRELOGIN packets] -> LOGIN7 -> ready
//      first byte 0x10   LOGIN7 (jTDS with its default ssl=off)              -> ready
//      first byte 0x16   TLS (strict TDS 8.0) -> PRELOGIN -> LOGIN7          -> ready
//
//      ready -> client_login_answer_error -> closed
//
// Every stage is bounded: a message is reassembled as its bytes arrive (PRELOGIN 4 KiB, LOGIN7 128 KiB - 1), one TLS
// record at a time is in the engine. The caller keeps the deadline (login_timeout).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/error_table.h"
#include "tds/login7.h"
#include "tds/prelogin.h"
#include "tls/tls_context.h"

struct client_login; // opaque
struct tls_engine;

struct client_login_options {
    const tls_context *tls = nullptr; // nullptr: as policy `disable`. Must outlive the client_login's handshake
    tds_tls_policy policy = tds_tls_policy::allow;
    tds_product_version server_version{16, 0, 0, 0}; // told in PRELOGIN; a major under 9 is told as 9
    bool grant_mars = false;                         // to a client that asks for it
    uint16_t spid = 0;
    std::string_view server_name = "tdsbouncer"; // in ERROR tokens. Must outlive the client_login
};

enum class client_login_result : uint8_t {
    more,   // send client_login_output, wait for input
    ready,  // LOGIN7 has come and parsed: client_login_message
    closed, // send what client_login_output still holds, then close; client_login_error_kind says why
};

// Why a login is closed.
enum class client_login_error : uint8_t {
    none,
    answered, // client_login_answer_error was called: the normal end
    protocol, // not TDS, malformed, or in the wrong order
    tls,      // handshake or record failed
    refused,  // encryption could not be agreed on
    memory,
};

// What protects the client's bytes.
enum class client_encryption : uint8_t { none, login_only, full, strict };

// nullptr when memory is out.
client_login *client_login_create(const client_login_options &options);
void client_login_destroy(client_login *); // secrets are overwritten

// Takes bytes off the front of `in`; `consumed` says how many. With `ready`, bytes behind the LOGIN7 are left alone;
// once closed everything is consumed and ignored. With an empty `in` (and then perhaps a null `consumed`) it tells the
// present result.
[[nodiscard]] client_login_result client_login_feed(client_login *, std::span<const uint8_t> in, size_t *consumed);

// Bytes that wait to be sent, valid until the next call; client_login_sent takes the first `n` off.
std::span<const uint8_t> client_login_output(const client_login *);
void client_login_sent(client_login *, size_t n);

// Answers a `ready` login with an ERROR in the client's TDS version and encryption; the login is closed after it. Text:
// the error table's, then ": detail" if there is one. The second form is for errors that are not in the table.
void client_login_answer_error(client_login *, proxy_error number, std::string_view detail = {});
void client_login_answer_error(client_login *, int32_t number, uint8_t severity, std::string_view text);

// The third answers with packets that are complete already.
void client_login_answer_packets(client_login *, std::span<const uint8_t> packets);

// From `ready` on, once: the engine of a connection that stays encrypted, or nullptr when bytes are in clear from now
// on. The caller owns it; client_login_message stays, nothing more can be fed or answered.
tls_engine *client_login_take_engine(client_login *);

// Milliseconds to wait between `ready` and the answer. jTDS (TDS 7.1) in login-only mode closes its SSLSocket after
// LOGIN7, and Java then throws away what has already arrived: an answer that is there within a millisecond is lost.
unsigned client_login_answer_delay(const client_login *);

// Parsed LOGIN7, from `ready` on; the caller may wipe its secrets any time.
tds_login7 &client_login_message(client_login *);

client_encryption client_login_encryption(const client_login *);
bool client_login_mars(const client_login *);               // it was granted
bool client_login_prelogin(const client_login *);           // its login began with one
uint32_t client_login_packets(const client_login *);        // of its LOGIN7, from `ready` on
const char *client_login_tls_version(const client_login *); // OpenSSL's constant; nullptr: no handshake was completed
bool client_login_tls_resumed(const client_login *);
client_login_error client_login_error_kind(const client_login *);
std::string_view client_login_error_text(const client_login *); // one line for the log, "" while there is none
// Host name from the client's TLS hello (SNI), or empty.
std::string_view client_login_server_name(const client_login *);
