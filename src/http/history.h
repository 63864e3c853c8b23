// A few minutes of the buckets' use, for who opens the status page now. Not locked.
#pragma once

#include "base/snapshot.h"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

inline constexpr uint64_t history_interval_ms = 2'000;
inline constexpr size_t history_samples = 150; // five minutes

struct history_sample {
    uint32_t active, idle, queue;
};

struct bucket_history {
    std::string id;
    std::deque<history_sample> samples; // oldest first
};

struct status_history {
    std::vector<bucket_history> buckets; // in the snapshot's order
    int64_t sampled_at = 0;
};

// Keeps a sample if the last one is history_interval_ms old. A bucket that is not in the snapshot any more goes.
void history_add(status_history &, const proxy_snapshot &, int64_t now_ms);
