#include "proxy/snapshot.h"

#include "config/option_table.h"
#include "pool/server_pool.h"
#include "proxy/pools.h"
#include "proxy/proxy.h"
#include "proxy/slots.h"

static snapshot_component redis_component(const proxy *root) {
    coord_status status = coord_get_status(root->coordinator);
    bool healthy = status.mode == coord_mode::normal;
    std::string message = coord_mode_name(status.mode);
    if (!status.message.empty())
        message += ": " + status.message;
    return {"redis", healthy, true, message, status.latency_us};
}

static std::string bucket_message(const bucket &b) {
    switch (b.health) {
    case server_health::unknown: return b.last_error.empty() ? "not checked yet" : b.last_error;
    case server_health::down: return "down: " + b.last_error;
    case server_health::up: break;
    }
    // One failure does not make it down, but should not look like health either.
    return b.failures > 0 ? "failing: " + b.last_error : "connected";
}

static snapshot_component bucket_component(const proxy_bucket &pb) {
    bool off = pb.conf->probe == health_probe::off && pb.core.health == server_health::unknown;
    bool healthy = off || (pb.core.health == server_health::up && pb.core.failures == 0);
    return {"sqlserver-" + pb.core.id, healthy, true,
            off ? "not checked: health_probe is off" : bucket_message(pb.core), pb.core.latency_us};
}

static snapshot_bucket bucket_now(const proxy *root, const proxy_bucket &pb) {
    snapshot_bucket b;
    b.id = pb.core.id;
    b.mode = option_mode_name(pb.conf->mode);
    b.limit = pb.core.max;
    b.in_use = coord_get_bucket_status(root->coordinator, pb.core.index).count;
    b.idle = pool_set_idle_count(pb.pools);
    b.active = pb.core.used - b.idle;
    b.queue = static_cast<uint32_t>(slots_clients_waiting(&pb));
    if (const waiter *first = slots_first_client(&pb); first != nullptr)
        b.longest_wait_ms = proxy_now(root) - first->since;
    b.clients = pb.clients;
    for (size_t i = 0; i < pin_reason_count; ++i)
        if (pb.pinned[i] > 0)
            b.pinned.push_back({pin_reason_name(static_cast<pin_reason>(i)), pb.pinned[i]});
    for (size_t i = 0; i < server_state_count; ++i)
        if (pb.servers[i] > 0)
            b.servers.push_back({server_state_name(static_cast<server_state>(i)), pb.servers[i]});
    b.requests = pb.tallies.query_duration.count;
    b.request_us = static_cast<uint64_t>(pb.tallies.query_duration.sum * 1e6);
    b.errors = pb.tallies.errors;
    return b;
}

static void add_sessions(const proxy *root, proxy_snapshot &s) {
    for (size_t i = 0; i < static_cast<size_t>(session_state::closing); ++i)
        if (root->sessions[i].count > 0)
            s.clients.push_back({session_state_name(static_cast<session_state>(i)), root->sessions[i].count});
}

proxy_snapshot snapshot_take(const proxy *root) {
    coord_status coordinator = coord_get_status(root->coordinator);
    proxy_snapshot s;
    s.instance_id = root->instance_id;
    s.accepting = !root->draining;
    s.instances = std::move(coordinator.instances);
    s.loop_delay_us = root->longest_recent / 1000;
    s.errors = root->errors;
    add_sessions(root, s);
    if (root->conf->redis.enabled) {
        s.redis_state = coord_mode_name(coordinator.mode);
        s.components.push_back(redis_component(root));
    }
    for (const auto &pb : root->buckets) {
        if (!pb->removed)
            s.components.push_back(bucket_component(*pb));
        if (!pb->gone)
            s.buckets.push_back(bucket_now(root, *pb));
    }
    return s;
}
