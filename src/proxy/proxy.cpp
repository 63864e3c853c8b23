#include "proxy/proxy.h"

#include <algorithm>
#include <cassert>
#include <cstdio>
#include <random>

#include <unistd.h>

#include "base/log.h"
#include "proxy/login_record.h"
#include "proxy/maintenance.h"
#include "proxy/pools.h"
#include "proxy/proxy_setup.h"
#include "proxy/slots.h"
#include "tds/request_reader.h"
#include "tds/tsql_scan.h"
#include "tls/tls_client_context.h"
#include "tls/tls_context.h"

static constexpr size_t scratch_cipher = 32 * 1024;
static constexpr size_t scratch_slack = 64 * 1024; // stream_recv wants more room than it reads

static size_t sessions_in(const proxy *p, std::initializer_list<session_state> states) {
    size_t count = 0;
    for (session_state state : states)
        count += p->sessions[static_cast<size_t>(state)].count;
    return count;
}

size_t proxy_unauthenticated(const proxy *p) {
    return sessions_in(p, {session_state::greeting, session_state::login, session_state::refusing});
}

size_t proxy_admitted(const proxy *p) {
    return sessions_in(p, {session_state::admission, session_state::waiting, session_state::connecting,
                           session_state::relaying, session_state::active, session_state::settling});
}

size_t proxy_session_count(const proxy *p) {
    return p->session_slab.in_use;
}

// ---- start -----------------------------------------------------------------------------------------------------

static void on_resolved(void *user, net_target *target, int status) {
    auto *root = static_cast<proxy *>(user);
    if (status != 0)
        log_warn("host name cannot be resolved", {{"host", target->host}, {"error", uv_strerror(status)}});
    server_addresses_ready(root, target, status);
    for (auto &pb : root->buckets)
        if (&pb->target == target && status == 0)
            pools_server_moved(root, pb.get());
}

// "16.0.4135"; the option table has checked its form.
static tds_product_version parse_version(const std::string &text) {
    unsigned part[4] = {16, 0, 0, 0};
    sscanf(text.c_str(), "%u.%u.%u.%u", &part[0], &part[1], &part[2], &part[3]);
    return {static_cast<uint8_t>(part[0]), static_cast<uint8_t>(part[1]), static_cast<uint16_t>(part[2]),
            static_cast<uint16_t>(part[3])};
}

void setup_own_version(proxy *root) {
    root->own_version = parse_version(root->conf->proxy.server_version);
}

void setup_configure(proxy *root, proxy_bucket *pb, const bucket_config &conf) {
    pb->conf = &conf;
    pb->core.limits.max_queue_size = conf.max_queue_size;
    pb->core.limits.queue_timeout = conf.queue_timeout;
    pb->core.limits.queue_poll = root->conf->proxy.queue_poll;
    pb->core.retry.min = conf.retry_backoff_min;
    pb->core.retry.max = conf.retry_backoff_max;
    pb->target.ttl = root->conf->proxy.dns_ttl;
    if (pb->target.host != conf.host || pb->target.port != conf.port)
        net_target_redirect(&pb->target, conf.host, conf.port);
}

std::unique_ptr<proxy_bucket> setup_bucket(proxy *root, const bucket_config &conf, uint32_t index) {
    auto pb = std::make_unique<proxy_bucket>();
    pb->core.index = index;
    pb->core.id = conf.id;
    pb->core.max = conf.max_connections;
    pb->target.on_resolved = on_resolved;
    pb->target.user = root;
    pb->metrics = meters_of_bucket(root->metrics, conf.id.c_str(), pb->tallies);
    setup_configure(root, pb.get(), conf);
    return pb;
}

void setup_routes(proxy *root) {
    root->routed.clear();
    for (const bucket_config &conf : root->conf->buckets)
        for (auto &pb : root->buckets)
            if (pb->conf == &conf)
                root->routed.push_back(pb.get());
    assert(root->routed.size() == root->conf->buckets.size());
}

int32_t proxy_routed_index(const proxy *root, const proxy_bucket *pb) {
    auto found = std::find(root->routed.begin(), root->routed.end(), pb);
    return found == root->routed.end() ? -1 : static_cast<int32_t>(found - root->routed.begin());
}

static void on_accept(net_listener *l, int fd, const sockaddr_storage &peer) {
    auto *root = static_cast<proxy *>(l->owner);
    session_accept(root, fd, peer, l->tag == setup_shared_port ? nullptr : root->buckets[l->tag].get());
}

bool setup_listener(proxy *root, uint16_t port, uint32_t tag, std::string &error) {
    auto l = std::make_unique<net_listener>();
    const proxy_config &conf = root->conf->proxy;
    l->owner = root;
    l->tag = tag;
    int given = net_take_listening(root->given_sockets, port);
    int rc = given >= 0 ? net_listen_on(root->loop, l.get(), given, on_accept, error)
                        : net_listen(root->loop, l.get(), conf.listen_addr, port, conf.reuse_port, on_accept, error);
    if (rc != 0)
        return false;
    log_info("listening",
             {{"address", conf.listen_addr},
              {"port", l->port},
              {"bucket", tag == setup_shared_port ? std::string_view("by login") : root->buckets[tag]->core.id}});
    root->listeners.push_back(std::move(l));
    ++root->listeners_open;
    return true;
}

static bool open_listeners(proxy *root, std::string &error) {
    if (!setup_listener(root, root->conf->proxy.listen_port, setup_shared_port, error))
        return false;
    for (auto &pb : root->buckets)
        if (pb->conf->listen_port != 0 && !setup_listener(root, pb->conf->listen_port, pb->core.index, error))
            return false;
    for (int unused : root->given_sockets) {
        log_warn("a socket was given whose port no listener has", {{"descriptor", unused}});
        close(unused);
    }
    root->given_sockets.clear();
    return true;
}

static tls_verify verify_of(server_tls mode) {
    switch (mode) {
    case server_tls::verify_ca: return tls_verify::ca;
    case server_tls::verify_full:
    case server_tls::strict: return tls_verify::full;
    default: return tls_verify::none;
    }
}

bool setup_server_tls(proxy *root, const bucket_config &conf, tls_client_context *&out, std::string &error) {
    out = nullptr;
    if (conf.tls == server_tls::disable || conf.mode == pool_mode::passthrough)
        return true;
    tls_client_options options{verify_of(conf.tls), conf.server_ca_file};
    for (const server_tls_context &known : root->server_tls)
        if (known.verify == options.verify && known.ca_file == options.ca_file)
            out = known.context;
    if (out != nullptr)
        return true;
    out = tls_client_context_create(options, error);
    if (out == nullptr) {
        error = "bucket " + conf.id + ": " + error;
        return false;
    }
    root->server_tls.push_back({options.verify, options.ca_file, out});
    return true;
}

bool setup_client_tls(proxy *root, const proxy_config &conf, std::string &error) {
    if (conf.tls == client_tls::disable)
        return true;
    tls_context_options options;
    options.cert_file = conf.tls_cert_file;
    options.key_file = conf.tls_key_file;
    options.self_signed = conf.tls_self_signed_ecdsa ? tls_self_signed::ecdsa : tls_self_signed::rsa;
    options.min_version_13 = conf.tls_min_version_13;
    if (root->tls != nullptr)
        return tls_context_reload(root->tls, options, error);
    root->tls = tls_context_create(options, error);
    return root->tls != nullptr;
}

static bool open_tls(proxy *root, std::string &error) {
    for (auto &pb : root->buckets)
        if (!setup_server_tls(root, *pb->conf, pb->server_tls, error))
            return false;
    return setup_client_tls(root, root->conf->proxy, error);
}

bool proxy_reload(proxy *root, std::string &error) {
    return root->reload(root->reload_user, error);
}

tds_product_version proxy_server_version(const proxy *root, const proxy_bucket *pb) {
    if (!root->conf->proxy.server_version.empty())
        return root->own_version;
    if (pb != nullptr)
        return pb->server_version.major != 0 ? pb->server_version : root->own_version;
    // On a shared port: what all of them can do.
    tds_product_version lowest{};
    for (const auto &other : root->buckets)
        if (other->server_version.major != 0 && (lowest.major == 0 || other->server_version.major < lowest.major))
            lowest = other->server_version;
    return lowest.major != 0 ? lowest : root->own_version;
}

void proxy_learn_version(proxy *, proxy_bucket *pb, const tds_product_version &version) {
    if (version.major == 0)
        return;
    if (pb->server_version.major != version.major)
        log_info("server version", {{"bucket", pb->core.id},
                                    {"major", static_cast<unsigned>(version.major)},
                                    {"minor", static_cast<unsigned>(version.minor)},
                                    {"build", static_cast<unsigned>(version.build)}});
    if (pb->server_version != version) // another server, perhaps
        pb->mars = mars_offer::unknown;
    pb->server_version = version;
}

bool proxy_grants_mars(const proxy *root, const proxy_bucket *pb) {
    if (root->conf->proxy.mars != mars_mode::dedicate)
        return false;
    if (pb != nullptr)
        return pb->mars != mars_offer::declined;
    auto may_grant = [](const auto &b) {
        return b->conf->mode != pool_mode::passthrough && b->mars != mars_offer::declined;
    };
    return std::any_of(root->buckets.begin(), root->buckets.end(), may_grant);
}

void proxy_learn_mars(proxy_bucket *pb, bool granted) {
    mars_offer offer = granted ? mars_offer::granted : mars_offer::declined;
    if (pb->mars != offer)
        log_info("server's answer to MARS", {{"bucket", pb->core.id}, {"granted", granted}});
    pb->mars = offer;
}

static void forget_listener(net_listener *l) {
    --static_cast<proxy *>(l->owner)->listeners_open;
}

void setup_close_listener(net_listener *l) {
    net_listener_close(l, forget_listener);
}

// Who is in the kernel's queue is let in first: a connection that nobody accepts would be lost without a word.
static void close_listeners(proxy *root) {
    for (auto &l : root->listeners) {
        if (l->fd < 0)
            continue;
        net_listener_empty(l.get());
        setup_close_listener(l.get());
    }
}

// A start that failed half-way: of ours only listeners may be open. The loop runs for their close callbacks.
static proxy *start_failed(proxy *root) {
    close_listeners(root);
    while (root->listeners_open > 0)
        uv_run(root->loop, UV_RUN_ONCE);
    proxy_destroy(root);
    return nullptr;
}

proxy *proxy_start(uv_loop_t *loop, const config &conf, ::metrics *m, std::vector<int> given_sockets,
                   std::string &error) {
    auto *root = new proxy;
    root->loop = loop;
    loop->data = &root->clock;
    root->started = uv_now(loop);
    root->conf = &conf;
    root->given_sockets = std::move(given_sockets);
    root->ports_given = !root->given_sockets.empty();
    root->metrics = m;
    root->instance_id = conf.proxy.instance_id;
    root->random.seed(std::random_device{}());
    relay_pool_init(root->relays, conf.proxy.buffer_high, conf.proxy.buffer_low);
    net_outbox_init(root->outbox, root->relays.batch);
    root->scratch.in.resize(conf.proxy.buffer_high + scratch_slack);
    root->scratch.cipher.resize(scratch_cipher);
    setup_own_version(root);
    root->records = login_records_create();
    root->scanner = tsql_scanner_create();
    root->request_reader = tds_request_reader_create(root->scanner, &root->memo);
    if (root->request_reader == nullptr || root->scanner == nullptr) {
        error = "out of memory";
        return start_failed(root);
    }
    if (!digest_key_create(root->secret_key)) {
        error = "the system gives no randomness";
        return start_failed(root);
    }
    for (uint32_t i = 0; i < conf.buckets.size(); ++i)
        root->buckets.push_back(setup_bucket(root, conf.buckets[i], i));
    setup_routes(root);
    if (!open_tls(root, error) || !open_listeners(root, error))
        return start_failed(root);
    coord_callbacks callbacks = slots_callbacks(root);
    root->coordinator = conf.redis.enabled ? coord_redis_create(loop, conf, m, callbacks)
                                           : coord_local_create(loop, conf, m, callbacks);
    for (auto &pb : root->buckets)
        if (pb->conf->mode != pool_mode::passthrough)
            pools_start(root, pb.get());
    maintenance_start(root);
    return root;
}

// ---- stop ------------------------------------------------------------------------------------------------------

void proxy_drain(proxy *root, void (*stopped)(void *), void *user) {
    if (root->draining)
        return;
    root->draining = true;
    root->on_stopped = stopped;
    root->stopped_user = user;
    root->drain_deadline = proxy_now(root) + root->conf->proxy.shutdown_timeout;
    log_info("shutdown: draining",
             {{"sessions", proxy_session_count(root)}, {"timeout_ms", root->conf->proxy.shutdown_timeout}});
    for (auto &pb : root->buckets) {
        slots_deny_newcomers(root, pb.get(), proxy_error::shutdown, "");
        while (client_session *s = list_front(pb->admission))
            session_slot_denied(s, proxy_error::shutdown, "");
    }
    if (root->conf->proxy.reuse_port || root->ports_given)
        close_listeners(root); // another process has the ports, or will
    if (root->publish != nullptr)
        root->publish(root->publish_user, root);
}

void proxy_drain_now(proxy *root) {
    root->drain_deadline = proxy_now(root);
}

static void close_servers(proxy *root) {
    for (auto &pb : root->buckets)
        pools_close_idle(root, pb.get(), "shutdown");
    for (server_state state : {server_state::connecting, server_state::logging_in, server_state::working})
        while (server_conn *c = list_front(root->servers[static_cast<size_t>(state)]))
            server_close(c, "shutdown");
}

static void close_sessions(proxy *root) {
    for (size_t i = 0; i < static_cast<size_t>(session_state::closing); ++i)
        while (client_session *s = list_front(root->sessions[i]))
            session_close(s, "shutdown");
}

static void coordinator_stopped(void *user) {
    auto *root = static_cast<proxy *>(user);
    maintenance_stop(root);
    relay_pool_free(root->relays);
    for (auto &pb : root->buckets)
        net_target_cancel(&pb->target);
    root->on_stopped(root->stopped_user);
}

// Called by the tick only: it may close sessions.
void proxy_drain_tick(proxy *root) {
    if (!root->draining || root->stopping)
        return;
    session_close_resting(root, nullptr, "shutdown");
    bool overdue = proxy_now(root) >= root->drain_deadline;
    if (proxy_session_count(root) > 0 && !overdue)
        return;
    root->stopping = true;
    close_listeners(root);
    for (auto &pb : root->buckets)
        slots_deny_all(root, pb.get(), proxy_error::shutdown, "");
    close_sessions(root);
    close_servers(root);
    proxy_drain_step(root);
}

void proxy_drain_step(proxy *root) {
    if (!root->stopping || root->coord_stopping || proxy_session_count(root) > 0 || root->server_slab.in_use > 0)
        return;
    root->coord_stopping = true;
    coord_stop(root->coordinator, coordinator_stopped, root);
}

void proxy_destroy(proxy *root) {
    if (root->coordinator != nullptr)
        coord_destroy(root->coordinator);
    tls_context_destroy(root->tls);
    relay_pool_free(root->relays);
    login_records_destroy(root->records);
    tds_request_reader_destroy(root->request_reader);
    tsql_scanner_destroy(root->scanner);
    for (auto &pb : root->buckets)
        pool_set_clear(pb->pools);
    for (server_tls_context &known : root->server_tls)
        tls_client_context_destroy(known.context);
    root->loop->data = nullptr;
    delete root;
}
