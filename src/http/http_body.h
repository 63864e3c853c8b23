// The bodies that the HTTP side answers with. Pure functions; times are milliseconds since 1970.
#pragma once

#include "http/http.h"

#include <cstdint>
#include <string>

std::string rfc3339(int64_t unix_ms);                                         // 2026-11-21T03:30:00.123Z
std::string latency_text(uint64_t us);                                        // "1.2ms", below a millisecond "0.35ms"
std::string live_json(int64_t unix_ms);                                       // {"status":"alive","time":..}
std::string ready_json(const health_snapshot &, bool ready, int64_t unix_ms); // {"status":"ready"|"not ready",..}
std::string accepting_json(const health_snapshot &, int64_t unix_ms); // {"status":"accepting"|"not accepting",..}
std::string index_page(const health_snapshot &, const std::string &version); // HTML: the endpoints
std::string html_escaped(const std::string &text);
