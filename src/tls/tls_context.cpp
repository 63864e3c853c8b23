#include "tls/tls_context.h"

#include <cstring>
#include <utility>

#include <openssl/err.h>

#include "tls/openssl_own.h"
#include "tls/self_signed.h"
#include "tls/tls_engine.h"

// One certificate, and how it is shown in each mode.
struct ctx_pair {
    openssl_owned<SSL_CTX> wrapped;
    openssl_owned<SSL_CTX> strict;
};

struct tls_context {
    tls_context_options options;
    ctx_pair now;
};

std::string tls_take_errors() {
    char text[256] = "unknown reason";
    if (unsigned long code = ERR_get_error(); code != 0) {
        const char *reason = ERR_SYSTEM_ERROR(code) ? strerror(ERR_GET_REASON(code)) : ERR_reason_error_string(code);
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

// Selects tds/8.0 if offered, else answers without ALPN: a client that offers something else decides for itself.
static int select_alpn(SSL *, const unsigned char **out, unsigned char *out_size, const unsigned char *in,
                       unsigned int in_size, void *) {
    for (unsigned int i = 0; i < in_size; i += in[i] + 1U) {
        if (in_size - i < sizeof tls_alpn_tds8 || memcmp(in + i, tls_alpn_tds8, sizeof tls_alpn_tds8) != 0)
            continue;
        *out = in + i + 1;
        *out_size = in[i];
        return SSL_TLSEXT_ERR_OK;
    }
    return SSL_TLSEXT_ERR_NOACK;
}

// Accepts every name, and says so to the client.
static int accept_server_name(SSL *, int *, void *) {
    return SSL_TLSEXT_ERR_OK;
}

static openssl_owned<SSL_CTX> make_ssl_ctx(tls_mode mode, bool min_version_13) {
    openssl_owned<SSL_CTX> ctx(SSL_CTX_new(TLS_server_method()));
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
    SSL_CTX_set_tlsext_servername_callback(ctx.get(), accept_server_name);
    SSL_CTX_set_client_hello_cb(ctx.get(), tls_engine_client_hello, nullptr);
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

static bool set_self_signed(SSL_CTX *ctx, const tls_context_options &options, std::string &error) {
    tls_certificate own = tls_self_signed_make(options.self_signed);
    if (!own.cert || SSL_CTX_use_certificate(ctx, own.cert.get()) != 1 ||
        SSL_CTX_use_PrivateKey(ctx, own.key.get()) != 1)
        return fail(error, "self-signed certificate");
    return true;
}

// Files are read once and copied from one mode to the other: both show the same even while the files change.
static bool copy_certificate(SSL_CTX *to, SSL_CTX *from, const tls_context_options &options, std::string &error) {
    STACK_OF(X509) *chain = nullptr;
    SSL_CTX_get0_chain_certs(from, &chain);
    if (SSL_CTX_use_cert_and_key(to, SSL_CTX_get0_certificate(from), SSL_CTX_get0_privatekey(from), chain, 1) != 1)
        return fail(error, options.cert_file.empty() ? "self-signed certificate"
                                                     : "certificate file " + options.cert_file + " (strict mode)");
    return true;
}

static bool make_pair_of(const tls_context_options &options, ctx_pair &out, std::string &error) {
    ERR_clear_error();
    out.wrapped = make_ssl_ctx(tls_mode::wrapped, options.min_version_13);
    out.strict = make_ssl_ctx(tls_mode::strict, options.min_version_13);
    if (!out.wrapped || !out.strict)
        return fail(error, "TLS context");
    bool loaded = options.cert_file.empty() ? set_self_signed(out.wrapped.get(), options, error)
                                            : load_files(out.wrapped.get(), options, error);
    return loaded && copy_certificate(out.strict.get(), out.wrapped.get(), options, error);
}

tls_context *tls_context_create(const tls_context_options &options, std::string &error) {
    auto context = std::make_unique<tls_context>();
    context->options = options;
    return make_pair_of(options, context->now, error) ? context.release() : nullptr;
}

void tls_context_destroy(tls_context *context) {
    delete context;
}

bool tls_context_reload(tls_context *context, const tls_context_options &options, std::string &error) {
    if (options.cert_file.empty() && options == context->options)
        return true;
    ctx_pair loaded;
    if (!make_pair_of(options, loaded, error))
        return false;
    std::swap(context->now, loaded);
    context->options = options;
    return true;
}

ssl_ctx_st *tls_context_ssl(const tls_context *context, tls_mode mode) {
    return mode == tls_mode::strict ? context->now.strict.get() : context->now.wrapped.get();
}
