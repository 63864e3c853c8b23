#include "proxy/mars.h"

#include <cerrno>
#include <cstring>

#include "base/log.h"
#include "proxy/exchange.h"
#include "proxy/link.h"
#include "proxy/proxy.h"
#include "proxy/slots.h"

void mars_client_read(client_session *s) {
    std::span<const uint8_t> got = exchange_receive(s);
    if (got.empty())
        return;
    if (const char *why = smp_walk(s->talk->mars->up, smp_sender::client, got); why != nullptr)
        return session_protocol_error(s, why);
    if (int error = stream_send(&s->server->conn, got); error != 0)
        exchange_server_lost(s, strerror(-error), true);
}

// It has said all: what of that still waits for the client goes out before its end.
static void server_ended(client_session *s) {
    server_conn *c = s->server;
    slots_count_error(s->root, s->bucket, "server_lost");
    log_warn("server connection closed by the server",
             {{"session", s->id}, {"bucket", session_bucket_id(s)}, {"server", c->id}});
    s->bucket->core.last_ok = s->bucket->core.probe_at = 0; // look at once whether it is down
    link_detach(s, c);
    server_gone(c, "closed by the server");
    exchange_finish(s, "server closed");
}

void mars_server_read(client_session *s) {
    scratch_memory &scratch = s->root->scratch;
    ssize_t n = stream_recv(&s->server->conn, scratch.in, scratch.cipher);
    if (n == net_again)
        return;
    if (n == 0)
        return server_ended(s);
    if (n < 0)
        return exchange_server_lost(s, n == -EPROTO ? "TLS failed" : strerror(static_cast<int>(-n)), n != -EPROTO);
    s->last_activity = s->bucket->core.last_ok = proxy_now(s->root); // traffic that succeeds is the health probe
    s->down.bytes += static_cast<uint64_t>(n);
    std::span<const uint8_t> got(scratch.in.data(), static_cast<size_t>(n));
    if (const char *why = smp_walk(s->talk->mars->down, smp_sender::server, got); why != nullptr)
        return exchange_server_lost(s, why, false);
    (void)exchange_send_client(s, got);
}
