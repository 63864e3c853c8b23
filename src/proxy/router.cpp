// Which bucket a client's login goes to. Contract in router.h.
#include "proxy/router.h"

#include <strings.h>

#include <charconv>

#include "tls/digest.h"

namespace {

constexpr uint16_t default_port = 1433;

// What a rule has found: exactly one bucket, none, or too many.
struct finding {
    int32_t bucket = -1;
    size_t count = 0;
};

void found(finding &f, size_t bucket) {
    f.bucket = static_cast<int32_t>(bucket);
    ++f.count;
}

bool same_name(std::string_view a, std::string_view b) {
    return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

// Whether the bucket takes part at all.
bool is_routed(const bucket_config &b) {
    return b.read_only_of < 0;
}

bool has_name(const bucket_config &b, std::string_view name) {
    if (name.empty() || !is_routed(b))
        return false;
    if (same_name(b.id, name))
        return true;
    for (const std::string &alias : b.aliases)
        if (same_name(alias, name))
            return true;
    return false;
}

finding by_name(const config &conf, std::string_view name) {
    finding f;
    for (size_t i = 0; i < conf.buckets.size(); ++i)
        if (has_name(conf.buckets[i], name))
            found(f, i);
    return f;
}

// ---- rule 1 ----------------------------------------------------------------------------------------------------

// The whole name, or its first label: bucket-001.sql.example.net means bucket-001.
finding by_sni(const config &conf, std::string_view sni) {
    finding f = by_name(conf, sni);
    return f.count != 0 ? f : by_name(conf, sni.substr(0, sni.find('.')));
}

// ---- rule 2 ----------------------------------------------------------------------------------------------------

// Login7 ServerName, as the user typed it: host, host\instance, host,port, tcp:host,port, host:port, [ipv6]:port.
struct server_name {
    std::string_view host;
    uint16_t port = default_port; // 0: not known (an instance's, or no number)
};

uint16_t read_port(std::string_view text) {
    uint16_t port = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    return error == std::errc() && end == text.data() + text.size() ? port : 0;
}

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && text.front() == ' ')
        text.remove_prefix(1);
    while (!text.empty() && text.back() == ' ')
        text.remove_suffix(1);
    return text;
}

// Takes ":port" off a host. More than one colon without brackets: an IPv6 address.
void split_colon(server_name &name) {
    size_t colon = name.host.find(':');
    if (name.host.starts_with('[')) {
        size_t end = name.host.find(']');
        if (end == std::string_view::npos)
            return;
        std::string_view rest = name.host.substr(end + 1);
        if (rest.starts_with(':'))
            name.port = read_port(rest.substr(1));
        name.host = name.host.substr(1, end - 1);
    } else if (colon != std::string_view::npos && name.host.find(':', colon + 1) == std::string_view::npos) {
        name.port = read_port(name.host.substr(colon + 1));
        name.host = name.host.substr(0, colon);
    }
}

server_name split_server_name(std::string_view text) {
    constexpr std::string_view protocol = "tcp:";
    server_name name;
    text = trimmed(text);
    if (same_name(text.substr(0, protocol.size()), protocol))
        text.remove_prefix(protocol.size());
    size_t comma = text.find(',');
    name.host = trimmed(text.substr(0, comma));
    size_t backslash = name.host.find('\\');
    if (backslash != std::string_view::npos) {
        name.host = name.host.substr(0, backslash);
        name.port = 0;
    }
    split_colon(name);
    if (comma != std::string_view::npos)
        name.port = read_port(trimmed(text.substr(comma + 1)));
    return name;
}

finding by_server_name(const config &conf, std::string_view text) {
    finding f;
    server_name name = split_server_name(text);
    for (size_t i = 0; i < conf.buckets.size(); ++i) {
        const bucket_config &b = conf.buckets[i];
        bool at_its_address = name.port == b.port && name.port != 0 && same_name(name.host, b.host);
        if (is_routed(b) && (has_name(b, name.host) || at_its_address))
            found(f, i);
    }
    return f;
}

// ---- rule 3 ----------------------------------------------------------------------------------------------------

// The user name without an "@bucket" that names one; `f` is that bucket.
std::string_view take_suffix(const config &conf, std::string_view user, finding &f) {
    size_t at = user.rfind('@');
    if (at == std::string_view::npos || at == 0)
        return user;
    f = by_name(conf, user.substr(at + 1));
    return f.count == 1 ? user.substr(0, at) : user;
}

// ---- rule 4 ----------------------------------------------------------------------------------------------------

bool same_letter(char a, char b) {
    return strncasecmp(&a, &b, 1) == 0;
}

} // namespace

// Steps: a `*` takes nothing first, and one character more each time that what follows does not fit.
bool router_fits_pattern(std::string_view text, std::string_view pattern) {
    size_t t = 0, p = 0, star = std::string_view::npos, resume = 0;
    while (t < text.size()) {
        if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            resume = t;
        } else if (p < pattern.size() && (pattern[p] == '?' || same_letter(pattern[p], text[t]))) {
            ++p;
            ++t;
        } else if (star != std::string_view::npos) {
            p = star + 1;
            t = ++resume;
        } else {
            return false;
        }
    }
    while (p < pattern.size() && pattern[p] == '*')
        ++p;
    return p == pattern.size();
}

namespace {

bool lists_database(const bucket_config &b, std::string_view database) {
    if (same_name(b.database, database))
        return true;
    for (const std::string &pattern : b.databases)
        if (router_fits_pattern(database, pattern))
            return true;
    return false;
}

finding by_database(const config &conf, std::string_view database) {
    finding f;
    for (size_t i = 0; i < conf.buckets.size() && !database.empty(); ++i)
        if (is_routed(conf.buckets[i]) && lists_database(conf.buckets[i], database))
            found(f, i);
    return f;
}

// ---- rule 5 ----------------------------------------------------------------------------------------------------

// Every bucket is compared, both texts of it, whatever the others gave: the time tells nothing of what is configured.
finding by_credentials(const config &conf, const tds_login7 &login) {
    finding f;
    if (login.user_name.empty() || (login.flags2 & tds_flags2_integrated) != 0)
        return f;
    for (size_t i = 0; i < conf.buckets.size(); ++i) {
        const bucket_config &b = conf.buckets[i];
        bool user = constant_time_equal(login.user_name, b.username);
        bool password = constant_time_equal(tds_secret_view(login.password), b.password);
        if (user & password & is_routed(b))
            found(f, i);
    }
    return f;
}

// ---- rule 6 ----------------------------------------------------------------------------------------------------

finding by_default(const config &conf) {
    finding f;
    const std::string &name = conf.proxy.default_bucket;
    for (size_t i = 0; i < conf.buckets.size() && f.count == 0; ++i)
        if (is_routed(conf.buckets[i]) && (name.empty() || name == conf.buckets[i].id))
            found(f, i);
    return f;
}

// ---- all of them -----------------------------------------------------------------------------------------------

bool decides(route &r, const finding &f, route_rule rule) {
    if (f.count != 1)
        return false;
    r.candidate = f.bucket;
    r.rule = rule;
    return true;
}

bool decide_before_login(const config &conf, const route_request &request, route &r) {
    if (request.listener_bucket >= 0)
        return decides(r, {request.listener_bucket, 1}, route_rule::listener);
    return !request.sni.empty() && decides(r, by_sni(conf, request.sni), route_rule::sni);
}

// Rules 2 to 6. `suffix`: what rule 3 has found.
void decide_by_login(const config &conf, const tds_login7 &login, const finding &suffix, route &r) {
    if (decides(r, by_server_name(conf, login.server_name), route_rule::server_name) ||
        decides(r, suffix, route_rule::user_suffix) ||
        decides(r, by_database(conf, login.database), route_rule::database))
        return;
    finding credentials = by_credentials(conf, login);
    if (credentials.count > 1)
        r.reason = "user name and password fit several buckets";
    else if (!decides(r, credentials, route_rule::credentials))
        decides(r, by_default(conf), route_rule::default_bucket);
}

// The candidate, or its read-only target, if the login may go there.
void settle(const config &conf, const route_request &request, route &r) {
    const bucket_config &b = conf.buckets[static_cast<size_t>(r.candidate)];
    if (request.login != nullptr && b.mode == pool_mode::passthrough && r.rule != route_rule::listener) {
        r.error = proxy_error::refused;
        r.reason = "this bucket is passthrough and has to be reached at a port of its own";
        return;
    }
    r.read_only =
        request.login != nullptr && (request.login->type_flags & tds_type_flags_read_only) != 0 && b.read_only >= 0;
    r.bucket = r.read_only ? b.read_only : r.candidate;
}

} // namespace

const char *route_rule_name(route_rule rule) {
    switch (rule) {
    case route_rule::none: return "none";
    case route_rule::listener: return "listener";
    case route_rule::sni: return "SNI";
    case route_rule::server_name: return "ServerName";
    case route_rule::user_suffix: return "user@bucket";
    case route_rule::database: return "database";
    case route_rule::credentials: return "credentials";
    case route_rule::default_bucket: return "default_bucket";
    }
    return "none";
}

route router_route(const config &conf, const route_request &request) {
    route r;
    finding suffix;
    r.reason = "nothing that the login says names one";
    if (request.login != nullptr)
        r.user_name = take_suffix(conf, request.login->user_name, suffix);
    if (!decide_before_login(conf, request, r)) {
        if (request.login != nullptr)
            decide_by_login(conf, *request.login, suffix, r);
        else
            decides(r, by_default(conf), route_rule::default_bucket);
    }
    if (r.candidate >= 0)
        settle(conf, request, r);
    return r;
}

int32_t router_find_name(const config &conf, std::string_view name) {
    finding f = by_name(conf, name);
    return f.count == 1 ? f.bucket : -1;
}
