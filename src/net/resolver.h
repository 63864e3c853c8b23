// Names to addresses, off the loop's thread (uv_getaddrinfo), with a cache: one entry per target, refreshed when older
// than `ttl`; a stale answer is better than none when the name server is away. The address that took the last
// connection is the first to be tried.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <netinet/in.h>
#include <uv.h>

struct net_target; // one host and port with its cached addresses

using net_resolved_cb = void (*)(void *user, net_target *, int status); // 0, or a libuv error and no addresses

struct net_target {
    std::string host;
    uint16_t port = 0;
    uint64_t ttl = 30'000;                   // ms
    std::vector<sockaddr_storage> addresses; // as resolved last
    std::vector<sockaddr_storage> before;    // as resolved the time before
    uint64_t resolved_at = 0;                // loop time, ms; 0 never
    uv_getaddrinfo_t request;
    bool in_flight = false;
    bool redirected = false; // the look-up under way is of the host before
    net_resolved_cb on_resolved = nullptr;
    void *user = nullptr;
};

// True when addresses can be used now. Otherwise (or when they are older than ttl) a look-up is under way, and
// on_resolved will be called when it ends, on the loop.
[[nodiscard]] bool net_target_ready(uv_loop_t *, net_target *);
// Another host takes the place of the one before; what was resolved of that is forgotten.
void net_target_redirect(net_target *, const std::string &host, uint16_t port);
// Looks a name up again when its addresses are older than ttl, so that on_resolved tells of a change. Not an address
// literal, and not with a ttl of 0, when every connection asks by itself.
void net_target_refresh(uv_loop_t *, net_target *);
// Whether the name had this address when it was resolved last, or the time before: one look-up alone proves nothing,
// since a name server may give a part of many addresses.
[[nodiscard]] bool net_target_has(const net_target *, const sockaddr_storage &);
// This address took a connection.
void net_target_prefer(net_target *, const sockaddr_storage &);
// Forget: the next net_target_ready asks again (the addresses at hand refused).
void net_target_expire(net_target *);
// Ends a look-up under way, if any: its callback still comes, with UV_ECANCELED. The memory stays until then.
void net_target_cancel(net_target *);
