#include "proxy/meters.h"

#include <cassert>
#include <iterator>
#include <string_view>
#include <vector>

#include "proxy/pools.h"
#include "proxy/proxy.h"
#include "proxy/slots.h"
#include "tds/packet.h"

static constexpr const char *outcome_names[] = {"acquired",  "acquired_after_wait", "released", "timeout",
                                                "cancelled", "rejected_queue_full", "error"};
static_assert(std::size(outcome_names) == static_cast<size_t>(slot_outcome::count_));

static constexpr const char *error_types[] = {"queue_full", "queue_timeout", "no_slot", "no_bucket", "connect",
                                              "login",      "tls",           "timeout", "protocol",  "server_lost",
                                              "rate_limit", "shutdown",      "redis",   "internal"};

static constexpr const char *direction_names[] = {"client_to_proxy", "proxy_to_client", "proxy_to_server",
                                                  "server_to_proxy"};
static_assert(std::size(direction_names) == packet_directions);

// A response to a login counts as login too: the proxy tells them apart.
static constexpr struct {
    uint8_t type;
    const char *name;
} packet_names[] = {{tds_type_sql_batch, "batch"},     {tds_type_rpc, "rpc"},           {tds_type_login7, "login"},
                    {tds_type_prelogin, "prelogin"},   {tds_type_transaction, "tm"},    {tds_type_bulk, "bulk"},
                    {tds_type_attention, "attention"}, {tds_type_response, "response"}, {tds_type_sspi, "sspi"},
                    {tds_type_fedauth, "fedauth"}};

static constexpr const char *attach_names[] = {"exact", "replayed", "reset", "opened", "taken_over"};
static_assert(std::size(attach_names) == static_cast<size_t>(attach_how::count_));
static constexpr const char *login_names[] = {"record", "server", "dedicated", "refused", "failed", "abandoned"};
static_assert(std::size(login_names) == static_cast<size_t>(login_result::count_));
static constexpr const char *reset_names[] = {"request", "replay", "alone", "client"};
static_assert(std::size(reset_names) == static_cast<size_t>(reset_how::count_));
static constexpr const char *replay_names[] = {"done", "refused"};
static_assert(std::size(replay_names) == static_cast<size_t>(replay_outcome::count_));
static constexpr const char *prepared_names[] = {"prepared", "in_place", "moved", "ahead", "unknown"};
static_assert(std::size(prepared_names) == static_cast<size_t>(prepared_how::count_));
static_assert(server_state_count == static_cast<size_t>(server_state::count_));

// ---- handles ---------------------------------------------------------------------------------------------------

template <size_t n>
static void counters_of(metrics *m, metric id, std::string_view bucket, const char *const (&names)[n],
                        metric_tally (&out)[n]) {
    for (size_t i = 0; i < n; ++i)
        out[i].counter = metric_counter(m, id, {bucket, names[i]});
}

template <size_t n>
static void counters_of(metrics *m, metric id, std::string_view bucket, const char *const (&names)[n],
                        metric_counter_handle *(&out)[n]) {
    for (size_t i = 0; i < n; ++i)
        out[i] = metric_counter(m, id, {bucket, names[i]});
}

static void packets_of(metrics *m, std::string_view id, bucket_tallies &t) {
    for (size_t d = 0; d < packet_directions; ++d)
        for (const auto &packet : packet_names)
            t.packets[d][packet.type].counter =
                metric_counter(m, metric::tds_packets_total, {id, direction_names[d], packet.name});
}

static void pins_of(metrics *m, std::string_view id, bucket_metrics &b) {
    for (size_t r = 0; r < pin_reason_count; ++r) {
        const char *reason = pin_reason_name(static_cast<pin_reason>(r));
        b.pinned[r] = metric_gauge(m, metric::connections_pinned, {id, reason});
        b.pins[r] = metric_counter(m, metric::pins_total, {id, reason});
        b.pin_duration[r] = metric_histogram(m, metric::pinning_duration_seconds, {id, reason});
    }
}

bucket_metrics meters_of_bucket(metrics *m, const char *name, bucket_tallies &t) {
    std::string_view id = name;
    bucket_metrics b{};
    b.active = metric_gauge(m, metric::connections_active, {id});
    b.idle = metric_gauge(m, metric::connections_idle, {id});
    b.max = metric_gauge(m, metric::connections_max, {id});
    b.queue_length = metric_gauge(m, metric::queue_length, {id});
    b.in_use = metric_gauge(m, metric::slots_in_use, {id});
    b.clients = metric_gauge(m, metric::clients, {id});
    b.up = metric_gauge(m, metric::server_up, {id});
    b.latency = metric_gauge(m, metric::server_latency_seconds, {id});
    for (size_t i = 0; i < server_state_count; ++i)
        b.servers[i] =
            metric_gauge(m, metric::server_connections, {id, server_state_name(static_cast<server_state>(i))});
    counters_of(m, metric::connections_total, id, outcome_names, t.outcome);
    counters_of(m, metric::logins_total, id, login_names, b.logins);
    counters_of(m, metric::tds_bytes_total, id, direction_names, t.bytes);
    counters_of(m, metric::attached_total, id, attach_names, t.attached);
    counters_of(m, metric::session_resets_total, id, reset_names, t.resets);
    counters_of(m, metric::state_replays_total, id, replay_names, t.replays);
    counters_of(m, metric::prepared_calls_total, id, prepared_names, t.prepared);
    packets_of(m, id, t);
    pins_of(m, id, b);
    b.excess = metric_counter(m, metric::slots_excess_total, {id});
    t.queue_wait.histogram = metric_histogram(m, metric::queue_wait_seconds, {id});
    t.query_duration.histogram = metric_histogram(m, metric::query_duration_seconds, {id});
    for (const char *type : error_types)
        metric_counter(m, metric::connection_errors_total, {id, type});
    return b;
}

static constexpr coord_mode coord_modes[] = {coord_mode::starting, coord_mode::normal, coord_mode::settling,
                                             coord_mode::fallback, coord_mode::closed};

void meters_start(proxy *root) {
    proxy_metrics &p = root->meters;
    p.accepting = metric_gauge(root->metrics, metric::accepting, {});
    p.instances = metric_gauge(root->metrics, metric::instances, {});
    p.accepted = metric_counter(root->metrics, metric::client_connections_total, {});
    p.loop_delay = metric_histogram(root->metrics, metric::loop_delay_seconds, {});
    if (root->conf->redis.enabled)
        for (coord_mode mode : coord_modes)
            p.redis_state[static_cast<size_t>(mode)] =
                metric_gauge(root->metrics, metric::redis_state, {coord_mode_name(mode)});
    meters_publish(root); // the limits are there from the first scrape on
    meters_tick(root);
}

// ---- gauges ----------------------------------------------------------------------------------------------------

template <size_t n> static void publish_all(metric_tally (&tallies)[n]) {
    for (metric_tally &t : tallies)
        tally_publish(t);
}

static void publish_tallies(bucket_tallies &t) {
    for (auto &packets : t.packets)
        publish_all(packets);
    publish_all(t.outcome);
    tally_publish(t.queue_wait);
    tally_publish(t.query_duration);
    publish_all(t.bytes);
    publish_all(t.attached);
    publish_all(t.resets);
    publish_all(t.replays);
    publish_all(t.prepared);
}

static void show_sessions(proxy *root) {
    for (size_t i = 0; i < static_cast<size_t>(session_state::closing); ++i)
        gauge_set(metric_gauge(root->metrics, metric::client_connections,
                               {session_state_name(static_cast<session_state>(i))}),
                  static_cast<double>(root->sessions[i].count));
}

static void show_connections(proxy_bucket *pb) {
    uint32_t idle = pool_set_idle_count(pb->pools);
    gauge_set(pb->metrics.active, pb->core.used - idle);
    gauge_set(pb->metrics.idle, idle);
    // Of clients: a probe or a connection to be opened ahead is nobody's wait.
    gauge_set(pb->metrics.queue_length, static_cast<double>(slots_clients_waiting(pb)));
}

void meters_tell(proxy *root) {
    for (auto &pb : root->buckets) {
        show_connections(pb.get());
        publish_tallies(pb->tallies);
        gauge_set(pb->metrics.max, pb->removed ? 0 : pb->core.max);
        gauge_set(pb->metrics.clients, pb->clients);
        gauge_set(pb->metrics.up, pb->core.health == server_health::down && !pb->removed ? 0 : 1);
    }
    gauge_set(root->meters.accepting, root->draining ? 0 : 1);
    show_sessions(root);
}

void meters_tick(proxy *root) {
    meters_tell(root);
    histogram_observe(root->meters.loop_delay, static_cast<double>(root->longest_turn) / 1e9);
}

static void show_coordinator(proxy *root) {
    coord_status status = coord_get_status(root->coordinator);
    gauge_set(root->meters.instances, static_cast<double>(status.instances.size()));
    if (root->conf->redis.enabled)
        for (coord_mode mode : coord_modes)
            gauge_set(root->meters.redis_state[static_cast<size_t>(mode)], mode == status.mode ? 1 : 0);
}

void meters_publish(proxy *root) {
    show_coordinator(root);
    for (auto &pb : root->buckets) {
        gauge_set(pb->metrics.in_use, pb->gone ? 0 : coord_get_bucket_status(root->coordinator, pb->core.index).count);
        gauge_set(pb->metrics.latency, static_cast<double>(pb->core.latency_us) / 1e6);
        for (size_t state = 0; state < server_state_count; ++state)
            gauge_set(pb->metrics.servers[state], pb->servers[state]);
    }
}

// ---- events ----------------------------------------------------------------------------------------------------

void count_packets(proxy_bucket *pb, packet_direction direction, uint8_t tds_type, uint32_t packets) {
    assert(tds_type < packet_types && pb->tallies.packets[static_cast<size_t>(direction)][tds_type].counter != nullptr);
    tally_add(pb->tallies.packets[static_cast<size_t>(direction)][tds_type], packets);
}

void count_known_packets(proxy_bucket *pb, packet_direction direction, uint8_t tds_type) {
    if (tds_type < packet_types && pb->tallies.packets[static_cast<size_t>(direction)][tds_type].counter != nullptr)
        count_packets(pb, direction, tds_type);
}

void count_login(proxy *root, proxy_bucket *pb, login_result result) {
    auto n = static_cast<size_t>(result);
    counter_add(pb != nullptr ? pb->metrics.logins[n]
                              : metric_counter(root->metrics, metric::logins_total, {"none", login_names[n]}));
}

void count_request(proxy_bucket *pb, uint64_t ns) {
    tally_observe(pb->tallies.query_duration, static_cast<double>(ns) / 1e9);
}

void count_pin(proxy_bucket *pb, pin_reason reason) {
    auto n = static_cast<size_t>(reason);
    counter_add(pb->metrics.pins[n]);
    gauge_set(pb->metrics.pinned[n], ++pb->pinned[n]);
}

void count_unpin(proxy_bucket *pb, pin_reason reason, uint64_t ms) {
    auto n = static_cast<size_t>(reason);
    histogram_observe(pb->metrics.pin_duration[n], static_cast<double>(ms) / 1000.0);
    gauge_set(pb->metrics.pinned[n], --pb->pinned[n]);
}

void count_handshake(proxy *root, const char *side, const char *version, bool resumed) {
    if (version != nullptr)
        counter_add(
            metric_counter(root->metrics, metric::tls_handshakes_total, {side, version, resumed ? "true" : "false"}));
}
