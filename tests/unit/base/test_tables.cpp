// The error table and the metric table: numbers, names and labels are what operators and clients rely on.
#include "cmocka_cpp.h"

#include <cstring>
#include <iterator>
#include <string>

#include "base/error_table.h"
#include "base/metric_table.h"

static void test_error_numbers_and_severities(void **) {
    assert_int_equal(std::size(error_table), 10);
    for (size_t i = 0; i < std::size(error_table); ++i) {
        const error_info &e = error_table[i];
        bool ends = e.number == proxy_error::server_lost || e.number == proxy_error::shutdown;
        bool told = e.number == proxy_error::still_waiting;
        assert_int_equal(static_cast<int>(e.number), told ? 50010 : 50000 + i);
        assert_int_equal(e.severity, ends ? 20 : told ? 0 : 16);
        assert_int_equal(strncmp(e.text, "tdsbouncer: ", 12), 0);
        assert_ptr_equal(&error_find(e.number), &e);
    }
    assert_int_equal(static_cast<int>(error_find(static_cast<proxy_error>(1)).number), 50000);
}

static void test_metric_names_types_labels(void **) {
    struct {
        metric id;
        metric_type type;
        const char *name;
        const char *labels;
    } const expected[] = {
        {metric::connections_active, metric_type::gauge, "proxy_connections_active", "bucket_id"},
        {metric::connections_idle, metric_type::gauge, "proxy_connections_idle", "bucket_id"},
        {metric::connections_max, metric_type::gauge, "proxy_connections_max", "bucket_id"},
        {metric::connections_pinned, metric_type::gauge, "proxy_connections_pinned", "bucket_id,pin_reason"},
        {metric::connections_total, metric_type::counter, "proxy_connections_total", "bucket_id,status"},
        {metric::queue_length, metric_type::gauge, "proxy_queue_length", "bucket_id"},
        {metric::queue_wait_seconds, metric_type::histogram, "proxy_queue_wait_seconds", "bucket_id"},
        {metric::tds_packets_total, metric_type::counter, "proxy_tds_packets_total", "bucket_id,direction,type"},
        {metric::query_duration_seconds, metric_type::histogram, "proxy_query_duration_seconds", "bucket_id"},
        {metric::connection_errors_total, metric_type::counter, "proxy_connection_errors_total",
         "bucket_id,error_type"},
        {metric::redis_operations_total, metric_type::counter, "proxy_redis_operations_total", "operation,status"},
        {metric::instance_heartbeat, metric_type::gauge, "proxy_instance_heartbeat", "instance_id"},
        {metric::pinning_duration_seconds, metric_type::histogram, "proxy_pinning_duration_seconds",
         "bucket_id,pin_reason"},
    };
    for (const auto &e : expected) {
        const metric_info &m = metric_describe(e.id);
        assert_string_equal(m.name, e.name);
        assert_int_equal(m.type, e.type);
        std::string labels;
        for (const char *label : m.labels)
            if (label != nullptr)
                labels.append(labels.empty() ? "" : ",").append(label);
        assert_string_equal(labels.c_str(), e.labels);
    }
    for (size_t i = 0; i < static_cast<size_t>(metric::count_); ++i) {
        const metric_info &m = metric_describe(static_cast<metric>(i));
        assert_int_equal(m.id, i);
        assert_true(strlen(m.help) > 10 && (strncmp(m.name, "proxy_", 6) == 0 || strncmp(m.name, "process_", 8) == 0));
        bool total = strstr(m.name, "_total") != nullptr;
        assert_int_equal(total, m.type == metric_type::counter);
    }
}

static void assert_contains(const std::string &all, const char *line) {
    if (all.find(line) == std::string::npos)
        print_error("not found: %s\nin:\n%s\n", line, all.c_str());
    assert_true(all.find(line) != std::string::npos);
}

static void test_values_and_text_format(void **) {
    metrics *m = metrics_create();
    metric_counter_handle *acquired = metric_counter(m, metric::connections_total, {"b-1", "acquired"});
    counter_add(acquired);
    counter_add(acquired, 2);
    assert_true(counter_value(acquired) == 3);
    assert_ptr_equal(metric_counter(m, metric::connections_total, {"b-1", "acquired"}), acquired);
    assert_ptr_not_equal(metric_counter(m, metric::connections_total, {"b-2", "acquired"}), acquired);
    gauge_set(metric_gauge(m, metric::queue_length, {"b-1"}), 7);
    metric_histogram_handle *wait = metric_histogram(m, metric::queue_wait_seconds, {"b-1"});
    histogram_observe(wait, 0.02);
    histogram_observe(wait, 100);
    std::string text = metrics_serialize(m);
    assert_contains(text, "# TYPE proxy_connections_total counter");
    assert_contains(text, "proxy_connections_total{bucket_id=\"b-1\",status=\"acquired\"} 3");
    assert_contains(text, "proxy_connections_total{bucket_id=\"b-2\",status=\"acquired\"} 0");
    assert_contains(text, "proxy_queue_length{bucket_id=\"b-1\"} 7");
    assert_contains(text, "proxy_queue_wait_seconds_count{bucket_id=\"b-1\"} 2");
    assert_contains(text, "proxy_queue_wait_seconds_bucket{bucket_id=\"b-1\",le=\"0.025\"} 1");
    assert_contains(text, "proxy_queue_wait_seconds_bucket{bucket_id=\"b-1\",le=\"+Inf\"} 2");
    metrics_destroy(m);
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_error_numbers_and_severities),
        cmocka_unit_test(test_metric_names_types_labels),
        cmocka_unit_test(test_values_and_text_format),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
