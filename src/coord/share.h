// Arithmetic of sharing a limit between instances. Pure.
#pragma once

#include <cstdint>

// How many slots an instance may take by itself while Redis cannot be reached: max / max(divisor, instances), at least
// 1; 0 when fallback is off or the limit is 0.
uint32_t fallback_share(bool enabled, uint32_t max, uint32_t divisor, uint32_t instances);

// How many of its `held` slots an instance has to give back when all instances together hold `count` and may hold
// `max`: its proportion of the excess, rounded up so that the excess always goes away.
uint32_t surplus_share(uint32_t held, uint32_t count, uint32_t max);

// `ms` shortened by up to a tenth, at random: instances started together do not stay in step.
uint64_t jittered(uint64_t ms, uint64_t random);

// Wait before the n-th attempt in a row to connect (0 is the first after a loss): doubles from 50 ms, at most 1 s,
// jittered by half.
uint64_t reconnect_delay(uint32_t attempt, uint64_t random);
