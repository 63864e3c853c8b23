// What the time since the last good heartbeat allows: to be fenced or not, to reap others or not. Pure.
//
//   sent    answered                                      fenced           heartbeat expires at Redis (earliest)
//    |---------|----- interval -----| ...                   |                        |
//    0                                               ttl - interval                 ttl
//
// A heartbeat lives for `ttl` from when Redis runs it, so at least `ttl` from when it was sent. An instance that stops
// taking slots `ttl - interval` after sending its last good beat has stopped before anybody can reap it.
//
// Reaping waits after a gap: when Redis itself stood still, every heartbeat may have expired although its owner lives.
// So whoever sees beats come late reaps nobody until all others have had the time to register.
//
// Times are milliseconds of a clock that also counts suspended time (CLOCK_BOOTTIME).
#pragma once

#include <cstdint>

struct beat_clock {
    uint64_t interval = 0;
    uint64_t ttl = 0;
    bool ever = false;       // a beat has been good
    uint64_t sent = 0;       // when the last good beat was sent
    uint64_t reap_after = 0; // no reaping before
};

// How long after the first registration with a Redis that lost its data no slots are given: every living instance beats
// at least once in that time.
inline uint64_t settle_time(uint64_t interval) {
    return interval + 2000;
}

// A beat sent at `sent` was accepted, and its answer read at `now`. False, and nothing has changed, if the answer is
// so old that it proves nothing about now. `kept`: Redis still had the heartbeat from before; if not, although beats
// came in time, Redis' clock has jumped and everybody else's heartbeat is gone too.
bool beat_clock_good(beat_clock &, uint64_t sent, uint64_t now, bool kept);

// True when the last good beat is too long ago. False before the first one.
bool beat_clock_fenced(const beat_clock &, uint64_t now);

// How many ms from now the instance becomes fenced, if no beat succeeds; 0 if it is.
uint64_t beat_clock_left(const beat_clock &, uint64_t now);

bool beat_clock_may_reap(const beat_clock &, uint64_t now);
