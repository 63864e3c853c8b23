// The bodies that the HTTP side answers with. Pure functions; times are milliseconds since 1970.
#pragma once

#include "base/snapshot.h"
#include "http/history.h"

#include <cstdint>
#include <string>
#include <string_view>

std::string rfc3339(int64_t unix_ms);   // 2026-11-21T03:30:00.123Z
std::string latency_text(uint64_t us);  // "1.2ms", below a millisecond "0.35ms"
std::string live_json(int64_t unix_ms); // {"status":"alive","time":..}

bool health_ready(const proxy_snapshot &); // every required component is healthy
// {"status":"healthy"|"unhealthy","timestamp":RFC 3339,"instance_id":..,
//  "components":[{"name","status","message","latency":"1.2ms"}]}
std::string health_json(const proxy_snapshot &, int64_t unix_ms);
std::string ready_json(const proxy_snapshot &, bool ready, int64_t unix_ms); // {"status":"ready"|"not ready",..}
std::string accepting_json(const proxy_snapshot &, int64_t unix_ms); // {"status":"accepting"|"not accepting",..}

// Of the process, for the status page.
struct status_process {
    std::string version;
    uint64_t resident_bytes = 0;
    double started = 0; // Unix time
};
std::string status_json(const proxy_snapshot &, const status_process &, int64_t unix_ms);
// {"interval_ms":..,"buckets":[{"id","active":[..],"idle":[..],"queue":[..]}]}, oldest first.
std::string history_json(const status_history &);
