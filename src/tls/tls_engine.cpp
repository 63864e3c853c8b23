#include "tls/tls_engine.h"

#include <algorithm>
#include <climits>
#include <cstring>
#include <new>

#include <openssl/bio.h>
#include <openssl/err.h>

#include "base/iobuf.h"
#include "tls/client_hello.h"
#include "tls/openssl_own.h"

// Records are a little larger than what is in them, and a handshake's flight is not counted beforehand.
static constexpr size_t output_limit = 2 * tls_engine_limit;

struct tls_engine {
    SSL *ssl = nullptr;   // owns the BIO, which points here
    iobuf in;             // ciphertext fed, not yet taken by OpenSSL
    iobuf out;            // ciphertext made, not yet sent
    bool drained = false; // OpenSSL has given all that it was given: the next byte begins a record
    std::string error;
    std::string server_name; // server: SNI

    ~tls_engine();
};

tls_engine::~tls_engine() {
    if (ssl == nullptr)
        return;
    // A server that stops answering when it is offered an old session must not be offered it for ever.
    if (SSL_is_init_finished(ssl) != 1 && !SSL_is_server(ssl))
        tls_client_context_forget(ssl);
    // OpenSSL takes a connection that ends without close_notify for a cut one and would never resume its session.
    // Here that is how all of them end, so say that it was sent, unless something really went wrong.
    if (error.empty())
        SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(ssl);
}

// ---- the BIO: OpenSSL reads and writes the engine's two buffers, and they are the only ones

static int bio_read(BIO *bio, char *to, size_t size, size_t *got) {
    auto *e = static_cast<tls_engine *>(BIO_get_data(bio));
    auto pending = iobuf_pending(e->in);
    *got = std::min(size, pending.size());
    BIO_clear_retry_flags(bio);
    if (pending.empty()) {
        BIO_set_retry_read(bio);
        return 0;
    }
    memcpy(to, pending.data(), *got);
    iobuf_consume(e->in, *got);
    return 1;
}

static int bio_write(BIO *bio, const char *from, size_t size, size_t *written) {
    auto *e = static_cast<tls_engine *>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    bool good = iobuf_append(e->out, {reinterpret_cast<const uint8_t *>(from), size}, output_limit);
    *written = good ? size : 0;
    return good ? 1 : 0;
}

static long bio_ctrl(BIO *bio, int command, long, void *) {
    auto *e = static_cast<tls_engine *>(BIO_get_data(bio));
    switch (command) {
    case BIO_CTRL_PENDING: return static_cast<long>(iobuf_size(e->in));
    case BIO_CTRL_WPENDING: return static_cast<long>(iobuf_size(e->out));
    case BIO_CTRL_FLUSH: return 1;
    default: return 0;
    }
}

static BIO_METHOD *make_method() {
    BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "tls_engine");
    if (m != nullptr && (BIO_meth_set_read_ex(m, bio_read) != 1 || BIO_meth_set_write_ex(m, bio_write) != 1 ||
                         BIO_meth_set_ctrl(m, bio_ctrl) != 1)) {
        BIO_meth_free(m);
        m = nullptr;
    }
    return m;
}

static BIO *make_bio(tls_engine *e) {
    static BIO_METHOD *const method = make_method(); // for the life of the process
    BIO *bio = method != nullptr ? BIO_new(method) : nullptr;
    if (bio != nullptr) {
        BIO_set_data(bio, e);
        BIO_set_init(bio, 1);
    }
    return bio;
}

static void clear_errors() {
    if (ERR_peek_error() != 0) // as a rule there is nothing to clear, which costs more
        ERR_clear_error();
}

// ---- life

// Takes over `ssl`, which may be nullptr.
static tls_engine *make_engine(SSL *ssl) {
    openssl_owned<SSL> owner(ssl);
    auto *e = ssl != nullptr ? new (std::nothrow) tls_engine : nullptr;
    BIO *bio = e != nullptr ? make_bio(e) : nullptr;
    ERR_clear_error();
    if (bio == nullptr) {
        delete e;
        return nullptr;
    }
    SSL_set_bio(ssl, bio, bio);
    e->ssl = owner.release();
    return e;
}

tls_engine *tls_engine_create(const tls_context *context, tls_mode mode) {
    ERR_clear_error();
    SSL *ssl = SSL_new(tls_context_ssl(context, mode));
    if (ssl != nullptr)
        SSL_set_accept_state(ssl);
    return make_engine(ssl);
}

tls_engine *tls_engine_create_client(const tls_client_context *context, tls_mode mode, std::string_view host,
                                     uint16_t port) {
    ERR_clear_error();
    return make_engine(tls_client_context_dial(context, mode, host, port));
}

void tls_engine_destroy(tls_engine *e) {
    delete e;
}

// ---- work

bool tls_engine_feed(tls_engine *e, std::span<const uint8_t> cipher) {
    return iobuf_append(e->in, cipher, tls_engine_limit);
}

size_t tls_engine_unread(const tls_engine *e) {
    return iobuf_size(e->in) + static_cast<size_t>(SSL_has_pending(e->ssl));
}

static void set_error(tls_engine *e) {
    bool queued = ERR_peek_error() != 0;
    bool certificate = ERR_GET_REASON(ERR_peek_error()) == SSL_R_CERTIFICATE_VERIFY_FAILED;
    e->error = tls_take_errors();
    if (!queued) // the BIO has no reason of its own to fail
        e->error = "out of memory, or too much output waits";
    else if (certificate)
        e->error = e->error + ": " + X509_verify_cert_error_string(SSL_get_verify_result(e->ssl));
    if (!SSL_is_server(e->ssl))
        tls_client_context_forget(e->ssl);
}

// `code`: what SSL_do_handshake or SSL_read returned, not positive.
static tls_result judge(tls_engine *e, int code) {
    switch (SSL_get_error(e->ssl, code)) {
    case SSL_ERROR_WANT_READ: clear_errors(); return tls_result::more;
    case SSL_ERROR_ZERO_RETURN: clear_errors(); return tls_result::closed;
    default: set_error(e); return tls_result::error;
    }
}

tls_result tls_engine_handshake(tls_engine *e) {
    if (!e->error.empty())
        return tls_result::error;
    ERR_clear_error();
    int code = SSL_do_handshake(e->ssl);
    return code == 1 ? tls_result::ok : judge(e, code);
}

// Whether OpenSSL would only take what is there of a record and ask for the rest. Of a record that cannot be right it
// is asked at once.
static bool record_incomplete(const tls_engine *e) {
    static constexpr size_t head = 5, longest = 16384 + 2048;
    auto in = iobuf_pending(e->in);
    if (!e->drained || in.size() < head)
        return e->drained;
    size_t length = static_cast<size_t>(in[3]) << 8 | in[4];
    return length <= longest && in.size() < head + length;
}

tls_result tls_engine_read(tls_engine *e, std::span<uint8_t> out, size_t &got) {
    got = 0;
    if (!e->error.empty())
        return tls_result::error;
    if (record_incomplete(e))
        return tls_result::more;
    clear_errors();
    int code = SSL_read(e->ssl, out.data(), static_cast<int>(std::min<size_t>(out.size(), INT_MAX)));
    e->drained = code > 0 && SSL_has_pending(e->ssl) == 0; // it may have a record's head else
    if (code <= 0)
        return judge(e, code);
    got = static_cast<size_t>(code);
    return tls_result::ok;
}

bool tls_engine_write(tls_engine *e, std::span<const uint8_t> plain) {
    if (plain.empty() || !e->error.empty())
        return plain.empty();
    if (plain.size() > tls_engine_limit || iobuf_size(e->out) > tls_engine_limit - plain.size() ||
        SSL_is_init_finished(e->ssl) != 1)
        return false;
    clear_errors();
    int code = SSL_write(e->ssl, plain.data(), static_cast<int>(plain.size()));
    if (code <= 0)
        set_error(e);
    return code == static_cast<int>(plain.size());
}

std::span<const uint8_t> tls_engine_output(const tls_engine *e) {
    return iobuf_pending(e->out);
}

void tls_engine_sent(tls_engine *e, size_t n) {
    iobuf_consume(e->out, n);
}

size_t tls_engine_waiting(const tls_engine *e) {
    return iobuf_size(e->out);
}

// ---- questions

const std::string &tls_engine_error(const tls_engine *e) {
    return e->error;
}

std::string tls_engine_server_name(const tls_engine *e) {
    return e->server_name;
}

int tls_engine_client_hello(SSL *ssl, int *, void *) {
    auto *e = static_cast<tls_engine *>(BIO_get_data(SSL_get_rbio(ssl)));
    const unsigned char *data = nullptr;
    size_t size = 0;
    e->server_name.clear();
    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &data, &size) == 1 &&
        !tls_server_name_parse({data, size}, e->server_name))
        e->server_name.clear(); // OpenSSL will refuse it
    return SSL_CLIENT_HELLO_SUCCESS;
}

const char *tls_engine_version(const tls_engine *e) {
    return SSL_get_version(e->ssl);
}

bool tls_engine_resumed(const tls_engine *e) {
    return SSL_session_reused(e->ssl) == 1;
}
