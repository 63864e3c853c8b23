// Keyed digests of secrets, and comparisons whose time says nothing about them.
//
// A login record keeps what a password was only as HMAC-SHA256 under a key made at start: of no use to another process
// and in no dump of a former one.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

struct digest_key {
    std::array<uint8_t, 32> bytes{};

    digest_key() = default;
    ~digest_key();
    digest_key(const digest_key &) = delete;
    digest_key &operator=(const digest_key &) = delete;
};

using digest = std::array<uint8_t, 32>;

// A random key. False when the system gives no randomness: do not go on.
[[nodiscard]] bool digest_key_create(digest_key &key);

// The digest of `secret` under `key`. False only when OpenSSL fails (memory): then `out` is zero and must not be used.
[[nodiscard]] bool digest_make(const digest_key &key, std::string_view secret, digest &out);

// In a time that depends on nothing.
[[nodiscard]] bool digest_equal(const digest &a, const digest &b);

// Whether `offered` (a stranger's, who knows it) is `kept`: in a time that depends on the length of `offered` only.
[[nodiscard]] bool constant_time_equal(std::string_view offered, std::string_view kept);
