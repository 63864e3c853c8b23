// The short messages of one loop turn, whatever connection they go to, in one system call (net/batch).
//
//      stream_send -> kept in the stream, which waits here -> net_outbox_turn: all of them at once
//
// A stream that is flushed, shut down or closed before that sends for itself what it has. What the socket does not take
// stays with the stream, as after any send; its owner is told by an event, so that it watches for room, or finds the
// error.
//
// Servers get theirs before clients do: a server connection that waits is what all others wait for, and a client that
// is woken last finds more answers at once.
#pragma once

#include <vector>

#include "net/batch.h"
#include "net/stream.h"

struct net_outbox {
    net_batch *batch = nullptr; // the loop's
    net_stream_list waiting;    // have something to send
    net_stream_list stalled;    // could not send all of it, and the owner has not been told
    std::vector<net_batch_op> ops;
    std::vector<net_stream *> sending;
};

void net_outbox_init(net_outbox &, net_batch *);
// The stream has something to send; nothing if it waits already.
void net_outbox_add(net_outbox &, net_stream &);
// It has sent for itself, or will not.
void net_outbox_remove(net_outbox &, net_stream &);
// Sends all. Owners of streams that could not are told here (net_writable), and may close any stream. Before the loop
// waits for events.
void net_outbox_turn(net_outbox &);
