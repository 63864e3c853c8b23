// What the status page is told, and the history that is kept for it.
#include "http/http_body.h"

#include <nlohmann/json.hpp>

#include "cmocka_cpp.h" // last: it defines fail()

using nlohmann::json;

static constexpr int64_t when = 1'795'231'800'123; // 2026-11-21T03:30:00.123Z

static snapshot_bucket bucket_of(const char *id, uint32_t active, uint32_t queue) {
    snapshot_bucket b;
    b.id = id;
    b.mode = "transaction";
    b.limit = 50;
    b.in_use = 20;
    b.active = active;
    b.idle = 3;
    b.queue = queue;
    b.pinned = {{"transaction", 2}};
    b.requests = 7;
    b.request_us = 1500;
    return b;
}

static proxy_snapshot snapshot_of(std::vector<snapshot_bucket> buckets) {
    proxy_snapshot s;
    s.instance_id = "proxy-1";
    s.accepting = true;
    s.redis_state = "normal";
    s.instances = {"proxy-1", "proxy-2"};
    s.clients = {{"active", 4}};
    s.components = {{"redis", true, true, "normal", 1234}};
    s.buckets = std::move(buckets);
    return s;
}

static void status_tells_all(void **) {
    proxy_snapshot s = snapshot_of({bucket_of("b1", 5, 1)});
    json now = json::parse(status_json(s, {"1.2.3", 4096, 1'795'231'700}, when));
    assert_true(now["instance_id"] == "proxy-1" && now["version"] == "1.2.3" && now["memory_bytes"] == 4096);
    assert_true(now["timestamp"] == "2026-11-21T03:30:00.123Z");
    assert_true(now["uptime_s"].get<double>() > 100 && now["uptime_s"].get<double>() < 100.2);
    assert_true(now["healthy"] == true && now["redis"] == "normal" && now["clients"] == json({{"active", 4}}));
    assert_true(now["components"][0] ==
                json({{"name", "redis"}, {"healthy", true}, {"message", "normal"}, {"latency_ms", 1.234}}));
    const json &b = now["buckets"][0];
    assert_true(b["id"] == "b1" && b["limit"] == 50 && b["in_use"] == 20 && b["active"] == 5 && b["idle"] == 3);
    assert_true(b["queue"] == 1 && b["pinned"] == json({{"transaction", 2}}) && b["servers"] == json::object());
    assert_true(b["requests"] == 7 && b["request_ms"] == 1.5);
}

// Names and messages may hold anything; what is not UTF-8 is replaced.
static void any_bytes_are_json(void **) {
    proxy_snapshot s = snapshot_of({bucket_of("</script>\"", 0, 0)});
    s.components[0].message = "\xff<b>";
    json now = json::parse(status_json(s, {}, when));
    assert_true(now["buckets"][0]["id"] == "</script>\"");
    assert_true(now["components"][0]["message"] == "\xef\xbf\xbd<b>");
}

static void history_keeps_five_minutes(void **) {
    status_history h;
    int64_t now = when;
    for (uint32_t i = 0; i < 2 * history_samples; ++i, now += history_interval_ms) {
        history_add(h, snapshot_of({bucket_of("b1", i, 0), bucket_of("b2", 0, i)}), now);
        history_add(h, snapshot_of({bucket_of("b1", 999, 0), bucket_of("b2", 0, 999)}), now + 1000); // too early
    }
    json kept = json::parse(history_json(h));
    assert_true(kept["interval_ms"] == history_interval_ms);
    assert_int_equal(kept["buckets"].size(), 2);
    const json &active = kept["buckets"][0]["active"], &queue = kept["buckets"][1]["queue"];
    assert_int_equal(active.size(), history_samples);
    assert_int_equal(active.front(), history_samples);
    assert_int_equal(active.back(), 2 * history_samples - 1);
    assert_true(queue == active && kept["buckets"][0]["idle"][0] == 3);
}

static void history_follows_the_buckets(void **) {
    status_history h;
    history_add(h, snapshot_of({bucket_of("b1", 1, 0), bucket_of("b2", 2, 0)}), when);
    history_add(h, snapshot_of({bucket_of("b3", 3, 0), bucket_of("b2", 4, 0)}), when + 2000);
    json kept = json::parse(history_json(h));
    assert_int_equal(kept["buckets"].size(), 2);
    assert_true(kept["buckets"][0]["id"] == "b3" && kept["buckets"][0]["active"] == json({3}));
    assert_true(kept["buckets"][1]["id"] == "b2" && kept["buckets"][1]["active"] == json({2, 4}));
}

// The clock was set back: samples go on at once.
static void history_bears_a_clock_set_back(void **) {
    status_history h;
    history_add(h, snapshot_of({bucket_of("b1", 1, 0)}), when);
    history_add(h, snapshot_of({bucket_of("b1", 2, 0)}), when - 3'600'000);
    assert_int_equal(h.buckets[0].samples.size(), 2);
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(status_tells_all),
        cmocka_unit_test(any_bytes_are_json),
        cmocka_unit_test(history_keeps_five_minutes),
        cmocka_unit_test(history_follows_the_buckets),
        cmocka_unit_test(history_bears_a_clock_set_back),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
