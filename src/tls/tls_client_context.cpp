#include "tls/tls_client_context.h"

#include <algorithm>
#include <arpa/inet.h>
#include <ctime>
#include <memory>
#include <utility>

#include <openssl/err.h>

#include "tls/openssl_own.h"
#include "tls/session_store.h"

struct tls_client_context {
    tls_verify verify = tls_verify::none;
    openssl_owned<SSL_CTX> wrapped;
    openssl_owned<SSL_CTX> strict;
    std::shared_ptr<tls_session_store> sessions; // with every SSL too: tickets may come after the context has gone
};

// What an SSL remembers of whom it was made for; hangs on it as ex_data and is freed with it.
struct dialled {
    std::shared_ptr<tls_session_store> sessions;
    std::string target;
    openssl_owned<SSL_SESSION> offered;
    time_t verified = 0; // of the session offered
};

static void free_dialled(void *, void *data, CRYPTO_EX_DATA *, int, long, void *) {
    delete static_cast<dialled *>(data);
}

static int dialled_index() {
    static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, free_dialled);
    return index;
}

static dialled *dialled_of(const SSL *ssl) {
    return static_cast<dialled *>(SSL_get_ex_data(ssl, dialled_index()));
}

// OpenSSL has a session to keep: once per full handshake in TLS 1.2, once per ticket in TLS 1.3. 1: it is ours now.
static int keep_session(SSL *ssl, SSL_SESSION *session) {
    dialled *d = dialled_of(ssl);
    if (d == nullptr)
        return 0;
    time_t verified = SSL_session_reused(ssl) == 1 ? d->verified : time(nullptr);
    tls_session_put(*d->sessions, d->target, openssl_owned<SSL_SESSION>(session), verified);
    return 1;
}

// ---- the context

static bool fail(std::string &error, const std::string &what) {
    error = what + ": " + tls_take_errors();
    return false;
}

static bool load_trust(X509_STORE *store, const tls_client_options &options, std::string &error) {
    if (options.ca_file.empty() && options.verify == tls_verify::none)
        return true;
    if (options.ca_file.empty())
        return X509_STORE_set_default_paths(store) == 1 || fail(error, "the system's CA certificates");
    if (X509_STORE_load_file(store, options.ca_file.c_str()) != 1)
        return fail(error, "CA file " + options.ca_file);
    // Whatever the user put into the file is trusted, be it an intermediate CA or the server's own certificate.
    X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
    return true;
}

static openssl_owned<SSL_CTX> make_ssl_ctx(tls_mode mode, tls_verify verify, X509_STORE *trust) {
    openssl_owned<SSL_CTX> ctx(SSL_CTX_new(TLS_client_method()));
    if (!ctx)
        return ctx;
    bool strict = mode == tls_mode::strict;
    SSL_CTX_set_min_proto_version(ctx.get(), TLS1_2_VERSION);
    SSL_CTX_set_max_proto_version(ctx.get(), strict ? TLS1_3_VERSION : TLS1_2_VERSION);
    SSL_CTX_set_options(ctx.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(ctx.get(), SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set1_cert_store(ctx.get(), trust);
    SSL_CTX_set_verify(ctx.get(), verify == tls_verify::none ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, nullptr);
    SSL_CTX_set_session_cache_mode(ctx.get(), SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx.get(), keep_session);
    // This one returns 0 when it is done.
    if (strict && SSL_CTX_set_alpn_protos(ctx.get(), tls_alpn_tds8, sizeof tls_alpn_tds8) != 0)
        return nullptr;
    // A SQL Server of ten years ago has keys and ciphers that a distribution's default level 2 refuses.
    if (SSL_CTX_set_cipher_list(ctx.get(), strict ? "DEFAULT" : "DEFAULT@SECLEVEL=1") != 1)
        return nullptr;
    return ctx;
}

tls_client_context *tls_client_context_create(const tls_client_options &options, std::string &error) {
    ERR_clear_error();
    auto context = std::make_unique<tls_client_context>();
    openssl_owned<X509_STORE> trust(X509_STORE_new());
    if (trust && !load_trust(trust.get(), options, error))
        return nullptr;
    context->verify = options.verify;
    context->sessions = std::make_shared<tls_session_store>();
    if (trust) {
        context->wrapped = make_ssl_ctx(tls_mode::wrapped, options.verify, trust.get());
        context->strict = make_ssl_ctx(tls_mode::strict, tls_verify::full, trust.get());
    }
    if (!context->wrapped || !context->strict || dialled_index() < 0) {
        fail(error, "TLS context");
        return nullptr;
    }
    return context.release();
}

void tls_client_context_destroy(tls_client_context *context) {
    delete context;
}

size_t tls_client_context_sessions(const tls_client_context *context) {
    return context->sessions->entries.size();
}

// ---- one connection

struct server_identity {
    std::string name;
    bool address = false; // an IP address: no SNI (RFC 6066 section 3), and compared with the certificate's addresses
};

static server_identity identify(std::string_view host) {
    server_identity id{std::string(host)};
    in_addr v4;
    id.address = host.find(':') != std::string_view::npos || inet_pton(AF_INET, id.name.c_str(), &v4) == 1;
    if (id.address)
        id.name.resize(std::min(id.name.find('%'), id.name.size())); // the zone of a link-local address
    else if (id.name.ends_with('.'))
        id.name.pop_back();
    return id;
}

static bool expect_identity(SSL *ssl, const server_identity &id, bool check) {
    if (!id.address && SSL_set_tlsext_host_name(ssl, id.name.c_str()) != 1)
        return false;
    if (!check)
        return true;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return id.address ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), id.name.c_str()) == 1
                      : SSL_set1_host(ssl, id.name.c_str()) == 1;
}

static void offer_session(SSL *ssl, dialled *d) {
    const tls_session_entry *last = tls_session_find(*d->sessions, d->target, time(nullptr));
    if (last == nullptr || SSL_set_session(ssl, last->session.get()) != 1)
        return;
    d->offered.reset(SSL_get1_session(ssl));
    d->verified = last->verified;
}

static bool remember_target(SSL *ssl, const tls_client_context *context, std::string target) {
    auto d = std::make_unique<dialled>();
    d->sessions = context->sessions;
    d->target = std::move(target);
    if (SSL_set_ex_data(ssl, dialled_index(), d.get()) != 1)
        return false;
    offer_session(ssl, d.release());
    return true;
}

ssl_st *tls_client_context_dial(const tls_client_context *context, tls_mode mode, std::string_view host,
                                uint16_t port) {
    bool strict = mode == tls_mode::strict;
    server_identity id = identify(host);
    // An empty name would turn the comparison off, a NUL would cut it short.
    if (id.name.empty() || id.name.size() > 255 || id.name.find('\0') != std::string::npos)
        return nullptr;
    openssl_owned<SSL> ssl(SSL_new(strict ? context->strict.get() : context->wrapped.get()));
    if (!ssl || !expect_identity(ssl.get(), id, strict || context->verify == tls_verify::full))
        return nullptr;
    SSL_set_connect_state(ssl.get());
    std::string target = id.name + ' ' + std::to_string(port) + (strict ? " strict" : " wrapped");
    return remember_target(ssl.get(), context, std::move(target)) ? ssl.release() : nullptr;
}

void tls_client_context_forget(ssl_st *ssl) {
    if (dialled *d = dialled_of(ssl); d != nullptr && d->offered)
        tls_session_drop(*d->sessions, d->target, d->offered.get());
}
