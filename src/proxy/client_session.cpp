#include "proxy/client_session.h"

#include <cassert>
#include <cstring>

#include <unistd.h>

#include "base/log.h"
#include "proxy/greeting.h"
#include "proxy/link.h"
#include "proxy/proxy.h"
#include "proxy/refusal.h"
#include "proxy/slots.h"

static constexpr uint64_t linger_ms = 1'000;
static constexpr size_t greeting_limit = 17 * 1024; // a PRELOGIN message is at most 4 KiB, a ClientHello 16 KiB

static void client_event(net_conn *conn, unsigned events);

const char *session_state_name(session_state state) {
    static constexpr const char *names[] = {"greeting", "waiting",   "connecting", "relaying",
                                            "refusing", "lingering", "closing"};
    return names[static_cast<size_t>(state)];
}

static session_list &state_list(client_session *s) {
    return s->root->sessions[static_cast<size_t>(s->state)];
}

static void session_move(client_session *s, session_state to) {
    list_remove(state_list(s), *s);
    s->state = to;
    list_push_back(state_list(s), *s);
}

static std::string_view bucket_id(const client_session *s) {
    return s->bucket != nullptr ? std::string_view(s->bucket->core.id) : std::string_view("none");
}

// ---- accept ----------------------------------------------------------------------------------------------------

static sockaddr_in6 keep_peer(const sockaddr_storage &peer) {
    sockaddr_in6 kept{};
    memcpy(&kept, &peer, peer.ss_family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in));
    return kept;
}

// Too many strangers to listen to another: closed without a word. Maintenance logs how many.
static bool turned_away(proxy *root) {
    uint32_t limit = root->conf->proxy.max_unauthenticated;
    if (limit == 0 || proxy_unauthenticated(root) < limit)
        return false;
    slots_count_error(root, nullptr, "rate_limit");
    ++root->turned_away;
    return true;
}

void session_accept(proxy *root, int fd, const sockaddr_storage &peer, proxy_bucket *listener_bucket) {
    client_session *s = nullptr;
    if (turned_away(root) || (s = slab_new(root->session_slab)) == nullptr) {
        close(fd);
        return;
    }
    s->root = root;
    s->id = root->next_session_id++;
    s->peer = keep_peer(peer);
    s->bucket = listener_bucket;
    s->started = proxy_now(root);
    s->deadline = s->started + root->conf->proxy.login_timeout;
    net_socket_options(fd, root->conf->proxy.keepalive);
    if (net_conn_open(root->loop, &s->client, fd, client_event) != 0) {
        slab_delete(root->session_slab, s);
        return;
    }
    list_push_back(state_list(s), *s);
    log_debug("session opened",
              {{"session", s->id}, {"client", net_address_text(reinterpret_cast<sockaddr *>(&s->peer))}});
    net_conn_watch(&s->client, net_readable);
}

// ---- close -----------------------------------------------------------------------------------------------------

static void client_closed(net_conn *conn) {
    client_session *s = container_of(conn, client_session, client);
    proxy *root = s->root;
    list_remove(state_list(s), *s);
    slab_delete(root->session_slab, s);
    proxy_drain_step(root);
}

void session_close(client_session *s, const char *reason, std::string_view detail) {
    if (s->state == session_state::closing)
        return;
    uint64_t now = proxy_now(s->root);
    log_info("session closed", {{"session", s->id},
                                {"bucket", bucket_id(s)},
                                {"state", session_state_name(s->state)},
                                {"reason", reason},
                                {"detail", detail},
                                {"bytes_up", s->up.bytes},
                                {"bytes_down", s->down.bytes},
                                {"ms", now - s->started}});
    if (s->state == session_state::waiting)
        slots_cancel(s->root, s->bucket, s->wait);
    relay_drop(s->root->relays, s->up);
    relay_drop(s->root->relays, s->down);
    refusal_end(s);
    iobuf_wipe(s->greeting);
    session_move(s, session_state::closing);
    if (server_conn *server = s->server) {
        link_detach(s, server);
        server_close(server, reason);
    }
    net_conn_close(&s->client, client_closed);
}

void session_linger(client_session *s, const char *reason) {
    refusal_end(s);
    relay_drop(s->root->relays, s->up);
    s->reason = reason;
    session_move(s, session_state::lingering);
    s->deadline = proxy_now(s->root) + linger_ms;
    net_conn_watch(&s->client, net_readable);
}

static void linger_read(client_session *s) {
    if (net_discard(&s->client, s->root->relays.scratch) != net_again)
        session_close(s, s->reason);
}

void session_client_ended(client_session *s, ssize_t n) {
    session_close(s, n == 0 ? "client left" : "client lost", n == 0 ? "" : strerror(static_cast<int>(-n)));
}

// ---- greeting --------------------------------------------------------------------------------------------------

static void protocol_error(client_session *s, const char *what) {
    slots_count_error(s->root, s->bucket, "protocol");
    session_close(s, "protocol error", what);
}

static void refuse(client_session *s, proxy_error error, const char *error_type, const char *detail) {
    slots_count_error(s->root, s->bucket, error_type);
    log_warn("session refused with error", {{"session", s->id},
                                            {"bucket", bucket_id(s)},
                                            {"number", static_cast<unsigned>(error)},
                                            {"error_type", error_type},
                                            {"detail", detail},
                                            {"waited_ms", proxy_now(s->root) - s->started}});
    s->error = error;
    s->detail = detail;
    session_move(s, session_state::refusing);
    s->deadline = proxy_now(s->root) + s->root->conf->proxy.login_timeout;
    refusal_begin(s);
}

static const char *error_type_of(proxy_error error) {
    switch (error) {
    case proxy_error::no_slot: return "no_slot";
    case proxy_error::no_bucket: return "no_bucket";
    case proxy_error::server_lost: return "connect";
    case proxy_error::queue_timeout: return "queue_timeout";
    case proxy_error::queue_full: return "queue_full";
    case proxy_error::shutdown: return "shutdown";
    default: return "internal";
    }
}

static slot_outcome outcome_of(proxy_error error) {
    switch (error) {
    case proxy_error::queue_timeout:
    case proxy_error::no_slot: return slot_outcome::timeout;
    case proxy_error::queue_full: return slot_outcome::rejected_queue_full;
    case proxy_error::shutdown: return slot_outcome::cancelled;
    default: return slot_outcome::error;
    }
}

void session_slot_denied(client_session *s, proxy_error error, const char *detail) {
    slots_count(s->bucket, outcome_of(error));
    refuse(s, error, error_type_of(error), detail);
}

// The bucket is known: queue for a slot.
static void request_slot(client_session *s) {
    session_move(s, session_state::waiting);
    s->deadline = 0; // the queue has its own
    switch (slots_request(s->root, s->bucket, s->wait)) {
    case bucket_verdict::wait: break;
    case bucket_verdict::queue_full: session_slot_denied(s, proxy_error::queue_full, ""); break;
    case bucket_verdict::server_down: session_slot_denied(s, proxy_error::server_lost, "failing fast"); break;
    }
}

static bool too_many_clients(const proxy *root) {
    uint32_t limit = root->conf->proxy.max_client_connections;
    return limit != 0 && proxy_admitted(root) >= limit;
}

static void greeting_complete(client_session *s, const greeting &g) {
    s->prelogin = g.kind == greeting_kind::prelogin;
    if (s->prelogin && s->bucket != nullptr)
        counter_add(s->bucket->metrics.prelogin_in);
    if (s->root->draining)
        refuse(s, proxy_error::shutdown, "shutdown", "");
    else if (too_many_clients(s->root))
        refuse(s, proxy_error::queue_full, "queue_full", "max_client_connections");
    else if (s->bucket == nullptr)
        refuse(s, proxy_error::no_bucket, "no_bucket", "");
    else
        request_slot(s);
}

static void greeting_parse(client_session *s) {
    greeting g;
    switch (greeting_read(iobuf_pending(s->greeting), g)) {
    case greeting_result::more: return;
    case greeting_result::error: protocol_error(s, g.error); return;
    case greeting_result::complete: break;
    }
    if (s->bucket == nullptr)
        s->bucket = greeting_choose_bucket(s->root, g);
    greeting_complete(s, g);
}

// Reads into the greeting buffer; false when the session is gone. Used while waiting and connecting, too: a client that
// leaves is noticed, one that sends more than a greeting may be is not read further.
static bool greeting_fill(client_session *s) {
    auto room = iobuf_room(s->greeting, 1024, greeting_limit);
    if (room.empty()) {
        net_conn_watch(&s->client, 0);
        return true;
    }
    ssize_t n = net_recv(&s->client, room);
    if (n == net_again)
        return true;
    if (n <= 0) {
        session_client_ended(s, n);
        return false;
    }
    iobuf_fill(s->greeting, static_cast<size_t>(n));
    return true;
}

// ---- server ----------------------------------------------------------------------------------------------------

void session_slot_granted(client_session *s) {
    session_move(s, session_state::connecting);
    if (server_open(s->root, s->bucket, s) != nullptr)
        return;
    slots_release(s->root, s->bucket);
    refuse(s, proxy_error::internal, "internal", "out of memory");
}

void session_server_failed(client_session *s) {
    server_conn *server = s->server;
    link_detach(s, server);
    server_close(server, "connect failed");
    slots_count(s->bucket, slot_outcome::error);
    refuse(s, proxy_error::server_lost, "connect", "");
}

static void relay_start(client_session *s) {
    net_conn *client = &s->client;
    net_conn *server = &s->server->conn;
    s->up.from = s->down.to = client;
    s->up.to = s->down.from = server;
    s->up.owner = s->down.owner = s;
    s->deadline = proxy_now(s->root) + s->root->conf->proxy.login_timeout;
}

void session_server_ready(client_session *s) {
    session_move(s, session_state::relaying);
    relay_start(s);
    if (s->prelogin)
        counter_add(s->bucket->metrics.prelogin_to_server);
    // What the client has sent so far goes first: it waits in `up` as if just read.
    iobuf_move(s->up.held, s->greeting);
    session_relay_event(s, s->up.to, net_writable);
}

// ---- relay -----------------------------------------------------------------------------------------------------

// Until the client has answered the server's first message it counts as a stranger and login_timeout holds: a client
// that sends a PRELOGIN and falls silent must not keep a slot.
static void watch_login(client_session *s, bool up_moved, bool down_moved) {
    if (s->client_went_on)
        return;
    if (down_moved && !s->server_spoke) {
        s->server_spoke = true;
        if (s->prelogin) {
            counter_add(s->bucket->metrics.prelogin_from_server);
            counter_add(s->bucket->metrics.prelogin_out);
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

// After every move of one of its directions.
static void relay_moved(client_session *s, relay_direction *d, uint64_t bytes_before) {
    bool moved = d->bytes != bytes_before;
    if (moved)
        s->last_activity = proxy_now(s->root);
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

void session_relay_moved(relay_direction *d, relay_result result, int error, uint64_t bytes_before) {
    auto *s = static_cast<client_session *>(d->owner);
    if (result == relay_result::ok)
        relay_moved(s, d, bytes_before);
    else
        relay_lost(s, (d == &s->up) == (result == relay_result::to_failed), error);
}

// Moves the directions that `events` of `conn` concern: asking the other one costs a system call for nothing.
void session_relay_event(client_session *s, const net_conn *conn, unsigned events) {
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
        session_relay_moved(d, result, error, before);
    }
}

static void client_event(net_conn *conn, unsigned events) {
    client_session *s = container_of(conn, client_session, client);
    switch (s->state) {
    case session_state::greeting:
        if (greeting_fill(s))
            greeting_parse(s);
        break;
    case session_state::waiting:
    case session_state::connecting: greeting_fill(s); break;
    case session_state::relaying: session_relay_event(s, conn, events); break;
    case session_state::refusing: refusal_event(s, events); break;
    case session_state::lingering: linger_read(s); break;
    default: break;
    }
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

void session_deadline(client_session *s) {
    if (s->state == session_state::relaying && s->up.from_eof) {
        half_closed_deadline(s);
        return;
    }
    if (s->state == session_state::lingering) {
        session_close(s, s->reason);
        return;
    }
    if (s->state == session_state::refusing && refusal_deadline(s))
        return;
    slots_count_error(s->root, s->bucket, "timeout");
    session_close(s, "login_timeout", session_state_name(s->state));
}

void session_check_idle(client_session *s, uint64_t now) {
    uint64_t idle = s->bucket->conf->idle_timeout;
    if (uint64_t client_idle = s->root->conf->proxy.client_idle_timeout; client_idle != 0)
        idle = idle == 0 ? client_idle : std::min(idle, client_idle);
    uint64_t longest = s->bucket->conf->session_timeout;
    const char *why = nullptr;
    if (idle != 0 && now - s->last_activity >= idle)
        why = "idle_timeout";
    else if (longest != 0 && now - s->started >= longest)
        why = "session_timeout";
    if (why == nullptr)
        return;
    slots_count_error(s->root, s->bucket, "timeout");
    session_close(s, why);
}
