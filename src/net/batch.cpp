#include "net/batch.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <liburing.h>
#include <sys/socket.h>

#include "base/log.h"

static constexpr size_t worth_a_ring = 3; // below, plain calls are cheaper

struct net_batch {
    io_uring ring;
    uint32_t depth = 0;
    bool has_ring = false;
};

// Of kernels from 6.1 on: nobody but this thread, when it asks for them, ever looks at completions, which is cheaper.
static int open_ring(io_uring *ring, uint32_t depth) {
    int rc = io_uring_queue_init(depth, ring, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
    return rc == -EINVAL ? io_uring_queue_init(depth, ring, 0) : rc;
}

net_batch *net_batch_create(uint32_t depth, bool with_ring) {
    auto *b = new net_batch;
    b->depth = depth;
    if (!with_ring)
        return b;
    int rc = open_ring(&b->ring, depth);
    b->has_ring = rc == 0;
    if (rc != 0)
        log_info("io_uring is not available: sockets are read and written one by one", {{"error", strerror(-rc)}});
    return b;
}

void net_batch_destroy(net_batch *b) {
    if (b == nullptr)
        return;
    if (b->has_ring)
        io_uring_queue_exit(&b->ring);
    delete b;
}

static void run_plainly(net_batch_op &op) {
    do {
        op.result = op.send ? send(op.fd, op.data, op.size, MSG_NOSIGNAL | MSG_DONTWAIT)
                            : recv(op.fd, op.data, op.size, MSG_DONTWAIT);
    } while (op.result < 0 && errno == EINTR);
    if (op.result < 0)
        op.result = -errno;
}

static void queue_op(io_uring *ring, net_batch_op &op) {
    io_uring_sqe *sqe = io_uring_get_sqe(ring); // there is one: at most `depth` are queued
    if (op.send)
        io_uring_prep_send(sqe, op.fd, op.data, op.size, MSG_NOSIGNAL | MSG_DONTWAIT);
    else
        io_uring_prep_recv(sqe, op.fd, op.data, op.size, MSG_DONTWAIT);
    io_uring_sqe_set_data(sqe, &op);
    op.result = -EINTR;
}

// Waits for the completion of everything submitted: memory of the caller must not be in the kernel's hands afterwards.
static void reap(io_uring *ring, size_t count) {
    while (count > 0) {
        io_uring_cqe *cqe = nullptr;
        if (io_uring_wait_cqe(ring, &cqe) != 0)
            continue; // EINTR
        static_cast<net_batch_op *>(io_uring_cqe_get_data(cqe))->result = cqe->res;
        io_uring_cqe_seen(ring, cqe);
        --count;
    }
}

// False: the ring cannot be used any more; operations not done have the result -EINTR.
static bool run_on_ring(net_batch *b, std::span<net_batch_op> ops) {
    for (net_batch_op &op : ops)
        queue_op(&b->ring, op);
    size_t submitted = 0;
    while (submitted < ops.size()) {
        int n = io_uring_submit(&b->ring);
        if (n == -EINTR)
            continue;
        if (n <= 0) {
            log_error("io_uring failed: going on without", {{"error", strerror(-n)}});
            break;
        }
        submitted += static_cast<size_t>(n);
    }
    reap(&b->ring, submitted);
    return submitted == ops.size();
}

void net_batch_run(net_batch *b, std::span<net_batch_op> ops) {
    while (b->has_ring && ops.size() >= worth_a_ring) {
        auto part = ops.first(std::min<size_t>(ops.size(), b->depth));
        ops = ops.subspan(part.size());
        if (!run_on_ring(b, part)) {
            io_uring_queue_exit(&b->ring);
            b->has_ring = false;
        }
        for (net_batch_op &op : part)
            if (op.result == -EINTR)
                run_plainly(op);
    }
    for (net_batch_op &op : ops)
        run_plainly(op);
}
