// The JSON bodies of the health endpoints, from a snapshot. Contract in http_body.h.
#include "http/http_body.h"

#include "http/json.h"

#include <cstdio>
#include <ctime>

namespace {

json component_json(const snapshot_component &c) {
    return {{"name", c.name},
            {"status", c.healthy ? "healthy" : "unhealthy"},
            {"message", c.message},
            {"latency", latency_text(c.latency_us)}};
}

std::string state_json(const proxy_snapshot &s, int64_t unix_ms, const char *state) {
    return json_text({{"status", state}, {"timestamp", rfc3339(unix_ms)}, {"instance_id", s.instance_id}});
}

} // namespace

std::string rfc3339(int64_t unix_ms) {
    time_t seconds = static_cast<time_t>(unix_ms / 1000);
    tm parts{};
    char date[32], text[48];
    gmtime_r(&seconds, &parts);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text, sizeof text, "%s.%03dZ", date, static_cast<int>(unix_ms % 1000));
    return text;
}

std::string latency_text(uint64_t us) {
    char text[32];
    snprintf(text, sizeof text, us < 1000 ? "%.2fms" : "%.1fms", static_cast<double>(us) / 1000);
    return text;
}

bool health_ready(const proxy_snapshot &s) {
    for (const snapshot_component &c : s.components)
        if (c.required && !c.healthy)
            return false;
    return true;
}

std::string health_json(const proxy_snapshot &s, int64_t unix_ms) {
    json components = json::array();
    for (const snapshot_component &c : s.components)
        components.push_back(component_json(c));
    return json_text({{"status", health_ready(s) ? "healthy" : "unhealthy"},
                      {"timestamp", rfc3339(unix_ms)},
                      {"instance_id", s.instance_id},
                      {"components", components}});
}

std::string ready_json(const proxy_snapshot &s, bool ready, int64_t unix_ms) {
    return state_json(s, unix_ms, ready ? "ready" : "not ready");
}

std::string accepting_json(const proxy_snapshot &s, int64_t unix_ms) {
    return state_json(s, unix_ms, s.accepting ? "accepting" : "not accepting");
}

std::string live_json(int64_t unix_ms) {
    return json_text({{"status", "alive"}, {"time", rfc3339(unix_ms)}});
}
