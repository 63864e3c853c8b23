#include "config/reconcile.h"

#include <algorithm>
#include <variant>

#include "config/option_table.h"

namespace {

using S = option_section;
using changes = std::vector<config_change>;

bool same(const std::vector<sentinel_address> &a, const std::vector<sentinel_address> &b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const sentinel_address &x, const sentinel_address &y) {
        return x.host == y.host && x.port == y.port;
    });
}

bool equal(const option_target &a, const option_target &b) {
    return std::visit(
        [&b](const auto &left) {
            using type = std::decay_t<decltype(left)>;
            const auto &right = std::get<type>(b);
            if constexpr (std::is_same_v<type, host_port_target>)
                return *left.host == *right.host && *left.port == *right.port;
            else if constexpr (std::is_same_v<type, std::vector<sentinel_address> *>)
                return same(*left, *right);
            else
                return *left == *right;
        },
        a);
}

void assign(const option_target &to, const option_target &from) {
    std::visit(
        [&from](const auto &left) {
            using type = std::decay_t<decltype(left)>;
            const auto &right = std::get<type>(from);
            if constexpr (std::is_same_v<type, host_port_target>) {
                *left.host = *right.host;
                *left.port = *right.port;
            } else {
                *left = *right;
            }
        },
        to);
}

// A secret's file, where the secret itself has a row: told under that one's name.
bool is_second_name(const option_row &row) {
    std::string_view name = row.name;
    return row.type == option_type::secret_file &&
           option_find(row.section, name.substr(0, name.rfind("_file"))) != nullptr;
}

// One section. What is in `now` is only read.
void reconcile_section(S section, const std::string &prefix, const void *now, void *fresh, changes &out) {
    for (const option_row &row : option_table()) {
        if (row.section != section || row.target == nullptr || is_second_name(row))
            continue;
        option_target before = row.target(const_cast<void *>(now)), after = row.target(fresh);
        if (equal(before, after))
            continue;
        bool restart = (row.flags & option_restart) != 0;
        if (restart)
            assign(after, before);
        out.push_back({restart ? config_change::kind::needs_restart : config_change::kind::applied, prefix + row.name});
    }
}

} // namespace

const bucket_config *config_find_bucket(const config &c, const std::string &id) {
    auto found = std::find_if(c.buckets.begin(), c.buckets.end(), [&id](const bucket_config &b) { return b.id == id; });
    return found == c.buckets.end() ? nullptr : &*found;
}

std::vector<config_change> config_reconcile(const config &now, config &fresh) {
    changes out;
    reconcile_section(S::proxy, "proxy.", &now.proxy, &fresh.proxy, out);
    if (now.redis.enabled != fresh.redis.enabled) {
        out.push_back({config_change::kind::needs_restart, "redis"});
        fresh.redis = now.redis;
    }
    reconcile_section(S::redis, "redis.", &now.redis, &fresh.redis, out);
    reconcile_section(S::fallback, "fallback.", &now.fallback, &fresh.fallback, out);
    for (bucket_config &b : fresh.buckets) {
        if (const bucket_config *before = config_find_bucket(now, b.id); before != nullptr)
            reconcile_section(S::bucket, "buckets." + b.id + ".", before, &b, out);
        else
            out.push_back({config_change::kind::added, "buckets." + b.id});
    }
    for (const bucket_config &b : now.buckets)
        if (config_find_bucket(fresh, b.id) == nullptr)
            out.push_back({config_change::kind::removed, "buckets." + b.id});
    return out;
}
