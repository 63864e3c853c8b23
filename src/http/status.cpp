// The JSON that the status page lives on. Contract in http_body.h.
#include "http/http_body.h"
#include "http/json.h"

namespace {

json counts_json(const std::vector<snapshot_count> &counts) {
    json all = json::object();
    for (const snapshot_count &c : counts)
        all[c.name] = c.count;
    return all;
}

json bucket_json(const snapshot_bucket &b) {
    return {{"id", b.id},
            {"mode", b.mode},
            {"limit", b.limit},
            {"in_use", b.in_use},
            {"active", b.active},
            {"idle", b.idle},
            {"queue", b.queue},
            {"longest_wait_ms", b.longest_wait_ms},
            {"clients", b.clients},
            {"pinned", counts_json(b.pinned)},
            {"servers", counts_json(b.servers)},
            {"requests", b.requests},
            {"request_ms", static_cast<double>(b.request_us) / 1000},
            {"errors", b.errors}};
}

json component_json(const snapshot_component &c) {
    return {{"name", c.name},
            {"healthy", c.healthy},
            {"message", c.message},
            {"latency_ms", static_cast<double>(c.latency_us) / 1000}};
}

template <uint32_t history_sample::*what> json series(const bucket_history &b) {
    json values = json::array();
    for (const history_sample &s : b.samples)
        values.push_back(s.*what);
    return values;
}

} // namespace

std::string status_json(const proxy_snapshot &s, const status_process &process, int64_t unix_ms) {
    json buckets = json::array(), components = json::array();
    for (const snapshot_bucket &b : s.buckets)
        buckets.push_back(bucket_json(b));
    for (const snapshot_component &c : s.components)
        components.push_back(component_json(c));
    return json_text({{"instance_id", s.instance_id},
                      {"version", process.version},
                      {"timestamp", rfc3339(unix_ms)},
                      {"uptime_s", static_cast<double>(unix_ms) / 1000 - process.started},
                      {"healthy", health_ready(s)},
                      {"accepting", s.accepting},
                      {"redis", s.redis_state},
                      {"instances", s.instances},
                      {"memory_bytes", process.resident_bytes},
                      {"loop_delay_ms", static_cast<double>(s.loop_delay_us) / 1000},
                      {"clients", counts_json(s.clients)},
                      {"errors", s.errors},
                      {"buckets", buckets},
                      {"components", components}});
}

std::string history_json(const status_history &h) {
    json buckets = json::array();
    for (const bucket_history &b : h.buckets)
        buckets.push_back({{"id", b.id},
                           {"active", series<&history_sample::active>(b)},
                           {"idle", series<&history_sample::idle>(b)},
                           {"queue", series<&history_sample::queue>(b)}});
    return json_text({{"interval_ms", history_interval_ms}, {"buckets", buckets}});
}
