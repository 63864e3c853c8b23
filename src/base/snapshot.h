// What the loop tells the HTTP side about once a second: plain data, a copy, no reference into the loop's state.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

struct snapshot_component {
    std::string name; // "redis", "sqlserver-<bucket id>"
    bool healthy = false;
    bool required = true; // counts for /health/ready
    std::string message;
    uint64_t latency_us = 0;
};

struct snapshot_count {
    const char *name = "";
    uint64_t count = 0;
};

struct snapshot_bucket {
    std::string id;
    const char *mode = "";
    uint32_t limit = 0;  // over all instances
    uint32_t in_use = 0; // likewise, as Redis counted last
    uint32_t active = 0; // slots of this instance, as proxy_connections_active
    uint32_t idle = 0;
    uint32_t queue = 0;
    uint64_t longest_wait_ms = 0; // of those who wait now
    uint32_t clients = 0;
    std::vector<snapshot_count> pinned;  // reasons that hold
    std::vector<snapshot_count> servers; // states in which there are connections
    uint64_t requests = 0;               // answered since the start
    uint64_t request_us = 0;             // of all of them together
    uint64_t errors = 0;
};

struct proxy_snapshot {
    std::string instance_id;
    bool accepting = false;                     // false while starting and draining
    std::vector<snapshot_component> components; // redis (where configured), then a bucket each
    std::string redis_state;                    // empty: without Redis
    std::vector<std::string> instances;
    std::vector<snapshot_count> clients; // by state
    uint64_t loop_delay_us = 0;          // the longest turn since the last snapshot
    uint64_t errors = 0;                 // of sessions without a bucket
    std::vector<snapshot_bucket> buckets;
};
