// The error table and the metric table: numbers, names and labels are what operators and clients rely on.
#include "cmocka_cpp.h"

#include <cstring>
#include <ctime>
#include <iterator>
#include <string>

#include <unistd.h>

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

static void test_tally_tells_what_is_new(void **) {
    metrics *m = metrics_create();
    metric_tally t;
    t.counter = metric_counter(m, metric::tds_bytes_total, {"b-1", "client_to_proxy"});
    tally_add(t, 10);
    tally_add(t);
    assert_true(counter_value(t.counter) == 0);
    tally_publish(t);
    assert_true(counter_value(t.counter) == 11);
    tally_add(t, 5);
    tally_publish(t);
    tally_publish(t);
    assert_true(counter_value(t.counter) == 16);
    metrics_destroy(m);
}

// A histogram tally and a histogram that is told at once must show the same buckets, at the bounds as well.
static void test_histogram_tally_is_the_same_histogram(void **) {
    metrics *m = metrics_create();
    metric_histogram_handle *at_once = metric_histogram(m, metric::queue_wait_seconds, {"b-1"});
    metric_histogram_tally t;
    t.histogram = metric_histogram(m, metric::queue_wait_seconds, {"b-2"});
    double sum = 0;
    for (double seconds : {0.0, 0.0005, 0.00050001, 0.3, 59.9, 60.0, 61.0, 0.0}) {
        histogram_observe(at_once, seconds);
        tally_observe(t, seconds);
        sum += seconds;
        if (seconds == 0.3)
            tally_publish(t);
    }
    assert_int_equal(t.count, 8);
    assert_true(t.sum == sum);
    for (int twice = 0; twice < 2; ++twice) {
        tally_publish(t);
        std::string text = metrics_serialize(m), wanted;
        for (size_t at = 0; (at = text.find("_bucket{bucket_id=\"b-1\"", at)) != std::string::npos; ++at) {
            wanted = text.substr(at, text.find('\n', at) - at);
            wanted.replace(wanted.find("b-1"), 3, "b-2");
            assert_contains(text, wanted.c_str());
        }
        assert_contains(wanted, "b-2");
    }
    metrics_destroy(m);
}

// The value of a line that begins so, or -1.
static double value_of(const std::string &text, const std::string &name) {
    size_t at = text.find("\n" + name + " ");
    return at == std::string::npos ? -1 : strtod(text.c_str() + at + name.size() + 2, nullptr);
}

static void test_process_is_told(void **) {
    metrics *m = metrics_create();
    std::string before = metrics_serialize(m);
    double now = static_cast<double>(time(nullptr));
    assert_true(value_of(before, "process_resident_memory_bytes") > 1e6);
    assert_true(value_of(before, "process_start_time_seconds") > now - 600 &&
                value_of(before, "process_start_time_seconds") < now + 2);
    double fds = value_of(before, "process_open_fds");
    assert_true(fds >= 3 && fds <= value_of(before, "process_max_fds"));
    int more[2];
    assert_int_equal(pipe(more), 0);
    std::string after = metrics_serialize(m);
    assert_true(value_of(after, "process_open_fds") == fds + 2);
    assert_true(value_of(after, "process_cpu_seconds_total") >= value_of(before, "process_cpu_seconds_total"));
    close(more[0]);
    close(more[1]);
    metrics_destroy(m);
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_error_numbers_and_severities),
        cmocka_unit_test(test_metric_names_types_labels),
        cmocka_unit_test(test_values_and_text_format),
        cmocka_unit_test(test_tally_tells_what_is_new),
        cmocka_unit_test(test_histogram_tally_is_the_same_histogram),
        cmocka_unit_test(test_process_is_told),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
