// Exponential backoff with jitter. Pure: time is nobody's business here, randomness is an argument.
#pragma once

#include <algorithm>
#include <cstdint>

struct backoff {
    uint64_t min = 100; // milliseconds
    uint64_t max = 5'000;
    uint32_t attempts = 0; // failures in a row
};

inline void backoff_reset(backoff &b) {
    b.attempts = 0;
}

// The wait before the next attempt: doubles with every failure up to `max`, then a random share of its upper half is
// taken off, so that many waiters do not come back at once.
inline uint64_t backoff_next(backoff &b, uint32_t random) {
    uint64_t delay = b.min;
    for (uint32_t i = 0; i < b.attempts && delay < b.max; ++i)
        delay *= 2;
    delay = std::min(delay, b.max);
    ++b.attempts;
    return delay - (delay / 2) * (random & 0xFFFF) / 0x10000;
}
