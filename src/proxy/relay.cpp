#include "proxy/relay.h"

#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

static constexpr int moves_per_turn = 8;        // scratch-fulls moved for one event, so that no relay starves the others
static constexpr uint8_t bulk_after = 4;        // full reads in a row that make it a bulk stream
static constexpr int pipe_size = 256 * 1024;
static constexpr size_t idle_pipes_kept = 32;

void relay_pool_init(relay_pool &pool, size_t scratch_size) { pool.scratch.resize(scratch_size); }

static void pipe_close(relay_pool &pool, int read_end, int write_end) {
    close(read_end);
    close(write_end);
    --pool.pipes_open;
}

void relay_pool_free(relay_pool &pool) {
    for (auto &p : pool.idle_pipes)
        pipe_close(pool, p.read_end, p.write_end);
    pool.idle_pipes.clear();
}

static bool pipe_borrow(relay_pool &pool, relay_direction &d) {
    if (!pool.idle_pipes.empty()) {
        d.pipe_read = pool.idle_pipes.back().read_end;
        d.pipe_write = pool.idle_pipes.back().write_end;
        pool.idle_pipes.pop_back();
        return true;
    }
    int ends[2];
    if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0)
        return false; // out of descriptors: copying still works
    fcntl(ends[1], F_SETPIPE_SZ, pipe_size);
    d.pipe_read = ends[0];
    d.pipe_write = ends[1];
    ++pool.pipes_open;
    return true;
}

static void pipe_give_back(relay_pool &pool, relay_direction &d) {
    if (d.pipe_read < 0)
        return;
    if (d.in_pipe == 0 && pool.idle_pipes.size() < idle_pipes_kept)
        pool.idle_pipes.push_back({d.pipe_read, d.pipe_write});
    else
        pipe_close(pool, d.pipe_read, d.pipe_write);
    d.pipe_read = d.pipe_write = -1;
    d.in_pipe = 0;
}

// The three steps below return > 0 to go on, 0 to wait for an event, or a negative errno.
enum class step { again, wait, failed };

static step failed(ssize_t n, int &error) {
    if (n == net_again)
        return step::wait;
    error = static_cast<int>(-n);
    return step::failed;
}

static step deliver_held(relay_direction &d, int &error) {
    while (iobuf_size(d.held) > 0) {
        ssize_t n = net_send(d.to, iobuf_pending(d.held));
        if (n < 0)
            return failed(n, error);
        iobuf_consume(d.held, static_cast<size_t>(n));
        d.bytes += static_cast<uint64_t>(n);
    }
    return step::again;
}

static step deliver_pipe(relay_pool &pool, relay_direction &d, int &error) {
    while (d.in_pipe > 0) {
        ssize_t n = splice(d.pipe_read, nullptr, d.to->fd, nullptr, d.in_pipe, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return failed(-errno, error);
        d.in_pipe -= static_cast<uint32_t>(n);
        d.bytes += static_cast<uint64_t>(n);
    }
    if (d.full_reads < bulk_after)
        pipe_give_back(pool, d);
    return step::again;
}

static void source_ended(relay_pool &pool, relay_direction &d) {
    d.from_eof = true;
    if (!relay_stalled(d)) {
        pipe_give_back(pool, d);
        net_conn_shutdown(d.to);
        d.to_shut = true;
    }
}

static step take_by_copy(relay_pool &pool, relay_direction &d, relay_result &side, int &error) {
    side = relay_result::from_failed;
    ssize_t n = net_recv(d.from, pool.scratch);
    if (n < 0)
        return failed(n, error);
    if (n == 0) {
        source_ended(pool, d);
        return step::wait;
    }
    auto got = std::span<const uint8_t>(pool.scratch).first(static_cast<size_t>(n));
    bool filled = got.size() == pool.scratch.size();
    d.full_reads = filled ? static_cast<uint8_t>(d.full_reads < bulk_after ? d.full_reads + 1 : bulk_after) : uint8_t{0};
    side = relay_result::to_failed;
    ssize_t sent = net_send(d.to, got);
    if (sent < 0 && sent != net_again)
        return failed(sent, error);
    size_t taken = sent > 0 ? static_cast<size_t>(sent) : 0;
    d.bytes += taken;
    if (taken == got.size())
        return filled ? step::again : step::wait;
    if (!iobuf_append(d.held, got.subspan(taken), pool.scratch.size())) {
        error = ENOMEM;
        return step::failed;
    }
    return step::wait;
}

static step take_by_splice(relay_pool &pool, relay_direction &d, relay_result &side, int &error) {
    side = relay_result::from_failed;
    ssize_t n = splice(d.from->fd, nullptr, d.pipe_write, nullptr, static_cast<size_t>(pipe_size),
                       SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (n < 0 && errno != EINTR)
        return failed(-errno, error);
    if (n == 0) {
        source_ended(pool, d);
        return step::wait;
    }
    if (n < 0)
        return step::again;
    d.in_pipe = static_cast<uint32_t>(n);
    // The stream has thinned out: go back to copying, which gives the pipe up when it is empty.
    if (d.in_pipe < pool.scratch.size() / 4)
        d.full_reads = 0;
    side = relay_result::to_failed;
    return deliver_pipe(pool, d, error);
}

static step take(relay_pool &pool, relay_direction &d, relay_result &side, int &error) {
    bool bulk = d.pipe_read >= 0 || (d.full_reads >= bulk_after && pipe_borrow(pool, d));
    return bulk ? take_by_splice(pool, d, side, error) : take_by_copy(pool, d, side, error);
}

relay_result relay_move(relay_pool &pool, relay_direction &d, int &error) {
    relay_result side = relay_result::to_failed;
    step next = deliver_held(d, error);
    if (next == step::again)
        next = deliver_pipe(pool, d, error);
    if (next == step::again && d.from_eof && !d.to_shut)
        source_ended(pool, d);
    for (int i = 0; i < moves_per_turn && next == step::again && !d.from_eof; ++i)
        next = take(pool, d, side, error);
    return next == step::failed ? side : relay_result::ok;
}

void relay_watch(const relay_direction &up, const relay_direction &down) {
    auto wants = [](const relay_direction &reads, const relay_direction &writes) {
        unsigned events = 0;
        if (!reads.from_eof && !relay_stalled(reads))
            events |= net_readable;
        if (relay_stalled(writes))
            events |= net_writable;
        return events;
    };
    net_conn_watch(up.from, wants(up, down));
    net_conn_watch(up.to, wants(down, up));
}

void relay_drop(relay_pool &pool, relay_direction &d) {
    iobuf_free(d.held);
    pipe_give_back(pool, d);
}
