// The inside of the redis coordinator, for the redis_*.cpp files only. Who does what:
//
//      redis_coord.cpp      the function table, modes and the turn: what upper layer and buckets are told
//      redis_connect.cpp    finding Redis (Sentinel too), connecting again, loading the scripts
//      redis_register.cpp   the heartbeat and everything that follows from its answer; deregistering
//      redis_slots.cpp      acquire and release
//      redis_reap.cpp       reap and audit
//      redis_want.cpp       fairness: telling the others who waits, giving way to those who do
//      redis_subscribe.cpp  the second connection: `a slot came free`, and the others' wants
//
// All that decides is pure and lies in ledger, beat_clock, share and want.
#pragma once

#include <array>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include <uv.h>

#include "base/metric_table.h"
#include "config/config.h"
#include "coord/beat_clock.h"
#include "coord/coord.h"
#include "coord/ledger.h"
#include "coord/redis_link.h"
#include "coord/scripts.h"

struct redis_coord;

enum class redis_op : uint8_t { acquire, release, register_, reap, audit, publish, subscribe, connect, count_ };
enum class redis_outcome : uint8_t { ok, full, settling, stale, error, timeout, count_ };

struct redis_bucket {
    redis_coord *owner;
    uint32_t index;
    std::string id, count_key, max_key, channel, want_channel;
    uint32_t configured_max;
    bool removed; // by a reload
    bool gone;    // likewise, and Redis has no slot of it any more: it is not told of it again
    ledger account;
    uint32_t told_max;     // what the upper layer has been told
    uint32_t ceiling;      // set by the upper layer
    uint32_t surplus;      // to give back: over the limit, or the fallback share
    bool gives;            // one slot more, to another instance that waits for it
    uint64_t gives_until;  // loop ms; then the other waits no longer
    uint64_t gave_at;      // when that was last begun
    uint64_t leaves_until; // no slot is taken before: it is left to another instance
    uint64_t says_at;      // the others are not told before that clients wait here
    uint32_t told_surplus; // what the upper layer has been told
    bool freed;            // to be told: a slot may be free
    bool subscribed;       // confirmed on the present connection
    bool try_again;        // a want was refused for want of a decision: the next register may bring it
};

struct redis_register {
    bool in_flight;
    uint64_t sent;                      // boottime_ms
    uint64_t sent_hrtime;               // for the latency
    std::vector<redis_bucket *> listed; // of what is not gone
    std::vector<int64_t> reported;      // of each: the number said, -1 left out
    uint32_t limits;                    // redis_coord.limits when it was sent
};

struct redis_coord {
    coord base;
    uv_loop_t *loop;
    const config *configuration;
    metrics *meters;
    coord_callbacks callbacks;

    std::string base_id, id; // as configured; as registered (.2, .3 ... where the id was taken)
    uint32_t id_suffix;      // 1: none
    std::string token;       // 128 random bits of this run
    uint64_t epoch;          // rises with every command connection

    coord_mode mode;
    std::string message;
    std::deque<redis_bucket> buckets; // never shrinks: replies point into it
    std::vector<std::string> instances;
    std::map<std::string, uint64_t> lives_until; // boottime_ms when another's heartbeat ends if no beat renews it

    redis_link *command; // null while not connected, or connecting
    redis_link *subscription;
    redis_link *sentinel; // while a Sentinel is being asked
    size_t sentinel_next;
    std::string host; // of the command connection
    uint16_t port;
    std::string moved_host; // Redis Cluster: the node that has our keys; empty: as configured
    uint16_t moved_port;
    uint32_t open_links;
    uint32_t attempts; // connections in a row that have not led to a good beat
    uint32_t subscribe_attempts;

    std::array<std::string, coord_script_count> sha;
    uint32_t scripts_loading;

    redis_register beat;
    beat_clock clock;
    bool registered;              // on this connection: slots may be asked for
    bool must_register;           // as soon as no register is in flight
    bool introduced;              // this process has registered once
    uint32_t limits, limits_said; // rise with every change of the configured limits; what Redis was last told
    uint64_t beats, ticks;
    uint64_t latency_us;
    int64_t last_beat_unix;

    uv_timer_t turn;   // at once: tell the upper layer, send what is due
    uv_timer_t tick;   // half a heartbeat interval
    uv_timer_t retry;  // connect again; while stopping: give up
    uv_timer_t fence;  // the moment of being fenced
    uv_timer_t settle; // the end of settling
    uv_timer_t resubscribe;
    uv_timer_t giving; // the first `gives_until`
    uint32_t open_timers;

    bool stopping;
    void (*stopped)(void *user);
    void *stopped_user;

    metric_counter_handle
        *operations[static_cast<size_t>(redis_op::count_)][static_cast<size_t>(redis_outcome::count_)];
    metric_gauge_handle *heartbeat_gauge;
    metric_gauge_handle *fallback_gauge;
};

// redis_coord.cpp
uint64_t boottime_ms();
uint64_t random_u64();
void count_operation(redis_coord &, redis_op, redis_outcome);
std::string instance_key(const redis_coord &, const std::string &id, const char *what);
void enter_mode(redis_coord &, coord_mode, std::string_view why);
void schedule_turn(redis_coord &);
void tell_freed(redis_coord &); // every bucket
uint32_t share_of(const redis_coord &, const redis_bucket &);
// Fenced by the clock but not yet in fallback: goes there and drops the connection. True when fenced.
bool check_fence(redis_coord &);
void finish_stop(redis_coord &);
void link_gone(redis_coord &);

// redis_connect.cpp
void connect_redis(redis_coord &);
void load_scripts(redis_coord &);
// Redis Cluster: -MOVED <slot> <host>:<port>. All our keys share one slot (`{proxy}`), so that node is the one to use.
void follow_moved(redis_coord &, std::string_view error);
// EVALSHA. False when there is no usable connection.
bool run_script(redis_coord &, script, const std::vector<std::string> &keys, const std::vector<std::string> &args,
                redis_reply_fn, void *user);

// redis_register.cpp
void register_now(redis_coord &); // or after the one in flight
bool deregister(redis_coord &);   // false: nothing to wait for; else finish_stop follows
void set_surplus(redis_coord &, redis_bucket &);

// redis_slots.cpp
void send_next(redis_coord &, redis_bucket &);
void give_answer(redis_coord &, redis_bucket &, ledger_answer);

// redis_reap.cpp
void reap_others(redis_coord &);
void audit(redis_coord &);

// redis_want.cpp
void say_waiting(redis_coord &, redis_bucket &, uint64_t oldest_wait);
void heard_waiting(redis_coord &, redis_bucket &, std::string_view text);
// A slot that another instance has asked for is on its way, or need not be given any more.
void stop_giving(redis_bucket &);
// What is free is left to another instance for the moment.
bool leaves_to_others(const redis_coord &, const redis_bucket &);

// redis_subscribe.cpp
void subscribe(redis_coord &); // connects if need be; else pings
void unsubscribe(redis_coord &);
void subscribe_bucket(redis_coord &, redis_bucket &); // where there is a connection for it
