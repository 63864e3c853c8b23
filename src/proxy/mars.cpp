#include "proxy/mars.h"

#include <cerrno>
#include <cstring>

#include "base/log.h"
#include "proxy/exchange.h"
#include "proxy/link.h"
#include "proxy/proxy.h"
#include "proxy/slots.h"
#include "tds/packet.h"

static constexpr size_t asked_max = 256; // requests of one client that are timed at once

static bool is_request(uint8_t type) {
    return type == tds_type_sql_batch || type == tds_type_rpc || type == tds_type_transaction || type == tds_type_bulk;
}

static void client_packet(void *user, const smp_tds_packet &p) {
    auto *s = static_cast<client_session *>(user);
    count_known_packets(s->bucket, packet_direction::client_to_proxy, p.type);
    count_known_packets(s->bucket, packet_direction::proxy_to_server, p.type);
    auto &asked = s->talk->mars->asked;
    if (is_request(p.type) && (p.status & tds_status_eom) && asked.size() < asked_max)
        asked[p.sid] = uv_hrtime();
}

static void server_packet(void *user, const smp_tds_packet &p) {
    auto *s = static_cast<client_session *>(user);
    count_known_packets(s->bucket, packet_direction::server_to_proxy, p.type);
    count_known_packets(s->bucket, packet_direction::proxy_to_client, p.type);
    if (!(p.status & tds_status_eom))
        return;
    auto &asked = s->talk->mars->asked;
    if (auto found = asked.find(p.sid); found != asked.end()) {
        count_request(s->bucket, uv_hrtime() - found->second);
        asked.erase(found);
    }
}

void mars_client_read(client_session *s) {
    std::span<const uint8_t> got = exchange_receive(s);
    if (got.empty())
        return;
    if (const char *why = smp_walk(s->talk->mars->up, smp_sender::client, got, client_packet, s); why != nullptr)
        return session_protocol_error(s, why);
    count_bytes(s->bucket->tallies, packet_direction::proxy_to_server, got.size());
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
    count_bytes(s->bucket->tallies, packet_direction::server_to_proxy, static_cast<size_t>(n));
    std::span<const uint8_t> got(scratch.in.data(), static_cast<size_t>(n));
    if (const char *why = smp_walk(s->talk->mars->down, smp_sender::server, got, server_packet, s); why != nullptr)
        return exchange_server_lost(s, why, false);
    (void)exchange_send_client(s, got);
}
