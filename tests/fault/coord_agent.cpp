// coord-agent: the coordinator alone on a uv loop, driven by lines on stdin. A tool of the fault tests.
//
//   coord-agent --id a1 --redis 127.0.0.1:6379 --bucket b1:50 [--bucket ...] [--tally FILE] [--interval MS] [--ttl MS]
//               [--read-timeout MS] [--dial-timeout MS] [--prefix P] [--db N] [--user U] [--password P]
//               [--sentinel HOST:PORT --master NAME] [--divisor N] [--no-fallback] [--local] [--poll MS] [--log LEVEL]
//               [--fair MS: tells the others when it is refused a slot]
//   coord-agent --bury FILE PID   takes a dead agent's slots out of the tally (the kernel has closed its connections)
//
// Lines: `want B N` goes for N slots of bucket index B more (queued, one want at a time) | `hold B N` wants or releases
// until N are held | `release B N` | `churn B N` takes and gives back at random, up to N | `obey B 0|1` gives back what
// shrink asks for (default 1) | `ceiling B N` | `allowed` | `cancel B` |
// `stall B MS` blocks the loop, so that what follows in the same write is handled before any timer | `status` (one line
// of JSON) | `stop`.
//
// The tally is a file that all agents map: every slot granted is counted there at once, atomically, and taken out
// before it is released. So `peak` is the true maximum over all instances, at any moment, and not one of samples.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include <csignal>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <uv.h>

#include "base/log.h"
#include "base/metric_table.h"
#include "config/config.h"
#include "coord/coord.h"

// --- The tally
// ---------------------------------------------------------------------------------------------------------

constexpr int tally_buckets = 4;
constexpr int tally_agents = 64;

struct tally_agent {
    std::atomic<int32_t> pid;
    std::atomic<int32_t> held[tally_buckets];
};

struct tally {
    std::atomic<int32_t> total[tally_buckets];
    std::atomic<int32_t> peak[tally_buckets];
    std::atomic<int32_t> grants; // of all buckets
    tally_agent agents[tally_agents];
};

static tally *tally_map(const char *path) {
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, sizeof(tally)) != 0)
        return nullptr;
    void *p = mmap(nullptr, sizeof(tally), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return p == MAP_FAILED ? nullptr : static_cast<tally *>(p);
}

static tally_agent *tally_join(tally *t) {
    for (tally_agent &a : t->agents) {
        int32_t none = 0;
        if (a.pid.compare_exchange_strong(none, getpid()))
            return &a;
    }
    return nullptr;
}

static void tally_add(tally *t, tally_agent *a, uint32_t bucket) {
    if (t == nullptr || bucket >= tally_buckets)
        return;
    a->held[bucket].fetch_add(1);
    t->grants.fetch_add(1);
    int32_t now = t->total[bucket].fetch_add(1) + 1;
    int32_t peak = t->peak[bucket].load();
    while (now > peak && !t->peak[bucket].compare_exchange_weak(peak, now)) {
    }
}

static void tally_remove(tally *t, tally_agent *a, uint32_t bucket) {
    if (t == nullptr || bucket >= tally_buckets)
        return;
    t->total[bucket].fetch_sub(1);
    a->held[bucket].fetch_sub(1);
}

static int bury(const char *path, const char *pid) {
    tally *t = tally_map(path);
    if (t == nullptr)
        return 2;
    for (tally_agent &a : t->agents) {
        if (a.pid.load() != atoi(pid))
            continue;
        for (int b = 0; b < tally_buckets; ++b)
            t->total[b].fetch_sub(a.held[b].exchange(0));
        return 0;
    }
    return 1;
}

// --- The agent
// ---------------------------------------------------------------------------------------------------------

struct agent_bucket {
    uint32_t goal = 0;    // slots to hold
    uint32_t churn = 0;   // > 0: the goal changes at random, up to this
    uint32_t surplus = 0; // as shrink last said
    bool obey = true;
    bool wanting = false;
    uint32_t held = 0;
    uint64_t granted = 0, full = 0, unavailable = 0, freed = 0;
};

struct agent {
    uv_loop_t loop;
    uv_pipe_t input;
    uv_timer_t poll;
    config configuration;
    metrics *meters = nullptr;
    coord *coordinator = nullptr;
    std::vector<agent_bucket> buckets;
    tally *counts = nullptr;
    tally_agent *self = nullptr;
    uint64_t poll_interval = 50;
    bool local = false;
    bool fair = false;
    bool stopping = false;
    std::string line;
    char chunk[4096];
};

static void drop_one(agent &a, uint32_t i) {
    --a.buckets[i].held;
    tally_remove(a.counts, a.self, i);
    coord_release(a.coordinator, i);
}

// Like the proxy: not attached to anything while the clock says that this instance is fenced.
static void pursue(agent &a, uint32_t i) {
    agent_bucket &b = a.buckets[i];
    if (a.stopping)
        return;
    while (b.held > b.goal)
        drop_one(a, i);
    if (b.held < b.goal && !b.wanting && b.surplus == 0) {
        b.wanting = true;
        coord_want(a.coordinator, i);
    }
}

static void on_granted(void *user, uint32_t i) {
    agent &a = *static_cast<agent *>(user);
    agent_bucket &b = a.buckets[i];
    b.wanting = false;
    ++b.held;
    ++b.granted;
    tally_add(a.counts, a.self, i);
    pursue(a, i);
}

static void on_refused(void *user, uint32_t i, coord_refusal why) {
    agent &a = *static_cast<agent *>(user);
    agent_bucket &b = a.buckets[i];
    b.wanting = false;
    ++(why == coord_refusal::full ? b.full : b.unavailable);
    if (a.fair && why == coord_refusal::full)
        coord_waiting(a.coordinator, i, 1000);
}

static void on_freed(void *user, uint32_t i) {
    agent &a = *static_cast<agent *>(user);
    ++a.buckets[i].freed;
    pursue(a, i);
}

static void on_max(void *, uint32_t, uint32_t) {}

static void on_shrink(void *user, uint32_t i, uint32_t surplus) {
    agent &a = *static_cast<agent *>(user);
    agent_bucket &b = a.buckets[i];
    b.surplus = surplus;
    for (uint32_t n = surplus; b.obey && n > 0 && b.held > 0; --n)
        drop_one(a, i);
}

static void on_mode(void *, coord_mode from, coord_mode to) {
    printf("{\"event\":\"mode\",\"from\":\"%s\",\"to\":\"%s\"}\n", coord_mode_name(from), coord_mode_name(to));
    fflush(stdout);
}

static void on_poll(uv_timer_t *timer) {
    agent &a = *static_cast<agent *>(timer->data);
    for (uint32_t i = 0; i < a.buckets.size(); ++i) {
        if (a.buckets[i].churn > 0)
            a.buckets[i].goal = static_cast<uint32_t>(rand()) % (a.buckets[i].churn + 1);
        pursue(a, i);
    }
}

static void print_status(agent &a) {
    coord_status s = coord_get_status(a.coordinator);
    for (char &c : s.message)
        if (c == '"' || c == '\\' || static_cast<unsigned char>(c) < ' ')
            c = '?';
    printf("{\"event\":\"status\",\"mode\":\"%s\",\"message\":\"%s\",\"id\":\"%s\",\"beat\":%lld,\"latency\":%llu,"
           "\"instances\":%zu,\"buckets\":[",
           coord_mode_name(s.mode), s.message.c_str(), s.instance_id.c_str(), static_cast<long long>(s.last_beat_unix),
           static_cast<unsigned long long>(s.latency_us), s.instances.size());
    for (uint32_t i = 0; i < a.buckets.size(); ++i) {
        const agent_bucket &b = a.buckets[i];
        coord_bucket_status bs = coord_get_bucket_status(a.coordinator, i);
        printf("%s{\"held\":%u,\"account\":%u,\"count\":%u,\"max\":%u,\"share\":%u,\"surplus\":%u,\"granted\":%llu,"
               "\"full\":%llu,\"unavailable\":%llu,\"freed\":%llu,\"wanting\":%s}",
               i > 0 ? "," : "", b.held, bs.held, bs.count, bs.max, bs.share, b.surplus,
               static_cast<unsigned long long>(b.granted), static_cast<unsigned long long>(b.full),
               static_cast<unsigned long long>(b.unavailable), static_cast<unsigned long long>(b.freed),
               b.wanting ? "true" : "false");
    }
    printf("]}\n");
    fflush(stdout);
}

static void on_stopped(void *user) {
    agent &a = *static_cast<agent *>(user);
    coord_destroy(a.coordinator);
    a.coordinator = nullptr;
    uv_close(reinterpret_cast<uv_handle_t *>(&a.input), nullptr);
    uv_close(reinterpret_cast<uv_handle_t *>(&a.poll), nullptr);
}

static void stop(agent &a) {
    if (a.stopping)
        return;
    a.stopping = true;
    for (uint32_t i = 0; i < a.buckets.size(); ++i)
        while (a.buckets[i].held > 0)
            drop_one(a, i);
    coord_stop(a.coordinator, on_stopped, &a);
}

// Lines that change what the agent wants; true if it was one.
static bool change_goal(agent &a, const std::string &command, unsigned i, unsigned n) {
    agent_bucket &b = a.buckets[i];
    if (command == "want" || command == "hold") {
        b.churn = 0;
        b.goal = command == "want" ? b.goal + n : n;
    } else if (command == "release") {
        b.churn = 0;
        b.goal = b.held > n ? b.held - n : 0;
    } else if (command == "churn") {
        b.churn = n;
    } else if (command == "ceiling") {
        coord_set_ceiling(a.coordinator, i, n);
    } else if (command == "obey") {
        b.obey = n != 0;
        if (b.obey)
            on_shrink(&a, i, b.surplus);
    } else {
        return false;
    }
    return true;
}

static void obey_line(agent &a, const char *line) {
    char word[32] = "";
    unsigned i = 0, n = 0;
    int fields = sscanf(line, "%31s %u %u", word, &i, &n);
    std::string command = word;
    if (fields < 1 || i >= a.buckets.size())
        return;
    if (change_goal(a, command, i, n)) {
        pursue(a, i);
    } else if (command == "cancel") {
        a.buckets[i].goal = a.buckets[i].held;
        a.buckets[i].wanting = false;
        coord_cancel_want(a.coordinator, i);
    } else if (command == "allowed") {
        printf("{\"event\":\"allowed\",\"allowed\":%s}\n", coord_allowed(a.coordinator) ? "true" : "false");
        fflush(stdout);
    } else if (command == "stall") {
        usleep(n * 1000);
    } else if (command == "status") {
        print_status(a);
    } else if (command == "metrics") {
        std::string text = metrics_serialize(a.meters);
        printf("%s{\"event\":\"metrics\"}\n", text.c_str());
        fflush(stdout);
    } else if (command == "stop") {
        stop(a);
    }
}

static void on_input(uv_stream_t *stream, ssize_t n, const uv_buf_t *) {
    agent &a = *static_cast<agent *>(stream->data);
    if (n < 0) {
        uv_read_stop(stream);
        stop(a);
        return;
    }
    for (ssize_t i = 0; i < n; ++i) {
        if (a.chunk[i] != '\n') {
            a.line += a.chunk[i];
            continue;
        }
        std::string line;
        std::swap(line, a.line);
        if (!a.stopping)
            obey_line(a, line.c_str());
    }
}

static bool split(const std::string &text, std::string &head, unsigned long &number) {
    size_t colon = text.rfind(':');
    if (colon == std::string::npos)
        return false;
    head = text.substr(0, colon);
    number = strtoul(text.c_str() + colon + 1, nullptr, 10);
    return true;
}

static bool parse_pair(agent &a, const std::string &key, const std::string &value) {
    config &c = a.configuration;
    std::string head;
    unsigned long number = 0;
    if (!split(value, head, number))
        return false;
    if (key == "--redis") {
        c.redis.host = head;
        c.redis.port = static_cast<uint16_t>(number);
    } else if (key == "--sentinel") {
        c.redis.sentinels.push_back({head, static_cast<uint16_t>(number)});
    } else {
        bucket_config b;
        b.id = head;
        b.max_connections = static_cast<uint32_t>(number);
        c.buckets.push_back(b);
    }
    return true;
}

static bool parse_option(agent &a, const std::string &key, const std::string &value) {
    config &c = a.configuration;
    if (key == "--redis" || key == "--sentinel" || key == "--bucket")
        return parse_pair(a, key, value);
    unsigned long number = strtoul(value.c_str(), nullptr, 10);
    log_level level = log_level::debug;
    if (key == "--id")
        c.proxy.instance_id = value;
    else if (key == "--prefix")
        c.redis.key_prefix = value;
    else if (key == "--user")
        c.redis.username = value;
    else if (key == "--password")
        c.redis.password = value;
    else if (key == "--master")
        c.redis.master_name = value;
    else if (key == "--db")
        c.redis.db = static_cast<uint32_t>(number);
    else if (key == "--interval")
        c.redis.heartbeat_interval = number;
    else if (key == "--ttl")
        c.redis.heartbeat_ttl = number;
    else if (key == "--read-timeout")
        c.redis.read_timeout = number;
    else if (key == "--dial-timeout")
        c.redis.dial_timeout = number;
    else if (key == "--divisor")
        c.fallback.local_limit_divisor = static_cast<uint32_t>(number);
    else if (key == "--poll")
        a.poll_interval = number;
    else if (key == "--fair")
        a.fair = (c.proxy.fairness_interval = number) > 0;
    else if (key == "--log" && log_level_parse(value, level))
        log_configure(level, false, "");
    else if (key == "--tally")
        a.counts = tally_map(value.c_str());
    else
        return false;
    return true;
}

static bool parse(agent &a, int argc, char **argv) {
    for (int i = 1; i < argc; ++i) {
        std::string key = argv[i];
        if (key == "--no-fallback")
            a.configuration.fallback.enabled = false;
        else if (key == "--local")
            a.local = true;
        else if (i + 1 >= argc || !parse_option(a, key, argv[++i]))
            return false;
    }
    a.self = a.counts != nullptr ? tally_join(a.counts) : nullptr;
    return !a.configuration.buckets.empty();
}

int main(int argc, char **argv) {
    if (argc == 4 && strcmp(argv[1], "--bury") == 0)
        return bury(argv[2], argv[3]);
    signal(SIGPIPE, SIG_IGN);
    srand(static_cast<unsigned>(getpid()));
    agent a;
    a.configuration.redis.enabled = true;
    if (!parse(a, argc, argv)) {
        fprintf(stderr, "coord-agent: wrong arguments; see the head of coord_agent.cpp\n");
        return 1;
    }
    a.buckets.resize(a.configuration.buckets.size());
    a.meters = metrics_create();
    uv_loop_init(&a.loop);
    uv_pipe_init(&a.loop, &a.input, 0);
    uv_pipe_open(&a.input, STDIN_FILENO);
    uv_timer_init(&a.loop, &a.poll);
    a.input.data = a.poll.data = &a;
    coord_callbacks callbacks{&a, on_granted, on_refused, on_freed, on_max, on_shrink, on_mode};
    a.coordinator = (a.local ? coord_local_create : coord_redis_create)(&a.loop, a.configuration, a.meters, callbacks);
    auto alloc = [](uv_handle_t *h, size_t, uv_buf_t *buffer) {
        agent &self = *static_cast<agent *>(h->data);
        *buffer = uv_buf_init(self.chunk, sizeof self.chunk);
    };
    uv_read_start(reinterpret_cast<uv_stream_t *>(&a.input), alloc, on_input);
    uv_timer_start(&a.poll, on_poll, a.poll_interval, a.poll_interval);
    uv_run(&a.loop, UV_RUN_DEFAULT);
    int left = uv_loop_close(&a.loop); // a clean loop: nothing was left open
    metrics_destroy(a.meters);
    return left == 0 ? 0 : 3;
}
