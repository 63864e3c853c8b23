// Several instances against a model of the scripts over a bad network, at random: commands that arrive late or never,
// lost replies, connections cut at any point, crashes, deaths reaped. Whatever happens:
//   - the slots held over all instances never exceed the limit;
//   - when the network works again, Redis' count is exactly what is held.
//
//      ledger --command--> [queue of the connection] --> model of Redis --reply--> [queue] --> ledger
//                          runs even after a cut                          lost by a cut
#include <deque> // before cmocka, whose `fail` is a macro
#include <map>
#include <memory>
#include <random>
#include <vector>

#include "cmocka_cpp.h"

#include "coord/ledger.h"

constexpr uint32_t limit = 5;
constexpr size_t instances = 4;

// --- Redis, as the scripts make it
// -------------------------------------------------------------------------------------

struct model_redis {
    struct member {
        uint32_t held = 0;
        uint64_t token = 0; // 0: no heartbeat
        uint64_t epoch = 0;
    };
    int64_t count = 0;
    std::map<size_t, member> members;
};

enum class command_kind { acquire, release, register_ };

struct command {
    command_kind kind;
    size_t instance;
    uint64_t token, epoch;
    int64_t number; // target, or what register reports (-1: left out)
};

struct reply {
    command_kind kind;
    int64_t code;
    int64_t count;
    int64_t reported;
};

static int64_t run_register(model_redis &r, const command &c) {
    model_redis::member &m = r.members[c.instance];
    if (m.token != 0 && m.token != c.token)
        return -5;
    if (m.token != 0 && m.epoch > c.epoch)
        return -3;
    m.token = c.token;
    m.epoch = c.epoch;
    if (c.number >= 0) {
        r.count += c.number - m.held;
        m.held = static_cast<uint32_t>(c.number);
    }
    return 0;
}

static int64_t run_operation(model_redis &r, const command &c) {
    model_redis::member &m = r.members[c.instance];
    if (m.token != c.token || m.epoch != c.epoch)
        return -3;
    int64_t more = c.number - m.held;
    if (c.kind == command_kind::acquire) {
        if (more > 0 && r.count + more > limit)
            return -1;
        more = std::max<int64_t>(more, 0);
    } else if (more > 0) {
        return -1;
    }
    m.held = static_cast<uint32_t>(m.held + more);
    r.count += more;
    return c.kind == command_kind::acquire ? std::max<int64_t>(r.count, 1) : r.count;
}

// --- One instance and its connection
// -----------------------------------------------------------------------------------

struct connection {
    std::deque<command> to_redis;
    std::deque<reply> to_instance;
    bool cut = false;
};

struct instance {
    ledger l;
    size_t id = 0;
    uint64_t token = 0, epoch = 0;
    bool registered = false, registering = false, must_register = false;
    std::shared_ptr<connection> c; // the present one, null: none
};

struct world {
    std::mt19937_64 random;
    model_redis redis;
    std::vector<instance> all{instances};
    std::vector<std::shared_ptr<connection>> connections; // also cut ones: what they carry may still arrive
    uint64_t next_token = 1;
    uint64_t granted = 0, lost = 0, late = 0, peak = 0;
    uint64_t below(uint64_t n) { return random() % n; }
};

static void put(instance &i, command_kind kind, int64_t number) {
    i.c->to_redis.push_back({kind, i.id, i.token, i.epoch, number});
}

static void send_register(instance &i) {
    i.must_register = false;
    i.registering = true;
    put(i, command_kind::register_, ledger_report(i.l));
}

static void connect(world &w, instance &i) {
    i.c = std::make_shared<connection>();
    w.connections.push_back(i.c);
    ++i.epoch;
    send_register(i);
}

static void cut(world &w, instance &i) {
    if (i.c == nullptr)
        return;
    w.lost += i.c->to_instance.size();
    i.c->cut = true;
    i.c->to_instance.clear();
    i.c = nullptr;
    i.registered = i.registering = i.must_register = false;
    ledger_disconnected(i.l);
}

static void send_next(instance &i) {
    if (!i.registered)
        return;
    ledger_step step = ledger_next(i.l);
    if (step.op == ledger_op::none)
        return;
    put(i, step.op == ledger_op::acquire ? command_kind::acquire : command_kind::release, step.target);
    ledger_sent(i.l, step);
}

static void forget(model_redis &r, size_t id) {
    r.count -= r.members[id].held;
    r.members[id] = {};
}

static void take_reply(world &w, instance &i, const reply &r) {
    ledger_result result;
    if (r.kind == command_kind::register_ && r.code == -5) {
        // A late register of the process that crashed: its heartbeat expires, it is reaped, and we come again.
        forget(w.redis, i.id);
        send_register(i);
        return;
    }
    if (r.kind == command_kind::register_) {
        assert_int_equal(r.code, 0);
        i.registering = false;
        i.registered = true;
        ledger_registered(i.l, r.reported, r.count, limit);
    } else if (r.kind == command_kind::acquire) {
        result = ledger_acquired(i.l, r.code, r.count, limit, true);
    } else {
        result = ledger_released(i.l, r.code, r.count);
    }
    w.granted += result.answer == ledger_answer::granted;
    i.must_register = i.must_register || result.must_register;
    if (i.must_register && !i.registering)
        send_register(i);
}

static void redis_step(world &w, connection &c) {
    if (c.to_redis.empty())
        return;
    command cmd = c.to_redis.front();
    c.to_redis.pop_front();
    w.late += c.cut;
    int64_t code = cmd.kind == command_kind::register_ ? run_register(w.redis, cmd) : run_operation(w.redis, cmd);
    if (!c.cut)
        c.to_instance.push_back({cmd.kind, code, w.redis.count, cmd.number});
}

// The process dies; its slots are free in truth at once, in Redis when its heartbeat expires and it is reaped.
static void crash(world &w, instance &i) {
    cut(w, i);
    i.l = {};
    i.token = w.next_token++;
    i.epoch = 0;
    forget(w.redis, i.id);
}

static void upper_layer_step(world &w, instance &i) {
    switch (w.below(8)) {
    case 0: i.l.held -= i.l.held > 0; break;
    case 1: i.l.wanted = i.l.wanted && w.below(2) == 0; break; // cancel_want at times
    default: i.l.wanted = true; break;
    }
}

static void step(world &w) {
    instance &i = w.all[w.below(instances)];
    uint64_t what = w.below(100);
    if (what < 30)
        upper_layer_step(w, i);
    else if (what < 50)
        send_next(i);
    else if (what < 68 && i.c != nullptr)
        redis_step(w, *i.c);
    else if (what < 70) // any, also one that was cut long ago
        redis_step(w, *w.connections[w.below(w.connections.size())]);
    else if (what < 90 && i.c != nullptr && !i.c->to_instance.empty()) {
        reply r = i.c->to_instance.front();
        i.c->to_instance.pop_front();
        take_reply(w, i, r);
    } else if (what < 93 && i.c != nullptr && i.registered && !i.registering)
        send_register(i); // a beat
    else if (what < 96 && w.below(3) == 0)
        cut(w, i);
    else if (what < 99 && i.c == nullptr)
        connect(w, i);
    else if (what == 99 && w.below(20) == 0)
        crash(w, i);
}

static uint64_t held_by_all(const world &w) {
    uint64_t sum = 0;
    for (const instance &i : w.all)
        sum += i.l.held;
    return sum;
}

static void check(world &w) {
    w.peak = std::max(w.peak, held_by_all(w));
    assert_true(held_by_all(w) <= limit);
    int64_t sum = 0;
    for (const auto &[id, m] : w.redis.members)
        sum += m.held;
    assert_int_equal(w.redis.count, sum);
}

// Old commands arrive, everybody connects, nothing is wanted any more.
static void quiesce(world &w) {
    for (instance &i : w.all) {
        i.l.wanted = false;
        if (i.c == nullptr)
            connect(w, i);
    }
    for (int round = 0; round < 1000; ++round) {
        for (size_t k = w.connections.size(); k-- > 0;) // the newest first: the old ones are late
            redis_step(w, *w.connections[k]);
        for (instance &i : w.all) {
            while (!i.c->to_instance.empty()) {
                reply r = i.c->to_instance.front();
                i.c->to_instance.pop_front();
                take_reply(w, i, r);
            }
            send_next(i);
        }
        check(w);
    }
}

static void run(uint64_t seed, world &w) {
    w.random.seed(seed);
    for (size_t k = 0; k < instances; ++k) {
        w.all[k].id = k;
        w.all[k].token = w.next_token++;
        connect(w, w.all[k]);
    }
    for (int n = 0; n < 3000; ++n) {
        step(w);
        check(w);
        if (w.connections.size() > 64) // forget cut connections that are empty
            std::erase_if(w.connections, [](const auto &c) { return c->cut && c->to_redis.empty(); });
    }
    quiesce(w);
    assert_int_equal(w.redis.count, held_by_all(w));
    for (const instance &i : w.all)
        assert_int_equal(w.redis.members[i.id].held, i.l.held);
}

static void test_random_histories(void **) {
    uint64_t granted = 0, lost = 0, late = 0, full = 0;
    for (uint64_t seed = 1; seed <= 400; ++seed) {
        world w;
        run(seed, w);
        granted += w.granted;
        lost += w.lost;
        late += w.late;
        full += w.peak == limit;
    }
    print_message("granted %lu, replies lost %lu, commands late %lu, histories at the limit %lu of 400\n", granted,
                  lost, late, full);
    // The histories did contain what they are about.
    assert_true(granted > 10'000);
    assert_true(lost > 3'000);
    assert_true(late > 3'000);
    assert_true(full > 300);
}

int main() {
    const CMUnitTest tests[] = {cmocka_unit_test(test_random_histories)};
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
