#include "pool/bucket.h"

#include <algorithm>
#include <cassert>

// With queueing off a waiter stays only for the coordinator's answer; this is how long that may take.
static constexpr uint64_t answer_timeout = 5'000;

static constexpr uint64_t ceiling_step = 10'000; // ms

static bool over_queue_limit(const bucket &b, size_t length) {
    return b.limits.max_queue_size != 0 && length > b.limits.max_queue_size;
}

bucket_verdict bucket_request(bucket &b, waiter &w, uint64_t now) {
    // A probe is what finds out that the server is back.
    if (b.health == server_health::down && w.kind == waiter_kind::client && !b.paused)
        return bucket_verdict::server_down;
    if ((b.full || b.paused || b.surplus > 0) && over_queue_limit(b, waitq_length(b.queue) + 1))
        return bucket_verdict::queue_full;
    waitq_push(b.queue, w, now, b.limits.queue_timeout != 0 ? b.limits.queue_timeout : answer_timeout);
    w.refused = b.full; // on behalf of those before it
    return bucket_verdict::wait;
}

void bucket_cancel(bucket &b, waiter &w) {
    if (waitq_contains(b.queue, w))
        waitq_remove(b.queue, w);
}

bool bucket_should_want(const bucket &b, uint64_t now) {
    return !b.want_outstanding && waitq_length(b.queue) > 0 && now >= b.ask_at && b.surplus == 0 && !b.paused;
}

void bucket_want_sent(bucket &b) {
    assert(!b.want_outstanding);
    b.want_outstanding = true;
}

waiter *bucket_slot_granted(bucket &b) {
    b.want_outstanding = false;
    b.ask_at = 0;
    waiter *w = b.paused ? nullptr : waitq_pop(b.queue);
    if (w != nullptr)
        ++b.used;
    return w;
}

void bucket_slot_refused(bucket &b, bool full, uint64_t now, uint32_t random) {
    b.want_outstanding = false;
    b.full = full;
    uint64_t poll = b.limits.queue_poll;
    b.ask_at = now + poll - (poll / 4) * (random & 0xFFFF) / 0x10000;
    waitq_mark_refused(b.queue);
}

waiter *bucket_pop_excess(bucket &b, bool &queueing_off) {
    queueing_off = b.limits.queue_timeout == 0;
    if (queueing_off)
        return waitq_pop(b.queue);
    if (b.full && over_queue_limit(b, waitq_length(b.queue)))
        return waitq_pop_newest(b.queue);
    return nullptr;
}

void bucket_slot_maybe_free(bucket &b) {
    b.full = false;
    b.ask_at = 0;
}

waiter *bucket_slot_free(bucket &b, bool may_hand_over) {
    assert(b.used > 0);
    if (may_hand_over && b.surplus == 0 && b.used <= b.ceiling && !b.paused) {
        waiter *w = waitq_pop(b.queue);
        if (w != nullptr)
            return w;
    }
    --b.used;
    return nullptr;
}

void bucket_pause(bucket &b) {
    b.paused = true;
}

void bucket_resume(bucket &b) {
    b.paused = false;
    b.failures = 0;
    if (b.health == server_health::down)
        b.health = server_health::unknown;
    bucket_slot_maybe_free(b);
}

bool bucket_above_ceiling(const bucket &b, uint32_t closing) {
    return b.used > closing && b.used - closing > b.ceiling;
}

bool bucket_server_busy(bucket &b, uint32_t closing, uint64_t now) {
    bool news = b.ceiling == UINT32_MAX;
    uint32_t staying = b.used > closing ? b.used - closing : 0;
    b.ceiling = std::min(b.ceiling, std::max(staying, 2U) - 1);
    b.ceiling_at = now + ceiling_step;
    return news;
}

bool bucket_ceiling_tick(bucket &b, uint64_t now) {
    if (b.ceiling == UINT32_MAX || now < b.ceiling_at)
        return false;
    b.ceiling += std::max(b.ceiling / 8, 1U);
    b.ceiling_at = now + ceiling_step;
    if (b.ceiling >= b.max)
        b.ceiling = UINT32_MAX;
    return true;
}

bool bucket_server_ok(bucket &b, uint64_t now, uint64_t latency_us) {
    bool news = b.health != server_health::up;
    b.health = server_health::up;
    b.failures = 0;
    b.last_ok = now;
    b.latency_us = latency_us;
    b.last_error.clear();
    backoff_reset(b.retry);
    return news;
}

bool bucket_server_failed(bucket &b, uint64_t now, uint32_t random, std::string error) {
    b.last_error = std::move(error);
    ++b.failures;
    if (b.failures < b.limits.down_after)
        return false;
    bool news = b.health != server_health::down;
    b.health = server_health::down;
    b.probe_at = now + backoff_next(b.retry, random);
    return news;
}
