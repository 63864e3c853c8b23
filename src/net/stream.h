// One TDS connection's bytes in clear, whatever protects them on the wire: a net_conn, with TLS over it or not.
//
//      socket -> [tls_engine] -> stream_recv -> proxy          proxy -> stream_send -> [tls_engine] -> socket
//
// What the socket does not take waits here; the owner watches stream_unsent and stops its source. An idle stream owns
// no buffer.
//
// With an outbox, short messages wait for the end of the loop turn, to be sent with everybody else's. An error of the
// socket is then found by the next call that sends.
#pragma once

#include "base/iobuf.h"
#include "base/list.h"
#include "net/conn.h"

struct tls_engine;
struct net_outbox;

struct net_stream {
    net_conn conn;
    tls_engine *tls = nullptr;    // owned; nullptr: in clear
    iobuf unsent;                 // in clear; with TLS what has not been encrypted yet
    net_outbox *outbox = nullptr; // nullptr: everything is sent at once
    list_node<net_stream> posted; // of the outbox
    bool goes_first = false;      // of the streams that wait there: a server's
    int error = 0;                // negative errno of what the outbox has sent
};
using net_stream_list = list<net_stream, &net_stream::posted>;

// Takes over an engine whose handshake is done; nullptr goes (back) to bytes in clear.
void stream_set_tls(net_stream *, tls_engine *);
// Sends what waits for the end of the turn, frees engine and buffers, wiping them. The net_conn is the owner's to
// close.
void stream_free(net_stream *);

// Bytes in clear (> 0), 0 at the peer's end, net_again, or a negative errno; -EPROTO: TLS failed, see stream_error.
// `cipher` is scratch memory for what comes from the wire; `room` must be at least 32 KiB larger, so that nothing is
// left in the engine when the socket has nothing more to say.
ssize_t stream_recv(net_stream *, std::span<uint8_t> room, std::span<uint8_t> cipher);
// Takes all of `bytes`: sends what the socket takes, now or at the end of the turn, and keeps a copy of the rest. 0, or
// a negative errno after which the stream is good for nothing but closing.
[[nodiscard]] int stream_send(net_stream *, std::span<const uint8_t> bytes);
// The socket is writable, or what waits for the end of the turn must go now: sends what waits. 0 or a negative errno.
[[nodiscard]] int stream_flush(net_stream *);
// Bytes that wait for the socket, rather than for the end of the turn.
size_t stream_unsent(const net_stream *);
// Why -EPROTO.
const char *stream_error(const net_stream *);

// The outbox's: what it is to send, and what became of it. False: not all of it was taken.
std::span<const uint8_t> stream_posted(const net_stream *);
[[nodiscard]] bool stream_posted_sent(net_stream *, ssize_t result);
