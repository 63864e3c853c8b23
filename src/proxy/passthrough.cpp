#include "proxy/passthrough.h"

#include <cstring>

#include "base/log.h"
#include "proxy/greeting.h"
#include "proxy/link.h"
#include "proxy/proxy.h"
#include "proxy/slots.h"

static constexpr size_t greeting_limit = 17 * 1024; // a PRELOGIN message is at most 4 KiB, a ClientHello 16 KiB

// ---- greeting --------------------------------------------------------------------------------------------------

static bool too_many_clients(const proxy *root) {
    uint32_t limit = root->conf->proxy.max_client_connections;
    return limit != 0 && proxy_admitted(root) >= limit;
}

static void greeting_complete(client_session *s, const greeting &g) {
    s->prelogin = g.kind == greeting_kind::prelogin;
    if (s->prelogin && s->bucket != nullptr)
        count_packets(s->bucket, packet_direction::client_to_proxy, tds_type_prelogin);
    if (s->root->draining)
        session_refuse(s, proxy_error::shutdown, "shutdown", "");
    else if (too_many_clients(s->root))
        session_refuse(s, proxy_error::queue_full, "queue_full", "max_client_connections");
    else if (s->bucket == nullptr)
        session_refuse(s, proxy_error::no_bucket, "no_bucket", "");
    else
        session_request_slot(s);
}

static void greeting_parse(client_session *s) {
    greeting g;
    switch (greeting_read(iobuf_pending(s->in), g)) {
    case greeting_result::more: return;
    case greeting_result::error: session_protocol_error(s, g.error); return;
    case greeting_result::complete: break;
    }
    if (s->bucket == nullptr)
        if (proxy_bucket *pb = greeting_choose_bucket(s->root, g); pb != nullptr)
            session_choose(s, pb);
    greeting_complete(s, g);
}

// Reads into the greeting buffer; false when the session is gone. Used while waiting and connecting, too: a client that
// leaves is noticed, one that sends more than a greeting may be is not read further.
static bool greeting_fill(client_session *s) {
    auto room = iobuf_room(s->in, 1024, greeting_limit);
    if (room.empty()) {
        net_conn_watch(&s->client.conn, 0);
        return true;
    }
    ssize_t n = net_recv(&s->client.conn, room);
    if (n == net_again)
        return true;
    if (n <= 0) {
        session_client_ended(s, n);
        return false;
    }
    iobuf_fill(s->in, static_cast<size_t>(n));
    return true;
}

// ---- relay -----------------------------------------------------------------------------------------------------

static void relay_start(client_session *s) {
    net_conn *client = &s->client.conn;
    net_conn *server = &s->server->conn.conn;
    s->up.from = s->down.to = client;
    s->up.to = s->down.from = server;
    s->up.owner = s->down.owner = s;
    s->deadline = proxy_now(s->root) + s->root->conf->proxy.login_timeout;
}

void passthrough_server_ready(client_session *s) {
    session_move(s, session_state::relaying);
    relay_start(s);
    if (s->prelogin)
        count_packets(s->bucket, packet_direction::proxy_to_server, tds_type_prelogin);
    // What the client has sent so far waits in `up` as if just read.
    iobuf_move(s->up.held, s->in);
    passthrough_relay_event(s, s->up.to, net_writable);
}

// Until the client has answered the server's first message it counts as a stranger and login_timeout holds: a client
// that sends a PRELOGIN and falls silent must not keep a slot.
static void watch_login(client_session *s, bool up_moved, bool down_moved) {
    if (s->client_went_on)
        return;
    if (down_moved && !s->server_spoke) {
        s->server_spoke = true;
        if (s->prelogin) {
            count_packets(s->bucket, packet_direction::server_to_proxy, tds_type_prelogin);
            count_packets(s->bucket, packet_direction::proxy_to_client, tds_type_prelogin);
        }
        return;
    }
    if (up_moved && s->server_spoke) {
        s->client_went_on = true;
        s->deadline = 0;
    }
}

static void server_ended(client_session *s, const char *reason) {
    server_conn *server = s->server;
    link_detach(s, server);
    server_gone(server, reason);
}

static void relay_lost(client_session *s, bool server_side, int error) {
    const char *reason = server_side ? "server lost" : "client lost";
    if (server_side) {
        slots_count_error(s->root, s->bucket, "server_lost");
        s->bucket->core.last_ok = s->bucket->core.probe_at = 0; // look at once whether it is down
        server_ended(s, reason);
    }
    session_close(s, reason, strerror(error));
}

// The server's last byte and FIN have been passed on.
static void relay_complete(client_session *s) {
    bool client_first = s->up.from_eof;
    server_ended(s, "closed by both");
    if (client_first)
        session_close(s, "client left");
    else
        session_linger(s, "server closed");
}

static void count_moved(client_session *s, const relay_direction *d, uint64_t bytes) {
    bool up = d == &s->up;
    count_bytes(s->bucket->tallies, up ? packet_direction::client_to_proxy : packet_direction::server_to_proxy, bytes);
    count_bytes(s->bucket->tallies, up ? packet_direction::proxy_to_server : packet_direction::proxy_to_client, bytes);
}

// After every move of one of its directions.
static void relay_moved(client_session *s, relay_direction *d, uint64_t bytes_before) {
    bool moved = d->bytes != bytes_before;
    if (moved) {
        s->last_activity = proxy_now(s->root);
        count_moved(s, d, d->bytes - bytes_before);
    }
    if (moved && d == &s->down)
        s->bucket->core.last_ok = s->last_activity; // traffic that succeeds is the health probe
    if (!s->client_went_on)
        watch_login(s, moved && d == &s->up, moved && d == &s->down);
    if (relay_finished(s->down)) {
        relay_complete(s);
        return;
    }
    if (s->up.from_eof) // the server's turn to close
        s->deadline = proxy_now(s->root) + s->root->conf->proxy.release_timeout;
    relay_watch(s->root->relays, s->up, s->down);
}

void passthrough_moved(relay_direction *d, relay_result result, int error, uint64_t bytes_before) {
    auto *s = static_cast<client_session *>(d->owner);
    if (result == relay_result::ok)
        relay_moved(s, d, bytes_before);
    else
        relay_lost(s, (d == &s->up) == (result == relay_result::to_failed), error);
}

// Moves the directions that `events` of `conn` concern: asking the other one costs a system call for nothing.
void passthrough_relay_event(client_session *s, const net_conn *conn, unsigned events) {
    relay_pool &pool = s->root->relays;
    for (relay_direction *d : {&s->up, &s->down}) {
        bool from = d->from == conn && (events & net_readable);
        bool to = d->to == conn && (events & net_writable);
        if (s->state != session_state::relaying || (!from && !to))
            continue;
        if (from && !to && relay_later(pool, *d))
            continue;
        int error = 0;
        uint64_t before = d->bytes;
        relay_result result = relay_move(pool, *d, error);
        passthrough_moved(d, result, error, before);
    }
}

void passthrough_client_event(client_session *s, unsigned events) {
    if (s->state == session_state::relaying)
        passthrough_relay_event(s, &s->client.conn, events);
    else if (greeting_fill(s) && s->state == session_state::greeting)
        greeting_parse(s);
}

// ---- time ------------------------------------------------------------------------------------------------------

// The client has gone and the server has not ended the session: as long as it still sends, let it finish.
static void half_closed_deadline(client_session *s) {
    uint64_t end = s->last_activity + s->root->conf->proxy.release_timeout;
    if (proxy_now(s->root) < end) {
        s->deadline = end;
        return;
    }
    bool told = s->up.to_shut; // else the server has not even taken all that the client sent
    server_conn *server = s->server;
    link_detach(s, server);
    if (told)
        server_overdue(server);
    else
        server_close(server, "client left");
    session_close(s, "client left", "the server did not end the session");
}

bool passthrough_deadline(client_session *s) {
    if (!s->up.from_eof)
        return false;
    half_closed_deadline(s);
    return true;
}
