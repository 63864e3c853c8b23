#include "proxy/server_conn.h"

#include <cassert>
#include <cstring>

#include "base/log.h"
#include "proxy/authenticate.h"
#include "proxy/exchange.h"
#include "proxy/link.h"
#include "proxy/passthrough.h"
#include "proxy/pools.h"
#include "proxy/probe.h"
#include "proxy/proxy.h"
#include "proxy/server_auth.h"
#include "proxy/server_task.h"
#include "proxy/sharing.h"
#include "proxy/slots.h"

// A silent address (the standby of another subnet) is not waited for any longer while there is another.
static constexpr uint64_t address_patience = 1'000; // ms

static void server_event(net_conn *conn, unsigned events);
static void server_try(server_conn *c);

static server_list &state_list(server_conn *c) {
    return c->root->servers[static_cast<size_t>(c->state)];
}

const char *server_state_name(server_state state) {
    static constexpr const char *names[] = {"connecting", "logging_in", "serving", "working",
                                            "idle",       "closing",    "released"};
    static_assert(std::size(names) == static_cast<size_t>(server_state::count_));
    return names[static_cast<size_t>(state)];
}

static void enter_list(server_conn *c) {
    list_push_back(state_list(c), *c);
    ++c->bucket->servers[static_cast<size_t>(c->state)];
}

static void leave_list(server_conn *c) {
    list_remove(state_list(c), *c);
    --c->bucket->servers[static_cast<size_t>(c->state)];
}

void server_move(server_conn *c, server_state to) {
    leave_list(c);
    c->state = to;
    enter_list(c);
}

net_target *server_target(server_conn *c) {
    return c->route ? c->route.get() : &c->bucket->target;
}

static void orphan_resolved(void *, net_target *target, int) {
    delete target;
}

// A look-up under way keeps its memory until it has been answered.
static void drop_route(server_conn *c) {
    if (!c->route || !c->route->in_flight)
        return c->route.reset();
    c->route->on_resolved = orphan_resolved;
    net_target_cancel(c->route.release());
}

void server_set_route(server_conn *c, std::unique_ptr<net_target> to) {
    drop_route(c);
    c->route = std::move(to);
}

static void server_free(server_conn *c) {
    proxy *root = c->root;
    drop_route(c);
    leave_list(c);
    slab_delete(root->server_slab, c);
    proxy_drain_step(root);
}

static void fd_closed(net_conn *conn) {
    server_conn *c = container_of(conn, server_conn, conn.conn);
    c->closing_fd = false;
    if (c->drop)
        server_free(c);
    else
        server_tick(c, proxy_now(c->root)); // the next address, if one is due
}

static void close_fd(server_conn *c) {
    stream_free(&c->conn);
    if (!c->has_fd)
        return;
    c->has_fd = false;
    c->closing_fd = true;
    net_conn_close(&c->conn.conn, fd_closed);
}

server_conn *server_open(proxy *root, proxy_bucket *pb, server_purpose purpose, client_session *client) {
    server_conn *c = slab_new(root->server_slab);
    if (c == nullptr)
        return nullptr;
    c->root = root;
    c->conn.outbox = &root->outbox;
    c->conn.goes_first = true;
    c->bucket = pb;
    c->purpose = purpose;
    c->id = root->next_server_id++;
    c->retry = {pb->conf->retry_backoff_min, pb->conf->retry_backoff_max, 0};
    c->deadline = proxy_now(root) + pb->conf->connection_timeout;
    c->counted = purpose != server_purpose::probe && client != nullptr;
    enter_list(c);
    if (client != nullptr)
        link_attach(client, c);
    server_try(c);
    return c;
}

// ---- connecting ------------------------------------------------------------------------------------------------

static void server_release(server_conn *c, const char *reason) {
    log_debug("slot released", {{"bucket", c->bucket->core.id}, {"server", c->id}, {"reason", reason}});
    server_move(c, server_state::released);
    close_fd(c);
    if (c->counted)
        slots_count(c->bucket, slot_outcome::released);
    slots_release(c->root, c->bucket);
    authenticate_connection_done(c);
    c->drop = true;
    if (!c->closing_fd)
        server_free(c);
}

static void owner_failed(server_conn *c, const char *detail) {
    if (c->purpose == server_purpose::probe)
        probe_failed(c, detail);
    else if (c->client != nullptr)
        session_server_failed(c->client, detail);
    else
        pools_warm_failed(c, detail);
}

void server_give_up(server_conn *c, const char *error_type, const char *detail) {
    slots_count_error(c->root, c->bucket, error_type);
    log_warn("server connect failed", {{"bucket", c->bucket->core.id},
                                       {"server", c->id},
                                       {"host", server_target(c)->host},
                                       {"port", server_target(c)->port},
                                       {"error_type", error_type},
                                       {"error", detail}});
    owner_failed(c, detail);
}

// Where the bucket's server has routed this login to says nothing of the server itself.
static void count_failure(server_conn *c, const char *detail) {
    if (!c->route)
        slots_server_failed(c->root, c->bucket, detail);
}

// One try over all addresses has failed. A client's connection tries again until connection_timeout or until the bucket
// is known to be down; a probe reports at once.
static void try_failed(server_conn *c, const char *detail) {
    close_fd(c);
    proxy *root = c->root;
    proxy_bucket *pb = c->bucket;
    net_target_expire(server_target(c));
    if (c->purpose == server_purpose::probe) {
        owner_failed(c, detail);
        return;
    }
    count_failure(c, detail);
    if (pb->core.health == server_health::down) {
        server_give_up(c, "connect", detail);
        return;
    }
    c->retry_at = proxy_now(root) + backoff_next(c->retry, proxy_random(root));
}

static void connected(server_conn *c) {
    proxy *root = c->root;
    c->connected = true;
    c->try_until = 0;
    if (sockaddr_storage peer{}; net_conn_peer(&c->conn.conn, peer))
        net_target_prefer(server_target(c), peer);
    switch (c->purpose) {
    case server_purpose::probe: return probe_connected(c);
    case server_purpose::passthrough:
        c->deadline = 0;
        slots_server_up(root, c->bucket, (uv_hrtime() - c->try_started) / 1000);
        server_move(c, server_state::serving);
        return passthrough_server_ready(c->client);
    case server_purpose::pooled:
    case server_purpose::dedicated: return server_auth_begin(c);
    }
}

// Starts a connect to the next address; false when there is none left.
static bool connect_next(server_conn *c) {
    net_target *target = server_target(c);
    while (c->next_address < target->addresses.size()) {
        const sockaddr_storage &address = target->addresses[c->next_address++];
        int fd = net_socket_connect(reinterpret_cast<const sockaddr *>(&address), c->root->conf->proxy.keepalive);
        if (fd < 0) {
            c->bucket->core.last_error = strerror(-fd);
            continue;
        }
        if (net_conn_open(c->root->loop, &c->conn.conn, fd, server_event) != 0)
            continue;
        c->has_fd = true;
        c->try_started = uv_hrtime();
        c->try_until = c->next_address < target->addresses.size() ? proxy_now(c->root) + address_patience : 0;
        net_conn_watch(&c->conn.conn, net_writable);
        return true;
    }
    return false;
}

static void server_try(server_conn *c) {
    if (c->closing_fd)
        return; // the last try's descriptor is still closing: server_tick comes back
    c->retry_at = 0;
    if (!net_target_ready(c->root->loop, server_target(c)))
        return; // server_addresses_ready comes back, or the deadline
    c->next_address = 0;
    if (!connect_next(c))
        c->retry_at = proxy_now(c->root) + c->retry.min;
}

static void address_failed(server_conn *c, const char *detail) {
    c->try_until = 0;
    if (c->next_address < server_target(c)->addresses.size()) {
        close_fd(c);
        c->retry_at = proxy_now(c->root); // the next address, once this descriptor has gone
        return;
    }
    try_failed(c, detail);
}

static void connect_event(server_conn *c) {
    int error = net_connect_result(&c->conn.conn);
    if (error == 0) {
        net_conn_watch(&c->conn.conn, 0);
        connected(c);
        return;
    }
    address_failed(c, strerror(error));
}

void server_addresses_ready(proxy *root, net_target *target, int status) {
    server_list &connecting = root->servers[static_cast<size_t>(server_state::connecting)];
    for (server_conn *c = list_front(connecting), *next = nullptr; c != nullptr; c = next) {
        next = list_next(connecting, *c);
        if (server_target(c) != target || c->has_fd || c->closing_fd || c->retry_at != 0)
            continue;
        if (status != 0)
            try_failed(c, uv_strerror(status));
        else
            server_try(c);
    }
}

// ---- closing ---------------------------------------------------------------------------------------------------

// What it had besides its descriptor and its slot.
static void drop_session_parts(server_conn *c) {
    server_auth_end(c);
    c->task = server_task::none;
    if (c->retire != nullptr) // counted already
        --c->bucket->closing;
    c->retire = nullptr;
    sharing_leave_home(c);
    pool_remove(c->member);
}

static void half_close(server_conn *c) {
    (void)stream_flush(&c->conn);
    net_conn_shutdown(&c->conn.conn);
    c->deadline = proxy_now(c->root) + c->root->conf->proxy.release_timeout;
    server_move(c, server_state::closing);
    net_conn_watch(&c->conn.conn, net_readable);
}

void server_close(server_conn *c, const char *reason) {
    assert(c->client == nullptr);
    if (c->state == server_state::closing && !c->again)
        return;
    c->again = false;
    drop_session_parts(c);
    if (!c->connected) {
        server_release(c, reason);
        return;
    }
    half_close(c);
    ++c->bucket->closing;
}

void server_gone(server_conn *c, const char *reason) {
    assert(c->client == nullptr);
    drop_session_parts(c);
    server_release(c, reason);
}

void server_try_again(server_conn *c, bool at_once, const char *reason) {
    log_debug("server connection is tried again",
              {{"bucket", c->bucket->core.id}, {"server", c->id}, {"reason", reason}});
    server_auth_end(c);
    c->again = true;
    c->retry_at = proxy_now(c->root) + (at_once ? 0 : backoff_next(c->retry, proxy_random(c->root)));
    uint64_t give_up_at = c->deadline;
    half_close(c);
    c->deadline = give_up_at;
}

// The server has closed its end: the slot is free for the next try, or for others.
static void closed_by_both(server_conn *c, const char *reason) {
    c->connected = false;
    if (!c->again) {
        --c->bucket->closing;
        server_release(c, reason);
        return;
    }
    c->again = false;
    close_fd(c);
    c->next_address = 0;
    server_move(c, server_state::connecting);
}

static void closing_readable(server_conn *c) {
    ssize_t end = net_discard(&c->conn.conn, c->root->scratch.in);
    if (end != net_again)
        closed_by_both(c, end == 0 ? "closed by both" : "reset");
}

void server_overdue(server_conn *c) {
    assert(c->client == nullptr);
    log_warn("server did not close its end in time: slot released all the same",
             {{"bucket", c->bucket->core.id}, {"server", c->id}});
    counter_add(c->bucket->metrics.excess);
    net_conn_abort_on_close(&c->conn.conn);
    if (c->state == server_state::closing && !c->again)
        --c->bucket->closing;
    server_release(c, "release_timeout");
}

// ---- events ----------------------------------------------------------------------------------------------------

static void server_event(net_conn *conn, unsigned events) {
    server_conn *c = container_of(conn, server_conn, conn.conn);
    switch (c->state) {
    case server_state::connecting:
        if (c->connected)
            probe_readable(c);
        else
            connect_event(c);
        break;
    case server_state::logging_in: server_auth_event(c, events); break;
    case server_state::working: server_task_event(c, events); break;
    case server_state::serving:
        if (c->purpose == server_purpose::passthrough)
            passthrough_relay_event(c->client, conn, events);
        else
            exchange_server_event(c, events);
        break;
    case server_state::idle: pools_idle_event(c); break;
    case server_state::closing: closing_readable(c); break;
    default: break;
    }
}

static void deadline_passed(server_conn *c) {
    if (c->state == server_state::working) {
        server_task_overdue(c);
        return;
    }
    if (c->refusal && c->purpose != server_purpose::probe) {
        server_auth_refused_for_good(c);
        return;
    }
    if (c->purpose != server_purpose::probe)
        count_failure(c, "connection_timeout");
    server_give_up(c, "connect", "connection_timeout");
}

static void retry_tick(server_conn *c, uint64_t now) {
    if (c->try_until != 0 && now >= c->try_until)
        return address_failed(c, "no answer");
    if (c->retry_at == 0 || now < c->retry_at || c->has_fd || c->closing_fd)
        return;
    if (c->bucket->core.health == server_health::down && c->purpose != server_purpose::probe) {
        server_give_up(c, "connect", c->bucket->core.last_error.c_str());
        return;
    }
    c->retry_at = 0;
    if (c->next_address != 0 && c->next_address < server_target(c)->addresses.size()) {
        if (!connect_next(c))
            try_failed(c, "no address left");
        return;
    }
    server_try(c);
}

void server_tick(server_conn *c, uint64_t now) {
    if (c->state == server_state::closing && !c->again) {
        if (now >= c->deadline)
            server_overdue(c);
        return;
    }
    if (c->deadline != 0 && now >= c->deadline) {
        deadline_passed(c);
        return;
    }
    if (c->state == server_state::connecting)
        retry_tick(c, now);
}
