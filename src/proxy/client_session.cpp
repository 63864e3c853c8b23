#include "proxy/client_session.h"

#include <cassert>
#include <cstring>

#include <unistd.h>

#include "base/log.h"
#include "proxy/attach.h"
#include "proxy/authenticate.h"
#include "proxy/console/console.h"
#include "proxy/exchange.h"
#include "proxy/link.h"
#include "proxy/login_io.h"
#include "proxy/passthrough.h"
#include "proxy/pools.h"
#include "proxy/proxy.h"
#include "proxy/refusal.h"
#include "proxy/sharing.h"
#include "proxy/slots.h"
#include "tds/login_answer.h"

static constexpr uint64_t linger_ms = 1'000;

static void client_event(net_conn *conn, unsigned events);

const char *session_state_name(session_state state) {
    static constexpr const char *names[] = {"greeting", "login",    "admission", "waiting",  "connecting", "relaying",
                                            "active",   "settling", "console",   "refusing", "lingering",  "closing"};
    static_assert(std::size(names) == static_cast<size_t>(session_state::count_));
    return names[static_cast<size_t>(state)];
}

static session_list &state_list(client_session *s) {
    return s->root->sessions[static_cast<size_t>(s->state)];
}

void session_move(client_session *s, session_state to) {
    list_remove(state_list(s), *s);
    s->state = to;
    list_push_back(state_list(s), *s);
}

void session_choose(client_session *s, proxy_bucket *pb) {
    if (s->bucket != nullptr)
        --s->bucket->clients;
    s->bucket = pb;
    if (pb != nullptr)
        ++pb->clients;
}

std::string_view session_bucket_id(const client_session *s) {
    return s->bucket != nullptr ? std::string_view(s->bucket->core.id) : std::string_view("none");
}

uint16_t session_spid(const client_session *s) {
    return static_cast<uint16_t>(s->id % 32767 + 1);
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
    pool_mode mode = listener_bucket != nullptr ? listener_bucket->conf->mode : root->conf->proxy.mode;
    s->root = root;
    s->client.outbox = &root->outbox;
    s->id = root->next_session_id++;
    s->peer = keep_peer(peer);
    s->state = mode == pool_mode::passthrough ? session_state::greeting : session_state::login;
    s->started = proxy_now(root);
    s->deadline = s->started + root->conf->proxy.login_timeout;
    net_socket_options(fd, root->conf->proxy.keepalive);
    if (net_conn_open(root->loop, &s->client.conn, fd, client_event) != 0) {
        slab_delete(root->session_slab, s);
        return;
    }
    list_push_back(state_list(s), *s);
    counter_add(root->meters.accepted);
    if (listener_bucket != nullptr)
        session_choose(s, listener_bucket);
    log_debug("session opened",
              {{"session", s->id}, {"client", net_address_text(reinterpret_cast<sockaddr *>(&s->peer))}});
    net_conn_watch(&s->client.conn, net_readable);
}

// ---- close -----------------------------------------------------------------------------------------------------

static void client_closed(net_conn *conn) {
    client_session *s = container_of(conn, client_session, client.conn);
    proxy *root = s->root;
    session_choose(s, nullptr);
    list_remove(state_list(s), *s);
    slab_delete(root->session_slab, s);
    proxy_drain_step(root);
}

static void log_closed(const client_session *s, const char *reason, std::string_view detail) {
    uint64_t now = proxy_now(s->root);
    log_info("session closed", {{"session", s->id},
                                {"bucket", session_bucket_id(s)},
                                {"state", session_state_name(s->state)},
                                {"reason", reason},
                                {"detail", detail},
                                {"bytes_up", s->up.bytes},
                                {"bytes_down", s->down.bytes},
                                {"ms", now - s->started}});
}

static void drop_server(client_session *s, const char *reason) {
    server_conn *server = s->server;
    if (server == nullptr)
        return;
    if (server->purpose != server_purpose::passthrough)
        return attach_give_back(s, reason);
    link_detach(s, server);
    server_close(server, reason);
}

void session_close(client_session *s, const char *reason, std::string_view detail) {
    if (s->state == session_state::closing)
        return;
    log_closed(s, reason, detail);
    if (s->talk && s->login != nullptr && s->state != session_state::refusing && !s->answering)
        count_login(s->root, s->bucket, login_result::abandoned);
    if (s->state == session_state::waiting)
        slots_cancel(s->root, s->bucket, s->wait);
    if (s->talk)
        sharing_end(s);
    drop_server(s, reason);
    session_move(s, session_state::closing);
    authenticate_end(s);
    console_end(s);
    if (s->talk)
        pools_release(s);
    relay_drop(s->root->relays, s->up);
    relay_drop(s->root->relays, s->down);
    login_io_end(s);
    iobuf_wipe(s->in);
    stream_free(&s->client);
    net_conn_close(&s->client.conn, client_closed);
}

void session_close_resting(proxy *root, const proxy_bucket *pb, const char *reason) {
    session_list &l = root->sessions[static_cast<size_t>(session_state::active)];
    for (client_session *s = list_front(l), *next = nullptr; s != nullptr; s = next) {
        next = list_next(l, *s);
        if ((pb == nullptr || s->bucket == pb) && exchange_at_rest(s))
            session_close(s, reason);
    }
}

void session_linger(client_session *s, const char *reason) {
    login_io_end(s);
    relay_drop(s->root->relays, s->up);
    s->reason = reason;
    session_move(s, session_state::lingering);
    s->deadline = proxy_now(s->root) + linger_ms;
    net_conn_watch(&s->client.conn, net_readable);
}

static void linger_read(client_session *s) {
    if (net_discard(&s->client.conn, s->root->scratch.in) != net_again)
        session_close(s, s->reason);
}

void session_client_ended(client_session *s, ssize_t n) {
    session_close(s, n == 0 ? "client left" : "client lost", n == 0 ? "" : strerror(static_cast<int>(-n)));
}

void session_protocol_error(client_session *s, const char *what) {
    slots_count_error(s->root, s->bucket, "protocol");
    std::string detail = what; // it may be the engine's, which goes
    session_close(s, "protocol error", detail);
}

// ---- slots -----------------------------------------------------------------------------------------------------

// On the stream of a session that has one; else by refusal, which may have to complete the login first.
void session_answer_refusal(client_session *s) {
    if (!s->talk || !s->talk->stream)
        return refusal_begin(s);
    std::vector<uint8_t> packets = std::move(s->talk->late_answer);
    if (packets.empty()) {
        const error_info &info = error_find(s->error);
        tds_notice notice;
        notice.number = static_cast<int32_t>(s->error);
        notice.severity = info.severity;
        notice.text = info.text;
        tds_build_login_error(s->talk->who->version, notice, session_spid(s), packets);
    }
    if (exchange_send_client(s, packets))
        exchange_finish(s, "refused");
}

void session_refuse(client_session *s, proxy_error error, const char *error_type, const char *detail) {
    slots_count_error(s->root, s->bucket, error_type);
    log_warn("session refused with error", {{"session", s->id},
                                            {"bucket", session_bucket_id(s)},
                                            {"number", static_cast<unsigned>(error)},
                                            {"error_type", error_type},
                                            {"detail", detail},
                                            {"waited_ms", proxy_now(s->root) - s->started}});
    if (s->talk || s->state == session_state::login)
        count_login(s->root, s->bucket, login_result::failed);
    s->error = error;
    s->detail = detail;
    session_move(s, session_state::refusing);
    authenticate_end(s);
    s->deadline = proxy_now(s->root) + s->root->conf->proxy.login_timeout;
    session_answer_refusal(s);
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
    if (s->need == session_need::request)
        exchange_fail_request(s, error, error_type_of(error), detail);
    else
        session_refuse(s, error, error_type_of(error), detail);
}

void session_request_slot(client_session *s) {
    if (s->bucket->removed)
        return session_slot_denied(s, proxy_error::no_bucket, "the bucket has been removed");
    session_move(s, session_state::waiting);
    s->deadline = 0; // the queue has its own
    switch (slots_request(s->root, s->bucket, s->wait)) {
    case bucket_verdict::wait:
        if (s->bucket->core.full)
            pools_make_room(s->root, s->bucket);
        break;
    case bucket_verdict::queue_full: session_slot_denied(s, proxy_error::queue_full, ""); break;
    case bucket_verdict::server_down: session_slot_denied(s, proxy_error::server_lost, "failing fast"); break;
    }
}

// ---- server ----------------------------------------------------------------------------------------------------

static server_purpose purpose_of(const client_session *s) {
    if (s->need == session_need::passthrough)
        return server_purpose::passthrough;
    return s->talk->dedicated ? server_purpose::dedicated : server_purpose::pooled;
}

void session_slot_granted(client_session *s, bool taken_over) {
    session_move(s, session_state::connecting);
    server_conn *c = server_open(s->root, s->bucket, purpose_of(s), s);
    if (c == nullptr) {
        slots_release(s->root, s->bucket);
        session_slot_denied(s, proxy_error::internal, "out of memory");
        return;
    }
    if (!s->talk)
        return;
    c->who = s->talk->who;
    if (s->need == session_need::login)
        authenticate_hand_over(s, c);
    if (s->need != session_need::request)
        return;
    c->found = taken_over ? attach_how::taken_over : attach_how::opened;
    pool_add(s->talk->pool, c->member, pool_member_state::busy, proxy_now(s->root), proxy_random(s->root));
}

void session_server_failed(client_session *s, const char *detail) {
    server_conn *server = s->server;
    link_detach(s, server);
    server_close(server, detail);
    session_slot_denied(s, proxy_error::server_lost, "");
}

// ---- events ----------------------------------------------------------------------------------------------------

static void logging_in_or_asking(client_session *s, unsigned events) {
    switch (s->need) {
    case session_need::passthrough: return passthrough_client_event(s, events);
    case session_need::login: return authenticate_event(s, events);
    case session_need::request: return exchange_client_event(s, events);
    }
}

static void client_event(net_conn *conn, unsigned events) {
    client_session *s = container_of(conn, client_session, client.conn);
    switch (s->state) {
    case session_state::greeting:
    case session_state::relaying: passthrough_client_event(s, events); break;
    case session_state::login:
    case session_state::admission: authenticate_event(s, events); break;
    case session_state::waiting:
    case session_state::connecting: logging_in_or_asking(s, events); break;
    case session_state::active:
    case session_state::settling: exchange_client_event(s, events); break;
    case session_state::console: console_event(s, events); break;
    case session_state::refusing: refusal_event(s, events); break;
    case session_state::lingering: linger_read(s); break;
    default: break;
    }
}

// ---- time ------------------------------------------------------------------------------------------------------

static void admission_overdue(client_session *s) {
    session_slot_denied(s, s->bucket->conf->queue_timeout == 0 ? proxy_error::no_slot : proxy_error::queue_timeout,
                        "logins");
}

void session_deadline(client_session *s) {
    switch (s->state) {
    case session_state::admission: return admission_overdue(s);
    case session_state::lingering: return session_close(s, s->reason);
    case session_state::relaying:
        if (passthrough_deadline(s))
            return;
        break;
    case session_state::login:
        if (s->answering)
            return authenticate_answer_now(s);
        break;
    case session_state::refusing:
        if (refusal_deadline(s))
            return;
        break;
    default: break;
    }
    slots_count_error(s->root, s->bucket, "timeout");
    session_close(s, "login_timeout", session_state_name(s->state));
}

// In transaction mode the two limits are for who keeps a server connection from others; never for one of its own, which
// with MARS is never in doubt.
static bool limits_hold(const client_session *s) {
    if (s->talk && s->talk->mars)
        return false;
    if (!s->talk || !sharing_mode(s->bucket))
        return true;
    return sharing(s) && s->server != nullptr && !sharing_only_held(s);
}

static uint64_t since(const client_session *s) {
    return s->talk && sharing(s) ? s->talk->shared->pinned_since : s->started;
}

static bool pinned(const client_session *s) {
    return !s->talk || !sharing(s) || (s->talk->shared->pins & ~pin_bit(pin_reason::last_values)) != 0;
}

void session_check_idle(client_session *s, uint64_t now) {
    if (s->talk)
        sharing_check_hold(s, now);
    // The server is at work, however long it takes, unless the client does not read what it says.
    if (s->talk && s->talk->awaiting && !s->talk->sending && stream_unsent(&s->client) == 0)
        return;
    bool hold = limits_hold(s);
    uint64_t idle = hold ? s->bucket->conf->idle_timeout : 0;
    if (uint64_t client_idle = s->root->conf->proxy.client_idle_timeout; client_idle != 0)
        idle = idle == 0 ? client_idle : std::min(idle, client_idle);
    uint64_t longest = hold && pinned(s) && !(s->talk && s->talk->awaiting) ? s->bucket->conf->session_timeout : 0;
    const char *why = nullptr;
    if (idle != 0 && now - s->last_activity >= idle)
        why = "idle_timeout";
    else if (longest != 0 && now - since(s) >= longest)
        why = "session_timeout";
    if (why == nullptr)
        return;
    slots_count_error(s->root, s->bucket, "timeout");
    session_close(s, why);
}
