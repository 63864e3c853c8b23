// OpenSSL with memory BIOs. See wire_tls.h.
#include "wire_tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

namespace sqlserver {

struct tls_engine {
    SSL *ssl = nullptr;
    BIO *in = nullptr, *out = nullptr; // owned by ssl
};

namespace {

std::string last_error() {
    char text[256] = "unknown";
    ERR_error_string_n(ERR_get_error(), text, sizeof text);
    ERR_clear_error();
    return text;
}

bool add_names(X509 *x) {
    X509_NAME *name = X509_get_subject_name(x);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char *>("localhost"), -1, -1,
                               0);
    X509_set_issuer_name(x, name);
    X509_EXTENSION *alternative =
        X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");
    if (alternative == nullptr)
        return false;
    X509_add_ext(x, alternative, -1);
    X509_EXTENSION_free(alternative);
    return true;
}

bool use_self_signed(SSL_CTX *ctx, EVP_PKEY *key, X509 *x) {
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_set_version(x, 2);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 10L * 365 * 86400);
    X509_set_pubkey(x, key);
    return add_names(x) && X509_sign(x, key, EVP_sha256()) > 0 && SSL_CTX_use_certificate(ctx, x) == 1 &&
           SSL_CTX_use_PrivateKey(ctx, key) == 1;
}

int select_alpn(SSL *, const unsigned char **out, unsigned char *out_length, const unsigned char *in,
                unsigned in_length, void *) {
    static const unsigned char ours[] = "\x07tds/8.0";
    unsigned char *chosen = nullptr;
    if (SSL_select_next_proto(&chosen, out_length, ours, 8, in, in_length) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

SSL_CTX *context_new(int max_version) {
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (ctx == nullptr)
        return nullptr;
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_max_proto_version(ctx, max_version);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    const unsigned char id[] = "sqlserver-standin";
    SSL_CTX_set_session_id_context(ctx, id, sizeof id - 1);
    return ctx;
}

} // namespace

bool tls_contexts_open(tls_contexts &c, const std::string &cert_file, const std::string &key_file, bool tls12_only,
                       std::string &error) {
    c.wrapped = context_new(TLS1_2_VERSION);
    c.strict = context_new(tls12_only ? TLS1_2_VERSION : TLS1_3_VERSION);
    if (c.wrapped == nullptr || c.strict == nullptr) {
        error = last_error();
        return false;
    }
    SSL_CTX_set_alpn_select_cb(c.strict, select_alpn, nullptr);
    EVP_PKEY *key = cert_file.empty() ? EVP_RSA_gen(2048) : nullptr;
    X509 *x = cert_file.empty() ? X509_new() : nullptr;
    bool ok = true;
    for (SSL_CTX *ctx : {c.wrapped, c.strict}) {
        if (!cert_file.empty())
            ok = ok && SSL_CTX_use_certificate_chain_file(ctx, cert_file.c_str()) == 1 &&
                 SSL_CTX_use_PrivateKey_file(ctx, key_file.c_str(), SSL_FILETYPE_PEM) == 1;
        else
            ok = ok && key != nullptr && x != nullptr && use_self_signed(ctx, key, x);
        if (cert_file.empty() && x != nullptr && ctx == c.wrapped) { // the second context signs a fresh one
            X509_free(x);
            x = X509_new();
        }
    }
    EVP_PKEY_free(key);
    X509_free(x);
    if (!ok)
        error = last_error();
    return ok;
}

void tls_contexts_close(tls_contexts &c) {
    SSL_CTX_free(c.wrapped);
    SSL_CTX_free(c.strict);
    c = {};
}

tls_engine *tls_open(SSL_CTX *ctx) {
    SSL *ssl = SSL_new(ctx);
    if (ssl == nullptr)
        return nullptr;
    auto *e = new tls_engine;
    e->ssl = ssl;
    e->in = BIO_new(BIO_s_mem());
    e->out = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl, e->in, e->out);
    SSL_set_accept_state(ssl);
    return e;
}

void tls_close(tls_engine *e) {
    if (e == nullptr)
        return;
    SSL_free(e->ssl);
    ERR_clear_error();
    delete e;
}

void tls_feed(tls_engine *e, std::string_view bytes) {
    if (!bytes.empty())
        BIO_write(e->in, bytes.data(), static_cast<int>(bytes.size()));
}

tls_result tls_handshake(tls_engine *e) {
    ERR_clear_error();
    int rc = SSL_do_handshake(e->ssl);
    if (rc == 1)
        return tls_result::ok;
    return SSL_get_error(e->ssl, rc) == SSL_ERROR_WANT_READ ? tls_result::more : tls_result::failed;
}

tls_result tls_read(tls_engine *e, std::string &plain) {
    char buffer[16384];
    for (;;) {
        ERR_clear_error();
        int n = SSL_read(e->ssl, buffer, sizeof buffer);
        if (n <= 0)
            return SSL_get_error(e->ssl, n) == SSL_ERROR_WANT_READ ? tls_result::more : tls_result::failed;
        plain.append(buffer, static_cast<size_t>(n));
    }
}

bool tls_write(tls_engine *e, std::string_view plain) {
    ERR_clear_error();
    return plain.empty() || SSL_write(e->ssl, plain.data(), static_cast<int>(plain.size())) > 0;
}

tls_facts tls_facts_of(const tls_engine *e) {
    const char *name = SSL_get_servername(e->ssl, TLSEXT_NAMETYPE_host_name);
    return {SSL_get_version(e->ssl), name != nullptr ? name : "", SSL_session_reused(e->ssl) == 1};
}

void tls_drain(tls_engine *e, std::string &to_peer) {
    char *data = nullptr;
    long n = BIO_get_mem_data(e->out, &data);
    if (n > 0)
        to_peer.append(data, static_cast<size_t>(n));
    (void)BIO_reset(e->out);
}

} // namespace sqlserver
