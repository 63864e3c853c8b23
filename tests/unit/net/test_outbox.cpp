// What many streams send in one loop turn leaves together, in order, and as if each had sent at once.

#include <cerrno>
#include <functional>
#include <memory>
#include <vector>

#include <sys/socket.h>
#include <unistd.h>

#include "net/outbox.h"
#include "net/stream.h"
#include "tls/tls_client_context.h"
#include "tls/tls_context.h"
#include "tls/tls_engine.h"

#include "cmocka_cpp.h" // last: its macros are lower-case words

using bytes = std::vector<uint8_t>;

// A stream and its peer's descriptor. The loop is not needed: the test calls the turn.
struct line {
    net_stream stream;
    int peer = -1;
    std::function<void(line &, unsigned events)> told = [](line &, unsigned) {};
};

static void on_event(net_conn *conn, unsigned events) {
    auto *l = static_cast<line *>(conn->poll.data);
    l->told(*l, events);
}

struct world_of_lines {
    net_batch *batch;
    net_outbox outbox;
    std::vector<std::unique_ptr<line>> lines;

    world_of_lines(size_t count, bool with_ring) : batch(net_batch_create(8, with_ring)) {
        net_outbox_init(outbox, batch);
        for (size_t i = 0; i < count; ++i)
            open_line();
    }
    ~world_of_lines() {
        for (auto &l : lines)
            shut(*l);
        net_batch_destroy(batch);
    }
    void open_line() {
        int ends[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
        auto l = std::make_unique<line>();
        l->stream.conn.fd = ends[0];
        l->stream.conn.on_event = on_event;
        l->stream.conn.poll.data = l.get();
        l->stream.outbox = &outbox;
        l->peer = ends[1];
        lines.push_back(std::move(l));
    }
    static void shut(line &l) {
        stream_free(&l.stream);
        if (l.stream.conn.fd >= 0)
            close(l.stream.conn.fd);
        l.stream.conn.fd = -1;
        if (l.peer >= 0)
            close(l.peer);
        l.peer = -1;
    }
    line &operator[](size_t i) { return *lines[i]; }
};

static bytes arrived(const line &l) {
    bytes got(1 << 20);
    ssize_t n = recv(l.peer, got.data(), got.size(), MSG_DONTWAIT);
    got.resize(n > 0 ? static_cast<size_t>(n) : 0);
    return got;
}

static bytes all_of(size_t size, uint8_t value) {
    return bytes(size, value);
}

// A socket that takes nothing more.
static void fill(line &l) {
    bytes much(4096);
    while (send(l.stream.conn.fd, much.data(), much.size(), MSG_DONTWAIT) > 0) {
    }
}

static void drain(line &l) {
    while (!arrived(l).empty()) {
    }
}

static void test_they_leave_together(void **) {
    for (bool with_ring : {true, false}) {
        world_of_lines w(20, with_ring); // more than the batch takes at once
        for (size_t i = 0; i < 20; ++i) {
            assert_int_equal(stream_send(&w[i].stream, all_of(i + 1, static_cast<uint8_t>(i))), 0);
            assert_int_equal(stream_unsent(&w[i].stream), 0); // nothing waits for the socket
            assert_true(arrived(w[i]).empty());
        }
        net_outbox_turn(w.outbox);
        for (size_t i = 0; i < 20; ++i) {
            assert_true(arrived(w[i]) == all_of(i + 1, static_cast<uint8_t>(i)));
            assert_null(w[i].stream.unsent.data);
        }
        net_outbox_turn(w.outbox);
        assert_true(arrived(w[0]).empty());
    }
}

// Not so many wait that those that came first are late.
static void test_a_crowd_does_not_wait_for_the_turn(void **) {
    world_of_lines w(64, true);
    for (size_t i = 0; i < 64; ++i)
        assert_int_equal(stream_send(&w[i].stream, all_of(3, 7)), 0);
    for (size_t i = 0; i < 64; ++i)
        assert_int_equal(arrived(w[i]).size(), 3);
}

static void test_servers_go_first(void **) {
    world_of_lines w(3, true);
    w[1].stream.goes_first = true;
    for (size_t i = 0; i < 3; ++i)
        assert_int_equal(stream_send(&w[i].stream, all_of(3, static_cast<uint8_t>(i))), 0);
    assert_ptr_equal(list_front(w.outbox.waiting), &w[1].stream);
    net_outbox_turn(w.outbox);
    for (size_t i = 0; i < 3; ++i)
        assert_true(arrived(w[i]) == all_of(3, static_cast<uint8_t>(i)));
}

static void test_order_is_kept(void **) {
    world_of_lines w(1, true);
    bytes expected;
    for (size_t size : {10U, 20U, 5000U, 9000U, 30U, 8192U, 1U, 70'000U, 5U}) {
        bytes part = all_of(size, static_cast<uint8_t>(size));
        assert_int_equal(stream_send(&w[0].stream, part), 0);
        expected.insert(expected.end(), part.begin(), part.end());
    }
    net_outbox_turn(w.outbox);
    assert_true(arrived(w[0]) == expected);
}

// What has to go before a FIN, or before the stream is closed.
static void test_flush_and_free_send_for_themselves(void **) {
    world_of_lines w(2, true);
    assert_int_equal(stream_send(&w[0].stream, all_of(4, 1)), 0);
    assert_int_equal(stream_send(&w[1].stream, all_of(5, 2)), 0);
    assert_int_equal(stream_flush(&w[0].stream), 0);
    assert_int_equal(arrived(w[0]).size(), 4);
    stream_free(&w[1].stream);
    assert_int_equal(arrived(w[1]).size(), 5);
    net_outbox_turn(w.outbox);
    assert_true(arrived(w[0]).empty() && arrived(w[1]).empty());
}

static void test_what_the_socket_does_not_take_stays(void **) {
    world_of_lines w(4, true);
    unsigned told = 0;
    fill(w[1]);
    w[1].told = [&](line &l, unsigned events) {
        assert_int_equal(events, net_writable);
        assert_int_equal(stream_flush(&l.stream), 0);
        assert_int_equal(stream_unsent(&l.stream), 100);
        ++told;
    };
    for (size_t i = 0; i < 4; ++i)
        assert_int_equal(stream_send(&w[i].stream, all_of(100, 9)), 0);
    net_outbox_turn(w.outbox);
    assert_int_equal(told, 1);
    assert_int_equal(arrived(w[3]).size(), 100);
    assert_int_equal(stream_send(&w[1].stream, all_of(50, 8)), 0); // behind what waits
    assert_int_equal(stream_unsent(&w[1].stream), 150);
    drain(w[1]);
    assert_int_equal(stream_flush(&w[1].stream), 0);
    bytes expected = all_of(100, 9);
    expected.resize(150, 8);
    assert_true(arrived(w[1]) == expected);
    assert_int_equal(told, 1);
}

static void test_an_error_is_told_and_found_again(void **) {
    world_of_lines w(4, true);
    unsigned told = 0;
    close(w[2].peer);
    w[2].peer = -1;
    w[2].told = [&](line &l, unsigned events) {
        assert_int_equal(events, net_writable);
        assert_int_equal(stream_flush(&l.stream), -EPIPE);
        assert_int_equal(stream_send(&l.stream, all_of(1, 1)), -EPIPE);
        ++told;
    };
    for (size_t i = 0; i < 4; ++i)
        assert_int_equal(stream_send(&w[i].stream, all_of(6, 5)), 0);
    net_outbox_turn(w.outbox);
    assert_int_equal(told, 1);
    for (size_t i : {0U, 1U, 3U})
        assert_int_equal(arrived(w[i]).size(), 6);
}

// Whoever is told may close any stream, another that is about to be told among them, and send on any.
static void test_who_is_told_may_close_others(void **) {
    world_of_lines w(5, true);
    unsigned told = 0;
    for (size_t i = 0; i < 4; ++i) {
        close(w[i].peer);
        w[i].peer = -1;
        w[i].told = [&](line &, unsigned) {
            ++told;
            for (size_t j = 0; j < 4; ++j)
                world_of_lines::shut(w[j]);
            assert_int_equal(stream_send(&w[4].stream, all_of(2, 2)), 0);
        };
        assert_int_equal(stream_send(&w[i].stream, all_of(6, 5)), 0);
    }
    net_outbox_turn(w.outbox);
    assert_int_equal(told, 1);
    assert_int_equal(arrived(w[4]).size(), 2); // in the same turn
}

static tls_engine *make_pair(tls_engine *&server) {
    std::string error;
    tls_context *server_context = tls_context_create({.self_signed = tls_self_signed::ecdsa}, error);
    tls_client_context *client_context = tls_client_context_create({}, error);
    server = tls_engine_create(server_context, tls_mode::wrapped);
    tls_engine *client = tls_engine_create_client(client_context, tls_mode::wrapped, "db.example", 1433);
    for (int i = 0; i < 6; ++i) {
        (void)tls_engine_handshake(client);
        assert_true(tls_engine_feed(server, tls_engine_output(client)));
        tls_engine_sent(client, tls_engine_waiting(client));
        (void)tls_engine_handshake(server);
        assert_true(tls_engine_feed(client, tls_engine_output(server)));
        tls_engine_sent(server, tls_engine_waiting(server));
    }
    tls_context_destroy(server_context);
    tls_client_context_destroy(client_context);
    return client;
}

static void test_with_tls(void **) {
    world_of_lines w(1, true);
    tls_engine *server = nullptr;
    stream_set_tls(&w[0].stream, make_pair(server));
    net_stream peer;
    peer.conn.fd = w[0].peer;
    stream_set_tls(&peer, server);
    bytes expected, room(128 * 1024), cipher(32 * 1024), got;
    for (size_t size : {10U, 5000U, 40'000U, 300U, 20U}) {
        bytes part = all_of(size, static_cast<uint8_t>(size));
        assert_int_equal(stream_send(&w[0].stream, part), 0);
        expected.insert(expected.end(), part.begin(), part.end());
    }
    net_outbox_turn(w.outbox);
    for (ssize_t n = 0; (n = stream_recv(&peer, room, cipher)) > 0;)
        got.insert(got.end(), room.begin(), room.begin() + n);
    assert_true(got == expected);
    stream_free(&peer);
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_they_leave_together),
        cmocka_unit_test(test_a_crowd_does_not_wait_for_the_turn),
        cmocka_unit_test(test_servers_go_first),
        cmocka_unit_test(test_order_is_kept),
        cmocka_unit_test(test_flush_and_free_send_for_themselves),
        cmocka_unit_test(test_what_the_socket_does_not_take_stays),
        cmocka_unit_test(test_an_error_is_told_and_found_again),
        cmocka_unit_test(test_who_is_told_may_close_others),
        cmocka_unit_test(test_with_tls),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
