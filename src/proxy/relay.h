// Bytes from one connection to another, untouched: what passthrough does all day.
//
//      client fd --recv--> scratch (one per loop) --send--> server fd
//                              | what the other side would not take
//                              v
//                          held (bounded), source paused until it has drained
//
//      for a long stream:          fd --splice--> pipe --splice--> fd
//      many at once, all short:    relay_later ... relay_turn: all recvs in one system call, all sends in another
//
// An idle relay owns no buffer and no pipe. A slow receiver costs at most one buffer of the high-water mark, or one
// pipe: the source is not read while more than the low-water mark is held.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

#include "base/iobuf.h"
#include "net/batch.h"
#include "net/conn.h"

struct relay_direction;

enum class relay_result : uint8_t { ok, from_failed, to_failed };

struct free_memory {
    void operator()(void *p) const { free(p); }
};

// Shared by all relays of a loop.
struct relay_pool {
    std::vector<uint8_t> scratch;
    size_t low = 0;
    // The batch of this loop turn.
    net_batch *batch = nullptr;
    std::vector<relay_direction *> later; // nullptr: was dropped meanwhile
    std::vector<net_batch_op> reads, writes;
    std::unique_ptr<uint8_t, free_memory> slices; // one for each of `later`; nobody touches it before it is needed
    void (*on_moved)(relay_direction *, relay_result, int error, uint64_t bytes_before) = nullptr;
    struct pipe_pair {
        int read_end;
        int write_end;
    };
    std::vector<pipe_pair> idle_pipes;
    size_t pipes_open = 0;
};

// `high`: the most that is held for a slow receiver, and the size of a read; `low`: with no more than this held the
// source is read on.
void relay_pool_init(relay_pool &, size_t high, size_t low, bool with_ring = true);
void relay_pool_free(relay_pool &);

// One direction. `from` and `to` are owned by others and must outlive it.
struct relay_direction {
    net_conn *from = nullptr;
    net_conn *to = nullptr;
    iobuf held;         // read, not yet taken by `to`
    int pipe_read = -1; // bulk: a borrowed pipe
    int pipe_write = -1;
    uint32_t in_pipe = 0;   // bytes in it
    void *owner = nullptr;  // the caller's
    uint32_t later = 0;     // place in the pool's batch plus 1; 0: not in it
    uint8_t full_reads = 0; // reads in a row that filled the buffer given to them
    bool from_eof = false;  // FIN read
    bool to_shut = false;   // FIN sent on
    uint64_t bytes = 0;     // delivered
};

// Moves what can be moved now; on *_failed `error` is the errno. After from_eof and everything delivered, FIN is sent
// on.
relay_result relay_move(relay_pool &, relay_direction &, int &error);
// `from` is readable: move with everybody else's at the end of this loop turn, if the direction is of the short kind.
// False: it is not (or the batch is full); call relay_move.
[[nodiscard]] bool relay_later(relay_pool &, relay_direction &);
// Moves all that relay_later collected; on_moved is called for each, and may drop any direction.
void relay_turn(relay_pool &);
// Whether bytes wait for `to`.
inline bool relay_stalled(const relay_direction &d) {
    return iobuf_size(d.held) > 0 || d.in_pipe > 0;
}
inline bool relay_finished(const relay_direction &d) {
    return d.to_shut;
}
// Arms both connections for what the two directions between them need next.
void relay_watch(const relay_pool &, const relay_direction &up, const relay_direction &down);
// Gives back what the direction holds; bytes not delivered are lost.
void relay_drop(relay_pool &, relay_direction &);
