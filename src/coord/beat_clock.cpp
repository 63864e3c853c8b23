#include "coord/beat_clock.h"

static uint64_t fence_age(const beat_clock &c) {
    return c.ttl > c.interval ? c.ttl - c.interval : 0;
}

bool beat_clock_good(beat_clock &c, uint64_t sent, uint64_t now, bool kept) {
    if (now - sent >= fence_age(c))
        return false;
    bool gap = !c.ever || !kept || sent - c.sent > c.interval + c.interval / 2 || now - sent > c.interval / 2;
    if (gap)
        c.reap_after = now + settle_time(c.interval);
    c.ever = true;
    c.sent = sent;
    return true;
}

bool beat_clock_fenced(const beat_clock &c, uint64_t now) {
    return c.ever && now - c.sent >= fence_age(c);
}

uint64_t beat_clock_left(const beat_clock &c, uint64_t now) {
    uint64_t end = c.sent + fence_age(c);
    return end > now ? end - now : 0;
}

bool beat_clock_may_reap(const beat_clock &c, uint64_t now) {
    return c.ever && now >= c.reap_after && !beat_clock_fenced(c, now);
}
