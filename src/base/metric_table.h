// The metric table: every series' name, type, labels and help in one place, over a prometheus-cpp registry.
//
// Counters and gauges are looked up once (metric_counter, metric_gauge: a map look-up by label values) and then kept as
// handles, so that a hot path pays one atomic add. Handles live as long as the registry. Thread-safe.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <string>
#include <string_view>

enum class metric : uint8_t {
    connections_active,
    connections_idle,
    connections_max,
    connections_pinned,
    connections_total,
    queue_length,
    queue_wait_seconds,
    tds_packets_total,
    query_duration_seconds,
    connection_errors_total,
    redis_operations_total,
    instance_heartbeat,
    pinning_duration_seconds,
    slots_excess_total,
    slots_in_use,
    attached_total,
    pins_total,
    session_resets_total,
    state_replays_total,
    prepared_calls_total,
    tds_bytes_total,
    server_connections,
    server_up,
    server_latency_seconds,
    clients,
    client_connections,
    client_connections_total,
    logins_total,
    tls_handshakes_total,
    accepting,
    redis_state,
    redis_latency_seconds,
    fallback_active,
    instances,
    loop_delay_seconds,
    build_info,
    process_resident_memory_bytes,
    process_cpu_seconds_total,
    process_open_fds,
    process_max_fds,
    process_start_time_seconds,
    count_,
};

enum class metric_type : uint8_t { gauge, counter, histogram };

struct metric_info {
    metric id;
    metric_type type;
    const char *name;
    const char *help;
    const char *labels[3]; // names, in the order in which values are given; unused ones nullptr
};

// The row of the table for `id`; `metric_table_size` rows in all.
const metric_info &metric_describe(metric id);

struct metric_counter_handle; // opaque
struct metric_gauge_handle;
struct metric_histogram_handle;
struct metrics;

metrics *metrics_create();
void metrics_destroy(metrics *);

// Label values in the table's order. Never null; asserts that the type fits and the number of values is right.
using metric_labels = std::initializer_list<std::string_view>;
metric_counter_handle *metric_counter(metrics *, metric id, metric_labels values);
metric_gauge_handle *metric_gauge(metrics *, metric id, metric_labels values);
metric_histogram_handle *metric_histogram(metrics *, metric id, metric_labels values);

void counter_add(metric_counter_handle *, double n = 1);
double counter_value(const metric_counter_handle *);
void gauge_set(metric_gauge_handle *, double value);
void histogram_observe(metric_histogram_handle *, double value);

// A counter of the hot path: a plain integer of one thread, which tells the registry now and then.
struct metric_tally {
    uint64_t value = 0;
    uint64_t told = 0;
    metric_counter_handle *counter = nullptr;
};
inline void tally_add(metric_tally &t, uint64_t n = 1) {
    t.value += n;
}
void tally_publish(metric_tally &);

// The upper bounds of every histogram's buckets, in seconds.
inline constexpr double metric_bounds[] = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                           0.25,   0.5,   1,      2.5,   5,    10,    30,   60};

// A histogram of the hot path, likewise.
struct metric_histogram_tally {
    uint64_t count = 0; // of all observations
    uint64_t told = 0;
    double sum = 0;
    double untold_sum = 0;
    uint32_t untold[std::size(metric_bounds) + 1] = {};
    metric_histogram_handle *histogram = nullptr;
};
void tally_observe(metric_histogram_tally &, double seconds);
void tally_publish(metric_histogram_tally &);

// Prometheus text format 0.0.4 of everything, for any thread. What tells of the process is read for it.
std::string metrics_serialize(metrics *);
