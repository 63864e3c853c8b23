// What the system says of this process, from /proc. For any thread.
#pragma once

#include <cstdint>

struct process_stats {
    uint64_t resident_bytes = 0;
    uint64_t open_fds = 0;
    uint64_t max_fds = 0;
    double cpu_seconds = 0; // user and system; never falls
    double started = 0;     // Unix time
};

// What cannot be read is 0.
process_stats process_stats_read();
