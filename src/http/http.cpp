// The HTTP side: civetweb around the bodies. Contract in http.h.
//
//      loop thread --http_publish--> snapshot (behind a lock) <--read-- HTTP threads --metrics_serialize--> registry
#include "http/http.h"
#include "base/metric_table.h"
#include "base/process_stats.h"
#include "http/history.h"
#include "http/http_body.h"
#include "http/page.h"

#include <civetweb.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <memory>
#include <mutex>
#include <string_view>
#include <thread>

struct http_server {
    http_options options;
    metrics *registry = nullptr;
    mg_context *civetweb = nullptr;
    std::mutex lock;                                // guards what follows
    std::shared_ptr<const proxy_snapshot> snapshot; // null until the loop has published one
    status_history history;
    std::string start_log; // what civetweb complained about while it started
};

namespace {

struct reply {
    int status;
    const char *type;
    std::string body;
};

constexpr char json_type[] = "application/json";
constexpr char text_type[] = "text/plain; charset=utf-8";
constexpr char metrics_type[] = "text/plain; version=0.0.4; charset=utf-8";

int64_t now_ms() {
    using namespace std::chrono;
    return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

std::shared_ptr<const proxy_snapshot> current_snapshot(http_server &server) {
    std::lock_guard guard(server.lock);
    return server.snapshot;
}

// Before the first snapshot nothing is known: not ready, not accepting, one component that says so.
proxy_snapshot starting_snapshot() {
    proxy_snapshot s;
    s.components.push_back({"proxy", false, true, "starting", 0});
    return s;
}

const page_file *find_page(std::string_view path) {
    for (const page_file &file : page_files)
        if (path == file.path)
            return &file;
    return nullptr;
}

status_process process_now(const http_server &server) {
    process_stats now = process_stats_read();
    return {server.options.version, now.resident_bytes, now.started};
}

reply history_reply(http_server &server) {
    std::lock_guard guard(server.lock);
    return {200, json_type, history_json(server.history)};
}

reply health_reply(http_server &server, std::string_view path) {
    auto published = current_snapshot(server);
    const proxy_snapshot s = published != nullptr ? *published : starting_snapshot();
    bool ready = health_ready(s);
    if (const page_file *file = find_page(path); file != nullptr)
        return {200, file->type, file->text};
    if (path == "/status.json")
        return {200, json_type, status_json(s, process_now(server), now_ms())};
    if (path == "/history.json")
        return history_reply(server);
    if (path == "/health")
        return {ready ? 200 : 503, json_type, health_json(s, now_ms())};
    if (path == "/health/ready")
        return {ready ? 200 : 503, json_type, ready_json(s, ready, now_ms())};
    if (path == "/health/live")
        return {200, json_type, live_json(now_ms())};
    if (path == "/health/accepting")
        return {s.accepting ? 200 : 503, json_type, accepting_json(s, now_ms())};
    return {404, text_type, "not found\n"};
}

reply answer(http_server &server, int port, std::string_view path) {
    if (path == "/metrics" && port == server.options.metrics_port) {
        if (server.options.before_metrics != nullptr)
            server.options.before_metrics(server.options.user);
        return {200, metrics_type, metrics_serialize(server.registry)};
    }
    if (port == server.options.health_port)
        return health_reply(server, path);
    return {404, text_type, "not found\n"};
}

const char *reason(int status) {
    return status == 200   ? "OK"
           : status == 404 ? "Not Found"
           : status == 405 ? "Method Not Allowed"
                           : "Service Unavailable";
}

void send_reply(mg_connection *conn, const reply &r, bool with_body) {
    mg_printf(conn,
              "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nCache-Control: no-store\r\n"
              "X-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\nReferrer-Policy: no-referrer\r\n"
              "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
              "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"
              "%sConnection: close\r\n\r\n",
              r.status, reason(r.status), r.type, r.body.size(), r.status == 405 ? "Allow: GET, HEAD\r\n" : "");
    if (with_body)
        mg_write(conn, r.body.data(), r.body.size());
}

// Takes every request before civetweb looks for files. The status tells it that the answer has been sent.
int on_request(mg_connection *conn) {
    const mg_request_info *request = mg_get_request_info(conn);
    auto &server = *static_cast<http_server *>(request->user_data);
    std::string_view method = request->request_method != nullptr ? request->request_method : "";
    std::string_view path = request->local_uri != nullptr ? request->local_uri : "";
    bool allowed = method == "GET" || method == "HEAD";
    reply r = allowed ? answer(server, request->server_port, path) : reply{405, text_type, "method not allowed\n"};
    send_reply(conn, r, method != "HEAD");
    return r.status;
}

// civetweb writes its complaints to standard error otherwise. Only those of the start are of use: why it failed.
int on_log_message(const mg_connection *conn, const char *message) {
    const mg_context *context = mg_get_context(conn);
    auto *server = static_cast<http_server *>(context != nullptr ? mg_get_user_data(context) : nullptr);
    if (server == nullptr)
        return 1;
    std::lock_guard guard(server->lock);
    if (server->civetweb == nullptr && server->start_log.size() < 1000)
        server->start_log += (server->start_log.empty() ? "" : "; ") + std::string(message);
    return 1;
}

std::string listening_ports(const http_options &o) {
    std::string ports;
    if (o.health_port != 0)
        ports = o.listen_addr + ":" + std::to_string(o.health_port);
    if (o.metrics_port != 0 && o.metrics_port != o.health_port)
        ports += (ports.empty() ? "" : ",") + o.listen_addr + ":" + std::to_string(o.metrics_port);
    return ports;
}

// Signals belong to the loop's thread: those that civetweb starts inherit a mask that blocks all of them.
mg_context *start_without_signals(mg_init_data &init, mg_error_data &error) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    mg_context *context = mg_start2(&init, &error);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return context;
}

// Connects and leaves. civetweb's accepting thread sleeps for up to 2 s before it sees that it is to stop; this wakes
// it.
void knock(const http_options &o) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(o.health_port != 0 ? o.health_port : o.metrics_port);
    inet_pton(AF_INET, o.listen_addr.c_str(), &address.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    (void)connect(fd, reinterpret_cast<sockaddr *>(&address), sizeof address);
    close(fd);
}

} // namespace

// Short timeouts and no keep-alive: with few threads a silent client (a port probe) must not keep one for long, or the
// load balancer's question waits behind it.
http_server *http_start(const http_options &options, metrics *registry, std::string &error) {
    auto server = std::make_unique<http_server>();
    server->options = options;
    server->registry = registry;
    std::string ports = listening_ports(options), threads = std::to_string(options.threads);
    if (ports.empty())
        return server.release(); // both ports off: nothing to serve, but a place to publish to
    const char *settings[] = {"listening_ports",
                              ports.c_str(),
                              "num_threads",
                              threads.c_str(),
                              "enable_keep_alive",
                              "no",
                              "request_timeout_ms",
                              "500",
                              "connection_queue",
                              "64",
                              nullptr};
    mg_callbacks callbacks{};
    callbacks.begin_request = on_request;
    callbacks.log_message = on_log_message;
    char text[256] = "";
    mg_init_data init{&callbacks, server.get(), settings};
    mg_error_data failure{nullptr, text, sizeof text};
    mg_init_library(0);
    mg_context *context = start_without_signals(init, failure);
    if (context == nullptr) { // its threads are gone: no lock is needed
        error = "HTTP on " + ports + ": " + (server->start_log.empty() ? text : server->start_log.c_str());
        mg_exit_library();
        return nullptr;
    }
    std::lock_guard guard(server->lock);
    server->civetweb = context;
    return server.release();
}

void http_publish(http_server *server, proxy_snapshot &&snapshot) {
    auto next = std::make_shared<const proxy_snapshot>(std::move(snapshot));
    std::lock_guard guard(server->lock);
    history_add(server->history, *next, now_ms());
    server->snapshot.swap(next);
}

void http_stop(http_server *server) {
    if (server == nullptr)
        return;
    if (server->civetweb != nullptr) {
        std::atomic<bool> stopped{false};
        std::thread waker([&] {
            for (; !stopped; std::this_thread::sleep_for(std::chrono::milliseconds(5)))
                knock(server->options);
        });
        mg_stop(server->civetweb);
        stopped = true;
        waker.join();
        mg_exit_library();
    }
    delete server;
}
