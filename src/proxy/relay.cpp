#include "proxy/relay.h"

#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

static constexpr int moves_per_turn = 8; // scratch-fulls moved for one event, so that no relay starves the others
static constexpr uint8_t bulk_after = 4; // full reads in a row that make it a bulk stream
static constexpr int pipe_size = 256 * 1024;
static constexpr size_t idle_pipes_kept = 32;
static constexpr size_t batch_depth = 256;   // directions moved together
static constexpr uint32_t slice_size = 8192; // bytes for each of them: TDS packets are 4096 or 8000 by default

void relay_pool_init(relay_pool &pool, size_t high, size_t low, bool with_ring) {
    pool.scratch.resize(high);
    pool.low = low;
    pool.slices.reset(static_cast<uint8_t *>(calloc(batch_depth, slice_size))); // only what is used becomes resident
    pool.later.reserve(batch_depth);
    pool.reads.reserve(batch_depth);
    pool.writes.reserve(batch_depth);
    pool.batch = net_batch_create(batch_depth, with_ring);
}

static void pipe_close(relay_pool &pool, int read_end, int write_end) {
    close(read_end);
    close(write_end);
    --pool.pipes_open;
}

void relay_pool_free(relay_pool &pool) {
    for (auto &p : pool.idle_pipes)
        pipe_close(pool, p.read_end, p.write_end);
    pool.idle_pipes.clear();
    net_batch_destroy(pool.batch);
    pool.batch = nullptr;
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

static void count_full_read(relay_direction &d, bool filled) {
    d.full_reads =
        filled ? static_cast<uint8_t>(d.full_reads < bulk_after ? d.full_reads + 1 : bulk_after) : uint8_t{0};
}

// What has been read from `from` was offered to `to`: `sent` is the answer of its send. The rest is held.
static step delivered(relay_pool &pool, relay_direction &d, std::span<const uint8_t> got, ssize_t sent, int &error) {
    if (sent < 0 && sent != net_again)
        return failed(sent, error);
    size_t taken = sent > 0 ? static_cast<size_t>(sent) : 0;
    d.bytes += taken;
    if (taken == got.size())
        return step::again;
    if (iobuf_append(d.held, got.subspan(taken), pool.scratch.size()))
        return step::wait;
    error = ENOMEM;
    return step::failed;
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
    count_full_read(d, filled);
    side = relay_result::to_failed;
    step next = delivered(pool, d, got, net_send(d.to, got), error);
    return next == step::again && !filled ? step::wait : next;
}

// `to` is still busy with what is held, but that is little: the next bytes queue up behind it.
static step take_behind_held(relay_pool &pool, relay_direction &d, int &error) {
    auto room = iobuf_room(d.held, 1, pool.scratch.size());
    if (room.empty()) {
        error = ENOMEM;
        return step::failed;
    }
    ssize_t n = net_recv(d.from, room);
    if (n < 0)
        return failed(n, error);
    if (n == 0)
        source_ended(pool, d);
    iobuf_fill(d.held, static_cast<size_t>(n));
    return step::wait;
}

// Whether there is a reason to read `from`.
static bool hungry(const relay_pool &pool, const relay_direction &d) {
    return !d.from_eof && d.in_pipe == 0 && iobuf_size(d.held) <= pool.low;
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
    if (next == step::wait && iobuf_size(d.held) > 0 && hungry(pool, d)) {
        side = relay_result::from_failed;
        next = take_behind_held(pool, d, error);
    }
    return next == step::failed ? side : relay_result::ok;
}

void relay_watch(const relay_pool &pool, const relay_direction &up, const relay_direction &down) {
    auto wants = [&pool](const relay_direction &reads, const relay_direction &writes) {
        unsigned events = 0;
        if (hungry(pool, reads))
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
    if (d.later != 0)
        pool.later[d.later - 1] = nullptr;
    d.later = 0;
}

// ---- batch -----------------------------------------------------------------------------------------------------

bool relay_later(relay_pool &pool, relay_direction &d) {
    bool is_short = !relay_stalled(d) && d.pipe_read < 0 && d.full_reads == 0 && !d.from_eof;
    if (d.later != 0)
        return true;
    if (!is_short || pool.later.size() == batch_depth)
        return false;
    pool.later.push_back(&d);
    d.later = static_cast<uint32_t>(pool.later.size());
    return true;
}

static relay_direction *&direction_of(relay_pool &pool, const net_batch_op &op) {
    return pool.later[static_cast<size_t>(op.data - pool.slices.get()) / slice_size];
}

static void receive_all(relay_pool &pool) {
    pool.reads.clear();
    for (size_t i = 0; i < pool.later.size(); ++i)
        if (pool.later[i] != nullptr)
            pool.reads.push_back({pool.later[i]->from->fd, false, pool.slices.get() + i * slice_size, slice_size, 0});
    net_batch_run(pool.batch, pool.reads);
}

// One write for each read that brought bytes, in the same order.
static void send_all(relay_pool &pool) {
    pool.writes.clear();
    for (const net_batch_op &read : pool.reads)
        if (read.result > 0)
            pool.writes.push_back(
                {direction_of(pool, read)->to->fd, true, read.data, static_cast<uint32_t>(read.result), 0});
    net_batch_run(pool.batch, pool.writes);
}

static step settle(relay_pool &pool, relay_direction &d, const net_batch_op &read, ssize_t sent, relay_result &side,
                   int &error) {
    side = relay_result::from_failed;
    if (read.result < 0)
        return failed(read.result, error);
    if (read.result == 0) {
        source_ended(pool, d);
        return step::wait;
    }
    side = relay_result::to_failed;
    count_full_read(d, read.result == slice_size);
    return delivered(pool, d, {read.data, static_cast<size_t>(read.result)}, sent, error);
}

void relay_turn(relay_pool &pool) {
    if (pool.later.empty())
        return;
    receive_all(pool);
    send_all(pool);
    // From here on no descriptor is touched: what is called may close any of them.
    const net_batch_op *write = pool.writes.data();
    for (const net_batch_op &read : pool.reads) {
        ssize_t sent = read.result > 0 ? (write++)->result : 0;
        relay_direction *d = direction_of(pool, read);
        if (d == nullptr)
            continue;
        int error = 0;
        relay_result side = relay_result::ok;
        uint64_t before = d->bytes;
        bool good = settle(pool, *d, read, sent, side, error) != step::failed;
        d->later = 0;
        pool.on_moved(d, good ? relay_result::ok : side, error, before);
    }
    pool.later.clear();
}
