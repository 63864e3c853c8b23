// The client's side of a TDS login at a SQL Server, without any transport: bytes from the server in, bytes to the
// server out. The mirror of proxy/client_login.h.
//
//      server_tls disable, prefer, require, verify-*   PRELOGIN -> [TLS inside PRELOGIN packets] -> LOGIN7 -> answer
//      server_tls strict (TDS 8.0)                     TLS, ALPN tds/8.0 -> PRELOGIN -> LOGIN7             -> answer
//
//      answer: done | refused | token -> server_login_send -> answer ...
//
// Login-only TLS is never asked for: it hides the password and nothing else. Every stage is bounded: PRELOGIN's answer
// 4 KiB, the login's answer 128 KiB, one TLS record at a time is in the engine. The caller keeps the deadline
// (login_timeout) and tells a lost connection from it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "tds/login_answer.h"
#include "tds/prelogin.h"
#include "tls/tls_context.h"
#include "tls/tls_engine.h"

struct server_login; // opaque

struct server_login_options {
    server_tls tls_policy = server_tls::prefer;
    const tls_client_context *tls = nullptr; // not needed for `disable`. Must outlive the handshake
    std::string_view host;                   // of the server: SNI, verification, resumption. Copied
    uint16_t port = 1433;
    tds_product_version version{16, 0, 0, 0}; // told in PRELOGIN
    bool mars = false;                        // MARS = 1 is sent; a server that declines it is not logged in to
    bool fedauth_required = false; // FEDAUTHREQUIRED = 1 is sent: the client's LOGIN7 holds a FEDAUTH feature
};

enum class server_login_result : uint8_t {
    more,    // send server_login_output, wait for input
    done,    // login accepted: server_login_answer
    refused, // the server said no: server_login_answer has its errors
    token,   // the server wants the client's SSPI or federated token: server_login_payload, then server_login_send
    failed,  // server_login_error_kind and _text say why; send what server_login_output holds (an alert), then close
};

enum class server_login_error : uint8_t {
    none,
    protocol,           // not TDS, malformed, or in the wrong order
    tls,                // handshake, certificate or record
    declined_mars,      // the server's PRELOGIN does not grant it
    refused_encryption, // server_tls and the server's own setting do not go together
    memory,
};

// What protects the connection's bytes.
enum class server_encryption : uint8_t { none, full, strict };

// `login7`: payload of the LOGIN7 message (tds/login7_build.h), taken over and overwritten as soon as it is sent. Its
// fFedAuthEcho is set as the server's PRELOGIN says. The first bytes to send are in the output at once. nullptr when
// memory is out (`login7` is wiped then too). `login7` must hold at least the fixed part of a LOGIN7.
server_login *server_login_create(const server_login_options &options, std::vector<uint8_t> &&login7);
void server_login_destroy(server_login *); // secrets are overwritten

// Takes bytes off the front of `in`; `consumed` says how many. With done, refused and token, bytes behind the answer
// are left alone (a server sends none before the next request; TLS 1.3 tickets are for the engine that is taken). Once
// failed everything is consumed and ignored. With an empty `in` (and then perhaps a null `consumed`) it tells the
// present result.
[[nodiscard]] server_login_result server_login_feed(server_login *, std::span<const uint8_t> in, size_t *consumed);

// Bytes that wait to be sent, valid until the next call; server_login_sent takes the first `n` off, and overwrites what
// held the LOGIN7.
std::span<const uint8_t> server_login_output(const server_login *);
void server_login_sent(server_login *, size_t n);

// After `token`: sends the client's message (tds_type_sspi or tds_type_fedauth) and waits for the next answer.
void server_login_send(server_login *, uint8_t type, std::span<const uint8_t> payload);

// From done, refused or token on. server_login_take_answer moves it out.
const tds_login_answer &server_login_answer(const server_login *);
tds_login_answer server_login_take_answer(server_login *);
std::span<const uint8_t> server_login_payload(const server_login *); // of the last answer, tokens as they came

// From done on.
uint32_t server_login_packet_size(const server_login *); // for both directions: ENVCHANGE 4's, else what LOGIN7 asked
// The engine of an encrypted connection, handshake done; nullptr when bytes are in clear. The caller owns it from then
// on; to be called once.
tls_engine *server_login_take_engine(server_login *);

// Packets so far. Those around a TLS handshake are not counted.
struct server_login_packets {
    uint32_t prelogin_sent = 0, login_sent = 0, token_sent = 0;
    uint32_t prelogin_received = 0, answer_received = 0;
    uint8_t token_type = 0;
};
const server_login_packets &server_login_counts(const server_login *);
const char *server_login_tls_version(const server_login *); // OpenSSL's constant; nullptr: no handshake was completed
bool server_login_tls_resumed(const server_login *);

server_encryption server_login_encryption(const server_login *);
const tds_product_version &server_login_version(const server_login *); // from the server's PRELOGIN; major 0 before it
uint16_t server_login_spid(const server_login *);                      // from the answer's first packet header
bool server_login_fedauth_echo(const server_login *);                  // the server's FEDAUTHREQUIRED was 1

server_login_error server_login_error_kind(const server_login *);
std::string_view server_login_error_text(const server_login *); // one line for the log, "" while there is none
// Whether the same login on a new connection may fare better: `refused` with a transient error, `failed` for memory.
// False for protocol, TLS and encryption, and while the login is still under way.
bool server_login_retry(const server_login *);
