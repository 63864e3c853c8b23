#include "net/resolver.h"

#include <cstring>

static void lookup_done(uv_getaddrinfo_t *request, int status, addrinfo *found) {
    auto *target = static_cast<net_target *>(request->data);
    target->in_flight = false;
    if (status == 0) {
        target->addresses.clear();
        for (addrinfo *a = found; a != nullptr; a = a->ai_next) {
            sockaddr_storage address{};
            if (a->ai_addrlen > sizeof address)
                continue;
            memcpy(&address, a->ai_addr, a->ai_addrlen);
            target->addresses.push_back(address);
        }
        uv_freeaddrinfo(found);
    }
    target->resolved_at = uv_now(request->loop);
    if (target->on_resolved != nullptr)
        target->on_resolved(target->user, target,
                            target->addresses.empty() ? (status != 0 ? status : UV_EAI_NONAME) : 0);
}

bool net_target_ready(uv_loop_t *loop, net_target *target) {
    bool have = !target->addresses.empty();
    bool fresh = have && target->resolved_at != 0 && uv_now(loop) - target->resolved_at < target->ttl;
    if (fresh || target->in_flight)
        return have;
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_ADDRCONFIG;
    if (strspn(target->host.c_str(), "0123456789.") == target->host.size() ||
        strchr(target->host.c_str(), ':') != nullptr)
        hints.ai_flags = AI_NUMERICHOST; // an address literal must work on a host with loopback only, too
    target->request.data = target;
    std::string port = std::to_string(target->port);
    int rc = uv_getaddrinfo(loop, &target->request, lookup_done, target->host.c_str(), port.c_str(), &hints);
    target->in_flight = rc == 0;
    return have;
}

void net_target_expire(net_target *target) {
    target->resolved_at = 0;
}

void net_target_cancel(net_target *target) {
    if (target->in_flight)
        uv_cancel(reinterpret_cast<uv_req_t *>(&target->request));
}
