// Load generator for terminated sessions: logs in like a driver, with the proxy's own client side of TDS.
//
//      session-bench connect PORT USER PASSWORD DATABASE TLS CLIENTS SESSIONS
//          CLIENTS loops of connect, login, SELECT 1, disconnect; SESSIONS in all
//      session-bench ask PORT USER PASSWORD DATABASE TLS CLIENTS REQUESTS PID
//          CLIENTS sessions that each ask SELECT 1 again and again; REQUESTS in all, logins not counted; CPU of process
//          PID
//      session-bench idle PORT USER PASSWORD DATABASE TLS COUNT BURST PID
//          opens COUNT sessions, 50 at a time, leaves them idle and tells what each costs process PID; then BURST more
//          log in at once, while one session asks SELECT 1 again and again and tells how long it waits
//
// TLS: none | full (no resumption: every handshake is a whole one). Prints one JSON object.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

#include "bench_client.h"
#include "tds/login7.h"
#include "tds/request_build.h"

static void ask(bench_client *c) {
    std::vector<uint8_t> out;
    tds_put_batch(out, tds_7_4, "SELECT 1", 0, tds_initial_packet_size);
    bench_client_ask(c, out);
}

// User and system time of a process, microseconds; 0 without one.
static double cpu_us(const char *pid) {
    std::ifstream file(std::string("/proc/") + pid + "/stat");
    std::string line;
    if (!std::getline(file, line))
        return 0;
    unsigned long user = 0, system = 0;
    sscanf(line.c_str() + line.rfind(')') + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system);
    return static_cast<double>(user + system) * 1e6 / static_cast<double>(sysconf(_SC_CLK_TCK));
}

// ---- connect ---------------------------------------------------------------------------------------------------

struct connect_bench : bench_loop {
    size_t sessions = 0;
    std::vector<double> took_us;
};

static void connect_next(connect_bench *b) {
    if (b->opened >= b->sessions)
        return;
    bench_client *c = bench_client_open(b, ask, [](bench_client *done) {
        auto *all = static_cast<connect_bench *>(done->b);
        all->took_us.push_back(static_cast<double>(uv_hrtime() - done->begun) / 1000);
        bench_client_end(done);
    });
    c->ended = [](bench_client *gone) { connect_next(static_cast<connect_bench *>(gone->b)); };
}

static void run_connect(connect_bench &b, size_t clients, size_t sessions) {
    b.sessions = sessions;
    uint64_t begun = uv_hrtime();
    for (size_t i = 0; i < clients; ++i)
        connect_next(&b);
    uv_run(&b.loop, UV_RUN_DEFAULT);
    double seconds = static_cast<double>(uv_hrtime() - begun) / 1e9;
    printf("{\"sessions\": %zu, \"seconds\": %.3f, \"per_second\": %.1f, \"p50_us\": %.0f, \"p99_us\": %.0f}\n",
           b.closed, seconds, static_cast<double>(b.closed) / seconds, bench_percentile(b.took_us, 0.5),
           bench_percentile(b.took_us, 0.99));
}

// ---- ask -------------------------------------------------------------------------------------------------------

struct ask_bench : bench_loop {
    size_t requests = 0, asked = 0;
    uint64_t begun = 0, over = 0;
    std::vector<double> took_us;
};

static void ask_next(bench_client *c) {
    auto *b = static_cast<ask_bench *>(c->b);
    if (b->begun != 0)
        b->took_us.push_back(static_cast<double>(uv_hrtime() - c->asked) / 1000);
    if (b->asked < b->requests) {
        ++b->asked;
        ask(c);
    } else if (b->took_us.size() == b->requests) {
        b->over = uv_hrtime();
        uv_stop(&b->loop);
    }
}

// The first request of each session is not counted: its server connection may have to be opened.
static void run_ask(ask_bench &b, size_t clients, size_t requests, const char *pid) {
    std::vector<bench_client *> all;
    for (size_t i = 0; i < clients; ++i)
        all.push_back(bench_client_open(&b, ask, [](bench_client *) {}));
    auto all_idle = [&all] {
        return std::all_of(all.begin(), all.end(),
                           [](const bench_client *c) { return c->now == bench_stage::idle && !c->login; });
    };
    while (b.ready < clients || !all_idle())
        uv_run(&b.loop, UV_RUN_ONCE);
    b.requests = requests;
    double cpu = cpu_us(pid);
    b.begun = uv_hrtime();
    for (bench_client *c : all) {
        c->answered = ask_next;
        ++b.asked;
        ask(c);
    }
    uv_run(&b.loop, UV_RUN_DEFAULT);
    double seconds = static_cast<double>(b.over - b.begun) / 1e9;
    printf("{\"requests\": %zu, \"per_second\": %.0f, \"cpu_us\": %.2f, \"p50_us\": %.0f, \"p99_us\": %.0f}\n",
           requests, static_cast<double>(requests) / seconds, (cpu_us(pid) - cpu) / static_cast<double>(requests),
           bench_percentile(b.took_us, 0.5), bench_percentile(b.took_us, 0.99));
    fflush(stdout);
    _exit(0);
}

// ---- idle ------------------------------------------------------------------------------------------------------

static double memory_kib(const char *pid) {
    std::ifstream file(std::string("/proc/") + pid + "/smaps_rollup");
    std::string word;
    while (file >> word)
        if (word == "Pss:") {
            double kib = 0;
            file >> kib;
            return kib;
        }
    bench_die("memory of the process", pid);
}

struct idle_bench : bench_loop {};

// One session that asks SELECT 1 again and again, on a thread and a loop of its own.
struct asker : bench_loop {
    std::thread thread;
    std::atomic<bool> stop{false};
    std::mutex lock;
    std::vector<double> waited_us;
};

static void ask_again(bench_client *c) {
    auto *b = static_cast<asker *>(c->b);
    {
        std::lock_guard guard(b->lock);
        b->waited_us.push_back(static_cast<double>(uv_hrtime() - c->asked) / 1000);
    }
    if (!b->stop)
        ask(c);
    else
        bench_client_end(c);
}

static std::vector<double> take_waits(asker &a) {
    std::lock_guard guard(a.lock);
    return std::move(a.waited_us);
}

static void stay(bench_client *) {}

static void run_until(bench_loop &b, size_t ready) {
    while (b.ready < ready)
        uv_run(&b.loop, UV_RUN_ONCE);
}

static void open_idle(idle_bench &b, size_t count) {
    for (size_t begun = 0; begun < count; begun += 50) {
        size_t n = std::min<size_t>(50, count - begun);
        for (size_t i = 0; i < n; ++i)
            bench_client_open(&b, stay, stay);
        run_until(b, b.opened);
    }
}

static void run_idle(idle_bench &b, asker &a, size_t count, size_t burst, const char *pid) {
    a.thread = std::thread([&a] {
        bench_client_open(&a, ask, ask_again);
        uv_run(&a.loop, UV_RUN_DEFAULT);
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(1500));
    double before = memory_kib(pid);
    open_idle(b, count);
    std::this_thread::sleep_for(std::chrono::milliseconds(2500)); // the proxy gives memory back about once a second
    double each = (memory_kib(pid) - before) / static_cast<double>(count);
    (void)take_waits(a);
    std::this_thread::sleep_for(std::chrono::milliseconds(1000));
    std::vector<double> calm = take_waits(a);
    uint64_t begun = uv_hrtime();
    for (size_t i = 0; i < burst; ++i)
        bench_client_open(&b, stay, stay);
    run_until(b, b.opened);
    double took = static_cast<double>(uv_hrtime() - begun) / 1e6;
    std::vector<double> waits = take_waits(a);
    printf(
        "{\"kib_per_client\": %.2f, \"burst\": %zu, \"burst_ms\": %.0f, \"calm_p50_us\": %.0f, \"calm_max_us\": %.0f, "
        "\"burst_p50_us\": %.0f, \"burst_p99_us\": %.0f, \"burst_max_us\": %.0f}\n",
        each, burst, took, bench_percentile(calm, 0.5), bench_percentile(calm, 1), bench_percentile(waits, 0.5),
        bench_percentile(waits, 0.99), bench_percentile(waits, 1));
    fflush(stdout);
    a.stop = true;
    a.thread.join();
    _exit(0); // ten thousand sessions need no farewell
}

static void raise_limit() {
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static bench_plan plan_of(char **argv) {
    return {static_cast<uint16_t>(atoi(argv[2])), argv[3], argv[4], argv[5], bench_tls(argv[6]), {}};
}

int main(int argc, char **argv) {
    bool connects = argc == 9 && strcmp(argv[1], "connect") == 0;
    bool asks = argc == 10 && strcmp(argv[1], "ask") == 0;
    if (!connects && !asks && !(argc == 10 && strcmp(argv[1], "idle") == 0)) {
        fputs("usage: session-bench connect PORT USER PASSWORD DATABASE none|full CLIENTS SESSIONS\n"
              "       session-bench ask PORT USER PASSWORD DATABASE none|full CLIENTS REQUESTS PID\n"
              "       session-bench idle PORT USER PASSWORD DATABASE none|full COUNT BURST PID\n",
              stderr);
        return 1;
    }
    raise_limit();
    if (connects) {
        connect_bench b;
        b.plan = plan_of(argv);
        uv_loop_init(&b.loop);
        run_connect(b, strtoul(argv[7], nullptr, 10), strtoul(argv[8], nullptr, 10));
        return 0;
    }
    if (asks) {
        ask_bench b;
        b.plan = plan_of(argv);
        uv_loop_init(&b.loop);
        run_ask(b, strtoul(argv[7], nullptr, 10), strtoul(argv[8], nullptr, 10), argv[9]);
        return 0;
    }
    idle_bench b;
    asker a;
    b.plan = a.plan = plan_of(argv);
    uv_loop_init(&b.loop);
    uv_loop_init(&a.loop);
    run_idle(b, a, strtoul(argv[7], nullptr, 10), strtoul(argv[8], nullptr, 10), argv[9]);
}
