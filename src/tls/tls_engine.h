// One TLS connection without a socket: ciphertext in, ciphertext out, plaintext in, plaintext out. Never blocks.
//
//      network -> tls_engine_feed -> [OpenSSL] -> tls_engine_read  -> proxy
//      network <- tls_engine_take <- [OpenSSL] <- tls_engine_write <- proxy
//
// After every feed: tls_engine_handshake until it says done, then tls_engine_read until it gives nothing; then send
// what tls_engine_take gives. Buffers are bounded by that discipline and by tls_engine_limit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "tls/tls_context.h"

struct tls_engine; // opaque

inline constexpr size_t tls_engine_limit = 64 * 1024; // bytes that may wait in either direction

enum class tls_result : uint8_t {
    ok,
    more,   // needs more ciphertext
    closed, // the peer sent close_notify
    error,  // see tls_engine_error; an alert may wait in tls_engine_take
};

// The server's side. nullptr when memory is out.
tls_engine *tls_engine_create(const tls_context *context, tls_mode mode);
// Frees without telling the peer: close_notify confuses TDS drivers (2.6).
void tls_engine_destroy(tls_engine *);

// Takes over a copy of all of `cipher`; false when more than tls_engine_limit bytes would wait.
[[nodiscard]] bool tls_engine_feed(tls_engine *, std::span<const uint8_t> cipher);
// Bytes fed and not yet used by the engine.
size_t tls_engine_unread(const tls_engine *);

// ok: done (again and again).
[[nodiscard]] tls_result tls_engine_handshake(tls_engine *);

// ok: `got` bytes of plaintext were written to `out`, at least one.
[[nodiscard]] tls_result tls_engine_read(tls_engine *, std::span<uint8_t> out, size_t &got);

// Encrypts all of `plain` at once, as one record if it is at most 16384 bytes. False when it does not fit under
// tls_engine_limit or on error.
[[nodiscard]] bool tls_engine_write(tls_engine *, std::span<const uint8_t> plain);

// Ciphertext to send: how much waits, and moving it to `out` (returns the bytes moved).
size_t tls_engine_waiting(const tls_engine *);
size_t tls_engine_take(tls_engine *, std::span<uint8_t> out);

const std::string &tls_engine_error(const tls_engine *);
std::string tls_engine_server_name(const tls_engine *); // SNI that the client sent, or empty
const char *tls_engine_version(const tls_engine *);     // "TLSv1.2"
bool tls_engine_resumed(const tls_engine *);
