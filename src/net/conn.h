// One TCP connection on the loop: a descriptor watched with uv_poll, read and written by hand.
//
// uv_poll rather than uv_tcp, because nothing is read before there is somewhere to put it: one scratch buffer of the
// loop serves all connections, so an idle one owns no buffer at all, and bytes can go straight on to another
// descriptor.
//
// Ownership: net_conn is embedded in its owner. From net_conn_open to the `closed` callback of net_conn_close the
// memory must stay; only that callback may free it.
#pragma once

#include <cstdint>
#include <span>

#include <sys/socket.h>
#include <uv.h>

struct net_conn;

constexpr unsigned net_readable = UV_READABLE; // data, FIN or an error: net_recv tells which
constexpr unsigned net_writable = UV_WRITABLE;
constexpr unsigned net_hangup = UV_DISCONNECT; // the peer's FIN or RST, even behind bytes that nobody reads now

// When the work of a loop turn began: with the first event on a connection. The loop's `data`, or nullptr there.
struct net_turn_clock {
    uint64_t began = 0; // uv_hrtime; 0: not yet
};
inline void net_turn_begin(net_turn_clock &clock) {
    if (clock.began == 0)
        clock.began = uv_hrtime();
}
// Nanoseconds of work; 0: there was none.
uint64_t net_turn_end(net_turn_clock &);

// `events` are those watched that have happened. An error of the descriptor is reported as both, so that the next
// net_recv or net_send returns it.
using net_event_cb = void (*)(net_conn *, unsigned events);
using net_closed_cb = void (*)(net_conn *);

struct net_conn {
    uv_poll_t poll;
    int fd = -1;
    unsigned watched = 0; // events armed now
    net_event_cb on_event = nullptr;
    net_closed_cb on_closed = nullptr;
};

// Takes over a connected or connecting non-blocking socket. 0, or a libuv error (the descriptor is then closed).
[[nodiscard]] int net_conn_open(uv_loop_t *, net_conn *, int fd, net_event_cb);
inline bool net_conn_is_open(const net_conn *c) {
    return c->fd >= 0;
}

// Chooses the events to be told of; 0 for none. Costs nothing when they are the same as before.
void net_conn_watch(net_conn *, unsigned events);

constexpr ssize_t net_again = -EAGAIN; // nothing to read, or no room to write, now

// Bytes read (> 0), 0 at the peer's FIN, net_again, or another negative errno.
ssize_t net_recv(net_conn *, std::span<uint8_t> room);
// Bytes written (>= 0), net_again, or another negative errno. Never raises SIGPIPE.
ssize_t net_send(net_conn *, std::span<const uint8_t> bytes);

// Nothing has come that has not been read yet: neither bytes nor FIN nor an error.
[[nodiscard]] bool net_quiet(const net_conn *);
// Reads into `scratch` and forgets, for a while: 0 at the peer's FIN, net_again when there may be more to come, or
// another negative errno.
ssize_t net_discard(net_conn *, std::span<uint8_t> scratch);

// Sends FIN after what has been written; reading goes on.
void net_conn_shutdown(net_conn *);
// Makes the close that follows an RST instead of a FIN.
void net_conn_abort_on_close(net_conn *);
// Closes the descriptor now; `closed` is called on a later loop turn and may free. At most once.
void net_conn_close(net_conn *, net_closed_cb closed);

// A new non-blocking TCP socket that has begun to connect to `address`; -errno on failure. `keepalive` in ms, 0 for
// off.
[[nodiscard]] int net_socket_connect(const sockaddr *address, uint64_t keepalive);
// The outcome of a connect, once writable: 0 or an errno.
int net_connect_result(net_conn *);
// The other end's address. False: it is gone already.
[[nodiscard]] bool net_conn_peer(const net_conn *, sockaddr_storage &out);
// Options every accepted or connected socket gets: TCP_NODELAY, keepalive.
void net_socket_options(int fd, uint64_t keepalive);
