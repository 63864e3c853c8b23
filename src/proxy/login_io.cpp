#include "proxy/login_io.h"

#include <cstring>

#include "proxy/client_session.h"
#include "proxy/proxy.h"
#include "tds/packet.h"

static tds_tls_policy policy_of(client_tls tls) {
    switch (tls) {
    case client_tls::disable: return tds_tls_policy::disable;
    case client_tls::require: return tds_tls_policy::require;
    case client_tls::allow: break;
    }
    return tds_tls_policy::allow;
}

bool login_io_begin(client_session *s) {
    const proxy *root = s->root;
    client_login_options options;
    options.tls = root->tls;
    options.policy = policy_of(root->conf->proxy.tls);
    options.server_version = proxy_server_version(root, s->bucket);
    options.grant_mars = proxy_grants_mars(root, s->bucket);
    options.spid = session_spid(s);
    s->login = client_login_create(options);
    if (s->login == nullptr)
        session_close(s, "out of memory");
    return s->login != nullptr;
}

bool login_io_flush(client_session *s) {
    for (;;) {
        auto output = client_login_output(s->login);
        if (output.empty())
            return true;
        ssize_t n = net_send(&s->client.conn, output);
        if (n == net_again)
            return true;
        if (n < 0) {
            session_client_ended(s, n);
            return false;
        }
        client_login_sent(s->login, static_cast<size_t>(n));
    }
}

static client_login_result feed_all(client_session *s, std::span<const uint8_t> in) {
    client_login_result result = client_login_result::more;
    do {
        size_t consumed = 0;
        result = client_login_feed(s->login, in, &consumed);
        in = in.subspan(consumed);
        if (consumed == 0)
            break;
    } while (result == client_login_result::more && !in.empty());
    return result;
}

client_login_result login_io_feed_held(client_session *s) {
    client_login_result result = feed_all(s, iobuf_pending(s->in));
    iobuf_wipe(s->in);
    return result;
}

bool login_io_read(client_session *s, client_login_result &result) {
    ssize_t n = net_recv(&s->client.conn, s->root->scratch.in);
    if (n == net_again)
        return true;
    if (n <= 0) {
        session_client_ended(s, n);
        return false;
    }
    auto got = std::span(s->root->scratch.in).first(static_cast<size_t>(n));
    result = feed_all(s, got);
    explicit_bzero(got.data(), got.size()); // it may have held a password
    return true;
}

void login_io_count(client_session *s) {
    if (client_login_prelogin(s->login)) {
        count_packets(s->bucket, packet_direction::client_to_proxy, tds_type_prelogin);
        count_packets(s->bucket, packet_direction::proxy_to_client, tds_type_prelogin);
    }
    count_packets(s->bucket, packet_direction::client_to_proxy, tds_type_login7, client_login_packets(s->login));
}

void login_io_end(client_session *s) {
    if (s->login != nullptr)
        count_handshake(s->root, "client", client_login_tls_version(s->login), client_login_tls_resumed(s->login));
    client_login_destroy(s->login);
    s->login = nullptr;
}
