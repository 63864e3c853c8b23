#include "proxy/server_conn.h"

#include <cassert>
#include <cstring>

#include "base/log.h"
#include "proxy/link.h"
#include "proxy/probe.h"
#include "proxy/proxy.h"
#include "proxy/slots.h"

static void server_event(net_conn *conn, unsigned events);
static void server_try(server_conn *c);

static server_list &state_list(server_conn *c) {
    return c->root->servers[static_cast<size_t>(c->state)];
}

static void server_move(server_conn *c, server_state to) {
    list_remove(state_list(c), *c);
    c->state = to;
    list_push_back(state_list(c), *c);
}

static void server_free(server_conn *c) {
    proxy *root = c->root;
    list_remove(state_list(c), *c);
    slab_delete(root->server_slab, c);
    proxy_drain_step(root);
}

static void fd_closed(net_conn *conn) {
    server_conn *c = container_of(conn, server_conn, conn);
    c->closing_fd = false;
    if (c->drop)
        server_free(c);
    else
        server_tick(c, proxy_now(c->root)); // the next address, if one is due
}

static void close_fd(server_conn *c) {
    if (!c->has_fd)
        return;
    c->has_fd = false;
    c->closing_fd = true;
    net_conn_close(&c->conn, fd_closed);
}

server_conn *server_open(proxy *root, proxy_bucket *pb, client_session *client) {
    server_conn *c = slab_new(root->server_slab);
    if (c == nullptr)
        return nullptr;
    c->root = root;
    c->bucket = pb;
    c->id = root->next_server_id++;
    c->retry = {pb->conf->retry_backoff_min, pb->conf->retry_backoff_max, 0};
    c->deadline = proxy_now(root) + pb->conf->connection_timeout;
    list_push_back(state_list(c), *c);
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
    if (!c->probing)
        slots_count(c->bucket, slot_outcome::released);
    slots_release(c->root, c->bucket);
    c->drop = true;
    if (!c->closing_fd)
        server_free(c);
}

static void owner_failed(server_conn *c, const char *detail) {
    if (c->probing)
        probe_failed(c, detail);
    else
        session_server_failed(c->client);
}

static void give_up(server_conn *c, const char *detail) {
    slots_count_error(c->root, c->bucket, "connect");
    log_warn("server connect failed", {{"bucket", c->bucket->core.id},
                                       {"server", c->id},
                                       {"host", c->bucket->conf->host},
                                       {"port", c->bucket->conf->port},
                                       {"error", detail}});
    owner_failed(c, detail);
}

// One try over all addresses has failed. A client's connection tries again until connection_timeout or until the bucket
// is known to be down; a probe reports at once.
static void try_failed(server_conn *c, const char *detail) {
    close_fd(c);
    proxy *root = c->root;
    proxy_bucket *pb = c->bucket;
    if (c->probing) {
        owner_failed(c, detail);
        return;
    }
    slots_server_failed(root, pb, detail);
    net_target_expire(&pb->target);
    if (pb->core.health == server_health::down) {
        give_up(c, detail);
        return;
    }
    c->retry_at = proxy_now(root) + backoff_next(c->retry, proxy_random(root));
}

static void connected(server_conn *c) {
    proxy *root = c->root;
    proxy_bucket *pb = c->bucket;
    c->connected = true;
    c->deadline = 0;
    if (c->probing) {
        c->deadline = proxy_now(root) + pb->conf->connection_timeout;
        probe_connected(c);
        return;
    }
    slots_server_up(root, pb, (uv_hrtime() - c->try_started) / 1000);
    server_move(c, server_state::serving);
    session_server_ready(c->client);
}

// Starts a connect to the next address; false when there is none left.
static bool connect_next(server_conn *c) {
    proxy_bucket *pb = c->bucket;
    while (c->next_address < pb->target.addresses.size()) {
        const sockaddr_storage &address = pb->target.addresses[c->next_address++];
        int fd = net_socket_connect(reinterpret_cast<const sockaddr *>(&address), c->root->conf->proxy.keepalive);
        if (fd < 0) {
            pb->core.last_error = strerror(-fd);
            continue;
        }
        if (net_conn_open(c->root->loop, &c->conn, fd, server_event) != 0)
            continue;
        c->has_fd = true;
        c->try_started = uv_hrtime();
        net_conn_watch(&c->conn, net_writable);
        return true;
    }
    return false;
}

static void server_try(server_conn *c) {
    if (c->closing_fd)
        return; // the last try's descriptor is still closing: server_tick comes back
    c->retry_at = 0;
    if (!net_target_ready(c->root->loop, &c->bucket->target))
        return; // server_addresses_ready comes back, or the deadline
    c->next_address = 0;
    if (!connect_next(c))
        c->retry_at = proxy_now(c->root) + c->retry.min;
}

static void connect_event(server_conn *c) {
    int error = net_connect_result(&c->conn);
    if (error == 0) {
        net_conn_watch(&c->conn, 0);
        connected(c);
        return;
    }
    if (c->next_address < c->bucket->target.addresses.size()) {
        close_fd(c);
        c->retry_at = proxy_now(c->root); // the next address, once this descriptor has gone
        return;
    }
    try_failed(c, strerror(error));
}

void server_addresses_ready(proxy *root, proxy_bucket *pb, int status) {
    list<server_conn, &server_conn::node> &connecting = root->servers[static_cast<size_t>(server_state::connecting)];
    for (server_conn *c = list_front(connecting), *next = nullptr; c != nullptr; c = next) {
        next = list_next(connecting, *c);
        if (c->bucket != pb || c->has_fd || c->closing_fd || c->retry_at != 0)
            continue;
        if (status != 0)
            try_failed(c, uv_strerror(status));
        else
            server_try(c);
    }
}

// ---- closing ---------------------------------------------------------------------------------------------------

void server_close(server_conn *c, const char *reason) {
    assert(c->client == nullptr);
    if (!c->connected) {
        server_release(c, reason);
        return;
    }
    net_conn_shutdown(&c->conn);
    c->deadline = proxy_now(c->root) + c->root->conf->proxy.release_timeout;
    server_move(c, server_state::closing);
    net_conn_watch(&c->conn, net_readable);
}

void server_gone(server_conn *c, const char *reason) {
    assert(c->client == nullptr);
    server_release(c, reason);
}

static void closing_readable(server_conn *c) {
    ssize_t end = net_discard(&c->conn, c->root->relays.scratch);
    if (end != net_again)
        server_release(c, end == 0 ? "closed by both" : "reset");
}

void server_overdue(server_conn *c) {
    assert(c->client == nullptr);
    log_warn("server did not close its end in time: slot released all the same",
             {{"bucket", c->bucket->core.id}, {"server", c->id}});
    counter_add(c->bucket->metrics.excess);
    net_conn_abort_on_close(&c->conn);
    server_release(c, "release_timeout");
}

// ---- events ----------------------------------------------------------------------------------------------------

static void server_event(net_conn *conn, unsigned events) {
    server_conn *c = container_of(conn, server_conn, conn);
    switch (c->state) {
    case server_state::connecting:
        if (c->connected)
            probe_readable(c);
        else
            connect_event(c);
        break;
    case server_state::closing: closing_readable(c); break;
    case server_state::serving: session_relay_event(c->client, conn, events); break;
    default: break;
    }
}

void server_tick(server_conn *c, uint64_t now) {
    if (c->state == server_state::closing) {
        if (now >= c->deadline)
            server_overdue(c);
        return;
    }
    if (c->deadline != 0 && now >= c->deadline) {
        if (!c->probing)
            slots_server_failed(c->root, c->bucket, "connection_timeout");
        give_up(c, "connection_timeout");
        return;
    }
    if (c->retry_at == 0 || now < c->retry_at || c->has_fd || c->closing_fd)
        return;
    if (c->bucket->core.health == server_health::down && !c->probing) {
        give_up(c, c->bucket->core.last_error.c_str());
        return;
    }
    c->retry_at = 0;
    if (c->next_address != 0 && c->next_address < c->bucket->target.addresses.size()) {
        if (!connect_next(c))
            try_failed(c, "no address left");
        return;
    }
    server_try(c);
}
