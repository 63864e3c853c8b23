// What the loop tells the HTTP side about once a second: a copy, no references into loop state.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

struct proxy;

struct snapshot_component {
    std::string name;
    bool healthy;
    std::string message;
    uint64_t latency_us;
};

struct proxy_snapshot {
    std::string instance_id;
    bool accepting;
    std::vector<snapshot_component> components; // redis (where configured), then a bucket each
};

proxy_snapshot snapshot_take(const proxy *);
