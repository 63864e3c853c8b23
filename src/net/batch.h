// Many small reads or writes, each on another socket, in one system call (io_uring), so that a busy loop enters the
// kernel twice a turn instead of twice a message, and the peers that are woken run once instead of once per message.
//
// Nothing stays in flight: every operation is non-blocking and has its result when net_batch_run returns. Where
// io_uring is not to be had (an old kernel, a container's seccomp filter) the same is done call by call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <sys/types.h>

struct net_batch; // opaque

struct net_batch_op {
    int fd;
    bool send; // else receive
    uint8_t *data;
    uint32_t size;
    ssize_t result; // bytes, 0 at the peer's FIN, or a negative errno (net_again: nothing now)
};

// Never null; `with_ring` false forgoes io_uring. `depth`: operations per system call.
net_batch *net_batch_create(uint32_t depth, bool with_ring);
void net_batch_destroy(net_batch *);

// Performs all of them, in no order that may be relied on.
void net_batch_run(net_batch *, std::span<net_batch_op> ops);
