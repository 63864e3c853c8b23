// One TLS connection without a socket: ciphertext in, ciphertext out, plaintext in, plaintext out. Never blocks.
//
//      network -> tls_engine_feed           -> [in]  -> OpenSSL -> tls_engine_read  -> proxy
//      network <- tls_engine_output, _sent  <- [out] <- OpenSSL <- tls_engine_write <- proxy
//
// After every feed: tls_engine_handshake until it says done, then tls_engine_read until it gives nothing; after each of
// them send what waits in tls_engine_output. Buffers are bounded by that discipline and by tls_engine_limit.
//
// `in` and `out` are given back when empty, and OpenSSL's own buffers with them: an idle engine owns none.
//
// Whoever finishes the handshake with the last word still has that flight in its output: the server in a full TLS 1.2
// handshake (new ticket and Finished), the client in a resumed TLS 1.2 one and in every TLS 1.3 one (Finished). So
// tls_engine_handshake == ok does not mean that all is sent: drain the output first, in PRELOGIN packets where the
// handshake is wrapped in them, before anything is written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "tls/tls_client_context.h"
#include "tls/tls_context.h"

struct tls_engine; // opaque

inline constexpr size_t tls_engine_limit = 64 * 1024; // bytes that may wait in either direction

enum class tls_result : uint8_t {
    ok,
    more,   // needs more ciphertext
    closed, // the peer sent close_notify
    error,  // see tls_engine_error; an alert may wait in tls_engine_output
};

// The server's side. nullptr when memory is out.
[[nodiscard]] tls_engine *tls_engine_create(const tls_context *context, tls_mode mode);

// The client's side; call tls_engine_handshake at once, it puts the ClientHello in the output. `host`: the name or IP
// address that was dialled, as the user wrote it: sent as SNI (only if it is a name), compared with the certificate
// (tls_verify::full). With `port` and `mode` it is what the session to resume is found by.
// nullptr when memory is out, or `host` is empty, over 255 bytes or holds a NUL.
[[nodiscard]] tls_engine *tls_engine_create_client(const tls_client_context *context, tls_mode mode,
                                                   std::string_view host, uint16_t port);

// Frees without telling the peer: close_notify confuses TDS drivers.
void tls_engine_destroy(tls_engine *);
struct tls_engine_deleter {
    void operator()(tls_engine *e) const { tls_engine_destroy(e); }
};
using tls_engine_ptr = std::unique_ptr<tls_engine, tls_engine_deleter>;

// Takes over a copy of all of `cipher`; false when more than tls_engine_limit bytes would wait, or memory is out.
[[nodiscard]] bool tls_engine_feed(tls_engine *, std::span<const uint8_t> cipher);
// Bytes fed and not yet used by the engine.
size_t tls_engine_unread(const tls_engine *);

// ok: done (again and again).
[[nodiscard]] tls_result tls_engine_handshake(tls_engine *);

// ok: `got` bytes of plaintext were written to `out`, at least one. `out` must not be empty.
[[nodiscard]] tls_result tls_engine_read(tls_engine *, std::span<uint8_t> out, size_t &got);

// Encrypts all of `plain` at once, as one record if it is at most 16384 bytes. False when it does not fit under
// tls_engine_limit (nothing is written then), before the handshake is done, or on error.
[[nodiscard]] bool tls_engine_write(tls_engine *, std::span<const uint8_t> plain);

// Ciphertext to send, in place: valid until the next call that is not const. tls_engine_sent drops the first `n` bytes.
std::span<const uint8_t> tls_engine_output(const tls_engine *);
void tls_engine_sent(tls_engine *, size_t n);

size_t tls_engine_waiting(const tls_engine *); // how much that is

// Why the engine failed, in words, or empty. A certificate that was not accepted:
// "certificate verify failed: self-signed certificate".
const std::string &tls_engine_error(const tls_engine *);
// SNI that the client sent in this very handshake, or empty: OpenSSL would tell a resumed session's.
std::string tls_engine_server_name(const tls_engine *);
// For the settings of a server's SSL_CTX: takes SNI from the ClientHello.
int tls_engine_client_hello(ssl_st *, int *alert, void *);
const char *tls_engine_version(const tls_engine *); // "TLSv1.2"
bool tls_engine_resumed(const tls_engine *);        // after the handshake: no new session, an older one went on
