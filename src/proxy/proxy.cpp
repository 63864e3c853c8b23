#include "proxy/proxy.h"

#include <cassert>
#include <cstdio>
#include <random>

#include "base/log.h"
#include "proxy/maintenance.h"
#include "proxy/slots.h"
#include "tls/tls_context.h"

static constexpr const char *outcome_names[] = {"acquired",  "acquired_after_wait", "released", "timeout",
                                                "cancelled", "rejected_queue_full", "error"};
static_assert(std::size(outcome_names) == static_cast<size_t>(slot_outcome::count_));

// Reasons of pins of transaction mode. None happens in passthrough; dashboards find the series at 0.
static constexpr const char *pin_reasons[] = {"transaction", "cursor", "temp_table", "bulk_load",   "session_state",
                                              "handle",      "auth",   "mars",       "last_values", "prepared"};

static constexpr const char *error_types[] = {"queue_full", "queue_timeout", "no_slot", "no_bucket", "connect",
                                              "login",      "tls",           "timeout", "protocol",  "server_lost",
                                              "rate_limit", "shutdown",      "redis",   "internal"};

size_t proxy_unauthenticated(const proxy *p) {
    return p->sessions[static_cast<size_t>(session_state::greeting)].count +
           p->sessions[static_cast<size_t>(session_state::refusing)].count;
}

size_t proxy_admitted(const proxy *p) {
    size_t count = 0;
    for (session_state state : {session_state::waiting, session_state::connecting, session_state::relaying})
        count += p->sessions[static_cast<size_t>(state)].count;
    return count;
}

size_t proxy_session_count(const proxy *p) {
    return p->session_slab.in_use;
}

// ---- start -----------------------------------------------------------------------------------------------------

static bucket_metrics metrics_of(metrics *m, const std::string &id) {
    bucket_metrics b{};
    b.active = metric_gauge(m, metric::connections_active, {id});
    b.idle = metric_gauge(m, metric::connections_idle, {id});
    b.max = metric_gauge(m, metric::connections_max, {id});
    b.queue_length = metric_gauge(m, metric::queue_length, {id});
    for (size_t i = 0; i < std::size(outcome_names); ++i)
        b.outcome[i] = metric_counter(m, metric::connections_total, {id, outcome_names[i]});
    b.prelogin_in = metric_counter(m, metric::tds_packets_total, {id, "client_to_proxy", "prelogin"});
    b.prelogin_to_server = metric_counter(m, metric::tds_packets_total, {id, "proxy_to_server", "prelogin"});
    b.prelogin_from_server = metric_counter(m, metric::tds_packets_total, {id, "server_to_proxy", "prelogin"});
    b.prelogin_out = metric_counter(m, metric::tds_packets_total, {id, "proxy_to_client", "prelogin"});
    b.excess = metric_counter(m, metric::slots_excess_total, {id});
    b.queue_wait = metric_histogram(m, metric::queue_wait_seconds, {id});
    metric_histogram(m, metric::query_duration_seconds, {id});
    for (const char *type : error_types)
        metric_counter(m, metric::connection_errors_total, {id, type});
    for (const char *reason : pin_reasons)
        metric_gauge(m, metric::connections_pinned, {id, reason});
    return b;
}

static void on_resolved(void *user, net_target *target, int status) {
    auto *root = static_cast<proxy *>(user);
    auto *pb = container_of(target, proxy_bucket, target);
    if (status != 0)
        log_warn("host name cannot be resolved",
                 {{"bucket", pb->core.id}, {"host", target->host}, {"error", uv_strerror(status)}});
    server_addresses_ready(root, pb, status);
}

static std::unique_ptr<proxy_bucket> make_bucket(proxy *root, const bucket_config &conf, uint32_t index) {
    auto pb = std::make_unique<proxy_bucket>();
    pb->conf = &conf;
    pb->core.index = index;
    pb->core.id = conf.id;
    pb->core.max = conf.max_connections;
    pb->core.limits.max_queue_size = conf.max_queue_size;
    pb->core.limits.queue_timeout = conf.queue_timeout;
    pb->core.limits.queue_poll = root->conf->proxy.queue_poll;
    pb->core.retry = {conf.retry_backoff_min, conf.retry_backoff_max, 0};
    pb->target.host = conf.host;
    pb->target.port = conf.port;
    pb->target.ttl = root->conf->proxy.dns_ttl;
    pb->target.on_resolved = on_resolved;
    pb->target.user = root;
    pb->metrics = metrics_of(root->metrics, conf.id);
    return pb;
}

static int32_t find_default_bucket(const config &conf) {
    const std::string &name = conf.proxy.default_bucket;
    if (name.empty())
        return 0;
    for (size_t i = 0; i < conf.buckets.size(); ++i)
        if (conf.buckets[i].id == name)
            return static_cast<int32_t>(i);
    return -1; // "none"
}

static constexpr uint32_t shared_port = UINT32_MAX;

static void on_accept(net_listener *l, int fd, const sockaddr_storage &peer) {
    auto *root = static_cast<proxy *>(l->owner);
    session_accept(root, fd, peer, l->tag == shared_port ? nullptr : root->buckets[l->tag].get());
}

static bool add_listener(proxy *root, uint16_t port, uint32_t tag, std::string &error) {
    auto l = std::make_unique<net_listener>();
    const proxy_config &conf = root->conf->proxy;
    l->owner = root;
    l->tag = tag;
    if (net_listen(root->loop, l.get(), conf.listen_addr, port, conf.reuse_port, on_accept, error) != 0)
        return false;
    log_info("listening",
             {{"address", conf.listen_addr},
              {"port", l->port},
              {"bucket", tag == shared_port ? std::string_view("by login") : root->buckets[tag]->core.id}});
    root->listeners.push_back(std::move(l));
    ++root->listeners_open;
    return true;
}

static bool open_listeners(proxy *root, std::string &error) {
    if (!add_listener(root, root->conf->proxy.listen_port, shared_port, error))
        return false;
    for (auto &pb : root->buckets)
        if (pb->conf->listen_port != 0 && !add_listener(root, pb->conf->listen_port, pb->core.index, error))
            return false;
    return true;
}

static bool open_tls(proxy *root, std::string &error) {
    const proxy_config &conf = root->conf->proxy;
    if (conf.tls == client_tls::disable)
        return true;
    tls_context_options options;
    options.cert_file = conf.tls_cert_file;
    options.key_file = conf.tls_key_file;
    options.self_signed = conf.tls_self_signed_ecdsa ? tls_self_signed::ecdsa : tls_self_signed::rsa;
    options.min_version_13 = conf.tls_min_version_13;
    root->tls = tls_context_create(options, error);
    return root->tls != nullptr;
}

// "16.0.4135"; the option table has checked its form.
static tds_product_version parse_version(const std::string &text) {
    unsigned part[4] = {16, 0, 0, 0};
    sscanf(text.c_str(), "%u.%u.%u.%u", &part[0], &part[1], &part[2], &part[3]);
    return {static_cast<uint8_t>(part[0]), static_cast<uint8_t>(part[1]), static_cast<uint16_t>(part[2]),
            static_cast<uint16_t>(part[3])};
}

static void forget_listener(net_listener *l) {
    --static_cast<proxy *>(l->owner)->listeners_open;
}

static void close_listeners(proxy *root) {
    for (auto &l : root->listeners)
        if (l->fd >= 0)
            net_listener_close(l.get(), forget_listener);
}

// A start that failed half-way: of ours only listeners may be open. The loop runs for their close callbacks.
static proxy *start_failed(proxy *root) {
    close_listeners(root);
    while (root->listeners_open > 0)
        uv_run(root->loop, UV_RUN_ONCE);
    proxy_destroy(root);
    return nullptr;
}

proxy *proxy_start(uv_loop_t *loop, const config &conf, ::metrics *m, std::string &error) {
    auto *root = new proxy;
    root->loop = loop;
    root->conf = &conf;
    root->metrics = m;
    root->instance_id = conf.proxy.instance_id;
    root->random.seed(std::random_device{}());
    root->default_bucket = find_default_bucket(conf);
    relay_pool_init(root->relays, conf.proxy.buffer_high, conf.proxy.buffer_low);
    root->server_version = parse_version(conf.proxy.server_version);
    for (uint32_t i = 0; i < conf.buckets.size(); ++i)
        root->buckets.push_back(make_bucket(root, conf.buckets[i], i));
    if (!open_tls(root, error) || !open_listeners(root, error))
        return start_failed(root);
    coord_callbacks callbacks = slots_callbacks(root);
    root->coordinator = conf.redis.enabled ? coord_redis_create(loop, conf, m, callbacks)
                                           : coord_local_create(loop, conf, m, callbacks);
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
    for (auto &pb : root->buckets)
        slots_deny_all(root, pb.get(), proxy_error::shutdown, "");
    if (root->publish != nullptr)
        root->publish(root->publish_user, root);
}

void proxy_drain_now(proxy *root) {
    root->drain_deadline = proxy_now(root);
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
    bool overdue = proxy_now(root) >= root->drain_deadline;
    if (proxy_session_count(root) > 0 && !overdue)
        return;
    root->stopping = true;
    close_listeners(root);
    close_sessions(root);
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
    delete root;
}
