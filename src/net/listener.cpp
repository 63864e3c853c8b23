#include "net/listener.h"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstring>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"

static constexpr int accept_batch = 64; // connections per loop turn
static constexpr int backlog = 4096;
static constexpr uint64_t pause_ms = 100;

static void listener_watch(net_listener *l);

static void pause_over(uv_timer_t *timer) {
    listener_watch(static_cast<net_listener *>(timer->data));
}

static void listener_pause(net_listener *l, int error) {
    log_error("accept paused: out of descriptors or memory", {{"port", l->port}, {"error", strerror(error)}});
    uv_poll_stop(&l->poll);
    uv_timer_start(&l->pause, pause_over, pause_ms, 0);
}

// False: there is nobody, or no descriptor for them.
static bool accept_some(net_listener *l) {
    for (int i = 0; i < accept_batch && l->fd >= 0; ++i) {
        sockaddr_storage peer{};
        socklen_t size = sizeof peer;
        int fd = accept4(l->fd, reinterpret_cast<sockaddr *>(&peer), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            l->on_accept(l, fd, peer);
            continue;
        }
        if (errno == EINTR || errno == ECONNABORTED)
            continue;
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            listener_pause(l, errno);
        return false;
    }
    return true;
}

static void listener_readable(uv_poll_t *poll, int, int) {
    (void)accept_some(static_cast<net_listener *>(poll->data));
}

void net_listener_empty(net_listener *l) {
    while (l->fd >= 0 && accept_some(l)) {
    }
}

static void listener_watch(net_listener *l) {
    uv_poll_start(&l->poll, UV_READABLE, listener_readable);
}

static int parse_address(const std::string &text, uint16_t port, sockaddr_storage &out, socklen_t &size) {
    auto *v4 = reinterpret_cast<sockaddr_in *>(&out);
    auto *v6 = reinterpret_cast<sockaddr_in6 *>(&out);
    memset(&out, 0, sizeof out);
    if (inet_pton(AF_INET, text.c_str(), &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        size = sizeof *v4;
        return 0;
    }
    if (inet_pton(AF_INET6, text.c_str(), &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        size = sizeof *v6;
        return 0;
    }
    return -EINVAL;
}

static int open_socket(const sockaddr_storage &address, socklen_t size, bool reuse_port) {
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (reuse_port)
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    if (bind(fd, reinterpret_cast<const sockaddr *>(&address), size) != 0 || listen(fd, backlog) != 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

static uint16_t bound_port(int fd) {
    sockaddr_storage bound{};
    socklen_t size = sizeof bound;
    if (getsockname(fd, reinterpret_cast<sockaddr *>(&bound), &size) != 0)
        return 0;
    return ntohs(bound.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6 *>(&bound)->sin6_port
                                             : reinterpret_cast<sockaddr_in *>(&bound)->sin_port);
}

int net_listen(uv_loop_t *loop, net_listener *l, const std::string &address, uint16_t port, bool reuse_port,
               net_accept_cb on_accept, std::string &error) {
    sockaddr_storage where;
    socklen_t size = 0;
    int fd = parse_address(address, port, where, size);
    if (fd == 0)
        fd = open_socket(where, size, reuse_port);
    if (fd < 0) {
        error = "cannot listen on " + address + ":" + std::to_string(port) + ": " + strerror(-fd);
        return fd;
    }
    return net_listen_on(loop, l, fd, on_accept, error);
}

int net_take_listening(std::vector<int> &sockets, uint16_t port) {
    auto found = std::find_if(sockets.begin(), sockets.end(), [port](int fd) { return bound_port(fd) == port; });
    if (found == sockets.end())
        return -1;
    int fd = *found;
    sockets.erase(found);
    return fd;
}

int net_listen_on(uv_loop_t *loop, net_listener *l, int fd, net_accept_cb on_accept, std::string &error) {
    int rc = uv_poll_init(loop, &l->poll, fd);
    if (rc != 0) {
        close(fd);
        error = uv_strerror(rc);
        return rc;
    }
    uv_timer_init(loop, &l->pause);
    l->handles_open = 2;
    l->poll.data = l->pause.data = l;
    l->fd = fd;
    l->port = bound_port(fd);
    l->on_accept = on_accept;
    listener_watch(l);
    return 0;
}

static void handle_closed(uv_handle_t *handle) {
    auto *l = static_cast<net_listener *>(handle->data);
    if (--l->handles_open == 0 && l->on_closed != nullptr)
        l->on_closed(l);
}

void net_listener_close(net_listener *l, void (*closed)(net_listener *)) {
    assert(l->fd >= 0);
    l->on_closed = closed;
    uv_close(reinterpret_cast<uv_handle_t *>(&l->poll), handle_closed);
    uv_close(reinterpret_cast<uv_handle_t *>(&l->pause), handle_closed);
    close(l->fd);
    l->fd = -1;
}

std::string net_address_text(const sockaddr *address) {
    char text[INET6_ADDRSTRLEN] = "?";
    if (address->sa_family == AF_INET6) {
        auto *v6 = reinterpret_cast<const sockaddr_in6 *>(address);
        inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
        return std::string("[").append(text).append("]:").append(std::to_string(ntohs(v6->sin6_port)));
    }
    if (address->sa_family != AF_INET)
        return "unknown";
    auto *v4 = reinterpret_cast<const sockaddr_in *>(address);
    inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text);
    return std::string(text) + ":" + std::to_string(ntohs(v4->sin_port));
}
