#include "tls/self_signed.h"

#include <cstring>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/rand.h>

static bool add_extension(X509 *cert, int nid, const char *value) {
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, cert, cert, nullptr, nullptr, 0);
    openssl_owned<X509_EXTENSION> extension(X509V3_EXT_conf_nid(nullptr, &ctx, nid, value));
    return extension && X509_add_ext(cert, extension.get(), -1) == 1;
}

// The host's name goes into the certificate only if it is one: OpenSSL parses commas and colons in the value.
static std::string alternative_names() {
    std::string names = "DNS:localhost,IP:127.0.0.1";
    char host[256] = {};
    if (gethostname(host, sizeof host - 1) != 0 || host[0] == '\0' || strcmp(host, "localhost") == 0)
        return names;
    static constexpr char legal[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.";
    return strspn(host, legal) == strlen(host) ? names + ",DNS:" + host : names;
}

static bool set_serial(X509 *cert) {
    uint64_t serial = 0;
    if (RAND_bytes(reinterpret_cast<unsigned char *>(&serial), sizeof serial) != 1)
        return false;
    return ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), serial >> 1 | 1) == 1;
}

static openssl_owned<X509> make_certificate(EVP_PKEY *key) {
    static constexpr long ten_years = 3650L * 24 * 3600;
    static constexpr unsigned char name[] = "tdsbouncer";
    openssl_owned<X509> cert(X509_new());
    X509_NAME *subject = cert ? X509_get_subject_name(cert.get()) : nullptr;
    bool good = cert && X509_set_version(cert.get(), X509_VERSION_3) == 1 && set_serial(cert.get()) &&
                X509_gmtime_adj(X509_getm_notBefore(cert.get()), -3600) != nullptr &&
                X509_gmtime_adj(X509_getm_notAfter(cert.get()), ten_years) != nullptr &&
                X509_set_pubkey(cert.get(), key) == 1 &&
                X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, name, -1, -1, 0) == 1 &&
                X509_set_issuer_name(cert.get(), subject) == 1 &&
                add_extension(cert.get(), NID_basic_constraints, "critical,CA:FALSE") &&
                add_extension(cert.get(), NID_ext_key_usage, "serverAuth") &&
                add_extension(cert.get(), NID_subject_alt_name, alternative_names().c_str()) &&
                X509_sign(cert.get(), key, EVP_sha256()) > 0;
    return good ? std::move(cert) : nullptr;
}

tls_certificate tls_self_signed_make(tls_self_signed kind) {
    tls_certificate c;
    c.key.reset(kind == tls_self_signed::rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256"));
    if (c.key)
        c.cert = make_certificate(c.key.get());
    return c;
}
