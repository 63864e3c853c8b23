// A TLS client in memory, to test the server's side with.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include <openssl/ssl.h>

struct tls_client_wishes {
    int version = TLS1_2_VERSION;      // exactly this one; 0: any
    bool alpn = false;                 // offer tds/8.0
    const char *other_alpn = nullptr;  // offer this one instead
    const char *server_name = nullptr; // SNI
    SSL_SESSION *session = nullptr;    // to resume
};

struct tls_client {
    SSL_CTX *ctx = nullptr;
    SSL *ssl = nullptr;

    explicit tls_client(const tls_client_wishes &o = {}) {
        ctx = SSL_CTX_new(TLS_client_method());
        if (o.version != 0) {
            SSL_CTX_set_min_proto_version(ctx, o.version);
            SSL_CTX_set_max_proto_version(ctx, o.version);
        }
        ssl = SSL_new(ctx);
        SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
        SSL_set_connect_state(ssl);
        std::string alpn = o.other_alpn ? o.other_alpn : "tds/8.0";
        alpn.insert(alpn.begin(), static_cast<char>(alpn.size()));
        if (o.alpn || o.other_alpn)
            SSL_set_alpn_protos(ssl, reinterpret_cast<const uint8_t *>(alpn.data()),
                                static_cast<unsigned>(alpn.size()));
        if (o.server_name != nullptr)
            SSL_set_tlsext_host_name(ssl, o.server_name);
        if (o.session != nullptr)
            SSL_set_session(ssl, o.session);
    }
    ~tls_client() {
        SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN); // else its session is not resumable any more
        SSL_free(ssl);
        SSL_CTX_free(ctx);
    }
    tls_client(const tls_client &) = delete;
    tls_client &operator=(const tls_client &) = delete;
};

inline bool tls_client_handshake(tls_client &c) {
    return SSL_do_handshake(c.ssl) == 1;
}

inline void tls_client_feed(tls_client &c, std::span<const uint8_t> cipher) {
    if (!cipher.empty())
        BIO_write(SSL_get_rbio(c.ssl), cipher.data(), static_cast<int>(cipher.size()));
}

inline std::vector<uint8_t> tls_client_take(tls_client &c) {
    std::vector<uint8_t> out(BIO_ctrl_pending(SSL_get_wbio(c.ssl)));
    if (!out.empty())
        BIO_read(SSL_get_wbio(c.ssl), out.data(), static_cast<int>(out.size()));
    return out;
}

inline std::vector<uint8_t> tls_client_encrypt(tls_client &c, std::span<const uint8_t> plain) {
    if (!plain.empty())
        SSL_write(c.ssl, plain.data(), static_cast<int>(plain.size()));
    return tls_client_take(c);
}

inline std::vector<uint8_t> tls_client_decrypt(tls_client &c, std::span<const uint8_t> cipher) {
    tls_client_feed(c, cipher);
    std::vector<uint8_t> plain;
    uint8_t chunk[4096];
    for (int n; (n = SSL_read(c.ssl, chunk, sizeof chunk)) > 0;)
        plain.insert(plain.end(), chunk, chunk + n);
    return plain;
}

inline std::string tls_client_alpn(const tls_client &c) {
    const unsigned char *name = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(c.ssl, &name, &size);
    return {reinterpret_cast<const char *>(name), size};
}
