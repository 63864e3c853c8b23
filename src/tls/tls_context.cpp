#include "tls/tls_context.h"

#include <cstring>
#include <memory>
#include <unistd.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

struct deleter {
    void operator()(SSL_CTX *p) const { SSL_CTX_free(p); }
    void operator()(EVP_PKEY *p) const { EVP_PKEY_free(p); }
    void operator()(X509 *p) const { X509_free(p); }
    void operator()(X509_EXTENSION *p) const { X509_EXTENSION_free(p); }
};
template <typename T> using owned = std::unique_ptr<T, deleter>;

struct tls_context {
    owned<SSL_CTX> wrapped;
    owned<SSL_CTX> strict;
};

std::string tls_take_errors() {
    char text[256] = "unknown reason";
    if (unsigned long code = ERR_get_error(); code != 0) {
        const char *reason = ERR_reason_error_string(code);
        if (reason != nullptr)
            snprintf(text, sizeof text, "%s", reason);
        else
            ERR_error_string_n(code, text, sizeof text);
    }
    ERR_clear_error();
    return text;
}

static bool fail(std::string &error, const std::string &what) {
    error = what + ": " + tls_take_errors();
    return false;
}

static constexpr unsigned char alpn_tds8[] = {7, 't', 'd', 's', '/', '8', '.', '0'};

// Selects tds/8.0 if offered, else answers without ALPN: a client that offers something else decides for itself.
static int select_alpn(SSL *, const unsigned char **out, unsigned char *out_size, const unsigned char *in,
                       unsigned int in_size, void *) {
    for (unsigned int i = 0; i < in_size; i += in[i] + 1U) {
        if (in_size - i < sizeof alpn_tds8 || memcmp(in + i, alpn_tds8, sizeof alpn_tds8) != 0)
            continue;
        *out = in + i + 1;
        *out_size = in[i];
        return SSL_TLSEXT_ERR_OK;
    }
    return SSL_TLSEXT_ERR_NOACK;
}

static owned<SSL_CTX> make_ssl_ctx(tls_mode mode, bool min_version_13) {
    owned<SSL_CTX> ctx(SSL_CTX_new(TLS_server_method()));
    if (!ctx)
        return ctx;
    bool strict = mode == tls_mode::strict;
    SSL_CTX_set_min_proto_version(ctx.get(), strict && min_version_13 ? TLS1_3_VERSION : TLS1_2_VERSION);
    SSL_CTX_set_max_proto_version(ctx.get(), strict ? TLS1_3_VERSION : TLS1_2_VERSION);
    SSL_CTX_set_options(ctx.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(ctx.get(), SSL_MODE_RELEASE_BUFFERS);
    // Sessions live in the client's ticket: resumption costs no memory here.
    SSL_CTX_set_session_cache_mode(ctx.get(), SSL_SESS_CACHE_OFF);
    static constexpr unsigned char id[] = "tdsbouncer";
    SSL_CTX_set_session_id_context(ctx.get(), id, sizeof id - 1);
    SSL_CTX_set_dh_auto(ctx.get(), 1);
    if (strict)
        SSL_CTX_set_alpn_select_cb(ctx.get(), select_alpn, nullptr);
    // Drivers of TDS 7.x may be ten years old; a distribution's default level 2 refuses some of them.
    if (SSL_CTX_set_cipher_list(ctx.get(), strict ? "DEFAULT" : "DEFAULT@SECLEVEL=1") != 1)
        ctx.reset();
    return ctx;
}

static bool load_files(SSL_CTX *ctx, const tls_context_options &options, std::string &error) {
    const std::string &key = options.key_file.empty() ? options.cert_file : options.key_file;
    if (SSL_CTX_use_certificate_chain_file(ctx, options.cert_file.c_str()) != 1)
        return fail(error, "certificate file " + options.cert_file);
    if (SSL_CTX_use_PrivateKey_file(ctx, key.c_str(), SSL_FILETYPE_PEM) != 1)
        return fail(error, "key file " + key);
    if (SSL_CTX_check_private_key(ctx) != 1)
        return fail(error, "key file " + key + " does not belong to certificate file " + options.cert_file);
    return true;
}

static bool add_extension(X509 *cert, int nid, const char *value) {
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, cert, cert, nullptr, nullptr, 0);
    owned<X509_EXTENSION> extension(X509V3_EXT_conf_nid(nullptr, &ctx, nid, value));
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

static owned<X509> make_certificate(EVP_PKEY *key) {
    static constexpr long ten_years = 3650L * 24 * 3600;
    static constexpr unsigned char name[] = "tdsbouncer";
    owned<X509> cert(X509_new());
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

struct certificate {
    owned<EVP_PKEY> key;
    owned<X509> cert;
};

static certificate make_self_signed(tls_self_signed kind) {
    certificate c;
    c.key.reset(kind == tls_self_signed::rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256"));
    if (c.key)
        c.cert = make_certificate(c.key.get());
    return c;
}

tls_context *tls_context_create(const tls_context_options &options, std::string &error) {
    ERR_clear_error();
    auto context = std::make_unique<tls_context>();
    context->wrapped = make_ssl_ctx(tls_mode::wrapped, options.min_version_13);
    context->strict = make_ssl_ctx(tls_mode::strict, options.min_version_13);
    if (!context->wrapped || !context->strict) {
        fail(error, "TLS context");
        return nullptr;
    }
    certificate own;
    if (options.cert_file.empty())
        own = make_self_signed(options.self_signed);
    for (SSL_CTX *ctx : {context->wrapped.get(), context->strict.get()}) {
        if (!options.cert_file.empty()) {
            if (!load_files(ctx, options, error))
                return nullptr;
        } else if (!own.cert || SSL_CTX_use_certificate(ctx, own.cert.get()) != 1 ||
                   SSL_CTX_use_PrivateKey(ctx, own.key.get()) != 1) {
            fail(error, "self-signed certificate");
            return nullptr;
        }
    }
    return context.release();
}

void tls_context_destroy(tls_context *context) {
    delete context;
}

ssl_ctx_st *tls_context_ssl(const tls_context *context, tls_mode mode) {
    return mode == tls_mode::strict ? context->strict.get() : context->wrapped.get();
}
