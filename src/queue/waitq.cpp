#include "queue/waitq.h"

void waitq_push(waitq &q, waiter &w, uint64_t now, uint64_t timeout) {
    w.since = now;
    w.deadline = now + timeout;
    w.refused = w.told = false;
    w.passed_over = 0;
    list_push_back(q.waiters, w);
}

void waitq_remove(waitq &q, waiter &w) {
    list_remove(q.waiters, w);
}

waiter *waitq_pop(waitq &q) {
    return list_pop_front(q.waiters);
}

waiter *waitq_pop_newest(waitq &q) {
    waiter *w = list_back(q.waiters);
    if (w != nullptr)
        list_remove(q.waiters, *w);
    return w;
}

waiter *waitq_pop_expired(waitq &q, uint64_t now) {
    waiter *w = list_front(q.waiters);
    if (w == nullptr || w->deadline > now)
        return nullptr;
    list_remove(q.waiters, *w);
    return w;
}

void waitq_mark_refused(waitq &q) {
    // New waiters join at the end, so the marked ones are a prefix: stop at the first marked from the back.
    for (waiter *w = list_back(q.waiters); w != nullptr && !w->refused; w = w->node.prev)
        w->refused = true;
}
