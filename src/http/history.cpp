#include "http/history.h"

#include <algorithm>
#include <utility>

// Snapshots come about once a second: a little early is not the next one.
static constexpr int64_t slack_ms = 500;

static bucket_history take_history(status_history &h, const std::string &id) {
    auto known = std::find_if(h.buckets.begin(), h.buckets.end(), [&](const auto &b) { return b.id == id; });
    return known != h.buckets.end() ? std::move(*known) : bucket_history{id, {}};
}

static void follow_buckets(status_history &h, const proxy_snapshot &s) {
    bool same = std::equal(h.buckets.begin(), h.buckets.end(), s.buckets.begin(), s.buckets.end(),
                           [](const bucket_history &a, const snapshot_bucket &b) { return a.id == b.id; });
    if (same)
        return;
    std::vector<bucket_history> now;
    for (const snapshot_bucket &b : s.buckets)
        now.push_back(take_history(h, b.id));
    h.buckets = std::move(now);
}

void history_add(status_history &h, const proxy_snapshot &s, int64_t now_ms) {
    if (now_ms - h.sampled_at < static_cast<int64_t>(history_interval_ms) - slack_ms && now_ms >= h.sampled_at)
        return;
    h.sampled_at = now_ms;
    follow_buckets(h, s);
    for (size_t i = 0; i < s.buckets.size(); ++i) {
        auto &samples = h.buckets[i].samples;
        samples.push_back({s.buckets[i].active, s.buckets[i].idle, s.buckets[i].queue});
        if (samples.size() > history_samples)
            samples.pop_front();
    }
}
