// The waiter queue of one bucket: first in, first out, with deadlines. Pure; time is an argument (milliseconds of any
// monotonic clock). A waiter is embedded in what waits; the queue never allocates and never frees.
//
// Deadlines rise along the queue because every waiter of a bucket gets the same timeout; a timeout that was lowered
// while sessions waited lets the older ones keep their own deadline.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/list.h"

enum class waiter_kind : uint8_t { client, probe, warm };

struct waiter {
    list_node<waiter> node;
    uint64_t since = 0;    // when it was queued
    uint64_t deadline = 0; // when it must be told that it waited too long
    bool refused = false;  // a slot was asked for on its behalf, or a predecessor's, and there was none
    bool told = false;     // that it has waited for long, if it may be told that
    waiter_kind kind = waiter_kind::client;
    uint32_t passed_over = 0; // while it was the head: how often a later one was served
};

struct waitq {
    list<waiter, &waiter::node> waiters;
};

inline size_t waitq_length(const waitq &q) {
    return q.waiters.count;
}
inline bool waitq_contains(const waitq &q, const waiter &w) {
    return list_contains(q.waiters, w);
}
inline waiter *waitq_head(const waitq &q) {
    return list_front(q.waiters);
}

// Appends. `timeout` 0 gives a deadline of `now`: the waiter stays only until the first refusal or the next check.
void waitq_push(waitq &q, waiter &w, uint64_t now, uint64_t timeout);
// Takes out any waiter, in O(1): its client vanished or was answered.
void waitq_remove(waitq &q, waiter &w);
// Takes out the oldest, nullptr when empty.
waiter *waitq_pop(waitq &q);
// Takes out the newest, nullptr when empty: the one that a full queue turns away.
waiter *waitq_pop_newest(waitq &q);
// Takes out the oldest waiter whose deadline has passed, nullptr when there is none.
waiter *waitq_pop_expired(waitq &q, uint64_t now);
// Marks everybody who is queued now as having been refused once.
void waitq_mark_refused(waitq &q);
