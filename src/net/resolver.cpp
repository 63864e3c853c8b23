#include "net/resolver.h"

#include <algorithm>
#include <cstring>

static bool same_address(const sockaddr_storage &a, const sockaddr_storage &b) {
    if (a.ss_family != b.ss_family)
        return false;
    if (a.ss_family == AF_INET) {
        const auto &x = reinterpret_cast<const sockaddr_in &>(a), &y = reinterpret_cast<const sockaddr_in &>(b);
        return x.sin_addr.s_addr == y.sin_addr.s_addr && x.sin_port == y.sin_port;
    }
    const auto &x = reinterpret_cast<const sockaddr_in6 &>(a), &y = reinterpret_cast<const sockaddr_in6 &>(b);
    return memcmp(&x.sin6_addr, &y.sin6_addr, sizeof x.sin6_addr) == 0 && x.sin6_port == y.sin6_port;
}

using address_list = std::vector<sockaddr_storage>;

static address_list::const_iterator find_address(const address_list &all, const sockaddr_storage &one) {
    return std::find_if(all.begin(), all.end(), [&one](const sockaddr_storage &a) { return same_address(a, one); });
}

bool net_target_has(const net_target *target, const sockaddr_storage &address) {
    return find_address(target->addresses, address) != target->addresses.end() ||
           find_address(target->before, address) != target->before.end();
}

void net_target_prefer(net_target *target, const sockaddr_storage &address) {
    auto all = target->addresses.begin();
    auto chosen = all + (find_address(target->addresses, address) - target->addresses.cbegin());
    if (chosen != target->addresses.end())
        std::rotate(all, chosen, chosen + 1);
}

// The one that was tried first stays so, if it is still there.
static void take_addresses(net_target *target, address_list &&found) {
    target->before = std::move(target->addresses);
    target->addresses = std::move(found);
    if (!target->before.empty())
        net_target_prefer(target, target->before.front());
}

static void lookup_done(uv_getaddrinfo_t *request, int status, addrinfo *found) {
    auto *target = static_cast<net_target *>(request->data);
    target->in_flight = false;
    if (target->redirected && status != UV_ECANCELED) { // whoever waits for it waits for the other host's now
        target->redirected = false;
        if (status == 0)
            uv_freeaddrinfo(found);
        (void)net_target_ready(request->loop, target);
        return;
    }
    if (status == 0) {
        address_list all;
        for (addrinfo *a = found; a != nullptr; a = a->ai_next) {
            sockaddr_storage address{};
            if (a->ai_addrlen > sizeof address)
                continue;
            memcpy(&address, a->ai_addr, a->ai_addrlen);
            all.push_back(address);
        }
        take_addresses(target, std::move(all));
        uv_freeaddrinfo(found);
    }
    target->resolved_at = uv_now(request->loop);
    if (target->on_resolved != nullptr)
        target->on_resolved(target->user, target,
                            target->addresses.empty() ? (status != 0 ? status : UV_EAI_NONAME) : 0);
}

void net_target_redirect(net_target *target, const std::string &host, uint16_t port) {
    target->host = host;
    target->port = port;
    target->addresses.clear();
    target->before.clear();
    target->resolved_at = 0;
    target->redirected = target->in_flight;
}

static bool is_literal(const net_target *target) {
    return strspn(target->host.c_str(), "0123456789.") == target->host.size() ||
           strchr(target->host.c_str(), ':') != nullptr;
}

void net_target_refresh(uv_loop_t *loop, net_target *target) {
    if (target->ttl != 0 && !target->addresses.empty() && !is_literal(target))
        (void)net_target_ready(loop, target);
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
    if (is_literal(target))
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
