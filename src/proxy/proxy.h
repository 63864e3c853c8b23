// The root of everything on the loop. Every module of this folder takes it as an argument; there are no globals.
//
//      listener -> client_session -> passthrough:  slots (bucket + coordinator) -> server_conn -> relay
//                        |        -> authenticate: client_login, router, login records, server_auth
//                        |        -> exchange:     attach -> pools -> slots -> server_conn -> server_task
//                        |  refused: client_login answers the error itself
//      maintenance: one timer for every deadline, probes, pools, gauges, the health snapshot
#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <unordered_set>
#include <vector>

#include <uv.h>

#include "base/list.h"
#include "base/metric_table.h"
#include "base/slab.h"
#include "config/config.h"
#include "coord/coord.h"
#include "net/listener.h"
#include "net/outbox.h"
#include "net/resolver.h"
#include "pool/bucket.h"
#include "pool/rate.h"
#include "pool/server_pool.h"
#include "proxy/client_session.h"
#include "proxy/meters.h"
#include "proxy/prepared.h"
#include "proxy/procedures.h"
#include "proxy/relay.h"
#include "proxy/server_conn.h"
#include "proxy/session_track.h"
#include "proxy/settings.h"
#include "tds/prelogin.h"
#include "tds/tsql_memo.h"
#include "tls/digest.h"
#include "tls/tls_client_context.h"

struct tls_context;
struct login_records;
struct proxy;

// Whether a server announces transactions that SQL text begins (ENVCHANGE 8 to 10).
enum class announcing : uint8_t { unknown, yes, no };

// Whether a server grants MARS to who asks for it.
enum class mars_offer : uint8_t { unknown, granted, declined };

// A bucket with all that the loop needs for it.
struct proxy_bucket {
    bucket core;
    const bucket_config *conf = nullptr;
    bool removed = false; // by a reload: nobody comes in any more; it goes with its last connection
    bool gone = false;    // and has gone; its place is kept, should it be added again
    net_target target;
    bucket_metrics metrics{};
    bucket_tallies tallies;
    uint32_t servers[server_state_count] = {}; // its connections, by state
    uint32_t clients = 0;                      // sessions that have chosen it
    uint32_t pinned[pin_reason_count] = {};    // of them, by reason
    waiter probe_wait;                         // the background probe's place in the queue
    server_conn *probe = nullptr;              // its connection, while it has one

    // Terminated modes.
    pool_set pools;
    waiter warm_wait;                                // the place in the queue of a connection to be opened ahead
    std::shared_ptr<const login_identity> own_login; // the bucket's own; nullptr without username
    tls_client_context *server_tls = nullptr;        // one of proxy.server_tls; nullptr: server_tls is disable
    bool without_tls = false;                        // server_tls is prefer, and the server has none
    session_turns admission;                         // logins that wait for logins_running to fall
    uint32_t logins_running = 0;                     // real logins of clients under way
    bool admitting = false;                          // the next ones are being started
    uint32_t closing = 0;                            // connections whose slots come free soon
    tds_product_version server_version;              // as the server said last; major 0: not yet
    std::string server_name;                         // likewise; in errors that the proxy gives in the server's place
    mars_offer mars = mars_offer::unknown;           // as the server answered last
    announcing announces[3] = {};                    // TDS 7.2, 7.3, 7.4
    std::unordered_set<std::string> unshared;        // users whose USE the server has refused
    rate_table rates;                                // of rate_limit

    // Transaction mode.
    procedure_table procedures;        // whose definitions have been read
    bool identity_unplaceable = false; // @@IDENTITY cannot be set by an insert into a table variable
    bool scope_unplaceable = false;    // SCOPE_IDENTITY() cannot be set to NULL by one
};

// Memory for what is on its way through, for everybody in turn.
struct scratch_memory {
    std::vector<uint8_t> in;                   // what was read, decrypted
    std::vector<uint8_t> cipher;               // what was read
    std::vector<uint8_t> out;                  // packets being put together
    tds_session_state settings;                // for who wants some and leaves them alone
    std::unique_ptr<tds_request_info> request; // as new, for the next request; nullptr: in use
};

// Shared by the buckets that trust alike: a system's certificate store is large.
struct server_tls_context {
    tls_verify verify;
    std::string ca_file;
    tls_client_context *context;
};

struct proxy {
    uv_loop_t *loop = nullptr;
    const config *conf = nullptr;
    std::vector<proxy_bucket *> routed;        // in the order of conf->buckets
    std::vector<std::unique_ptr<config>> past; // configurations that removed buckets still point into
    ::metrics *metrics = nullptr;
    coord *coordinator = nullptr;
    tls_context *tls = nullptr;      // the certificate; nullptr: client_tls is disable
    tds_product_version own_version; // told in PRELOGIN where no server's is known
    std::vector<server_tls_context> server_tls;
    digest_key secret_key; // of the digests of passwords
    login_records *records = nullptr;
    settings_table settings;
    prepared_table prepared;
    uint64_t descriptors = 0;                     // of transactions, given to clients: proxy/deferred_begin
    uint64_t values_token = 0;                    // the last one given: proxy/sharing_values
    tsql_scanner *scanner = nullptr;              // of requests that are there as a whole, and procedures
    tsql_memo memo;                               // of the texts of such requests
    tds_request_reader *request_reader = nullptr; // likewise
    std::string instance_id;                      // as registered
    uint64_t started = 0;                         // loop ms

    std::vector<std::unique_ptr<proxy_bucket>> buckets; // never moves; index = coordinator's bucket number
    std::vector<std::unique_ptr<net_listener>> listeners;
    size_t listeners_open = 0;
    std::vector<int> given_sockets; // until each has its listener
    bool ports_given = false;       // by socket activation: they are not ours to close for good

    slab<client_session> session_slab;
    slab<server_conn> server_slab;
    session_list sessions[static_cast<size_t>(session_state::count_)];
    server_list servers[static_cast<size_t>(server_state::count_)];
    uint64_t next_session_id = 1;
    uint64_t next_server_id = 1;
    relay_pool relays;
    net_outbox outbox;
    scratch_memory scratch;
    session_turns deferred;      // logins put off to the next loop turn
    uint64_t login_time = 0;     // ns spent on logins in this one
    net_turn_clock clock;        // of the loop turn
    uint64_t longest_turn = 0;   // ns, since the last tick
    uint64_t longest_recent = 0; // likewise, since the last publish
    proxy_metrics meters;

    uv_timer_t tick;
    uv_check_t turn;        // after the events of a loop turn: the batched relays, what is to be sent, logins put off
    uv_prepare_t turn_over; // before the loop waits: what is to be sent by the rest of the turn
    uv_idle_t awake;        // active: the loop does not wait for events
    bool tick_open = false; // they are open
    bool draining = false;
    uint64_t drain_deadline = 0;
    bool stopping = false; // sessions and listeners are gone or going: waiting for server connections
    bool coord_stopping = false;
    void (*on_stopped)(void *) = nullptr;
    void *stopped_user = nullptr;

    bool (*reload)(void *user, std::string &error) = nullptr; // reads the files again: main
    void *reload_user = nullptr;
    void (*publish)(void *user, proxy *) = nullptr; // called about once a second: a new health snapshot may be taken
    void *publish_user = nullptr;
    void (*ask_drain)(void *user) = nullptr; // with publish_user: what SIGTERM does
    uint64_t published_at = 0;
    uint32_t logins = 0;      // since memory was last given back to the system
    uint64_t turned_away = 0; // connections closed because of max_unauthenticated, since the last publish
    uint64_t errors = 0;      // of sessions without a bucket
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
// The version that a client of this bucket (nullptr: not known yet) is told in PRELOGIN: JDBC goes by it.
tds_product_version proxy_server_version(const proxy *p, const proxy_bucket *pb);
void proxy_learn_version(proxy *p, proxy_bucket *pb, const tds_product_version &);
// Whether a client of this bucket (nullptr: not known yet) that asks for MARS in PRELOGIN is granted it: unless the
// server, or each that it may be led to, is known to decline. (A server that declines all the same: error 50007.)
bool proxy_grants_mars(const proxy *p, const proxy_bucket *pb);
// What a server has answered to a PRELOGIN that asked.
void proxy_learn_mars(proxy_bucket *pb, bool granted);
// The loop's next turn comes at once.
void proxy_stay_awake(proxy *p);

// Reads the configuration files again and goes by them (proxy/reload.h). False, with the reason in `error`: nothing has
// changed.
[[nodiscard]] bool proxy_reload(proxy *p, std::string &error);
// The bucket's place among those of the configuration; -1: it has been removed.
int32_t proxy_routed_index(const proxy *p, const proxy_bucket *);

// Sets up buckets, coordinator, listeners. `conf`, `metrics` must outlive it. Null with the reason in `error`.
// `given_sockets`: listening already (socket activation); each is used for the port that it is bound to.
proxy *proxy_start(uv_loop_t *, const config &conf, ::metrics *, std::vector<int> given_sockets, std::string &error);
// No new sessions: they are answered 50008, or find the port closed where another process has it. Sessions at rest are
// closed; requests and transactions under way may end until shutdown_timeout, then the rest is closed, slots are given
// back, the instance deregisters and `stopped` is called.
void proxy_drain(proxy *, void (*stopped)(void *user), void *user);
// The drain's deadline is now.
void proxy_drain_now(proxy *);
// After `stopped`, and after the loop has run out of handles.
void proxy_destroy(proxy *);
// Goes on with the drain: _tick from the timer (it may close sessions), _step whenever a session or a server connection
// has ended.
void proxy_drain_tick(proxy *);
void proxy_drain_step(proxy *);
