// A stream carries the same bytes with TLS and without, keeps what the socket does not take, and owns nothing when
// idle.

#include <cerrno>
#include <vector>

#include <sys/socket.h>
#include <unistd.h>

#include "net/stream.h"
#include "tls/tls_client_context.h"
#include "tls/tls_context.h"
#include "tls/tls_engine.h"

#include "cmocka_cpp.h" // last: its macros are lower-case words

using bytes = std::vector<uint8_t>;

// Two streams over a socket pair; the loop is not needed, the test does what the loop's events would.
struct fixture {
    net_stream left, right;
    bytes room = bytes(128 * 1024), cipher = bytes(32 * 1024);
};

static void open_pair(fixture &f, bool tls) {
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    f.left.conn.fd = ends[0];
    f.right.conn.fd = ends[1];
    if (!tls)
        return;
    std::string error;
    tls_context *server_context = tls_context_create({.self_signed = tls_self_signed::ecdsa}, error);
    tls_client_context *client_context = tls_client_context_create({}, error);
    tls_engine *server = tls_engine_create(server_context, tls_mode::wrapped);
    tls_engine *client = tls_engine_create_client(client_context, tls_mode::wrapped, "db.example", 1433);
    tls_result done = tls_result::more;
    for (int i = 0; i < 6; ++i) {
        (void)tls_engine_handshake(client);
        assert_true(tls_engine_feed(server, tls_engine_output(client)));
        tls_engine_sent(client, tls_engine_waiting(client));
        done = tls_engine_handshake(server);
        assert_true(tls_engine_feed(client, tls_engine_output(server)));
        tls_engine_sent(server, tls_engine_waiting(server));
    }
    assert_int_equal(static_cast<int>(done), static_cast<int>(tls_result::ok));
    stream_set_tls(&f.left, client);
    stream_set_tls(&f.right, server);
    tls_context_destroy(server_context);
    tls_client_context_destroy(client_context);
}

static void close_pair(fixture &f) {
    for (net_stream *s : {&f.left, &f.right}) {
        stream_free(s);
        close(s->conn.fd);
    }
}

static bytes pattern(size_t size) {
    bytes b(size);
    for (size_t i = 0; i < size; ++i)
        b[i] = static_cast<uint8_t>(i * 31 + i / 253);
    return b;
}

static void receive(fixture &f, net_stream *from, bytes &got) {
    for (;;) {
        ssize_t n = stream_recv(from, f.room, f.cipher);
        if (n == net_again)
            return;
        assert_true(n > 0);
        got.insert(got.end(), f.room.begin(), f.room.begin() + n);
    }
}

static void bytes_of_any_size_arrive(bool tls) {
    fixture f;
    open_pair(f, tls);
    for (size_t size : {1UL, 8UL, 16384UL, 16385UL, 70'000UL, 3'000'000UL}) {
        bytes out = pattern(size), got;
        assert_int_equal(stream_send(&f.left, out), 0);
        while (got.size() < size) {
            receive(f, &f.right, got);
            assert_int_equal(stream_flush(&f.left), 0); // the socket is writable again
        }
        assert_true(got == out);
        assert_int_equal(stream_unsent(&f.left), 0);
        assert_null(f.left.unsent.data); // no buffer when idle
    }
    close_pair(f);
}

static void test_bytes_of_any_size_arrive(void **) {
    bytes_of_any_size_arrive(false);
    bytes_of_any_size_arrive(true);
}

// What waits stays in order behind what waits already.
static void order_is_kept(bool tls) {
    fixture f;
    open_pair(f, tls);
    bytes out, got;
    for (size_t i = 0; i < 200; ++i) {
        bytes part(4096, static_cast<uint8_t>(i));
        assert_int_equal(stream_send(&f.left, part), 0);
        out.insert(out.end(), part.begin(), part.end());
    }
    assert_true(stream_unsent(&f.left) > 0); // more than a socket pair takes
    while (got.size() < out.size()) {
        receive(f, &f.right, got);
        assert_int_equal(stream_flush(&f.left), 0);
    }
    assert_true(got == out);
    close_pair(f);
}

static void test_order_is_kept(void **) {
    order_is_kept(false);
    order_is_kept(true);
}

static void test_end_and_errors(void **) {
    for (bool tls : {false, true}) {
        fixture f;
        open_pair(f, tls);
        shutdown(f.left.conn.fd, SHUT_WR);
        assert_int_equal(stream_recv(&f.right, f.room, f.cipher), 0);
        close(f.left.conn.fd);
        assert_true(stream_send(&f.right, pattern(10)) == -EPIPE);
        f.left.conn.fd = dup(0);
        close_pair(f);
    }
}

static void test_bytes_that_are_no_tls(void **) {
    fixture f;
    open_pair(f, true);
    bytes garbage = pattern(100);
    assert_int_equal(write(f.left.conn.fd, garbage.data(), garbage.size()), 100);
    assert_int_equal(stream_recv(&f.right, f.room, f.cipher), -EPROTO);
    assert_true(*stream_error(&f.right) != '\0');
    close_pair(f);
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_of_any_size_arrive),
        cmocka_unit_test(test_order_is_kept),
        cmocka_unit_test(test_end_and_errors),
        cmocka_unit_test(test_bytes_that_are_no_tls),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
