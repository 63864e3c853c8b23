// Batched socket calls give what plain ones give, with io_uring and without: bytes, short writes, nothing there, FIN,
// errors.

#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/batch.h"
#include "net/conn.h"

#include "cmocka_cpp.h" // last: its macros are lower-case words

static constexpr int pairs = 300; // more than one submission of depth 64

struct fixture {
    int left[pairs], right[pairs];
    net_batch *batch;
};

static void open_pairs(fixture &f, bool ring) {
    for (int i = 0; i < pairs; ++i) {
        int ends[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
        f.left[i] = ends[0];
        f.right[i] = ends[1];
    }
    f.batch = net_batch_create(64, ring);
}

static void close_pairs(fixture &f) {
    for (int i = 0; i < pairs; ++i) {
        close(f.left[i]);
        close(f.right[i]);
    }
    net_batch_destroy(f.batch);
}

static void bytes_arrive_where_they_belong(bool ring) {
    fixture f;
    open_pairs(f, ring);
    std::vector<std::array<uint8_t, 16>> out(pairs), in(pairs);
    std::vector<net_batch_op> ops;
    for (size_t i = 0; i < pairs; ++i) {
        out[i].fill(static_cast<uint8_t>(i));
        ops.push_back({f.left[i], true, out[i].data(), static_cast<uint32_t>(1 + i % 16), 0});
    }
    net_batch_run(f.batch, ops);
    for (size_t i = 0; i < pairs; ++i)
        assert_int_equal(ops[i].result, 1 + i % 16);
    ops.clear();
    for (size_t i = 0; i < pairs; ++i)
        ops.push_back({f.right[i], false, in[i].data(), 16, 0});
    net_batch_run(f.batch, ops);
    for (size_t i = 0; i < pairs; ++i) {
        assert_int_equal(ops[i].result, 1 + i % 16);
        assert_memory_equal(in[i].data(), out[i].data(), 1 + i % 16);
    }
    close_pairs(f);
}

static void every_other_outcome(bool ring) {
    fixture f;
    open_pairs(f, ring);
    uint8_t byte[8] = {};
    shutdown(f.left[1], SHUT_WR);
    close(f.left[2]);
    f.left[2] = dup(f.left[3]);
    std::vector<uint8_t> big(8 << 20);
    net_batch_op ops[] = {
        {f.right[0], false, byte, 8, 0}, // nothing there
        {f.right[1], false, byte, 8, 0}, // FIN
        {f.right[2], true, byte, 8, 0},  // nobody there: no SIGPIPE
        {f.right[4], true, big.data(), static_cast<uint32_t>(big.size()), 0},
        {-1, false, byte, 8, 0},
    };
    net_batch_run(f.batch, ops);
    assert_int_equal(ops[0].result, net_again);
    assert_int_equal(ops[1].result, 0);
    assert_int_equal(ops[2].result, -EPIPE);
    assert_true(ops[3].result > 0 && ops[3].result < static_cast<ssize_t>(big.size()));
    assert_int_equal(ops[4].result, -EBADF);
    net_batch_run(f.batch, {&ops[3], 1});
    assert_int_equal(ops[3].result, net_again); // full
    close_pairs(f);
}

static void with_ring(void **) {
    bytes_arrive_where_they_belong(true);
    every_other_outcome(true);
}

static void without_ring(void **) {
    bytes_arrive_where_they_belong(false);
    every_other_outcome(false);
}

int main() {
    const CMUnitTest tests[] = {cmocka_unit_test(with_ring), cmocka_unit_test(without_ring)};
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
