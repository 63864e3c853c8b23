// How the proxy speaks TLS to a SQL Server: what it trusts, what it offers, and the sessions that it can resume.
//   wrapped   handshake inside PRELOGIN packets, TDS 7.x: exactly TLS 1.2, ciphers of security level 1 (old servers)
//   strict    TLS first, TDS 8.0: TLS 1.2 or 1.3, ALPN tds/8.0 offered; verified as tls_verify::full whatever is asked
//
//   server_tls              tls_verify     tls_mode of the engine
//   prefer, require         none           wrapped
//   verify-ca               ca             wrapped
//   verify-full             full           wrapped
//   strict                  full           strict
//
// The last session of every target (host, port and mode) is kept here, so that a reconnect resumes it: the server then
// makes no signature, and no certificate is sent or verified again, for two hours at most. Make one context per set of
// options, share it and keep it: the system's store takes 40 ms and 900 KB to load, and sessions of one context are
// never offered by another, which may have other ideas of whom to trust.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "tls/tls_context.h"

struct ssl_st;

enum class tls_verify : uint8_t {
    none, // encrypted, to whoever answers
    ca,   // the chain of the certificate leads to a trusted CA, which must not have expired
    full, // and the certificate is for the host name or IP address that was dialled
};

struct tls_client_options {
    tls_verify verify = tls_verify::none;
    // PEM: CAs, or the server's own certificate. Empty: the system's default store, or nobody where `verify` is none
    std::string ca_file = {};
};

struct tls_client_context; // opaque

inline constexpr size_t tls_client_sessions_max = 1024; // targets remembered; the one unused for longest makes room

// nullptr on failure; `error` then names the file and the reason. The CA file is read here and whatever `verify` says.
// Engines keep what they need: the context may be destroyed (replaced) while they live.
[[nodiscard]] tls_client_context *tls_client_context_create(const tls_client_options &options, std::string &error);
void tls_client_context_destroy(tls_client_context *);

// Targets of which a session is remembered.
size_t tls_client_context_sessions(const tls_client_context *);

// For tls_engine only: an SSL that will connect to the target, its session set if there is one. nullptr as
// tls_engine_create_client.
[[nodiscard]] ssl_st *tls_client_context_dial(const tls_client_context *, tls_mode mode, std::string_view host,
                                              uint16_t port);
// For tls_engine only: the handshake or the connection failed, its target's session is not offered again.
void tls_client_context_forget(ssl_st *);
