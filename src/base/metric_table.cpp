#include "base/metric_table.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <map>
#include <mutex>
#include <vector>

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include "base/process_stats.h"

static constexpr size_t metric_count = static_cast<size_t>(metric::count_);

// clang-format off
static constexpr metric_info table[metric_count] = {
    {metric::connections_active, metric_type::gauge, "proxy_connections_active",
     "Slots of the bucket in use on this instance, idle ones apart: server connections that connect, serve a client or close.", {"bucket_id"}},
    {metric::connections_idle, metric_type::gauge, "proxy_connections_idle",
     "Server connections of the bucket that wait in this instance's pool.", {"bucket_id"}},
    {metric::connections_max, metric_type::gauge, "proxy_connections_max",
     "Limit on the bucket's server connections over all instances, as kept in Redis.", {"bucket_id"}},
    {metric::connections_pinned, metric_type::gauge, "proxy_connections_pinned",
     "Server connections kept attached beyond the request, by reason.", {"bucket_id", "pin_reason"}},
    {metric::connections_total, metric_type::counter, "proxy_connections_total",
     "Attempts of clients to get a server connection, by outcome, and server connections given back.", {"bucket_id", "status"}},
    {metric::queue_length, metric_type::gauge, "proxy_queue_length",
     "Client sessions that wait for a slot or a server connection.", {"bucket_id"}},
    {metric::queue_wait_seconds, metric_type::histogram, "proxy_queue_wait_seconds",
     "Time spent waiting in the queue, whatever its end.", {"bucket_id"}},
    {metric::tds_packets_total, metric_type::counter, "proxy_tds_packets_total",
     "TDS packets, by direction and type. In passthrough only PRELOGIN is seen.", {"bucket_id", "direction", "type"}},
    {metric::query_duration_seconds, metric_type::histogram, "proxy_query_duration_seconds",
     "Time from a request's last byte read to its answer's last byte read. Not seen in passthrough.", {"bucket_id"}},
    {metric::connection_errors_total, metric_type::counter, "proxy_connection_errors_total",
     "Client sessions that ended with an error, by kind.", {"bucket_id", "error_type"}},
    {metric::redis_operations_total, metric_type::counter, "proxy_redis_operations_total",
     "Operations sent to Redis, by outcome.", {"operation", "status"}},
    {metric::instance_heartbeat, metric_type::gauge, "proxy_instance_heartbeat",
     "Unix time of the last heartbeat that Redis accepted, 0 when stopped.", {"instance_id"}},
    {metric::pinning_duration_seconds, metric_type::histogram, "proxy_pinning_duration_seconds",
     "How long pins lasted, by reason.", {"bucket_id", "pin_reason"}},
    {metric::slots_excess_total, metric_type::counter, "proxy_slots_excess_total",
     "Slots released without having seen the server close its end: possible excess over the limit.", {"bucket_id"}},
    {metric::slots_in_use, metric_type::gauge, "proxy_slots_in_use",
     "Slots of the bucket in use over all instances, as Redis counted them last.", {"bucket_id"}},
    {metric::attached_total, metric_type::counter, "proxy_attached_total",
     "Requests that got a server connection, by how it was found: idle in the state asked for, put there by a replay or by a reset, "
     "opened, or opened on a slot taken over from another pool.", {"bucket_id", "how"}},
    {metric::pins_total, metric_type::counter, "proxy_pins_total",
     "Pins begun, by reason.", {"bucket_id", "pin_reason"}},
    {metric::session_resets_total, metric_type::counter, "proxy_session_resets_total",
     "Resets of server sessions: on a client's request, on a replay, by a batch of their own; and those that clients asked for.",
     {"bucket_id", "how"}},
    {metric::state_replays_total, metric_type::counter, "proxy_state_replays_total",
     "Batches that put a client's settings on another server connection, by outcome.", {"bucket_id", "outcome"}},
    {metric::prepared_calls_total, metric_type::counter, "proxy_prepared_calls_total",
     "Prepared statements of clients: prepared; executed in place; moved to another connection by the execute itself, or ahead of "
     "it; handles that the session does not have.", {"bucket_id", "how"}},
    {metric::tds_bytes_total, metric_type::counter, "proxy_tds_bytes_total",
     "Bytes behind the login, without TLS where the proxy ends it.", {"bucket_id", "direction"}},
    {metric::server_connections, metric_type::gauge, "proxy_server_connections",
     "Connections to the bucket's server, by state. Those of probes too.", {"bucket_id", "state"}},
    {metric::server_up, metric_type::gauge, "proxy_server_up",
     "0 while the bucket's server is down, else 1; before it has been asked, too.", {"bucket_id"}},
    {metric::server_latency_seconds, metric_type::gauge, "proxy_server_latency_seconds",
     "How long the last connect to the bucket's server, login included, took; 0 when unknown.", {"bucket_id"}},
    {metric::clients, metric_type::gauge, "proxy_clients",
     "Client sessions whose bucket is known.", {"bucket_id"}},
    {metric::client_connections, metric_type::gauge, "proxy_client_connections",
     "Client sessions, by state.", {"state"}},
    {metric::client_connections_total, metric_type::counter, "proxy_client_connections_total",
     "Connections accepted from clients, load balancers' probes too.", {}},
    {metric::logins_total, metric_type::counter, "proxy_logins_total",
     "Logins of clients: answered from a record, by the server, on a connection of their own; refused by the server; failed in the "
     "proxy; abandoned by the client. Not seen in passthrough.", {"bucket_id", "result"}},
    {metric::tls_handshakes_total, metric_type::counter, "proxy_tls_handshakes_total",
     "TLS handshakes completed with clients and with servers, by version; resumed: an older session went on.", {"side", "version", "resumed"}},
    {metric::accepting, metric_type::gauge, "proxy_accepting",
     "1 while new clients are welcome, 0 while draining.", {}},
    {metric::redis_state, metric_type::gauge, "proxy_redis_state",
     "1 for the state in which the coordinator is, 0 for the others. Without Redis there is none.", {"state"}},
    {metric::redis_latency_seconds, metric_type::histogram, "proxy_redis_latency_seconds",
     "Time that Redis took to answer a heartbeat.", {}},
    {metric::fallback_active, metric_type::gauge, "proxy_fallback_active",
     "1 while Redis cannot be reached and the instance lives on its own share.", {}},
    {metric::instances, metric_type::gauge, "proxy_instances",
     "Instances that Redis knew at the last heartbeat, this one too.", {}},
    {metric::loop_delay_seconds, metric_type::histogram, "proxy_loop_delay_seconds",
     "Longest turn of the event loop in each tenth of a second: how long something new may have had to wait.", {}},
    {metric::build_info, metric_type::gauge, "proxy_build_info",
     "1, for what its labels say.", {"version", "openssl", "libuv"}},
    {metric::process_resident_memory_bytes, metric_type::gauge, "process_resident_memory_bytes",
     "Resident memory.", {}},
    {metric::process_cpu_seconds_total, metric_type::counter, "process_cpu_seconds_total",
     "CPU time used, user and system.", {}},
    {metric::process_open_fds, metric_type::gauge, "process_open_fds",
     "Open file descriptors.", {}},
    {metric::process_max_fds, metric_type::gauge, "process_max_fds",
     "Limit on open file descriptors.", {}},
    {metric::process_start_time_seconds, metric_type::gauge, "process_start_time_seconds",
     "Start of the process, Unix time.", {}},
};
// clang-format on

static const prometheus::Histogram::BucketBoundaries boundaries(std::begin(metric_bounds), std::end(metric_bounds));

struct metrics {
    prometheus::Registry registry;
    std::array<prometheus::Family<prometheus::Counter> *, metric_count> counters{};
    std::array<prometheus::Family<prometheus::Gauge> *, metric_count> gauges{};
    std::array<prometheus::Family<prometheus::Histogram> *, metric_count> histograms{};
    std::mutex process_lock; // one thread at a time tells of the process
    double cpu_told = 0;
};

const metric_info &metric_describe(metric id) {
    return table[static_cast<size_t>(id)];
}

metrics *metrics_create() {
    auto *m = new metrics;
    for (size_t i = 0; i < metric_count; ++i) {
        const metric_info &row = table[i];
        assert(static_cast<size_t>(row.id) == i);
        switch (row.type) {
        case metric_type::counter:
            m->counters[i] = &prometheus::BuildCounter().Name(row.name).Help(row.help).Register(m->registry);
            break;
        case metric_type::gauge:
            m->gauges[i] = &prometheus::BuildGauge().Name(row.name).Help(row.help).Register(m->registry);
            break;
        case metric_type::histogram:
            m->histograms[i] = &prometheus::BuildHistogram().Name(row.name).Help(row.help).Register(m->registry);
            break;
        }
    }
    return m;
}

void metrics_destroy(metrics *m) {
    delete m;
}

static std::map<std::string, std::string> label_map(const metric_info &row, metric_labels values) {
    std::map<std::string, std::string> labels;
    size_t i = 0;
    for (std::string_view value : values) {
        assert(i < std::size(row.labels) && row.labels[i] != nullptr);
        labels[row.labels[i++]] = std::string(value);
    }
    assert(i == std::size(row.labels) || row.labels[i] == nullptr);
    return labels;
}

// The opaque handles are prometheus-cpp's own objects under another name.
metric_counter_handle *metric_counter(metrics *m, metric id, metric_labels values) {
    auto *family = m->counters[static_cast<size_t>(id)];
    assert(family != nullptr);
    return reinterpret_cast<metric_counter_handle *>(&family->Add(label_map(metric_describe(id), values)));
}

metric_gauge_handle *metric_gauge(metrics *m, metric id, metric_labels values) {
    auto *family = m->gauges[static_cast<size_t>(id)];
    assert(family != nullptr);
    return reinterpret_cast<metric_gauge_handle *>(&family->Add(label_map(metric_describe(id), values)));
}

metric_histogram_handle *metric_histogram(metrics *m, metric id, metric_labels values) {
    auto *family = m->histograms[static_cast<size_t>(id)];
    assert(family != nullptr);
    return reinterpret_cast<metric_histogram_handle *>(
        &family->Add(label_map(metric_describe(id), values), boundaries));
}

void counter_add(metric_counter_handle *c, double n) {
    reinterpret_cast<prometheus::Counter *>(c)->Increment(n);
}
double counter_value(const metric_counter_handle *c) {
    return reinterpret_cast<const prometheus::Counter *>(c)->Value();
}
void gauge_set(metric_gauge_handle *g, double value) {
    reinterpret_cast<prometheus::Gauge *>(g)->Set(value);
}
void histogram_observe(metric_histogram_handle *h, double value) {
    reinterpret_cast<prometheus::Histogram *>(h)->Observe(value);
}

void tally_publish(metric_tally &t) {
    if (t.value == t.told)
        return;
    counter_add(t.counter, static_cast<double>(t.value - t.told));
    t.told = t.value;
}

void tally_observe(metric_histogram_tally &t, double seconds) {
    size_t bucket = 0;
    while (bucket < std::size(metric_bounds) && seconds > metric_bounds[bucket])
        ++bucket;
    ++t.untold[bucket];
    ++t.count;
    t.untold_sum += seconds;
    t.sum += seconds;
}

void tally_publish(metric_histogram_tally &t) {
    if (t.count == t.told)
        return;
    std::vector<double> increments(std::begin(t.untold), std::end(t.untold));
    reinterpret_cast<prometheus::Histogram *>(t.histogram)->ObserveMultiple(increments, t.untold_sum);
    std::fill(std::begin(t.untold), std::end(t.untold), 0);
    t.untold_sum = 0;
    t.told = t.count;
}

static void tell_process(metrics *m) {
    std::lock_guard guard(m->process_lock);
    process_stats now = process_stats_read();
    gauge_set(metric_gauge(m, metric::process_resident_memory_bytes, {}), static_cast<double>(now.resident_bytes));
    gauge_set(metric_gauge(m, metric::process_open_fds, {}), static_cast<double>(now.open_fds));
    gauge_set(metric_gauge(m, metric::process_max_fds, {}), static_cast<double>(now.max_fds));
    gauge_set(metric_gauge(m, metric::process_start_time_seconds, {}), now.started);
    counter_add(metric_counter(m, metric::process_cpu_seconds_total, {}), now.cpu_seconds - m->cpu_told);
    m->cpu_told = now.cpu_seconds;
}

std::string metrics_serialize(metrics *m) {
    tell_process(m);
    return prometheus::TextSerializer().Serialize(m->registry.Collect());
}
