#include "pool/rate.h"

#include <algorithm>

static constexpr uint64_t second = 1'000'000, ms = 1'000; // microseconds
static constexpr size_t sweep_least = 256;

static void put_folded(std::string &to, std::string_view from) {
    for (char c : from)
        to.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c);
}

static void sweep(rate_table &table, uint64_t now) {
    std::erase_if(table.tenants, [now](const auto &entry) {
        return entry.second.use_count() == 1 && entry.second->paid_until <= now * ms;
    });
    table.sweep_at = std::max(sweep_least, 2 * table.tenants.size());
}

std::shared_ptr<rate_tenant> rate_find(rate_table &table, std::string_view user, std::string_view database,
                                       uint64_t now) {
    std::string name;
    name.reserve(user.size() + 1 + database.size());
    put_folded(name, user);
    name.push_back('\0');
    put_folded(name, database);
    if (table.tenants.size() >= table.sweep_at)
        sweep(table, now);
    std::shared_ptr<rate_tenant> &tenant = table.tenants[name];
    if (!tenant)
        tenant = std::make_shared<rate_tenant>();
    return tenant;
}

static uint64_t after(const rate_tenant &tenant, uint32_t limit, uint64_t now) {
    return std::max(tenant.paid_until, now * ms) + second / limit;
}

bool rate_take(rate_tenant &tenant, uint32_t limit, uint64_t now) {
    uint64_t until = after(tenant, limit, now);
    if (until > now * ms + second) {
        ++tenant.refused;
        return false;
    }
    tenant.paid_until = until;
    return true;
}

void rate_charge(rate_tenant &tenant, uint32_t limit, uint64_t now) {
    tenant.paid_until = std::min(after(tenant, limit, now), now * ms + second);
}

uint64_t rate_tell(rate_tenant &tenant, uint64_t interval, uint64_t now) {
    if (tenant.refused == 0 || now < tenant.tell_at)
        return 0;
    tenant.tell_at = now + interval;
    uint64_t refused = tenant.refused;
    tenant.refused = 0;
    return refused;
}
