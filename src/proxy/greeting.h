// A client's first message in passthrough, as far as the proxy looks at it: complete or not, sound or not, and what it
// tells about the bucket.
#pragma once

#include <cstdint>
#include <span>
#include <string>

struct proxy;
struct proxy_bucket;

enum class greeting_kind : uint8_t {
    prelogin,     // 0x12: TDS 7.x
    login7,       // 0x10: jTDS without TLS begins with its login
    client_hello, // 0x16: strict TDS 8.0
};

enum class greeting_result : uint8_t { more, complete, error };

struct greeting {
    greeting_kind kind = greeting_kind::prelogin;
    std::string server_name; // TLS SNI, when sent
    const char *error = "";  // a constant
};

// `bytes`: all that has come so far.
[[nodiscard]] greeting_result greeting_read(std::span<const uint8_t> bytes, greeting &out);
// On a shared port: by SNI (a bucket's id or alias, the whole name or its first label), else the default bucket.
// nullptr: none fits.
proxy_bucket *greeting_choose_bucket(proxy *, const greeting &);
