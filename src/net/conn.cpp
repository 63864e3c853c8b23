#include "net/conn.h"

#include <cassert>
#include <cerrno>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

uint64_t net_turn_end(net_turn_clock &clock) {
    uint64_t took = clock.began != 0 ? uv_hrtime() - clock.began : 0;
    clock.began = 0;
    return took;
}

static void conn_event(uv_poll_t *poll, int status, int events) {
    auto *conn = static_cast<net_conn *>(poll->data);
    if (poll->loop->data != nullptr)
        net_turn_begin(*static_cast<net_turn_clock *>(poll->loop->data));
    // libuv reports EPOLLERR as status < 0 and stops the watcher; the next read or write of the owner tells what it
    // was.
    if (status < 0) {
        conn->watched = 0;
        conn->on_event(conn, net_readable | net_writable);
        return;
    }
    conn->on_event(conn, static_cast<unsigned>(events) & (net_readable | net_writable | net_hangup));
}

int net_conn_open(uv_loop_t *loop, net_conn *conn, int fd, net_event_cb on_event) {
    int rc = uv_poll_init(loop, &conn->poll, fd);
    if (rc != 0) {
        close(fd);
        return rc;
    }
    conn->poll.data = conn;
    conn->fd = fd;
    conn->watched = 0;
    conn->on_event = on_event;
    return 0;
}

void net_conn_watch(net_conn *conn, unsigned events) {
    assert(conn->fd >= 0);
    if (conn->watched == events)
        return;
    conn->watched = events;
    if (events == 0)
        uv_poll_stop(&conn->poll);
    else
        uv_poll_start(&conn->poll, static_cast<int>(events), conn_event);
}

ssize_t net_recv(net_conn *conn, std::span<uint8_t> room) {
    for (;;) {
        ssize_t n = recv(conn->fd, room.data(), room.size(), 0);
        if (n >= 0)
            return n;
        if (errno != EINTR)
            return -errno;
    }
}

ssize_t net_send(net_conn *conn, std::span<const uint8_t> bytes) {
    for (;;) {
        ssize_t n = send(conn->fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (n >= 0)
            return n;
        if (errno != EINTR)
            return -errno;
    }
}

bool net_quiet(const net_conn *conn) {
    uint8_t byte;
    return recv(conn->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && (errno == EAGAIN || errno == EINTR);
}

ssize_t net_discard(net_conn *conn, std::span<uint8_t> scratch) {
    for (int i = 0; i < 16; ++i) { // then others have their turn
        ssize_t n = net_recv(conn, scratch);
        if (n <= 0)
            return n;
    }
    return net_again;
}

void net_conn_shutdown(net_conn *conn) {
    shutdown(conn->fd, SHUT_WR);
}

void net_conn_abort_on_close(net_conn *conn) {
    linger reset = {.l_onoff = 1, .l_linger = 0};
    setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
}

static void conn_closed(uv_handle_t *handle) {
    auto *conn = static_cast<net_conn *>(handle->data);
    conn->on_closed(conn);
}

void net_conn_close(net_conn *conn, net_closed_cb closed) {
    assert(conn->fd >= 0);
    conn->on_closed = closed;
    uv_close(reinterpret_cast<uv_handle_t *>(&conn->poll), conn_closed);
    close(conn->fd);
    conn->fd = -1;
    conn->watched = 0;
}

bool net_conn_peer(const net_conn *c, sockaddr_storage &out) {
    socklen_t size = sizeof out;
    return getpeername(c->fd, reinterpret_cast<sockaddr *>(&out), &size) == 0;
}

void net_socket_options(int fd, uint64_t keepalive) {
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (keepalive == 0)
        return;
    int seconds = static_cast<int>(keepalive < 1000 ? 1 : keepalive / 1000);
    int probes = 3;
    int interval = seconds < 30 ? (seconds + 2) / 3 : 10;
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

int net_socket_connect(const sockaddr *address, uint64_t keepalive) {
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    if (fd < 0)
        return -errno;
    net_socket_options(fd, keepalive);
    socklen_t size = address->sa_family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
    if (connect(fd, address, size) == 0 || errno == EINPROGRESS)
        return fd;
    int error = errno;
    close(fd);
    return -error;
}

int net_connect_result(net_conn *conn) {
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
        return errno;
    return error;
}
