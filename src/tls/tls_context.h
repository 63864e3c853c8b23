// The proxy's certificate and key, and the two ways in which clients speak TLS to it:
//   wrapped   handshake inside PRELOGIN packets, TDS 7.x: exactly TLS 1.2, because TLS 1.3 breaks that wrapping
//   strict    TLS first, TDS 8.0: TLS 1.2 or 1.3, ALPN tds/8.0 selected if offered
#pragma once

#include <cstdint>
#include <string>

struct ssl_ctx_st;

enum class tls_mode : uint8_t { wrapped, strict };
enum class tls_self_signed : uint8_t { rsa, ecdsa };

struct tls_context_options {
    std::string cert_file = {}; // PEM, leaf first, then its chain. Empty: a self-signed certificate is made
    std::string key_file = {};  // PEM. Empty: the key is in cert_file
    tls_self_signed self_signed = tls_self_signed::rsa;
    bool min_version_13 = false; // of strict mode; wrapped mode is TLS 1.2 whatever is asked

    bool operator==(const tls_context_options &) const = default;
};

struct tls_context; // opaque

// nullptr on failure; `error` then names the file and the reason. Making an RSA key takes a tenth of a second or so.
// Engines keep their own reference: the context may be destroyed (replaced) while they live.
[[nodiscard]] tls_context *tls_context_create(const tls_context_options &options, std::string &error);
void tls_context_destroy(tls_context *);

// Reads certificate and key files again, or others; engines made from now on show what is in them, engines alive keep
// what they have. All or nothing: on failure (false, `error` as above) everything stays as it was. A self-signed
// certificate is kept, unless another kind of key is asked for: true. Tickets of before are no longer known: their
// clients make a full handshake.
[[nodiscard]] bool tls_context_reload(tls_context *, const tls_context_options &, std::string &error);

// For tls_engine only.
ssl_ctx_st *tls_context_ssl(const tls_context *, tls_mode mode);
