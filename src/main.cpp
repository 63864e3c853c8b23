// tdsbouncer: arguments, boot order, signals, shutdown.
//
//      config -> log -> metrics -> HTTP -> buckets, listeners, coordinator -> ready
//      and the other way round at the end: sessions, slots, coordinator, HTTP, loop

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <csignal>
#include <getopt.h>
#include <openssl/crypto.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <uv.h>

#include "base/log.h"
#include "base/metric_table.h"
#include "base/systemd.h"
#include "config/config.h"
#include "http/http.h"
#include "proxy/meters.h"
#include "proxy/proxy.h"
#include "proxy/reload.h"
#include "proxy/snapshot.h"

enum exit_status { exit_ok = 0, exit_bad_config = 1, exit_start_failed = 2 };

struct options {
    std::string proxy_file;
    std::string buckets_file;
    bool check_only = false;
    bool health_only = false;
};

static constexpr const char *usage =
    "usage: tdsbouncer --config proxy.yaml --buckets buckets.yaml [--check-config | --healthcheck]\n"
    "       tdsbouncer --version | --help\n"
    "\n"
    "  -c, --config FILE    proxy, redis and fallback settings\n"
    "  -b, --buckets FILE   the SQL Servers\n"
    "  -t, --check-config   check both files and exit: 0 sound, 1 not\n"
    "  -H, --healthcheck    ask the proxy that runs with these files for /health/live: status 0 if it answers 200\n"
    "  -V, --version        print the version and exit\n"
    "  -h, --help           print this and exit\n"
    "\n"
    "PROXY_INSTANCE_ID in the environment overrides proxy.instance_id.\n"
    "Signals: TERM and INT drain and stop (a second one stops at once); HUP reads both files again.\n"
    "Exit status: 0 orderly stop, 1 bad configuration or arguments, 2 start failed.\n";

// Fills `out`; returns an exit status, or -1 to go on.
static int parse_arguments(int argc, char **argv, options &out) {
    static const option long_options[] = {{"config", required_argument, nullptr, 'c'},
                                          {"buckets", required_argument, nullptr, 'b'},
                                          {"healthcheck", no_argument, nullptr, 'H'},
                                          {"check-config", no_argument, nullptr, 't'},
                                          {"version", no_argument, nullptr, 'V'},
                                          {"help", no_argument, nullptr, 'h'},
                                          {nullptr, 0, nullptr, 0}};
    for (int c = 0; (c = getopt_long(argc, argv, "c:b:tHVh", long_options, nullptr)) != -1;) {
        switch (c) {
        case 'c': out.proxy_file = optarg; break;
        case 'b': out.buckets_file = optarg; break;
        case 't': out.check_only = true; break;
        case 'H': out.health_only = true; break;
        case 'V': printf("tdsbouncer %s\n", TDSBOUNCER_VERSION); return exit_ok;
        case 'h': fputs(usage, stdout); return exit_ok;
        default: fputs(usage, stderr); return exit_bad_config;
        }
    }
    if (out.proxy_file.empty() || out.buckets_file.empty() || optind != argc) {
        fputs(usage, stderr);
        return exit_bad_config;
    }
    return -1;
}

static std::unique_ptr<config> load(const options &o) {
    std::vector<std::string> errors;
    std::vector<std::string> warnings;
    auto conf = config_load(o.proxy_file, o.buckets_file, errors, warnings);
    for (const std::string &w : warnings)
        fprintf(stderr, "warning: %s\n", w.c_str());
    for (const std::string &e : errors)
        fprintf(stderr, "error: %s\n", e.c_str());
    return conf;
}

// Two descriptors per session and some: take all that the system grants.
static void raise_descriptor_limit() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    log_info("descriptor limit", {{"nofile", static_cast<uint64_t>(limit.rlim_cur)}});
}

// Passwords are in memory: no core file and no other process of the same user may look. (The leak checker of a
// sanitizer build must.)
static void forbid_dumps() {
#ifndef __SANITIZE_ADDRESS__
    prctl(PR_SET_DUMPABLE, 0);
#endif
}

struct app {
    options args;
    uv_loop_t loop{};
    std::unique_ptr<config> conf;
    metrics *registry = nullptr;
    http_server *http = nullptr;
    proxy *root = nullptr;
    uv_signal_t terminate, interrupt, hangup;
    uv_timer_t watchdog; // tells systemd that the loop turns

    // Somebody wants to see the metrics: the loop tells the registry what it has counted in plain integers.
    uv_async_t scrape;
    std::mutex scrape_lock; // guards what follows
    std::condition_variable scrape_told;
    uint64_t scrapes = 0;
};

static constexpr auto scrape_wait = std::chrono::milliseconds(250);

static void on_scrape(uv_async_t *async) {
    auto *a = static_cast<app *>(async->data);
    if (a->root != nullptr)
        meters_tell(a->root);
    std::lock_guard guard(a->scrape_lock);
    ++a->scrapes;
    a->scrape_told.notify_all();
}

// On an HTTP thread. Where the loop is at work for long, or is not there any more, what it told last must do.
static void before_metrics(void *user) {
    auto *a = static_cast<app *>(user);
    std::unique_lock guard(a->scrape_lock);
    uint64_t before = a->scrapes;
    uv_async_send(&a->scrape);
    a->scrape_told.wait_for(guard, scrape_wait, [&] { return a->scrapes != before; });
}

static void publish(void *user, proxy *root) {
    auto *a = static_cast<app *>(user);
    http_publish(a->http, snapshot_take(root));
}

static void on_stopped(void *user) {
    auto *a = static_cast<app *>(user);
    for (uv_signal_t *s : {&a->terminate, &a->interrupt, &a->hangup})
        uv_close(reinterpret_cast<uv_handle_t *>(s), nullptr);
    uv_close(reinterpret_cast<uv_handle_t *>(&a->watchdog), nullptr);
    uv_close(reinterpret_cast<uv_handle_t *>(&a->scrape), nullptr);
}

// Twice in the time that systemd waits.
static void start_watchdog(app *a) {
    uv_timer_init(&a->loop, &a->watchdog);
    if (uint64_t interval = systemd_watchdog_interval(); interval > 1)
        uv_timer_start(
            &a->watchdog, [](uv_timer_t *) { systemd_notify("WATCHDOG=1"); }, interval / 2, interval / 2);
}

static void configure_log(const config &conf) {
    log_level level = log_level::info;
    log_level_parse(conf.proxy.log_level, level);
    log_configure(level, conf.proxy.log_json, conf.proxy.instance_id);
}

// Both files again. One that is not sound changes nothing.
static bool reload(void *user, std::string &error) {
    auto *a = static_cast<app *>(user);
    std::vector<std::string> errors, warnings;
    auto fresh = config_load(a->args.proxy_file, a->args.buckets_file, errors, warnings);
    for (const std::string &w : warnings)
        log_warn("reload", {{"warning", w}});
    for (const std::string &e : errors)
        log_error("reload", {{"error", e}});
    if (fresh == nullptr) {
        error = errors.front();
        return false;
    }
    if (!reload_apply(a->root, *a->conf, std::move(fresh), error))
        return false;
    configure_log(*a->conf);
    log_set_instance(a->root->instance_id);
    return true;
}

static void reload_by_signal(app *a) {
    std::string error;
    systemd_notify_reloading();
    if (!proxy_reload(a->root, error))
        log_error("reload failed: the configuration stays as it was", {{"error", error}});
    systemd_notify("READY=1");
}

// SIGTERM, or DRAIN in the admin console.
static void drain(void *user) {
    auto *a = static_cast<app *>(user);
    if (a->root->draining) {
        proxy_drain_now(a->root);
        return;
    }
    systemd_notify("STOPPING=1");
    proxy_drain(a->root, on_stopped, a);
}

static void on_signal(uv_signal_t *handle, int number) {
    auto *a = static_cast<app *>(handle->data);
    if (number == SIGHUP) {
        reload_by_signal(a);
        return;
    }
    log_info("signal: shutdown", {{"signal", number}});
    drain(a);
}

static void watch_signals(app *a) {
    struct {
        uv_signal_t *handle;
        int number;
    } watched[] = {{&a->terminate, SIGTERM}, {&a->interrupt, SIGINT}, {&a->hangup, SIGHUP}};
    for (auto &w : watched) {
        uv_signal_init(&a->loop, w.handle);
        w.handle->data = a;
        uv_signal_start(w.handle, on_signal, w.number);
    }
}

static bool start(app *a, std::string &error) {
    const proxy_config &conf = a->conf->proxy;
    a->http = http_start({conf.health_listen_addr, conf.health_check_port, conf.metrics_port, conf.http_threads,
                          TDSBOUNCER_VERSION, before_metrics, a},
                         a->registry, error);
    if (a->http == nullptr)
        return false;
    a->root = proxy_start(&a->loop, *a->conf, a->registry, systemd_take_sockets(), error);
    if (a->root == nullptr) {
        http_stop(a->http);
        return false;
    }
    a->root->reload = reload;
    a->root->reload_user = a;
    a->root->publish = publish;
    a->root->publish_user = a;
    a->root->ask_drain = drain;
    publish(a, a->root);
    return true;
}

static int run(app *a) {
    std::string error;
    if (uv_loop_init(&a->loop) != 0) {
        log_error("start failed", {{"error", "no event loop"}});
        return exit_start_failed;
    }
    a->registry = metrics_create();
    gauge_set(metric_gauge(a->registry, metric::build_info,
                           {TDSBOUNCER_VERSION, OpenSSL_version(OPENSSL_VERSION_STRING), uv_version_string()}),
              1);
    start_watchdog(a);
    uv_async_init(&a->loop, &a->scrape, on_scrape);
    a->scrape.data = a;
    watch_signals(a); // first: a signal that comes before the loop runs waits for it
    if (!start(a, error)) {
        log_error("start failed", {{"error", error}});
        on_stopped(a);
        uv_run(&a->loop, UV_RUN_DEFAULT);
        metrics_destroy(a->registry);
        uv_loop_close(&a->loop);
        return exit_start_failed;
    }
    systemd_notify("READY=1");
    log_info("tdsbouncer started", {{"version", TDSBOUNCER_VERSION}, {"buckets", a->conf->buckets.size()}});
    uv_run(&a->loop, UV_RUN_DEFAULT);
    http_stop(a->http);
    proxy_destroy(a->root);
    int leaked = uv_loop_close(&a->loop);
    if (leaked != 0)
        log_error("handles were left open", {{"error", uv_strerror(leaked)}});
    metrics_destroy(a->registry);
    log_info("tdsbouncer stopped");
    return exit_ok;
}

int main(int argc, char **argv) {
    app a;
    int status = parse_arguments(argc, argv, a.args);
    if (status >= 0)
        return status;
    a.conf = load(a.args);
    if (a.conf == nullptr)
        return exit_bad_config;
    if (a.args.check_only) {
        printf("configuration is sound: %zu bucket(s)\n", a.conf->buckets.size());
        config_wipe(*a.conf);
        return exit_ok;
    }
    if (a.args.health_only) {
        std::string error;
        bool healthy =
            http_ask(a.conf->proxy.health_listen_addr, a.conf->proxy.health_check_port, "/health/live", error);
        if (!healthy)
            fprintf(stderr, "tdsbouncer is not healthy: %s\n", error.c_str());
        config_wipe(*a.conf);
        return healthy ? exit_ok : exit_bad_config;
    }
    configure_log(*a.conf);
    signal(SIGPIPE, SIG_IGN);
    forbid_dumps();
    raise_descriptor_limit();
    status = run(&a);
    config_wipe(*a.conf);
    log_flush();
    return status;
}
