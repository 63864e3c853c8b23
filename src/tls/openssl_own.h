// Ownership of OpenSSL's objects by scope. For the sources of this folder only.
#pragma once

#include <memory>
#include <string>

#include <openssl/ssl.h>
#include <openssl/x509v3.h>

struct openssl_free {
    void operator()(SSL_CTX *p) const { SSL_CTX_free(p); }
    void operator()(SSL *p) const { SSL_free(p); }
    void operator()(SSL_SESSION *p) const { SSL_SESSION_free(p); }
    void operator()(EVP_PKEY *p) const { EVP_PKEY_free(p); }
    void operator()(X509 *p) const { X509_free(p); }
    void operator()(X509_STORE *p) const { X509_STORE_free(p); }
    void operator()(X509_EXTENSION *p) const { X509_EXTENSION_free(p); }
};
template <typename T> using openssl_owned = std::unique_ptr<T, openssl_free>;

inline constexpr unsigned char tls_alpn_tds8[] = {7, 't', 'd', 's', '/', '8', '.', '0'};

// Takes all of OpenSSL's queued errors off the queue; returns the first one's text.
std::string tls_take_errors();
