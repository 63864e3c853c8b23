// The bodies of the health endpoints.
#include "http/http_body.h"

#include <nlohmann/json.hpp>

#include "cmocka_cpp.h" // last: it defines fail()

using nlohmann::json;

static constexpr int64_t when = 1'795'231'800'123; // 2026-11-21T03:30:00.123Z

static proxy_snapshot snapshot() {
    proxy_snapshot s;
    s.instance_id = "proxy-1";
    s.accepting = true;
    s.components = {{"redis", true, true, "", 1234}, {"sqlserver-bucket-001", false, true, "refused", 350}};
    return s;
}

static void times_and_latencies(void **) {
    assert_string_equal(rfc3339(when).c_str(), "2026-11-21T03:30:00.123Z");
    assert_string_equal(latency_text(1234).c_str(), "1.2ms");
    assert_string_equal(latency_text(350).c_str(), "0.35ms");
    assert_string_equal(latency_text(0).c_str(), "0.00ms");
    assert_string_equal(latency_text(2'500'000).c_str(), "2500.0ms");
}

static void health_lists_every_component(void **) {
    json body = json::parse(health_json(snapshot(), when));
    assert_true(body["status"] == "unhealthy" && body["instance_id"] == "proxy-1");
    assert_true(body["timestamp"] == "2026-11-21T03:30:00.123Z");
    assert_int_equal(body["components"].size(), 2);
    assert_true(body["components"][0] ==
                json({{"name", "redis"}, {"status", "healthy"}, {"message", ""}, {"latency", "1.2ms"}}));
    assert_true(body["components"][1] == json({{"name", "sqlserver-bucket-001"},
                                               {"status", "unhealthy"},
                                               {"message", "refused"},
                                               {"latency", "0.35ms"}}));
}

static void ready_needs_every_required_component(void **) {
    proxy_snapshot s = snapshot();
    assert_false(health_ready(s));
    s.components[1].required = false;
    assert_true(health_ready(s));
    assert_true(json::parse(health_json(s, when))["status"] == "healthy");
    s.components[0].healthy = false;
    assert_false(health_ready(s));
    assert_true(health_ready({}));
}

static void states(void **) {
    proxy_snapshot s = snapshot();
    assert_string_equal(live_json(when).c_str(), "{\"status\":\"alive\",\"time\":\"2026-11-21T03:30:00.123Z\"}\n");
    assert_true(json::parse(ready_json(s, true, when))["status"] == "ready");
    assert_true(json::parse(ready_json(s, false, when))["status"] == "not ready");
    assert_true(json::parse(accepting_json(s, when))["status"] == "accepting");
    s.accepting = false;
    assert_true(json::parse(accepting_json(s, when))["status"] == "not accepting");
}

// What a server says in an error may hold any bytes.
static void bytes_that_are_not_utf8_do_no_harm(void **) {
    proxy_snapshot s = snapshot();
    s.components[0].message = "a\xff\"\n\x01z";
    json body = json::parse(health_json(s, when));
    assert_true(body["components"][0]["message"] == "a\xef\xbf\xbd\"\n\x01z");
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(times_and_latencies),
        cmocka_unit_test(health_lists_every_component),
        cmocka_unit_test(ready_needs_every_required_component),
        cmocka_unit_test(states),
        cmocka_unit_test(bytes_that_are_not_utf8_do_no_harm),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
