#include "proxy/maintenance.h"

#include <algorithm>

#include <malloc.h>

#include "base/log.h"
#include "proxy/authenticate.h"
#include "proxy/console/console.h"
#include "proxy/login_record.h"
#include "proxy/passthrough.h"
#include "proxy/pools.h"
#include "proxy/probe.h"
#include "proxy/proxy.h"
#include "proxy/reload.h"
#include "proxy/slots.h"

static constexpr uint64_t tick_ms = 100;
static constexpr uint64_t publish_ms = 1'000;

// Sessions of one state were put on its list in the order of time, so deadlines rise along it as long as all have the
// same span; refusing and relaying sessions get different ones, so those lists are walked to the end.
static void session_deadlines(proxy *root, session_state state, bool ordered, uint64_t now) {
    session_list &l = root->sessions[static_cast<size_t>(state)];
    for (client_session *s = list_front(l), *next = nullptr; s != nullptr; s = next) {
        next = list_next(l, *s);
        if (s->deadline != 0 && now >= s->deadline)
            session_deadline(s);
        else if (ordered)
            return;
    }
}

static void idle_sessions(proxy *root, session_state state, uint64_t now) {
    session_list &l = root->sessions[static_cast<size_t>(state)];
    for (client_session *s = list_front(l), *next = nullptr; s != nullptr; s = next) {
        next = list_next(l, *s);
        session_check_idle(s, now);
    }
}

// server_tick may free the connection it is given, never another one.
static void server_ticks(proxy *root, server_state state, uint64_t now) {
    server_list &l = root->servers[static_cast<size_t>(state)];
    for (server_conn *c = list_front(l), *next = nullptr; c != nullptr; c = next) {
        next = list_next(l, *c);
        server_tick(c, now);
    }
}

// What a crowd's handshakes have left on the heap goes back to the system, once they are over: a few milliseconds.
static void give_memory_back(proxy *root) {
    if (root->logins < 100 || root->sessions[static_cast<size_t>(session_state::login)].count > 0)
        return;
    root->logins = 0;
    malloc_trim(0);
}

static void publish(proxy *root, uint64_t now) {
    if (now - root->published_at < publish_ms && root->published_at != 0)
        return;
    root->published_at = now;
    if (root->turned_away > 0)
        log_warn("connections turned away: max_unauthenticated reached", {{"count", root->turned_away}});
    root->turned_away = 0;
    idle_sessions(root, session_state::relaying, now);
    idle_sessions(root, session_state::active, now);
    meters_publish(root);
    give_memory_back(root);
    for (auto &pb : root->buckets) {
        pool_set_sweep(pb->pools, now);
        if (pool_set_member_count(pb->pools) > 0)
            net_target_refresh(root->loop, &pb->target);
    }
    settings_sweep(root->settings);
    prepared_sweep(root->prepared);
    login_records_sweep(root->records, now, root->conf->proxy.auth_cache_ttl);
    session_deadlines(root, session_state::relaying, false, now);
    if (root->publish != nullptr)
        root->publish(root->publish_user, root);
    root->longest_recent = 0;
}

static void tick(uv_timer_t *timer) {
    auto *root = static_cast<proxy *>(timer->data);
    uint64_t now = proxy_now(root);
    for (auto &pb : root->buckets) {
        if (pb->removed) {
            reload_removed_tick(root, pb.get());
            continue;
        }
        slots_tick(root, pb.get(), now);
        probe_tick(root, pb.get(), now);
        if (pb->conf->mode != pool_mode::passthrough)
            pools_tick(root, pb.get(), now);
    }
    session_deadlines(root, session_state::greeting, true, now);
    session_deadlines(root, session_state::login, false, now);
    session_deadlines(root, session_state::admission, false, now);
    session_deadlines(root, session_state::connecting, false, now);
    session_deadlines(root, session_state::refusing, false, now);
    session_deadlines(root, session_state::lingering, true, now);
    server_ticks(root, server_state::connecting, now);
    server_ticks(root, server_state::logging_in, now);
    server_ticks(root, server_state::working, now);
    server_ticks(root, server_state::closing, now);
    meters_tick(root);
    root->longest_recent = std::max(root->longest_recent, root->longest_turn);
    root->longest_turn = 0;
    publish(root, now);
    console_tick(root);
    proxy_drain_tick(root);
}

static void turn(uv_check_t *check) {
    auto *root = static_cast<proxy *>(check->data);
    net_turn_begin(root->clock); // if nothing has happened on a connection
    relay_turn(root->relays);
    net_outbox_turn(root->outbox);
    authenticate_deferred(root);
    if (list_empty(root->deferred))
        uv_idle_stop(&root->awake);
}

// How long the loop has been at work since something happened.
static void turn_over(uv_prepare_t *prepare) {
    auto *root = static_cast<proxy *>(prepare->data);
    net_outbox_turn(root->outbox);
    root->longest_turn = std::max(root->longest_turn, net_turn_end(root->clock));
}

void proxy_stay_awake(proxy *root) {
    uv_idle_start(&root->awake, [](uv_idle_t *) {});
}

void maintenance_start(proxy *root) {
    root->relays.on_moved = passthrough_moved;
    meters_start(root);
    uv_idle_init(root->loop, &root->awake);
    uv_check_init(root->loop, &root->turn);
    root->turn.data = root;
    uv_check_start(&root->turn, turn);
    uv_prepare_init(root->loop, &root->turn_over);
    root->turn_over.data = root;
    uv_prepare_start(&root->turn_over, turn_over);
    uv_timer_init(root->loop, &root->tick);
    root->tick.data = root;
    root->tick_open = true;
    uv_timer_start(&root->tick, tick, tick_ms, tick_ms);
}

void maintenance_stop(proxy *root) {
    if (!root->tick_open)
        return;
    root->tick_open = false;
    uv_close(reinterpret_cast<uv_handle_t *>(&root->tick), nullptr);
    uv_close(reinterpret_cast<uv_handle_t *>(&root->turn), nullptr);
    uv_close(reinterpret_cast<uv_handle_t *>(&root->turn_over), nullptr);
    uv_close(reinterpret_cast<uv_handle_t *>(&root->awake), nullptr);
}
