// A listening TCP socket. Accepts in batches, so that a storm of arrivals cannot keep the loop from its other work, and
// pauses when the process is out of descriptors instead of spinning.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <netinet/in.h>
#include <uv.h>

struct net_listener;

// A new connection: non-blocking, close-on-exec. The callee owns `fd`.
using net_accept_cb = void (*)(net_listener *, int fd, const sockaddr_storage &peer);

struct net_listener {
    uv_poll_t poll;
    uv_timer_t pause; // runs while out of descriptors
    int fd = -1;
    uint16_t port = 0; // the real one, also when 0 was asked for
    int handles_open = 0;
    void *owner = nullptr; // the accepting side's root
    uint32_t tag = 0;      // the accepting side's: which bucket, say
    net_accept_cb on_accept = nullptr;
    void (*on_closed)(net_listener *) = nullptr;
};

// `address` is an IPv4 or IPv6 literal. 0 or a negative errno with the reason in `error`.
[[nodiscard]] int net_listen(uv_loop_t *, net_listener *, const std::string &address, uint16_t port, bool reuse_port,
                             net_accept_cb, std::string &error);
// The same on a socket that listens already, which it takes.
[[nodiscard]] int net_listen_on(uv_loop_t *, net_listener *, int fd, net_accept_cb, std::string &error);
// Of those sockets the one that is bound to the port, taken out of the list; -1: there is none.
[[nodiscard]] int net_take_listening(std::vector<int> &sockets, uint16_t port);
// Accepts all that the kernel has in its queue.
void net_listener_empty(net_listener *);
// Stops accepting; the memory must stay until `closed`.
void net_listener_close(net_listener *, void (*closed)(net_listener *));

// "10.0.0.1:1433" or "[::1]:1433", for logs.
std::string net_address_text(const sockaddr *);
