#include "proxy/slots.h"

#include <cassert>

#include "base/log.h"
#include "proxy/exchange.h"
#include "proxy/pools.h"
#include "proxy/probe.h"

static constexpr uint32_t passed_over_max = 16; // times that others of another pool may be served first

static proxy_bucket *bucket_at(void *user, uint32_t index) {
    auto *root = static_cast<proxy *>(user);
    return root->buckets.at(index).get();
}

void slots_count(proxy_bucket *pb, slot_outcome outcome) {
    tally_add(pb->tallies.outcome[static_cast<size_t>(outcome)]);
}

void slots_count_error(proxy *root, proxy_bucket *pb, const char *error_type) {
    ++(pb != nullptr ? pb->tallies.errors : root->errors);
    counter_add(metric_counter(root->metrics, metric::connection_errors_total,
                               {pb != nullptr ? std::string_view(pb->core.id) : std::string_view("none"), error_type}));
}

static client_session *session_of(waiter *w) {
    return container_of(w, client_session, wait);
}

static void observe_wait(proxy *root, proxy_bucket *pb, const waiter &w) {
    tally_observe(pb->tallies.queue_wait, static_cast<double>(proxy_now(root) - w.since) / 1000.0);
}

// The waiter is out of the queue and owns a slot now.
static void grant(proxy *root, proxy_bucket *pb, waiter *w, bool taken_over) {
    if (w->kind == waiter_kind::warm) {
        pools_warm_granted(root, pb);
        return;
    }
    if (w->kind == waiter_kind::probe) { // not counted, here or when its slot is released: the figures are the clients'
        probe_slot_granted(root, pb);
        return;
    }
    if (w->refused)
        observe_wait(root, pb, *w);
    slots_count(pb, w->refused ? slot_outcome::acquired_after_wait : slot_outcome::acquired);
    client_session *s = session_of(w);
    log_debug("slot acquired", {{"session", s->id},
                                {"bucket", pb->core.id},
                                {"used", pb->core.used},
                                {"waited_ms", proxy_now(root) - w->since}});
    session_slot_granted(s, taken_over);
}

// The waiter is out of the queue and gets nothing.
static void deny(proxy *root, proxy_bucket *pb, waiter *w, proxy_error error, const char *detail) {
    if (w->kind != waiter_kind::client)
        return; // the next one is due in its time
    observe_wait(root, pb, *w);
    session_slot_denied(session_of(w), error, detail);
}

static void ask(proxy *root, proxy_bucket *pb) {
    if (!bucket_should_want(pb->core, proxy_now(root)))
        return;
    bucket_want_sent(pb->core);
    coord_want(root->coordinator, pb->core.index);
}

static void on_granted(void *user, uint32_t index) {
    auto *root = static_cast<proxy *>(user);
    proxy_bucket *pb = bucket_at(user, index);
    waiter *w = bucket_slot_granted(pb->core);
    if (w == nullptr)
        coord_release(root->coordinator, index);
    else
        grant(root, pb, w, false);
    ask(root, pb);
}

static void on_refused(void *user, uint32_t index, coord_refusal why) {
    auto *root = static_cast<proxy *>(user);
    proxy_bucket *pb = bucket_at(user, index);
    bucket_slot_refused(pb->core, why == coord_refusal::full, proxy_now(root), proxy_random(root));
    bucket_cancel(pb->core, pb->warm_wait); // nobody shall stand behind it
    probe_slot_refused(root, pb);
    pools_make_room(root, pb);
    if (const waiter *first = slots_first_client(pb);
        first != nullptr && pb->core.full && pb->core.used < pb->core.ceiling)
        coord_waiting(root->coordinator, index, proxy_now(root) - first->since);
    bool queueing_off = pb->core.limits.queue_timeout == 0;
    // With queueing off those stay for whom a slot is being taken over.
    while (!queueing_off || waitq_length(pb->core.queue) > pb->closing) {
        waiter *w = bucket_pop_excess(pb->core, queueing_off);
        if (w == nullptr)
            break;
        deny(root, pb, w, queueing_off ? proxy_error::no_slot : proxy_error::queue_full, "");
    }
}

// ---- pools -----------------------------------------------------------------------------------------------------

const waiter *slots_first_client(const proxy_bucket *pb) {
    const waiter *w = waitq_head(pb->core.queue);
    while (w != nullptr && w->kind != waiter_kind::client)
        w = list_next(pb->core.queue.waiters, *w);
    return w;
}

size_t slots_clients_waiting(const proxy_bucket *pb) {
    size_t others =
        size_t{waitq_contains(pb->core.queue, pb->probe_wait)} + size_t{waitq_contains(pb->core.queue, pb->warm_wait)};
    return waitq_length(pb->core.queue) - others;
}

client_session *slots_waiting_for_pool(waiter *w) {
    if (w->kind != waiter_kind::client || session_of(w)->need != session_need::request)
        return nullptr;
    return session_of(w);
}

void slots_take_out(proxy *root, proxy_bucket *pb, waiter *w) {
    bucket_cancel(pb->core, *w);
    if (w->refused)
        observe_wait(root, pb, *w);
    slots_count(pb, w->refused ? slot_outcome::acquired_after_wait : slot_outcome::acquired);
}

client_session *slots_match(proxy *root, proxy_bucket *pb, const server_pool *pool) {
    waiter *head = waitq_head(pb->core.queue);
    for (waiter *w = head; w != nullptr; w = list_next(pb->core.queue.waiters, *w)) {
        client_session *s = slots_waiting_for_pool(w);
        if (s == nullptr || s->talk->pool != pool)
            continue;
        if (w != head && head->kind == waiter_kind::client && ++head->passed_over > passed_over_max)
            return nullptr;
        slots_take_out(root, pb, w);
        return s;
    }
    return nullptr;
}

static void on_freed(void *user, uint32_t index) {
    proxy_bucket *pb = bucket_at(user, index);
    bucket_slot_maybe_free(pb->core);
    ask(static_cast<proxy *>(user), pb);
}

static void on_max_changed(void *user, uint32_t index, uint32_t max) {
    proxy_bucket *pb = bucket_at(user, index);
    if (pb->core.max != 0 && pb->core.max != max)
        log_info("limit changed", {{"bucket", pb->core.id}, {"from", pb->core.max}, {"to", max}});
    pb->core.max = max;
    on_freed(user, index);
}

static void on_shrink(void *user, uint32_t index, uint32_t surplus) {
    auto *root = static_cast<proxy *>(user);
    proxy_bucket *pb = bucket_at(user, index);
    if (pb->core.surplus != surplus)
        log_debug("slots to give back", {{"bucket", pb->core.id}, {"surplus", surplus}, {"used", pb->core.used}});
    pb->core.surplus = surplus;
    pools_give_back(pb); // at once: nothing may be attached above a fallback share meanwhile
    ask(root, pb);
}

static void on_mode_changed(void *user, coord_mode from, coord_mode to) {
    auto *root = static_cast<proxy *>(user);
    root->instance_id = coord_get_status(root->coordinator).instance_id;
    log_set_instance(root->instance_id);
    if (from == to)
        return;
    for (auto &pb : root->buckets)
        on_freed(user, pb->core.index);
}

coord_callbacks slots_callbacks(proxy *root) {
    return {root, on_granted, on_refused, on_freed, on_max_changed, on_shrink, on_mode_changed};
}

bucket_verdict slots_request(proxy *root, proxy_bucket *pb, waiter &w) {
    if (w.kind == waiter_kind::client)
        bucket_cancel(pb->core, pb->warm_wait); // it yields to anybody; its time comes again
    bucket_verdict verdict = bucket_request(pb->core, w, proxy_now(root));
    if (verdict == bucket_verdict::wait)
        ask(root, pb);
    return verdict;
}

void slots_cancel(proxy *root, proxy_bucket *pb, waiter &w) {
    if (!waitq_contains(pb->core.queue, w))
        return;
    bucket_cancel(pb->core, w);
    if (w.kind == waiter_kind::client) {
        observe_wait(root, pb, w);
        slots_count(pb, slot_outcome::cancelled);
    }
}

// Not while the bucket is over its limit, even if this instance has given back its proportion: others may not be able
// to.
static bool may_hand_over(proxy *root, const proxy_bucket *pb) {
    coord_bucket_status status = coord_get_bucket_status(root->coordinator, pb->core.index);
    return !root->stopping && status.count <= status.max && coord_allowed(root->coordinator);
}

void slots_release(proxy *root, proxy_bucket *pb) {
    waiter *w = bucket_slot_free(pb->core, may_hand_over(root, pb));
    if (w != nullptr) {
        grant(root, pb, w, true);
        return;
    }
    coord_release(root->coordinator, pb->core.index);
    bucket_slot_maybe_free(pb->core);
    ask(root, pb);
}

// Clients that have waited for long with a request are told so, once. Telling one may end its session.
static void tell_waiting(proxy *root, proxy_bucket *pb, uint64_t now) {
    uint64_t notify = root->conf->proxy.queue_notify;
    waiter *next = notify != 0 ? waitq_head(pb->core.queue) : nullptr;
    while (next != nullptr && now - next->since >= notify) {
        waiter *w = next;
        next = list_next(pb->core.queue.waiters, *w);
        if (w->told)
            continue;
        w->told = true;
        if (client_session *s = slots_waiting_for_pool(w); s != nullptr)
            exchange_tell_waiting(s);
    }
}

static void set_ceiling(proxy *root, proxy_bucket *pb) {
    coord_set_ceiling(root->coordinator, pb->core.index, pb->core.ceiling);
}

void slots_server_busy(proxy *root, proxy_bucket *pb, int32_t number) {
    bool news = bucket_server_busy(pb->core, pb->closing, proxy_now(root));
    log_fields fields = {
        {"bucket", pb->core.id}, {"number", number}, {"used", pb->core.used}, {"ceiling", pb->core.ceiling}};
    if (news)
        log_warn("server has too many workers or sessions: fewer server connections for a while", fields);
    else
        log_debug("server still has too many workers or sessions", fields);
    set_ceiling(root, pb);
}

static void ceiling_tick(proxy *root, proxy_bucket *pb, uint64_t now) {
    if (!bucket_ceiling_tick(pb->core, now))
        return;
    if (pb->core.ceiling == UINT32_MAX)
        log_info("as many server connections as the limit says again", {{"bucket", pb->core.id}});
    set_ceiling(root, pb);
    bucket_slot_maybe_free(pb->core);
}

void slots_tick(proxy *root, proxy_bucket *pb, uint64_t now) {
    while (waiter *w = waitq_pop_expired(pb->core.queue, now))
        deny(root, pb, w, pb->core.limits.queue_timeout == 0 ? proxy_error::no_slot : proxy_error::queue_timeout, "");
    tell_waiting(root, pb, now);
    ceiling_tick(root, pb, now);
    ask(root, pb);
}

void slots_deny_all(proxy *root, proxy_bucket *pb, proxy_error error, const char *detail) {
    while (waiter *w = waitq_pop(pb->core.queue))
        deny(root, pb, w, error, detail);
}

void slots_deny_newcomers(proxy *root, proxy_bucket *pb, proxy_error error, const char *detail) {
    for (waiter *w = waitq_head(pb->core.queue), *next = nullptr; w != nullptr; w = next) {
        next = list_next(pb->core.queue.waiters, *w);
        if (slots_waiting_for_pool(w) != nullptr)
            continue;
        bucket_cancel(pb->core, *w);
        deny(root, pb, w, error, detail);
    }
}

void slots_server_up(proxy *root, proxy_bucket *pb, uint64_t latency_us) {
    if (bucket_server_ok(pb->core, proxy_now(root), latency_us))
        log_info("server is up", {{"bucket", pb->core.id}, {"latency_us", latency_us}});
}

void slots_server_failed(proxy *root, proxy_bucket *pb, const char *detail) {
    bool went_down = bucket_server_failed(pb->core, proxy_now(root), proxy_random(root), detail);
    log_fields fields = {{"bucket", pb->core.id}, {"error", detail}, {"failures", pb->core.failures}};
    if (!went_down) {
        log_debug("server cannot be reached", fields);
        return;
    }
    log_error("server is down: circuit open, failing fast", fields);
    if (!pb->core.paused)
        slots_deny_all(root, pb, proxy_error::server_lost, "");
}
