// The running server, asked over plain sockets.
#include "base/metric_table.h"
#include "http/http.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "cmocka_cpp.h" // last: it defines fail()

static sockaddr_in loopback(uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    return address;
}

// A socket bound to a port that nobody else has.
static int bound_socket(uint16_t &port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    assert_int_equal(bind(fd, reinterpret_cast<sockaddr *>(&address), size), 0);
    assert_int_equal(getsockname(fd, reinterpret_cast<sockaddr *>(&address), &size), 0);
    port = ntohs(address.sin_port);
    return fd;
}

static uint16_t free_port() {
    uint16_t port = 0;
    close(bound_socket(port));
    return port;
}

// The whole answer to `request` (a line without its end), read until the server closes.
static std::string ask(uint16_t port, const std::string &request) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = loopback(port);
    timeval limit{5, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    assert_int_equal(connect(fd, reinterpret_cast<sockaddr *>(&address), sizeof address), 0);
    std::string text = request + " HTTP/1.1\r\nHost: localhost\r\n\r\n", answer;
    assert_int_equal(send(fd, text.data(), text.size(), MSG_NOSIGNAL), text.size());
    char buffer[4096];
    for (ssize_t got; (got = recv(fd, buffer, sizeof buffer, 0)) > 0;)
        answer.append(buffer, static_cast<size_t>(got));
    close(fd);
    return answer;
}

static std::string status_of(const std::string &answer) {
    return answer.substr(9, 3);
}
static std::string body_of(const std::string &answer) {
    return answer.substr(answer.find("\r\n\r\n") + 4);
}
static bool contains(const std::string &text, const char *part) {
    return text.find(part) != std::string::npos;
}

struct fixture {
    metrics *registry = metrics_create();
    http_options options{"127.0.0.1", free_port(), free_port(), 2, "1.2.3"};
    http_server *server = nullptr;

    explicit fixture(bool one_port = false) {
        std::string error;
        if (one_port)
            options.metrics_port = options.health_port;
        server = http_start(options, registry, error);
        assert_string_equal(error.c_str(), "");
        assert_non_null(server);
    }
    ~fixture() {
        http_stop(server);
        metrics_destroy(registry);
    }
    std::string get(const char *path) { return ask(options.health_port, std::string("GET ") + path); }
    std::string get_metrics(const char *path) { return ask(options.metrics_port, std::string("GET ") + path); }
    void publish(bool accepting, bool healthy) {
        proxy_snapshot s;
        s.instance_id = "proxy-1";
        s.accepting = accepting;
        s.components = {{"redis", healthy, true, "", 1000}};
        s.buckets.emplace_back().id = "b1";
        http_publish(server, std::move(s));
    }
};

static void before_the_first_snapshot_nothing_is_ready(void **) {
    fixture f;
    assert_string_equal(status_of(f.get("/health/live")).c_str(), "200");
    for (const char *path : {"/health", "/health/ready", "/health/accepting"})
        assert_string_equal(status_of(f.get(path)).c_str(), "503");
    assert_true(contains(f.get("/health"), "starting"));
}

static void endpoints_follow_the_snapshot(void **) {
    fixture f;
    f.publish(true, true);
    for (const char *path : {"/", "/health", "/health/ready", "/health/live", "/health/accepting", "/health?x=1"})
        assert_string_equal(status_of(f.get(path)).c_str(), "200");
    assert_true(contains(f.get("/health"), "\"instance_id\":\"proxy-1\""));
    f.publish(false, true);
    assert_string_equal(status_of(f.get("/health/accepting")).c_str(), "503");
    assert_string_equal(status_of(f.get("/health/ready")).c_str(), "200");
    f.publish(true, false);
    assert_string_equal(status_of(f.get("/health")).c_str(), "503");
    assert_true(contains(body_of(f.get("/health")), "\"status\":\"unhealthy\""));
    assert_string_equal(status_of(f.get("/health/ready")).c_str(), "503");
    assert_string_equal(status_of(f.get("/health/accepting")).c_str(), "200");
}

static void metrics_have_their_own_port(void **) {
    fixture f;
    f.publish(true, true);
    counter_add(metric_counter(f.registry, metric::connections_total, {"b1", "acquired"}), 3);
    std::string answer = f.get_metrics("/metrics");
    assert_string_equal(status_of(answer).c_str(), "200");
    assert_true(contains(answer, "Content-Type: text/plain; version=0.0.4"));
    assert_true(contains(body_of(answer), "proxy_connections_total{bucket_id=\"b1\",status=\"acquired\"} 3"));
    assert_string_equal(status_of(f.get("/metrics")).c_str(), "404");
    assert_string_equal(status_of(f.get_metrics("/health")).c_str(), "404");
}

static void both_may_share_a_port(void **) {
    fixture f(true);
    f.publish(true, true);
    assert_string_equal(status_of(f.get("/metrics")).c_str(), "200");
    assert_string_equal(status_of(f.get("/health")).c_str(), "200");
}

// All of it comes from here: the policy that goes with it lets the browser ask for nothing else.
static void the_status_page_is_whole(void **) {
    fixture f;
    f.publish(true, true);
    std::string page = f.get("/"), script = f.get("/status.js"), style = f.get("/status.css");
    assert_true(contains(page, "Content-Type: text/html; charset=utf-8\r\n") && contains(page, "</html>"));
    assert_true(contains(script, "Content-Type: text/javascript; charset=utf-8\r\n") && contains(script, "\nrun();\n"));
    assert_true(contains(style, "Content-Type: text/css; charset=utf-8\r\n") &&
                contains(style, "prefers-color-scheme"));
    assert_true(
        contains(page, "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:;"));
    for (const char *outside : {"src=\"http", "href=\"http", "url(http", "@import", "<style", "onclick"})
        assert_false(contains(body_of(page) + body_of(style), outside));
    assert_false(contains(body_of(script), "innerHTML") || contains(body_of(script), "fetch(\"http"));
    assert_true(contains(body_of(f.get("/status.json")), "\"version\":\"1.2.3\""));
    assert_true(contains(body_of(f.get("/history.json")), "{\"id\":\"b1\",\"active\":[0],"));
    assert_string_equal(status_of(f.get_metrics("/status.json")).c_str(), "404");
}

static void only_get_and_head(void **) {
    fixture f;
    f.publish(true, true);
    std::string head = ask(f.options.health_port, "HEAD /health/live");
    assert_string_equal(status_of(head).c_str(), "200");
    assert_string_equal(body_of(head).c_str(), "");
    assert_true(contains(head, "Content-Length: ") && !contains(head, "Content-Length: 0\r"));
    for (const char *method : {"POST", "PUT", "DELETE", "OPTIONS"}) {
        std::string answer = ask(f.options.health_port, std::string(method) + " /health");
        assert_string_equal(status_of(answer).c_str(), "405");
        assert_true(contains(answer, "Allow: GET, HEAD\r\n"));
    }
}

static void answers_are_not_cached_nor_guessed(void **) {
    fixture f;
    for (const char *path : {"/", "/health", "/nothing", "/../etc/passwd"}) {
        std::string answer = f.get(path);
        assert_true(contains(answer, "Cache-Control: no-store\r\n"));
        assert_true(contains(answer, "X-Content-Type-Options: nosniff\r\n"));
        assert_true(contains(answer, "Content-Security-Policy: default-src 'none'"));
    }
    assert_string_equal(status_of(f.get("/nothing")).c_str(), "404");
    assert_string_equal(status_of(f.get("/health/")).c_str(), "404");
}

static void taken_port_is_an_error_that_says_so(void **) {
    uint16_t port = 0;
    int fd = bound_socket(port);
    assert_int_equal(listen(fd, 1), 0);
    std::string error;
    assert_null(http_start({"127.0.0.1", port, 0, 1, ""}, nullptr, error));
    assert_true(contains(error, std::to_string(port).c_str()));
    assert_true(contains(error, "Address already in use"));
    close(fd);
}

static void no_port_is_no_server(void **) {
    std::string error;
    http_server *server = http_start({"127.0.0.1", 0, 0, 1, ""}, nullptr, error);
    assert_non_null(server);
    http_publish(server, {});
    http_stop(server);
}

static int64_t ms_since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start).count();
}

// Port probes connect and say nothing. The health check behind them must not wait for long.
static void silent_clients_do_not_keep_the_threads(void **) {
    fixture f;
    std::vector<int> silent;
    for (int i = 0; i < 4; ++i) {
        silent.push_back(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_in address = loopback(f.options.health_port);
        assert_int_equal(connect(silent.back(), reinterpret_cast<sockaddr *>(&address), sizeof address), 0);
    }
    auto start = std::chrono::steady_clock::now();
    assert_string_equal(status_of(f.get("/health/live")).c_str(), "200");
    assert_true(ms_since(start) < 2'500); // two rounds of 500 ms, and room for a busy machine
    for (int fd : silent)
        close(fd);
}

static void stopping_is_quick(void **) {
    metrics *registry = metrics_create();
    std::string error;
    auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < 5; ++i)
        http_stop(http_start({"127.0.0.1", free_port(), free_port(), 2, ""}, registry, error));
    assert_true(ms_since(start) < 4'000); // without the wake-up: about 1.5 s each
    metrics_destroy(registry);
}

// Snapshots change under readers (run under TSan too).
static void publishing_and_reading_at_once(void **) {
    fixture f;
    std::vector<std::thread> readers;
    size_t wrong[2] = {0, 0};
    f.publish(true, true);
    for (size_t &count : wrong)
        readers.emplace_back([&f, &count] {
            for (int i = 0; i < 50; ++i)
                count += !contains(f.get("/health"), "\"name\":\"redis\"");
        });
    for (int i = 0; i < 2000; ++i)
        f.publish(true, i % 2 == 0);
    for (std::thread &reader : readers)
        reader.join();
    assert_int_equal(wrong[0] + wrong[1], 0);
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(before_the_first_snapshot_nothing_is_ready),
        cmocka_unit_test(endpoints_follow_the_snapshot),
        cmocka_unit_test(metrics_have_their_own_port),
        cmocka_unit_test(both_may_share_a_port),
        cmocka_unit_test(the_status_page_is_whole),
        cmocka_unit_test(only_get_and_head),
        cmocka_unit_test(answers_are_not_cached_nor_guessed),
        cmocka_unit_test(taken_port_is_an_error_that_says_so),
        cmocka_unit_test(no_port_is_no_server),
        cmocka_unit_test(silent_clients_do_not_keep_the_threads),
        cmocka_unit_test(stopping_is_quick),
        cmocka_unit_test(publishing_and_reading_at_once),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
