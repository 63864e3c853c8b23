// The relay over real sockets: every byte arrives, in order, in both directions, whatever the sizes and however slow
// the receiver; memory stays bounded; FIN goes through after the last byte; nothing is kept by an idle relay.

#include <algorithm>
#include <cerrno>
#include <memory>
#include <random>
#include <vector>

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/relay.h"

#include "cmocka_cpp.h" // last: its macros are lower-case words

static constexpr size_t scratch_size = 64 * 1024;
static constexpr size_t low_mark = 16 * 1024;

// client_end == client.fd ~relay~ server.fd == server_end
struct fixture {
    uv_loop_t loop{};
    relay_pool pool;
    net_conn client, server;
    relay_direction up, down;
    int client_end = -1;
    int server_end = -1;
    int closed = 0;
    relay_result failed = relay_result::ok;
    int error = 0;
};

static fixture *current;

static void tcp_pair(int ends[2]) {
    int listening = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    assert_int_equal(bind(listening, reinterpret_cast<sockaddr *>(&address), size), 0);
    assert_int_equal(listen(listening, 1), 0);
    assert_int_equal(getsockname(listening, reinterpret_cast<sockaddr *>(&address), &size), 0);
    ends[0] = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(ends[0], reinterpret_cast<sockaddr *>(&address), size), 0);
    ends[1] = accept(listening, nullptr, nullptr);
    close(listening);
    for (int i = 0; i < 2; ++i)
        fcntl(ends[i], F_SETFL, O_NONBLOCK);
}

static void on_event(net_conn *, unsigned) {
    fixture &f = *current;
    for (relay_direction *d : {&f.up, &f.down}) {
        f.failed = relay_move(f.pool, *d, f.error);
        assert_true(iobuf_size(d->held) <= scratch_size);
        if (f.failed != relay_result::ok)
            return;
    }
    relay_watch(f.pool, f.up, f.down);
}

static void start(fixture &f, size_t scratch = scratch_size) {
    current = &f;
    uv_loop_init(&f.loop);
    relay_pool_init(f.pool, scratch, scratch / 4);
    int a[2], b[2];
    tcp_pair(a);
    tcp_pair(b);
    f.client_end = a[0];
    f.server_end = b[0];
    assert_int_equal(net_conn_open(&f.loop, &f.client, a[1], on_event), 0);
    assert_int_equal(net_conn_open(&f.loop, &f.server, b[1], on_event), 0);
    f.up.from = f.down.to = &f.client;
    f.up.to = f.down.from = &f.server;
    relay_watch(f.pool, f.up, f.down);
}

static void on_closed(net_conn *) {
    ++current->closed;
}

static void stop(fixture &f) {
    relay_drop(f.pool, f.up);
    relay_drop(f.pool, f.down);
    relay_pool_free(f.pool);
    assert_int_equal(f.pool.pipes_open, 0);
    net_conn_close(&f.client, on_closed);
    net_conn_close(&f.server, on_closed);
    uv_run(&f.loop, UV_RUN_DEFAULT);
    assert_int_equal(f.closed, 2);
    assert_int_equal(uv_loop_close(&f.loop), 0);
    close(f.client_end);
    close(f.server_end);
}

static uint8_t pattern(size_t i) {
    return static_cast<uint8_t>((i * 2654435761u) >> 13);
}

struct stream {
    int from, to;
    size_t total;
    size_t salt = 0; // makes its bytes unlike other streams'
    size_t sent = 0, received = 0;
    bool ended = false; // EOF seen
};

static void push(stream &s, size_t most) {
    std::vector<uint8_t> piece(std::min(most, s.total - s.sent));
    for (size_t i = 0; i < piece.size(); ++i)
        piece[i] = pattern(s.salt + s.sent + i);
    ssize_t n = piece.empty() ? 0 : send(s.from, piece.data(), piece.size(), MSG_NOSIGNAL);
    if (n > 0)
        s.sent += static_cast<size_t>(n);
    if (s.sent == s.total && !piece.empty())
        shutdown(s.from, SHUT_WR);
}

static void pull(stream &s, size_t most) {
    std::vector<uint8_t> piece(most);
    ssize_t n = recv(s.to, piece.data(), piece.size(), 0);
    if (n == 0)
        s.ended = true;
    for (ssize_t i = 0; i < n; ++i)
        assert_int_equal(piece[static_cast<size_t>(i)], pattern(s.salt + s.received + static_cast<size_t>(i)));
    if (n > 0)
        s.received += static_cast<size_t>(n);
}

static void run_both_ways(size_t up_bytes, size_t down_bytes, size_t piece, unsigned reader_every) {
    fixture f;
    start(f);
    stream up = {f.client_end, f.server_end, up_bytes};
    stream down = {f.server_end, f.client_end, down_bytes};
    std::minstd_rand random(7);
    for (unsigned turn = 0; !up.ended || !down.ended; ++turn) {
        push(up, random() % piece + 1);
        push(down, random() % piece + 1);
        uv_run(&f.loop, UV_RUN_NOWAIT);
        assert_int_equal(f.failed, relay_result::ok);
        if (turn % reader_every == 0) {
            pull(up, random() % piece + 1);
            pull(down, random() % piece + 1);
        }
    }
    assert_int_equal(up.received, up_bytes);
    assert_int_equal(down.received, down_bytes);
    assert_true(relay_finished(f.up) && relay_finished(f.down));
    stop(f);
}

static void small_pieces(void **) {
    run_both_ways(200'000, 300'000, 300, 1);
}
static void large_pieces_through_pipes(void **) {
    run_both_ways(20'000'000, 30'000'000, 700'000, 1);
}
static void slow_readers(void **) {
    run_both_ways(5'000'000, 6'000'000, 400'000, 7);
}

static void bulk_uses_a_pipe_and_gives_it_back(void **) {
    fixture f;
    // Four full reads in a row must fit the window that the kernel grants to a reader slowed down by a sanitizer.
    start(f, 16 * 1024);
    stream s = {f.client_end, f.server_end, 40'000'000};
    bool piped = false;
    while (!s.ended) {
        push(s, 4'000'000);
        uv_run(&f.loop, UV_RUN_NOWAIT);
        piped = piped || f.up.pipe_read >= 0;
        pull(s, 300'000);
    }
    assert_true(piped);
    assert_int_equal(s.received, s.total);
    assert_int_equal(f.up.pipe_read, -1);
    stop(f);
}

static void idle_relay_owns_nothing(void **) {
    fixture f;
    start(f);
    stream s = {f.client_end, f.server_end, 1'000'000};
    while (s.received < 500'000) {
        if (s.sent < 500'000)
            push(s, std::min<size_t>(65'536, 500'000 - s.sent));
        uv_run(&f.loop, UV_RUN_NOWAIT);
        pull(s, 100'000);
    }
    uv_run(&f.loop, UV_RUN_NOWAIT);
    assert_null(f.up.held.data);
    assert_null(f.down.held.data);
    assert_int_equal(f.down.pipe_read, -1);
    stop(f);
}

static void reset_is_reported_with_its_side(void **) {
    fixture f;
    start(f);
    linger reset = {.l_onoff = 1, .l_linger = 0};
    setsockopt(f.server_end, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(f.server_end);
    f.server_end = -1;
    for (int i = 0; i < 100 && f.failed == relay_result::ok; ++i)
        uv_run(&f.loop, UV_RUN_NOWAIT);
    assert_int_equal(f.failed, relay_result::from_failed); // of the direction that reads from the server
    assert_int_equal(f.error, ECONNRESET);
    stop(f);
}

// ---- many relays in one batch ----------------------------------------------------------------------------------

struct member {
    fixture f; // its loop and pool are not used
    stream up, down;
};

static uv_loop_t shared_loop;
static relay_pool shared_pool;
static std::vector<std::unique_ptr<member>> crowd;

static member *member_of(net_conn *conn) {
    for (auto &m : crowd)
        if (conn == &m->f.client || conn == &m->f.server)
            return m.get();
    return nullptr;
}

static void crowd_moved(relay_direction *d, relay_result result, int, uint64_t) {
    auto *m = static_cast<member *>(d->owner);
    assert_int_equal(result, relay_result::ok);
    relay_watch(shared_pool, m->f.up, m->f.down);
}

static void crowd_event(net_conn *conn, unsigned events) {
    member *m = member_of(conn);
    for (relay_direction *d : {&m->f.up, &m->f.down}) {
        bool from = d->from == conn && (events & net_readable);
        bool to = d->to == conn && (events & net_writable);
        if ((!from && !to) || (from && !to && relay_later(shared_pool, *d)))
            continue;
        int error = 0;
        uint64_t before = d->bytes;
        relay_result result = relay_move(shared_pool, *d, error);
        crowd_moved(d, result, error, before);
    }
}

static void crowd_member(size_t i) {
    crowd.push_back(std::make_unique<member>());
    member &m = *crowd.back();
    int a[2], b[2];
    tcp_pair(a);
    tcp_pair(b);
    m.f.client_end = a[0];
    m.f.server_end = b[0];
    assert_int_equal(net_conn_open(&shared_loop, &m.f.client, a[1], crowd_event), 0);
    assert_int_equal(net_conn_open(&shared_loop, &m.f.server, b[1], crowd_event), 0);
    m.f.up.from = m.f.down.to = &m.f.client;
    m.f.up.to = m.f.down.from = &m.f.server;
    m.f.up.owner = m.f.down.owner = &m;
    relay_watch(shared_pool, m.f.up, m.f.down);
    m.up = {m.f.client_end, m.f.server_end, 20'000 + i * 100, i * 7919};
    m.down = {m.f.server_end, m.f.client_end, 200'000 - i * 100, i * 7919 + 3};
}

static void crowd_closed(net_conn *) {}

// A hundred relays moved together: nobody's byte ends up with somebody else.
static void batched(bool ring) {
    uv_loop_init(&shared_loop);
    relay_pool_init(shared_pool, scratch_size, low_mark, ring);
    shared_pool.on_moved = crowd_moved;
    for (size_t i = 0; i < 100; ++i)
        crowd_member(i);
    std::minstd_rand random(11);
    for (size_t left = crowd.size(); left > 0;) {
        for (auto &m : crowd)
            for (stream *s : {&m->up, &m->down})
                push(*s, random() % 12'000 + 1);
        uv_run(&shared_loop, UV_RUN_NOWAIT);
        relay_turn(shared_pool);
        left = 0;
        for (auto &m : crowd)
            for (stream *s : {&m->up, &m->down}) {
                pull(*s, random() % 12'000 + 1);
                left += s->ended ? 0 : 1;
            }
    }
    for (auto &m : crowd) {
        assert_int_equal(m->up.received, m->up.total);
        assert_int_equal(m->down.received, m->down.total);
        relay_drop(shared_pool, m->f.up);
        relay_drop(shared_pool, m->f.down);
        net_conn_close(&m->f.client, crowd_closed);
        net_conn_close(&m->f.server, crowd_closed);
    }
    uv_run(&shared_loop, UV_RUN_DEFAULT);
    for (auto &m : crowd) {
        close(m->f.client_end);
        close(m->f.server_end);
    }
    crowd.clear();
    relay_pool_free(shared_pool);
    assert_int_equal(uv_loop_close(&shared_loop), 0);
}

static void batched_on_a_ring(void **) {
    batched(true);
}
static void batched_call_by_call(void **) {
    batched(false);
}

// A receiver that takes nothing: reading goes on while little is held, and stops with at most the high-water mark.
static void marks_bound_what_is_held(void **) {
    fixture f;
    start(f);
    int small = 4096;
    setsockopt(f.server.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    stream s = {f.client_end, f.server_end, 12'000'000};
    size_t most = 0;
    bool read_behind = false;
    for (int turn = 0; !s.ended; ++turn) {
        size_t before = iobuf_size(f.up.held);
        push(s, turn < 3000 ? 9'000 : 200'000);
        uv_run(&f.loop, UV_RUN_NOWAIT);
        assert_int_equal(f.failed, relay_result::ok);
        size_t after = iobuf_size(f.up.held);
        most = std::max(most, after);
        read_behind = read_behind || (before > 0 && before <= low_mark && after > before);
        if (turn > 3000 || turn % 40 == 39)
            pull(s, turn > 3000 ? 200'000 : 20'000);
    }
    assert_true(read_behind);
    assert_true(most > low_mark && most <= scratch_size);
    assert_int_equal(s.received, s.total);
    stop(f);
}

// A direction dropped between relay_later and relay_turn is left alone.
static void dropped_before_its_turn(void **) {
    fixture f;
    start(f);
    f.pool.on_moved = [](relay_direction *, relay_result, int, uint64_t) { fail_msg("moved"); };
    assert_int_equal(send(f.client_end, "x", 1, 0), 1);
    assert_true(relay_later(f.pool, f.up));
    relay_drop(f.pool, f.up);
    relay_turn(f.pool);
    char byte;
    assert_int_equal(recv(f.server_end, &byte, 1, 0), -1);
    stop(f);
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(small_pieces),
        cmocka_unit_test(large_pieces_through_pipes),
        cmocka_unit_test(slow_readers),
        cmocka_unit_test(bulk_uses_a_pipe_and_gives_it_back),
        cmocka_unit_test(idle_relay_owns_nothing),
        cmocka_unit_test(reset_is_reported_with_its_side),
        cmocka_unit_test(batched_on_a_ring),
        cmocka_unit_test(batched_call_by_call),
        cmocka_unit_test(dropped_before_its_turn),
        cmocka_unit_test(marks_bound_what_is_held),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
