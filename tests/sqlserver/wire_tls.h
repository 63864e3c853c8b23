// TLS over memory: bytes in, bytes out. OpenSSL never touches the socket, so it cannot read beyond the record that it
// is given.
#pragma once

#include <string>
#include <string_view>

struct ssl_ctx_st;

namespace sqlserver {

struct tls_contexts {
    ssl_ctx_st *wrapped = nullptr; // TLS inside PRELOGIN packets: 1.2 at most
    ssl_ctx_st *strict = nullptr;  // TDS 8.0: 1.2 and 1.3, ALPN tds/8.0
};

// Without files a self-signed certificate for "localhost" is made. `tls12_only`: no TLS 1.3 in strict TDS either. False
// and `error` on failure.
bool tls_contexts_open(tls_contexts &, const std::string &cert_file, const std::string &key_file, bool tls12_only,
                       std::string &error);
void tls_contexts_close(tls_contexts &);

struct tls_engine;
enum class tls_result { ok, more, failed }; // more: wants bytes from the peer

tls_engine *tls_open(ssl_ctx_st *);
void tls_close(tls_engine *); // frees without close_notify: TDS has none
void tls_feed(tls_engine *, std::string_view from_peer);
tls_result tls_handshake(tls_engine *);
// Appends what can be decrypted. failed: broken, or the peer has closed.
tls_result tls_read(tls_engine *, std::string &plain);
bool tls_write(tls_engine *, std::string_view plain);
// What the handshake agreed on.
struct tls_facts {
    std::string version; // "TLSv1.2"
    std::string sni;     // the host name the client asked for, or empty
    bool resumed = false;
};
tls_facts tls_facts_of(const tls_engine *);
// Appends what has to go to the peer.
void tls_drain(tls_engine *, std::string &to_peer);

} // namespace sqlserver
