#include "proxy/snapshot.h"

#include "proxy/proxy.h"

static snapshot_component redis_component(const proxy *root) {
    coord_status status = coord_get_status(root->coordinator);
    bool healthy = status.mode == coord_mode::normal;
    std::string message = coord_mode_name(status.mode);
    if (!status.message.empty())
        message += ": " + status.message;
    return {"redis", healthy, message, status.latency_us};
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
    return {"sqlserver-" + pb.core.id, healthy, off ? "not checked: health_probe is off" : bucket_message(pb.core),
            pb.core.latency_us};
}

proxy_snapshot snapshot_take(const proxy *root) {
    proxy_snapshot s;
    s.instance_id = root->instance_id;
    s.accepting = !root->draining;
    if (root->conf->redis.enabled)
        s.components.push_back(redis_component(root));
    for (const auto &pb : root->buckets)
        if (!pb->removed)
            s.components.push_back(bucket_component(*pb));
    return s;
}
