// The two ends of the relay benchmark, as cheap as they can be, so that what stands between them is what is measured.
//
//      relay-bench server PORT
//          answers a PRELOGIN, then every request message with as many bytes as its first four payload bytes ask for
//      relay-bench load PORT CONNECTIONS ROUND_TRIPS ANSWER_BYTES [PID...]
//          opens the connections, does PRELOGIN on each, then that many round trips in all; prints one JSON line: round
//          trips, seconds, p50 and p99 latency, MiB/s, and CPU (user + system) used meanwhile by the processes PID
//      relay-bench idle PORT CONNECTIONS [PID...]
//          opens the connections, does PRELOGIN on each; prints the resident memory of the PIDs before and after

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static constexpr size_t packet_size = 4096;
static constexpr size_t header_size = 8;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static double now() {
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}

static void put_header(uint8_t *p, uint8_t type, bool last, size_t length) {
    const uint8_t header[header_size] = {
        type, static_cast<uint8_t>(last), static_cast<uint8_t>(length >> 8), static_cast<uint8_t>(length), 0, 0, 1, 0};
    memcpy(p, header, header_size);
}

static sockaddr_in loopback(int port) {
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_port = htons(static_cast<uint16_t>(port));
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

static void watch(int epoll, int operation, int fd, uint32_t events, uint32_t index) {
    epoll_event e{};
    e.events = events;
    e.data.u32 = index;
    if (epoll_ctl(epoll, operation, fd, &e) != 0)
        die("epoll_ctl");
}

static void raise_limit() {
    rlimit l{};
    getrlimit(RLIMIT_NOFILE, &l);
    l.rlim_cur = l.rlim_max;
    setrlimit(RLIMIT_NOFILE, &l);
}

// ---- server ----------------------------------------------------------------------------------------------------

struct served {
    int fd = -1;
    uint8_t in[packet_size];
    size_t have = 0;
    size_t owed = 0;    // answer bytes still to send, packet headers included
    size_t sent_of = 0; // position within the answer
    size_t total = 0;
};

static const uint8_t prelogin_answer[] = {0x04, 0x01, 0x00, 0x20, 0,    0,    1,    0,    0x00, 0x00, 0x0b,
                                          0x00, 0x06, 0x01, 0x00, 0x11, 0x00, 0x01, 0xff, 16,   0,    0x10,
                                          0x00, 0x0,  0x00, 0x02, 0,    0,    0,    0,    0,    0};

static std::vector<uint8_t> &answer_of(size_t payload) {
    static std::vector<std::pair<size_t, std::vector<uint8_t>>> cache;
    for (auto &[size, bytes] : cache)
        if (size == payload)
            return bytes;
    std::vector<uint8_t> bytes;
    size_t left = std::max<size_t>(payload, 1);
    while (left > 0) {
        size_t part = std::min(left, packet_size - header_size);
        left -= part;
        size_t at = bytes.size();
        bytes.resize(at + header_size + part, 0x41);
        put_header(bytes.data() + at, 0x04, left == 0, header_size + part);
    }
    cache.emplace_back(payload, std::move(bytes));
    return cache.back().second;
}

struct answer_view {
    const uint8_t *data;
    size_t size;
};

static bool flush_answer(served &s, answer_view a) {
    while (s.sent_of < a.size) {
        ssize_t n = send(s.fd, a.data + s.sent_of, a.size - s.sent_of, MSG_NOSIGNAL);
        if (n < 0)
            return errno == EAGAIN;
        s.sent_of += static_cast<size_t>(n);
    }
    s.owed = 0;
    return true;
}

static bool serve_message(served &s, size_t length) {
    if (s.in[0] == 0x12)
        return send(s.fd, prelogin_answer, sizeof prelogin_answer, MSG_NOSIGNAL) == sizeof prelogin_answer;
    uint32_t want = 0;
    if (length >= header_size + 4)
        memcpy(&want, s.in + header_size, 4);
    auto &answer = answer_of(want);
    s.total = want;
    s.sent_of = 0;
    s.owed = answer.size();
    return flush_answer(s, {answer.data(), answer.size()});
}

static bool serve_readable(served &s) {
    ssize_t n = recv(s.fd, s.in + s.have, sizeof s.in - s.have, 0);
    if (n <= 0)
        return n < 0 && errno == EAGAIN;
    s.have += static_cast<size_t>(n);
    while (s.have >= header_size) {
        size_t length = static_cast<size_t>(s.in[2] << 8 | s.in[3]);
        if (length < header_size || length > sizeof s.in)
            return false;
        if (s.have < length)
            return true;
        if (!serve_message(s, length))
            return false;
        s.have -= length;
        memmove(s.in, s.in + length, s.have);
    }
    return true;
}

static int run_server(int port) {
    int listening = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    int on = 1;
    setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address = loopback(port);
    if (bind(listening, reinterpret_cast<sockaddr *>(&address), sizeof address) != 0 || listen(listening, 4096) != 0)
        die("listen");
    int epoll = epoll_create1(0);
    watch(epoll, EPOLL_CTL_ADD, listening, EPOLLIN, UINT32_MAX);
    std::vector<served *> all;
    puts("ready");
    fflush(stdout);
    epoll_event events[256];
    for (;;) {
        int count = epoll_wait(epoll, events, 256, -1);
        for (int i = 0; i < count; ++i) {
            if (events[i].data.u32 == UINT32_MAX) {
                for (int fd; (fd = accept4(listening, nullptr, nullptr, SOCK_NONBLOCK)) >= 0;) {
                    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
                    all.push_back(new served);
                    all.back()->fd = fd;
                    watch(epoll, EPOLL_CTL_ADD, fd, EPOLLIN, static_cast<uint32_t>(all.size() - 1));
                }
                continue;
            }
            served &s = *all[events[i].data.u32];
            bool was_owing = s.owed > 0;
            bool good = true;
            if (was_owing) {
                auto &answer = answer_of(s.total);
                good = flush_answer(s, {answer.data(), answer.size()});
            } else {
                good = serve_readable(s);
            }
            if (!good) {
                close(s.fd);
                continue;
            }
            if (was_owing != (s.owed > 0))
                watch(epoll, EPOLL_CTL_MOD, s.fd, s.owed > 0 ? EPOLLOUT : EPOLLIN, events[i].data.u32);
        }
    }
}

// ---- load ------------------------------------------------------------------------------------------------------

static const uint8_t prelogin[] = {0x12, 0x01, 0x00, 0x20, 0, 0, 1, 0, 0x00, 0x00, 0x0b, 0x00, 0x06, 0x01, 0x00, 0x11,
                                   0x00, 0x01, 0xff, 9,    0, 0, 0, 0, 0,    0x02, 0,    0,    0,    0,    0,    0};

struct loader {
    int fd = -1;
    size_t expect = 0; // bytes of the answer still to come
    double sent_at = 0;
};

static double cpu_seconds(const std::vector<int> &pids) {
    double total = 0;
    for (int pid : pids) {
        std::string path = "/proc/" + std::to_string(pid) + "/stat";
        FILE *f = fopen(path.c_str(), "r");
        if (f == nullptr)
            die(path.c_str());
        char line[1024] = "";
        if (fgets(line, sizeof line, f) == nullptr)
            die("stat");
        fclose(f);
        unsigned long user = 0, system = 0;
        const char *after = strrchr(line, ')');
        if (after == nullptr ||
            sscanf(after + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2)
            die("stat");
        total += static_cast<double>(user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
    }
    return total;
}

static long resident_kib(const std::vector<int> &pids) {
    long total = 0;
    for (int pid : pids) {
        std::string path = "/proc/" + std::to_string(pid) + "/smaps_rollup";
        FILE *f = fopen(path.c_str(), "r");
        if (f == nullptr)
            die(path.c_str());
        char line[256];
        long kib = 0;
        while (fgets(line, sizeof line, f) != nullptr)
            if (sscanf(line, "Pss: %ld kB", &kib) == 1)
                total += kib;
        fclose(f);
    }
    return total;
}

static int open_connection(int port) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address = loopback(port);
    if (fd < 0 || connect(fd, reinterpret_cast<sockaddr *>(&address), sizeof address) != 0)
        die("connect");
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (send(fd, prelogin, sizeof prelogin, MSG_NOSIGNAL) != sizeof prelogin)
        die("send PRELOGIN");
    uint8_t answer[sizeof prelogin_answer];
    if (recv(fd, answer, sizeof answer, MSG_WAITALL) != sizeof answer || answer[0] != 0x04)
        die("PRELOGIN answer");
    return fd;
}

static size_t answer_wire_size(size_t payload) {
    payload = std::max<size_t>(payload, 1);
    size_t packets = (payload + packet_size - header_size - 1) / (packet_size - header_size);
    return payload + packets * header_size;
}

static void send_request(loader &l, uint32_t answer_bytes) {
    uint8_t request[100] = {};
    put_header(request, 0x01, true, sizeof request);
    memcpy(request + header_size, &answer_bytes, 4);
    if (send(l.fd, request, sizeof request, MSG_NOSIGNAL) != sizeof request)
        die("send");
    l.expect = answer_wire_size(answer_bytes);
    l.sent_at = now();
}

static int run_load(int port, size_t connections, size_t round_trips, uint32_t answer_bytes,
                    const std::vector<int> &pids) {
    int epoll = epoll_create1(0);
    std::vector<loader> all(connections);
    for (size_t i = 0; i < connections; ++i) {
        all[i].fd = open_connection(port);
        fcntl(all[i].fd, F_SETFL, O_NONBLOCK);
        watch(epoll, EPOLL_CTL_ADD, all[i].fd, EPOLLIN, static_cast<uint32_t>(i));
    }
    std::vector<uint8_t> scratch(256 * 1024);
    std::vector<double> latencies;
    latencies.reserve(round_trips);
    double cpu_before = cpu_seconds(pids);
    double began = now();
    size_t started = 0, bytes = 0;
    for (auto &l : all)
        if (started < round_trips) {
            send_request(l, answer_bytes);
            ++started;
        }
    epoll_event events[256];
    while (latencies.size() < round_trips) {
        int count = epoll_wait(epoll, events, 256, 10'000);
        if (count <= 0)
            die("no answer for 10 s");
        for (int i = 0; i < count; ++i) {
            loader &l = all[events[i].data.u32];
            ssize_t n = recv(l.fd, scratch.data(), std::min(scratch.size(), std::max<size_t>(l.expect, 1)), 0);
            if (n <= 0)
                die("recv");
            bytes += static_cast<size_t>(n);
            l.expect -= static_cast<size_t>(n);
            if (l.expect > 0)
                continue;
            latencies.push_back(now() - l.sent_at);
            if (started < round_trips) {
                send_request(l, answer_bytes);
                ++started;
            }
        }
    }
    double seconds = now() - began;
    double cpu = cpu_seconds(pids) - cpu_before;
    std::sort(latencies.begin(), latencies.end());
    auto percentile = [&](double p) {
        return latencies[static_cast<size_t>(p * static_cast<double>(latencies.size() - 1))] * 1e6;
    };
    printf("{\"round_trips\":%zu,\"seconds\":%.4f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"mib_s\":%.1f,\"cpu_s\":%.3f,"
           "\"cpu_us_per_round_trip\":%.3f}\n",
           round_trips, seconds, percentile(0.5), percentile(0.99), static_cast<double>(bytes) / seconds / 1048576.0,
           cpu, cpu * 1e6 / static_cast<double>(round_trips));
    return 0;
}

static int run_idle(int port, size_t connections, const std::vector<int> &pids) {
    close(open_connection(port)); // whatever is allocated once is allocated now
    usleep(300'000);
    long before = resident_kib(pids);
    for (size_t i = 0; i < connections; ++i)
        open_connection(port);
    usleep(1'000'000);
    long after = resident_kib(pids);
    printf("{\"connections\":%zu,\"before_kib\":%ld,\"after_kib\":%ld,\"kib_per_connection\":%.3f}\n", connections,
           before, after, static_cast<double>(after - before) / static_cast<double>(connections));
    return 0;
}

int main(int argc, char **argv) {
    raise_limit();
    std::string what = argc > 2 ? argv[1] : "";
    auto pids_from = [&](int first) {
        std::vector<int> pids;
        for (int i = first; i < argc; ++i)
            pids.push_back(atoi(argv[i]));
        return pids;
    };
    if (what == "server")
        return run_server(atoi(argv[2]));
    if (what == "load" && argc >= 6)
        return run_load(atoi(argv[2]), strtoul(argv[3], nullptr, 10), strtoul(argv[4], nullptr, 10),
                        static_cast<uint32_t>(strtoul(argv[5], nullptr, 10)), pids_from(6));
    if (what == "idle" && argc >= 4)
        return run_idle(atoi(argv[2]), strtoul(argv[3], nullptr, 10), pids_from(4));
    fputs("usage: relay-bench server PORT | load PORT CONNECTIONS ROUND_TRIPS ANSWER_BYTES [PID...] | "
          "idle PORT CONNECTIONS [PID...]\n",
          stderr);
    return 2;
}
