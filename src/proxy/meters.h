// What this folder tells the metrics registry: the handles of each bucket's and the process's series, looked up once,
// and what is counted on the hot path in plain integers and told when somebody looks.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/metric_table.h"
#include "proxy/session_track.h"

struct proxy;
struct proxy_bucket;
struct tls_engine;
enum class server_state : uint8_t;

// Outcomes of asking for a slot (label `status` of proxy_connections_total).
enum class slot_outcome : uint8_t {
    acquired,
    acquired_after_wait,
    released,
    timeout,
    cancelled,
    rejected_queue_full,
    error,
    count_
};

enum class packet_direction : uint8_t { client_to_proxy, proxy_to_client, proxy_to_server, server_to_proxy, count_ };
inline constexpr size_t packet_directions = static_cast<size_t>(packet_direction::count_);
inline constexpr size_t packet_types = 0x20; // TDS packet types are below

// How a request's server connection was found (label `how` of proxy_attached_total).
enum class attach_how : uint8_t { exact, replayed, reset, opened, taken_over, count_ };
// What became of a client's login (label `result` of proxy_logins_total).
enum class login_result : uint8_t { record, server, dedicated, refused, failed, abandoned, count_ };
// What a reset travelled with (label `how` of proxy_session_resets_total).
enum class reset_how : uint8_t { request, replay, alone, client, count_ };
enum class replay_outcome : uint8_t { done, refused, count_ };
// What became of a call on a prepared statement (label `how` of proxy_prepared_calls_total).
enum class prepared_how : uint8_t { prepared, in_place, moved, ahead, unknown, count_ };

inline constexpr size_t server_state_count = 7;

struct bucket_metrics {
    metric_gauge_handle *active, *idle, *max, *queue_length, *pinned[pin_reason_count];
    metric_gauge_handle *in_use, *clients, *up, *latency, *servers[server_state_count];
    metric_counter_handle *pins[pin_reason_count];
    metric_counter_handle *logins[static_cast<size_t>(login_result::count_)];
    metric_counter_handle *excess;
    metric_histogram_handle *pin_duration[pin_reason_count];
};

struct bucket_tallies {
    metric_tally bytes[packet_directions];
    metric_tally packets[packet_directions][packet_types]; // without a counter where a type has no label
    metric_tally outcome[static_cast<size_t>(slot_outcome::count_)];
    metric_tally attached[static_cast<size_t>(attach_how::count_)];
    metric_tally resets[static_cast<size_t>(reset_how::count_)];
    metric_tally replays[static_cast<size_t>(replay_outcome::count_)];
    metric_tally prepared[static_cast<size_t>(prepared_how::count_)];
    metric_histogram_tally queue_wait, query_duration;
    uint64_t errors = 0; // of sessions
};

// Of the process.
struct proxy_metrics {
    metric_gauge_handle *accepting, *instances, *redis_state[5];
    metric_counter_handle *accepted;
    metric_histogram_handle *loop_delay;
};

bucket_metrics meters_of_bucket(metrics *, const char *id, bucket_tallies &);
void meters_start(proxy *);
// Gauges that change all the time, and what has been counted since the last call: when somebody looks, and every tick.
void meters_tell(proxy *);
void meters_tick(proxy *);
// About once a second: what must be counted for it.
void meters_publish(proxy *);

// Packets of this TDS type, which must be one that has a label.
void count_packets(proxy_bucket *, packet_direction, uint8_t tds_type, uint32_t packets = 1);
// Likewise, of any type, known or not: what a client sends may be anything.
void count_known_packets(proxy_bucket *, packet_direction, uint8_t tds_type);
inline void count_bytes(bucket_tallies &t, packet_direction d, size_t bytes) {
    tally_add(t.bytes[static_cast<size_t>(d)], bytes);
}
inline void count_attached(bucket_tallies &t, attach_how how) {
    tally_add(t.attached[static_cast<size_t>(how)]);
}
inline void count_reset(bucket_tallies &t, reset_how how) {
    tally_add(t.resets[static_cast<size_t>(how)]);
}
inline void count_replay(bucket_tallies &t, replay_outcome outcome) {
    tally_add(t.replays[static_cast<size_t>(outcome)]);
}
inline void count_prepared(bucket_tallies &t, prepared_how how) {
    tally_add(t.prepared[static_cast<size_t>(how)]);
}
void count_login(proxy *, proxy_bucket *bucket_or_null, login_result);
// A request has been answered after this time.
void count_request(proxy_bucket *, uint64_t ns);
// A pin begins; it ends after this many milliseconds.
void count_pin(proxy_bucket *, pin_reason);
void count_unpin(proxy_bucket *, pin_reason, uint64_t ms);
// `version`: as OpenSSL names it, "TLSv1.3"; nullptr: there was no handshake.
void count_handshake(proxy *, const char *side, const char *version, bool resumed);
