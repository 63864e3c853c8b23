#include "proxy/probe.h"

#include <cstring>

#include "base/log.h"
#include "proxy/proxy.h"
#include "proxy/server_auth.h"
#include "proxy/server_task.h"
#include "proxy/slots.h"
#include "tds/packet.h"
#include "tds/prelogin.h"

static constexpr uint64_t probe_timeout = 5'000;

static bool probe_due(const proxy *root, const proxy_bucket *pb, uint64_t now) {
    bool down = pb->core.health == server_health::down; // then nobody else would find out that it is back
    if ((pb->conf->probe == health_probe::off && !down) || root->draining || pb->probe != nullptr)
        return false;
    if (waitq_length(pb->core.queue) > 0 || pb->core.surplus > 0)
        return false; // clients first
    if (down)
        return now >= pb->core.probe_at;
    return now >= pb->core.probe_at && now - pb->core.last_ok >= root->conf->proxy.health_check_interval;
}

void probe_tick(proxy *root, proxy_bucket *pb, uint64_t now) {
    if (!probe_due(root, pb, now))
        return;
    pb->core.probe_at = now + root->conf->proxy.health_check_interval;
    pb->probe_wait.kind = waiter_kind::probe;
    if (slots_request(root, pb, pb->probe_wait) == bucket_verdict::wait)
        pb->probe_wait.deadline = now + probe_timeout; // it is alone in the queue: the order of deadlines holds
}

void probe_slot_granted(proxy *root, proxy_bucket *pb) {
    pb->probe = server_open(root, pb, server_purpose::probe, nullptr);
    if (pb->probe == nullptr) {
        slots_release(root, pb);
        return;
    }
    pb->probe->who = pb->own_login;
    pb->probe->deadline = proxy_now(root) + probe_timeout;
}

void probe_slot_refused(proxy *root, proxy_bucket *pb) {
    if (!waitq_contains(pb->core.queue, pb->probe_wait))
        return;
    bucket_cancel(pb->core, pb->probe_wait);
    bool up = pb->core.health == server_health::up;
    pb->core.probe_at = proxy_now(root) + (up ? root->conf->proxy.health_check_interval : pb->core.limits.queue_poll);
}

static void probe_end(server_conn *c) {
    c->bucket->probe = nullptr;
}

static bool logs_in(const proxy_bucket *pb) {
    return pb->conf->probe == health_probe::login && pb->own_login;
}

// So that clients are told the truth.
static bool asks_mars(const server_conn *c) {
    return c->root->conf->proxy.mars == mars_mode::dedicate;
}

void probe_connected(server_conn *c) {
    c->deadline = proxy_now(c->root) + c->bucket->conf->connection_timeout;
    if (logs_in(c->bucket)) {
        server_auth_begin(c);
        return;
    }
    std::vector<uint8_t> request;
    tds_prelogin_request_build({}, tds_encrypt_not_supported, request, false, asks_mars(c));
    ssize_t n = net_send(&c->conn.conn, request);
    if (n != static_cast<ssize_t>(request.size())) {
        probe_failed(c, "cannot send PRELOGIN");
        return;
    }
    net_conn_watch(&c->conn.conn, net_readable);
}

void probe_done(server_conn *c) {
    probe_end(c);
    slots_server_up(c->root, c->bucket, (uv_hrtime() - c->try_started) / 1000);
    server_close(c, "probe done");
}

void probe_refused(server_conn *c) {
    bucket &b = c->bucket->core;
    probe_done(c);
    b.failures = 1;
    b.last_error = "login refused";
}

static void learn(server_conn *c, std::span<const uint8_t> packet) {
    tds_prelogin options;
    if (tds_prelogin_parse(packet.subspan(tds_header_size), options) != tds_prelogin_error::none)
        return;
    proxy_learn_version(c->root, c->bucket, options.version);
    if (asks_mars(c))
        proxy_learn_mars(c->bucket, tds_prelogin_mars_on(options));
}

void probe_readable(server_conn *c) {
    uint8_t answer[512];
    ssize_t n = net_recv(&c->conn.conn, answer);
    if (n == net_again)
        return;
    tds_header header{};
    // One segment in practice: an answer that comes in pieces of fewer than eight bytes is no SQL Server's.
    bool fine = n > 0 && tds_header_parse({answer, static_cast<size_t>(n)}, tds_initial_packet_size, header) ==
                             tds_header_result::ok;
    if (!fine || header.type != tds_type_response) {
        probe_failed(c, n == 0 ? "closed instead of answering PRELOGIN"
                               : (n < 0 ? strerror(static_cast<int>(-n)) : "no TDS answer to PRELOGIN"));
        return;
    }
    learn(c, {answer, static_cast<size_t>(n)});
    probe_done(c);
}

void probe_logged_in(server_conn *c) {
    server_task_start(c, server_task::check);
}

void probe_failed(server_conn *c, const char *detail) {
    proxy *root = c->root;
    proxy_bucket *pb = c->bucket;
    probe_end(c);
    slots_server_failed(root, pb, detail);
    if (pb->core.health != server_health::down)
        pb->core.probe_at = proxy_now(root) + pb->core.retry.min; // find out soon whether it is down
    server_close(c, "probe failed");
}
