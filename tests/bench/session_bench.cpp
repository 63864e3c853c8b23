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
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

#include "net/stream.h"
#include "proxy/server_login.h"
#include "tds/login7_build.h"
#include "tds/packet.h"
#include "tds/request_build.h"
#include "tls/tls_client_context.h"

struct plan {
    uint16_t port;
    std::string user, password, database;
    bool tls;
};

struct bench {
    uv_loop_t loop;
    plan p;
    std::vector<uint8_t> room = std::vector<uint8_t>(128 * 1024), cipher = std::vector<uint8_t>(32 * 1024);
    size_t opened = 0; // sessions begun
    size_t ready = 0;  // ... logged in
    size_t closed = 0; // ... ended, memory freed
};

enum class stage { connecting, login, asking, idle };

struct client {
    net_stream stream;
    bench *b = nullptr;
    stage now = stage::connecting;
    tls_client_context *tls = nullptr;
    server_login *login = nullptr;
    uint64_t begun = 0, asked = 0;
    void (*logged_in)(client *) = nullptr;
    void (*answered)(client *) = nullptr;
    void (*ended)(client *) = nullptr;
};

[[noreturn]] static void die(const char *what, std::string_view why) {
    fprintf(stderr, "session-bench: %s: %.*s\n", what, static_cast<int>(why.size()), why.data());
    exit(1);
}

static void client_end(client *c) {
    stream_free(&c->stream);
    server_login_destroy(c->login);
    tls_client_context_destroy(c->tls);
    net_conn_close(&c->stream.conn, [](net_conn *conn) {
        auto *gone = reinterpret_cast<client *>(reinterpret_cast<char *>(conn) - offsetof(client, stream.conn));
        bench *b = gone->b;
        auto ended = gone->ended;
        ++b->closed;
        if (ended != nullptr)
            ended(gone);
        delete gone;
    });
}

static std::vector<uint8_t> login7(const plan &p) {
    tds_login7_request r;
    r.flags1 = 0xe0;
    r.flags2 = 0x03;
    r.host_name = "bench";
    r.app_name = r.library_name = "session-bench";
    r.server_name = "127.0.0.1";
    r.user_name = p.user;
    r.password = p.password;
    r.database = p.database;
    std::vector<uint8_t> payload;
    if (!tds_login7_build(r, payload))
        die("LOGIN7", "too long");
    return payload;
}

static void ask(client *c) {
    std::vector<uint8_t> out;
    tds_put_batch(out, tds_7_4, "SELECT 1", 0, tds_initial_packet_size);
    c->now = stage::asking;
    c->asked = uv_hrtime();
    if (stream_send(&c->stream, out) != 0)
        die("send", "failed");
    net_conn_watch(&c->stream.conn, net_readable);
}

static void login_step(client *c, server_login_result result) {
    while (!server_login_output(c->login).empty()) {
        auto out = server_login_output(c->login);
        ssize_t n = net_send(&c->stream.conn, out);
        if (n == net_again)
            break;
        if (n < 0)
            die("login", strerror(static_cast<int>(-n)));
        server_login_sent(c->login, static_cast<size_t>(n));
    }
    net_conn_watch(&c->stream.conn, net_readable | (server_login_output(c->login).empty() ? 0 : net_writable));
    if (result == server_login_result::more)
        return;
    if (result != server_login_result::done)
        die("login", result == server_login_result::refused
                         ? std::string_view(tds_login_answer_error(server_login_answer(c->login))->text)
                         : server_login_error_text(c->login));
    stream_set_tls(&c->stream, server_login_take_engine(c->login));
    server_login_destroy(c->login);
    c->login = nullptr;
    tls_client_context_destroy(c->tls);
    c->tls = nullptr;
    c->now = stage::idle;
    ++c->b->ready;
    c->logged_in(c);
}

static void login_event(client *c, unsigned events) {
    server_login_result result = server_login_result::more;
    if (events & net_readable) {
        ssize_t n = net_recv(&c->stream.conn, c->b->room);
        if (n == net_again)
            return;
        if (n <= 0)
            die("login", n == 0 ? "closed by the peer" : strerror(static_cast<int>(-n)));
        std::span<const uint8_t> in(c->b->room.data(), static_cast<size_t>(n));
        size_t consumed = 0;
        do {
            result = server_login_feed(c->login, in, &consumed);
            in = in.subspan(consumed);
        } while (result == server_login_result::more && consumed > 0 && !in.empty());
    }
    login_step(c, result);
}

// The answer to SELECT 1 is one packet.
static void answer_event(client *c) {
    ssize_t n = stream_recv(&c->stream, c->b->room, c->b->cipher);
    if (n == net_again)
        return;
    if (n <= 0)
        die("answer", n == 0 ? "closed by the peer" : strerror(static_cast<int>(-n)));
    if (c->now == stage::asking && (c->b->room[1] & tds_status_eom)) {
        c->now = stage::idle;
        c->answered(c);
    }
}

static void client_event(net_conn *conn, unsigned events) {
    auto *c = reinterpret_cast<client *>(reinterpret_cast<char *>(conn) - offsetof(client, stream.conn));
    if (c->now == stage::connecting) {
        if (int error = net_connect_result(conn); error != 0)
            die("connect", strerror(error));
        server_login_options o;
        o.tls_policy = c->b->p.tls ? server_tls::require : server_tls::disable;
        o.tls = c->tls;
        o.host = "127.0.0.1";
        o.port = c->b->p.port;
        c->login = server_login_create(o, login7(c->b->p));
        c->now = stage::login;
        return login_step(c, server_login_result::more);
    }
    if (c->now == stage::login)
        return login_event(c, events);
    answer_event(c);
}

static client *client_open(bench *b, void (*logged_in)(client *), void (*answered)(client *)) {
    auto *c = new client;
    c->b = b;
    c->begun = uv_hrtime();
    c->logged_in = logged_in;
    c->answered = answered;
    std::string error;
    if (b->p.tls)
        c->tls = tls_client_context_create({}, error);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(b->p.port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = net_socket_connect(reinterpret_cast<sockaddr *>(&address), 0);
    if (fd < 0 || net_conn_open(&b->loop, &c->stream.conn, fd, client_event) != 0)
        die("connect", strerror(errno));
    ++b->opened;
    net_conn_watch(&c->stream.conn, net_writable);
    return c;
}

static double percentile(std::vector<double> &v, double p) {
    if (v.empty())
        return 0;
    auto at = v.begin() + static_cast<ptrdiff_t>(p * static_cast<double>(v.size() - 1));
    std::nth_element(v.begin(), at, v.end());
    return *at;
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

struct connect_bench : bench {
    size_t sessions = 0;
    std::vector<double> took_us;
};

static void connect_next(connect_bench *b) {
    if (b->opened >= b->sessions)
        return;
    client *c = client_open(b, ask, [](client *done) {
        auto *all = static_cast<connect_bench *>(done->b);
        all->took_us.push_back(static_cast<double>(uv_hrtime() - done->begun) / 1000);
        client_end(done);
    });
    c->ended = [](client *gone) { connect_next(static_cast<connect_bench *>(gone->b)); };
}

static void run_connect(connect_bench &b, size_t clients, size_t sessions) {
    b.sessions = sessions;
    uint64_t begun = uv_hrtime();
    for (size_t i = 0; i < clients; ++i)
        connect_next(&b);
    uv_run(&b.loop, UV_RUN_DEFAULT);
    double seconds = static_cast<double>(uv_hrtime() - begun) / 1e9;
    printf("{\"sessions\": %zu, \"seconds\": %.3f, \"per_second\": %.1f, \"p50_us\": %.0f, \"p99_us\": %.0f}\n",
           b.closed, seconds, static_cast<double>(b.closed) / seconds, percentile(b.took_us, 0.5),
           percentile(b.took_us, 0.99));
}

// ---- ask -------------------------------------------------------------------------------------------------------

struct ask_bench : bench {
    size_t requests = 0, asked = 0;
    uint64_t begun = 0, over = 0;
    std::vector<double> took_us;
};

static void ask_next(client *c) {
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
    std::vector<client *> all;
    for (size_t i = 0; i < clients; ++i)
        all.push_back(client_open(&b, ask, [](client *) {}));
    auto all_idle = [&all] {
        return std::all_of(all.begin(), all.end(), [](const client *c) { return c->now == stage::idle && !c->login; });
    };
    while (b.ready < clients || !all_idle())
        uv_run(&b.loop, UV_RUN_ONCE);
    b.requests = requests;
    double cpu = cpu_us(pid);
    b.begun = uv_hrtime();
    for (client *c : all) {
        c->answered = ask_next;
        ++b.asked;
        ask(c);
    }
    uv_run(&b.loop, UV_RUN_DEFAULT);
    double seconds = static_cast<double>(b.over - b.begun) / 1e9;
    printf("{\"requests\": %zu, \"per_second\": %.0f, \"cpu_us\": %.2f, \"p50_us\": %.0f, \"p99_us\": %.0f}\n",
           requests, static_cast<double>(requests) / seconds, (cpu_us(pid) - cpu) / static_cast<double>(requests),
           percentile(b.took_us, 0.5), percentile(b.took_us, 0.99));
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
    die("memory of the process", pid);
}

struct idle_bench : bench {};

// One session that asks SELECT 1 again and again, on a thread and a loop of its own.
struct asker : bench {
    std::thread thread;
    std::atomic<bool> stop{false};
    std::mutex lock;
    std::vector<double> waited_us;
};

static void ask_again(client *c) {
    auto *b = static_cast<asker *>(c->b);
    {
        std::lock_guard guard(b->lock);
        b->waited_us.push_back(static_cast<double>(uv_hrtime() - c->asked) / 1000);
    }
    if (!b->stop)
        ask(c);
    else
        client_end(c);
}

static std::vector<double> take_waits(asker &a) {
    std::lock_guard guard(a.lock);
    return std::move(a.waited_us);
}

static void stay(client *) {}

static void run_until(bench &b, size_t ready) {
    while (b.ready < ready)
        uv_run(&b.loop, UV_RUN_ONCE);
}

static void open_idle(idle_bench &b, size_t count) {
    for (size_t begun = 0; begun < count; begun += 50) {
        size_t n = std::min<size_t>(50, count - begun);
        for (size_t i = 0; i < n; ++i)
            client_open(&b, stay, stay);
        run_until(b, b.opened);
    }
}

static void run_idle(idle_bench &b, asker &a, size_t count, size_t burst, const char *pid) {
    a.thread = std::thread([&a] {
        client_open(&a, ask, ask_again);
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
        client_open(&b, stay, stay);
    run_until(b, b.opened);
    double took = static_cast<double>(uv_hrtime() - begun) / 1e6;
    std::vector<double> waits = take_waits(a);
    printf(
        "{\"kib_per_client\": %.2f, \"burst\": %zu, \"burst_ms\": %.0f, \"calm_p50_us\": %.0f, \"calm_max_us\": %.0f, "
        "\"burst_p50_us\": %.0f, \"burst_p99_us\": %.0f, \"burst_max_us\": %.0f}\n",
        each, burst, took, percentile(calm, 0.5), percentile(calm, 1), percentile(waits, 0.5), percentile(waits, 0.99),
        percentile(waits, 1));
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

static plan plan_of(char **argv) {
    return {static_cast<uint16_t>(atoi(argv[2])), argv[3], argv[4], argv[5], strcmp(argv[6], "full") == 0};
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
        b.p = plan_of(argv);
        uv_loop_init(&b.loop);
        run_connect(b, strtoul(argv[7], nullptr, 10), strtoul(argv[8], nullptr, 10));
        return 0;
    }
    if (asks) {
        ask_bench b;
        b.p = plan_of(argv);
        uv_loop_init(&b.loop);
        run_ask(b, strtoul(argv[7], nullptr, 10), strtoul(argv[8], nullptr, 10), argv[9]);
        return 0;
    }
    idle_bench b;
    asker a;
    b.p = a.p = plan_of(argv);
    uv_loop_init(&b.loop);
    uv_loop_init(&a.loop);
    run_idle(b, a, strtoul(argv[7], nullptr, 10), strtoul(argv[8], nullptr, 10), argv[9]);
}
