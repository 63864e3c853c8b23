#include "tls/tls_engine.h"

#include <algorithm>
#include <climits>
#include <new>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

struct tls_engine {
    SSL *ssl = nullptr;
    BIO *in = nullptr;  // owned by ssl
    BIO *out = nullptr; // owned by ssl
    std::string error;

    ~tls_engine() { SSL_free(ssl); }
};

tls_engine *tls_engine_create(const tls_context *context, tls_mode mode) {
    ERR_clear_error();
    auto *e = new (std::nothrow) tls_engine;
    if (e == nullptr)
        return nullptr;
    e->ssl = SSL_new(tls_context_ssl(context, mode));
    BIO *in = BIO_new(BIO_s_mem());
    BIO *out = BIO_new(BIO_s_mem());
    if (e->ssl == nullptr || in == nullptr || out == nullptr) {
        BIO_free(in);
        BIO_free(out);
        delete e;
        ERR_clear_error();
        return nullptr;
    }
    e->in = in;
    e->out = out;
    SSL_set_bio(e->ssl, in, out);
    SSL_set_accept_state(e->ssl);
    return e;
}

void tls_engine_destroy(tls_engine *e) {
    delete e;
}

bool tls_engine_feed(tls_engine *e, std::span<const uint8_t> cipher) {
    if (cipher.empty())
        return true;
    if (cipher.size() > tls_engine_limit || BIO_ctrl_pending(e->in) > tls_engine_limit - cipher.size())
        return false;
    return BIO_write(e->in, cipher.data(), static_cast<int>(cipher.size())) == static_cast<int>(cipher.size());
}

size_t tls_engine_unread(const tls_engine *e) {
    return BIO_ctrl_pending(e->in) + static_cast<size_t>(SSL_has_pending(e->ssl));
}

// `code`: what SSL_do_handshake or SSL_read returned, not positive.
static tls_result judge(tls_engine *e, int code) {
    switch (SSL_get_error(e->ssl, code)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: // a memory BIO takes everything: does not happen
        ERR_clear_error();
        return tls_result::more;
    case SSL_ERROR_ZERO_RETURN: ERR_clear_error(); return tls_result::closed;
    default: e->error = tls_take_errors(); return tls_result::error;
    }
}

tls_result tls_engine_handshake(tls_engine *e) {
    if (!e->error.empty())
        return tls_result::error;
    ERR_clear_error();
    int code = SSL_do_handshake(e->ssl);
    return code == 1 ? tls_result::ok : judge(e, code);
}

tls_result tls_engine_read(tls_engine *e, std::span<uint8_t> out, size_t &got) {
    got = 0;
    if (!e->error.empty())
        return tls_result::error;
    ERR_clear_error();
    int code = SSL_read(e->ssl, out.data(), static_cast<int>(std::min<size_t>(out.size(), INT_MAX)));
    if (code <= 0)
        return judge(e, code);
    got = static_cast<size_t>(code);
    return tls_result::ok;
}

bool tls_engine_write(tls_engine *e, std::span<const uint8_t> plain) {
    if (plain.empty() || !e->error.empty())
        return plain.empty();
    if (plain.size() > tls_engine_limit || BIO_ctrl_pending(e->out) > tls_engine_limit - plain.size())
        return false;
    ERR_clear_error();
    int code = SSL_write(e->ssl, plain.data(), static_cast<int>(plain.size()));
    if (code <= 0)
        e->error = tls_take_errors();
    return code == static_cast<int>(plain.size());
}

size_t tls_engine_waiting(const tls_engine *e) {
    return BIO_ctrl_pending(e->out);
}

size_t tls_engine_take(tls_engine *e, std::span<uint8_t> out) {
    int n = BIO_read(e->out, out.data(), static_cast<int>(std::min<size_t>(out.size(), INT_MAX)));
    return n > 0 ? static_cast<size_t>(n) : 0;
}

const std::string &tls_engine_error(const tls_engine *e) {
    return e->error;
}

std::string tls_engine_server_name(const tls_engine *e) {
    const char *name = SSL_get_servername(e->ssl, TLSEXT_NAMETYPE_host_name);
    return name != nullptr ? name : "";
}

const char *tls_engine_version(const tls_engine *e) {
    return SSL_get_version(e->ssl);
}
bool tls_engine_resumed(const tls_engine *e) {
    return SSL_session_reused(e->ssl) == 1;
}
