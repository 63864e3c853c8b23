// Keyed digests of secrets. Contract in digest.h.
#include "tls/digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

digest_key::~digest_key() {
    OPENSSL_cleanse(bytes.data(), bytes.size());
}

bool digest_key_create(digest_key &key) {
    return RAND_priv_bytes(key.bytes.data(), static_cast<int>(key.bytes.size())) == 1;
}

bool digest_make(const digest_key &key, std::string_view secret, digest &out) {
    unsigned length = 0;
    const auto *bytes = reinterpret_cast<const unsigned char *>(secret.data());
    const unsigned char nothing = 0; // an empty view may have no address
    bool made = HMAC(EVP_sha256(), key.bytes.data(), static_cast<int>(key.bytes.size()),
                     bytes != nullptr ? bytes : &nothing, secret.size(), out.data(), &length) != nullptr &&
                length == out.size();
    if (!made)
        out.fill(0);
    return made;
}

bool digest_equal(const digest &a, const digest &b) {
    return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

// No branch and no number of steps depends on what is kept: beyond its end its first byte is read again (or a zero that
// stands in for it), and the difference in length alone decides.
bool constant_time_equal(std::string_view offered, std::string_view kept) {
    const char nothing = 0;
    const char *theirs = kept.empty() ? &nothing : kept.data();
    const size_t length = kept.size();
    volatile uint64_t difference = offered.size() ^ length;
    for (size_t i = 0; i < offered.size(); ++i) {
        size_t inside = (i - length) >> (8 * sizeof(size_t) - 1); // 1 while i < length: both are far below 2^63
        size_t at = i & (~inside + 1);                            // i or 0
        difference = difference | static_cast<uint8_t>(offered[i] ^ theirs[at]);
    }
    return difference == 0;
}
