// The root of everything on the loop. Every module of this folder takes it as an argument; there are no globals.
//
//      listener -> client_session -> slots (bucket + coordinator) -> server_conn -> relay
//                        |  refused: client_login answers the error itself
//      maintenance: one timer for every deadline, probes, gauges, the health snapshot
#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <uv.h>

#include "base/list.h"
#include "base/metric_table.h"
#include "base/slab.h"
#include "config/config.h"
#include "coord/coord.h"
#include "net/listener.h"
#include "net/resolver.h"
#include "pool/bucket.h"
#include "proxy/client_session.h"
#include "proxy/relay.h"
#include "proxy/server_conn.h"
#include "tds/prelogin.h"

struct tls_context;
struct proxy;

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

struct bucket_metrics {
    metric_gauge_handle *active, *idle, *max, *queue_length;
    metric_counter_handle *outcome[static_cast<size_t>(slot_outcome::count_)];
    metric_counter_handle *prelogin_in, *prelogin_to_server, *prelogin_from_server, *prelogin_out;
    metric_counter_handle *excess;
    metric_histogram_handle *queue_wait;
};

// A bucket with all that the loop needs for it.
struct proxy_bucket {
    bucket core;
    const bucket_config *conf = nullptr;
    net_target target;
    bucket_metrics metrics{};
    waiter probe_wait;            // the background probe's place in the queue
    server_conn *probe = nullptr; // its connection, while it has one
};

struct proxy {
    uv_loop_t *loop = nullptr;
    const config *conf = nullptr;
    ::metrics *metrics = nullptr;
    coord *coordinator = nullptr;
    tls_context *tls = nullptr;         // the certificate for refusals; nullptr: client_tls is disable
    tds_product_version server_version; // told in PRELOGIN
    std::string instance_id;            // as registered

    std::vector<std::unique_ptr<proxy_bucket>> buckets; // never moves; index = coordinator's bucket number
    int32_t default_bucket = -1;                        // -1: none
    std::vector<std::unique_ptr<net_listener>> listeners;
    size_t listeners_open = 0;

    slab<client_session> session_slab;
    slab<server_conn> server_slab;
    session_list sessions[static_cast<size_t>(session_state::count_)];
    server_list servers[static_cast<size_t>(server_state::count_)];
    uint64_t next_session_id = 1;
    uint64_t next_server_id = 1;
    relay_pool relays;

    uv_timer_t tick;
    uv_check_t turn;        // after the events of a loop turn: the batched relays
    bool tick_open = false; // both are open
    bool draining = false;
    uint64_t drain_deadline = 0;
    bool stopping = false; // sessions and listeners are gone or going: waiting for server connections
    bool coord_stopping = false;
    void (*on_stopped)(void *) = nullptr;
    void *stopped_user = nullptr;

    void (*publish)(void *user, proxy *) = nullptr; // called about once a second: a new health snapshot may be taken
    void *publish_user = nullptr;
    uint64_t published_at = 0;
    uint64_t turned_away = 0; // connections closed because of max_unauthenticated, since the last publish
    std::minstd_rand random;
};

inline uint32_t proxy_random(proxy *p) {
    return static_cast<uint32_t>(p->random());
}
inline uint64_t proxy_now(const proxy *p) {
    return uv_now(p->loop);
}
// Sessions that have not yet been handed to a server and wait for their own bytes.
size_t proxy_unauthenticated(const proxy *p);
// Sessions that wait for, connect to or have a server.
size_t proxy_admitted(const proxy *p);
size_t proxy_session_count(const proxy *p);

// Sets up buckets, coordinator, listeners. `conf`, `metrics` must outlive it. Null with the reason in `error`.
proxy *proxy_start(uv_loop_t *, const config &conf, ::metrics *, std::string &error);
// No new sessions (they are answered 50008), waiters too; sessions under way may end by themselves until
// shutdown_timeout, then they are closed, slots are given back, the instance deregisters and `stopped` is called.
void proxy_drain(proxy *, void (*stopped)(void *user), void *user);
// The drain's deadline is now.
void proxy_drain_now(proxy *);
// After `stopped`, and after the loop has run out of handles.
void proxy_destroy(proxy *);
// Goes on with the drain: _tick from the timer (it may close sessions), _step whenever a session or a server connection
// has ended.
void proxy_drain_tick(proxy *);
void proxy_drain_step(proxy *);
