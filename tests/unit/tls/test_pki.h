// A small certificate authority, for tests: keys, certificates good and bad, and PEM files that hold them.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>
#include <unistd.h>

#include <openssl/pem.h>

#include "tls/openssl_own.h"

#include "cmocka_cpp.h"

struct pki_wishes {
    const char *name = "test";           // subject's CN
    const char *alternative = nullptr;   // subjectAltName, as openssl.cnf writes it
    bool ca = false;                     // may sign others
    long from = -3600, until = 3600;     // validity, in seconds from now
    int rsa_bits = 0;                    // 0: an elliptic curve key
    const char *digest = "SHA256";       // of the signature
    const struct pki_cert *by = nullptr; // who signs; nullptr: itself
};

struct pki_cert {
    openssl_owned<EVP_PKEY> key;
    openssl_owned<X509> cert;
};

inline void pki_extend(X509 *cert, int nid, const char *value) {
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, cert, cert, nullptr, nullptr, 0);
    openssl_owned<X509_EXTENSION> extension(X509V3_EXT_conf_nid(nullptr, &ctx, nid, value));
    assert_non_null(extension.get());
    assert_int_equal(X509_add_ext(cert, extension.get(), -1), 1);
}

inline pki_cert pki_make(const pki_wishes &w) {
    static long serial = 1;
    pki_cert made;
    made.key.reset(w.rsa_bits > 0 ? EVP_RSA_gen(static_cast<unsigned>(w.rsa_bits)) : EVP_EC_gen("P-256"));
    made.cert.reset(X509_new());
    X509 *cert = made.cert.get();
    X509_NAME *subject = X509_get_subject_name(cert);
    X509_set_version(cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), serial++);
    X509_gmtime_adj(X509_getm_notBefore(cert), w.from);
    X509_gmtime_adj(X509_getm_notAfter(cert), w.until);
    X509_set_pubkey(cert, made.key.get());
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char *>(w.name), -1, -1, 0);
    X509_set_issuer_name(cert, w.by != nullptr ? X509_get_subject_name(w.by->cert.get()) : subject);
    pki_extend(cert, NID_basic_constraints, w.ca ? "critical,CA:TRUE" : "CA:FALSE");
    if (w.alternative != nullptr)
        pki_extend(cert, NID_subject_alt_name, w.alternative);
    EVP_PKEY *signer = w.by != nullptr ? w.by->key.get() : made.key.get();
    assert_true(X509_sign(cert, signer, EVP_get_digestbyname(w.digest)) > 0);
    return made;
}

// A file that goes away with its scope.
struct pki_file {
    std::string path;

    explicit pki_file(const char *name) {
        const char *dir = getenv("TMPDIR");
        path = std::string(dir ? dir : "/tmp") + "/tdsbouncer-" + std::to_string(getpid()) + "-" + name;
    }
    ~pki_file() { unlink(path.c_str()); }
    pki_file(const pki_file &) = delete;
    pki_file &operator=(const pki_file &) = delete;
};

inline void pki_write(const pki_file &file, std::initializer_list<X509 *> certs, EVP_PKEY *key = nullptr) {
    FILE *f = fopen(file.path.c_str(), "w");
    assert_non_null(f);
    if (key != nullptr)
        assert_int_equal(PEM_write_PrivateKey(f, key, nullptr, nullptr, 0, nullptr, nullptr), 1);
    for (X509 *cert : certs)
        assert_int_equal(PEM_write_X509(f, cert), 1);
    fclose(f);
}
