// Reads a TLS ClientHello without doing TLS (RFC 8446 section 4.1.2): which name the client asks for (SNI) and which
// protocols it offers (ALPN), to route a strict TDS 8.0 connection that is then passed on untouched.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

inline constexpr size_t tls_client_hello_max = 16 * 1024;

struct tls_client_hello {
    std::string server_name; // as sent; empty: none
    bool has_alpn = false;
    bool offers_tds8 = false; // ALPN holds tds/8.0
};

enum class tls_hello_result : uint8_t {
    ok,
    more,  // bytes so far are the beginning of a ClientHello
    error, // not a ClientHello, malformed, or over tls_client_hello_max bytes
};

// The host name in the data of a server_name extension (RFC 6066 section 3), "" if it holds none. False: malformed.
[[nodiscard]] bool tls_server_name_parse(std::span<const uint8_t> extension, std::string &name);

// `bytes`: everything the client has sent so far, from its first byte, records and all. Call again with more; the work
// is only done once it is complete.
[[nodiscard]] tls_hello_result tls_client_hello_parse(std::span<const uint8_t> bytes, tls_client_hello &out);
