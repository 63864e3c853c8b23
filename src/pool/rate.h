// How many requests a tenant may send: a login and a database in one bucket, over all its sessions on this instance.
// Pure: time (milliseconds, monotonic) and the limit are arguments, so that a changed limit holds from the next request
// on.
//
// A tenant is one number: the moment until which what it has sent is paid for. A request of a tenant that may send n a
// second moves that moment on by 1/n s; it may lie up to one second ahead, which is the burst.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

struct rate_tenant {
    uint64_t paid_until = 0; // microseconds
    uint64_t refused = 0;    // requests since tell_at was last set
    uint64_t tell_at = 0;    // ms: the next line in the log
};

// Tenants by name. One that nobody uses and that owes nothing is forgotten in time.
struct rate_table {
    std::unordered_map<std::string, std::shared_ptr<rate_tenant>> tenants;
    size_t sweep_at = 256; // tenants; the next time that those are looked for
};

// The tenant of a login and its database: letters of any case are the same. It is kept for as long as somebody has it.
std::shared_ptr<rate_tenant> rate_find(rate_table &, std::string_view user, std::string_view database, uint64_t now);
// A request. False: there have been too many, and this one does not count. `limit`: requests per second, not 0.
[[nodiscard]] bool rate_take(rate_tenant &, uint32_t limit, uint64_t now);
// A request that must not be refused: it counts, but never for more than the burst.
void rate_charge(rate_tenant &, uint32_t limit, uint64_t now);
// How many have been refused since it was last told, if that is to be told now, else 0: at most every `interval` ms.
uint64_t rate_tell(rate_tenant &, uint64_t interval, uint64_t now);
