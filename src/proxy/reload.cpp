#include "proxy/reload.h"

#include <cassert>

#include "base/log.h"
#include "config/reconcile.h"
#include "coord/coord.h"
#include "proxy/client_session.h"
#include "proxy/pools.h"
#include "proxy/proxy.h"
#include "proxy/proxy_setup.h"
#include "proxy/slots.h"

static void report(const std::vector<config_change> &changes) {
    for (const config_change &change : changes) {
        switch (change.what) {
        case config_change::kind::applied: log_info("reload: changed", {{"key", change.where}}); break;
        case config_change::kind::added: log_info("reload: added", {{"key", change.where}}); break;
        case config_change::kind::removed: log_info("reload: removed", {{"key", change.where}}); break;
        case config_change::kind::needs_restart:
            log_warn("reload: needs a restart, the old value stays", {{"key", change.where}});
            break;
        }
    }
}

// ---- buckets ---------------------------------------------------------------------------------------------------

static proxy_bucket *find_bucket(proxy *root, const std::string &id) {
    for (auto &pb : root->buckets)
        if (pb->core.id == id)
            return pb.get();
    return nullptr;
}

static void remove_bucket(proxy *root, proxy_bucket *pb) {
    pb->removed = true;
    for (auto &l : root->listeners)
        if (l->tag == pb->core.index && l->fd >= 0)
            setup_close_listener(l.get());
    bucket_cancel(pb->core, pb->warm_wait);
    bucket_cancel(pb->core, pb->probe_wait);
    slots_deny_all(root, pb, proxy_error::no_bucket, "the bucket has been removed");
    while (client_session *s = list_front(pb->admission))
        session_slot_denied(s, proxy_error::no_bucket, "the bucket has been removed");
    reload_removed_tick(root, pb);
}

void reload_removed_tick(proxy *root, proxy_bucket *pb) {
    if (pb->gone)
        return;
    session_close_resting(root, pb, "bucket removed");
    pools_retire_idle(pb, "bucket removed");
    if (pb->core.used > 0 || pb->core.want_outstanding)
        return;
    coord_remove(root->coordinator, pb->core.index);
    gauge_set(pb->metrics.max, 0);
    pb->gone = true;
    log_info("removed bucket has let go of its last server connection", {{"bucket", pb->core.id}});
}

static void open_own_port(proxy *root, const proxy_bucket *pb) {
    std::string error;
    if (pb->conf->listen_port != 0 && !setup_listener(root, pb->conf->listen_port, pb->core.index, error))
        log_error("reload: the bucket has no port of its own", {{"bucket", pb->core.id}, {"error", error}});
}

static proxy_bucket *add_bucket(proxy *root, const bucket_config &conf) {
    proxy_bucket *pb = find_bucket(root, conf.id); // removed once
    if (pb == nullptr) {
        root->buckets.push_back(setup_bucket(root, conf, static_cast<uint32_t>(root->buckets.size())));
        pb = root->buckets.back().get();
    }
    pb->removed = pb->gone = pb->core.paused = false;
    setup_configure(root, pb, conf);
    open_own_port(root, pb);
    return pb;
}

static void apply_bucket(proxy *root, const bucket_config &conf) {
    proxy_bucket *pb = find_bucket(root, conf.id);
    if (pb == nullptr || pb->removed)
        pb = add_bucket(root, conf);
    bool moves = pb->target.host != conf.host || pb->target.port != conf.port;
    setup_configure(root, pb, conf);
    std::string error;
    bool made = setup_server_tls(root, conf, pb->server_tls, error);
    assert(made); // they all are there by now
    (void)made;
    uint32_t index = coord_configure(root->coordinator, conf);
    assert(index == pb->core.index);
    (void)index;
    if (conf.mode == pool_mode::passthrough)
        return;
    pools_start(root, pb);
    if (moves)
        pools_server_moved(root, pb);
}

// ---- reload ----------------------------------------------------------------------------------------------------

// Whatever may fail, before anything has changed.
static bool prepare(proxy *root, const config &fresh, std::string &error) {
    tls_client_context *context = nullptr;
    for (const bucket_config &conf : fresh.buckets)
        if (!setup_server_tls(root, conf, context, error))
            return false;
    return setup_client_tls(root, fresh.proxy, error);
}

bool reload_apply(proxy *root, config &now, std::unique_ptr<config> fresh, std::string &error) {
    assert(root->conf == &now);
    if (root->draining) {
        error = "shutting down";
        return false;
    }
    std::vector<config_change> changes = config_reconcile(now, *fresh);
    if (!prepare(root, *fresh, error))
        return false;
    report(changes);
    std::swap(now, *fresh);
    bool kept = false; // something still points into the old one
    for (auto &pb : root->buckets) {
        if (config_find_bucket(now, pb->core.id) != nullptr)
            continue;
        kept |= !pb->removed;
        if (!pb->removed)
            remove_bucket(root, pb.get());
    }
    for (const bucket_config &conf : now.buckets)
        apply_bucket(root, conf);
    setup_routes(root);
    setup_own_version(root);
    config_wipe(*fresh);
    if (kept)
        root->past.push_back(std::move(fresh));
    log_info("reloaded", {{"changes", changes.size()}, {"buckets", now.buckets.size()}});
    return true;
}
