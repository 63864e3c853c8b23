// What is wrong between keys. Contract in checks.h.
#include "config/checks.h"
#include "config/value.h"

#include <strings.h>

namespace {

using S = option_section;

struct checker {
    const config &c;
    const config_lines &lines;
    report &to;
};

size_t index_of(S section, const char *key) {
    return option_index(*option_find(section, key));
}

// Where a key of proxy.yaml stands, or its section when it is not given.
place at(const checker &k, S section, const char *key) {
    int line = k.lines.keys[index_of(section, key)];
    if (line == 0)
        line = section == S::redis ? k.lines.redis : k.lines.proxy;
    return {k.lines.proxy_file, line, std::string(option_section_name(section)) + "." + key};
}

place at_bucket(const checker &k, size_t bucket, const char *key) {
    int line = k.lines.buckets[bucket][index_of(S::bucket, key)];
    if (line == 0)
        line = k.c.buckets[bucket].line;
    return {k.lines.buckets_file, line, "buckets[" + std::to_string(bucket) + "]." + key};
}

bool given(const checker &k, S section, const char *key) {
    return k.lines.keys[index_of(section, key)] != 0;
}

bool given_in_bucket(const checker &k, size_t bucket, const char *key) {
    return k.lines.buckets[bucket][index_of(S::bucket, key)] != 0;
}

bool same_name(const std::string &a, const std::string &b) {
    return strcasecmp(a.c_str(), b.c_str()) == 0;
}

void check_secret_given_once(checker &k, S section, const char *key, const key_lines &lines, size_t bucket) {
    std::string file_key = std::string(key) + "_file";
    if (lines[index_of(section, key)] == 0 || lines[index_of(section, file_key.c_str())] == 0)
        return;
    place where = section == S::bucket ? at_bucket(k, bucket, file_key.c_str()) : at(k, section, file_key.c_str());
    report_error(k.to, where, "given together with " + std::string(key), "one of the two");
}

void check_buffers(checker &k) {
    if (k.c.proxy.buffer_low >= k.c.proxy.buffer_high)
        report_error(k.to, at(k, S::proxy, "buffer_low"), size_text(k.c.proxy.buffer_low) + " is not below buffer_high",
                     "less than " + size_text(k.c.proxy.buffer_high));
}

void check_packet_size(checker &k) {
    uint32_t size = k.c.proxy.client_packet_size_max;
    if (size != 0 && size < 512)
        report_error(k.to, at(k, S::proxy, "client_packet_size_max"), std::to_string(size) + " is no TDS packet size",
                     "0 or 512 to 32767");
}

void check_certificate(checker &k) {
    const proxy_config &p = k.c.proxy;
    if (p.tls_cert_file.empty() != p.tls_key_file.empty()) {
        const char *there = p.tls_key_file.empty() ? "tls_cert_file" : "tls_key_file";
        const char *missing = p.tls_key_file.empty() ? "tls_key_file" : "tls_cert_file";
        report_error(k.to, at(k, S::proxy, there), std::string("given without ") + missing, "both or neither");
    }
    if (!p.tls_cert_file.empty() && given(k, S::proxy, "tls_self_signed"))
        report_warning(k.to, at(k, S::proxy, "tls_self_signed"), "has no effect with tls_cert_file", "one of the two");
}

// Ports that this process opens on its own: no two alike, but the two of HTTP may be one.
void check_http_ports(checker &k) {
    const proxy_config &p = k.c.proxy;
    for (const char *key : {"health_check_port", "metrics_port"}) {
        uint16_t port = key[0] == 'h' ? p.health_check_port : p.metrics_port;
        if (port != 0 && port == p.listen_port)
            report_error(k.to, at(k, S::proxy, key), std::to_string(port) + " is listen_port too", "a free port");
        for (size_t i = 0; i < k.c.buckets.size(); ++i)
            if (port != 0 && port == k.c.buckets[i].listen_port)
                report_error(k.to, at_bucket(k, i, "listen_port"), std::to_string(port) + " is proxy." + key + " too",
                             "a free port");
    }
}

void check_heartbeat(checker &k) {
    const redis_config &r = k.c.redis;
    if (r.heartbeat_ttl <= r.heartbeat_interval)
        report_error(k.to, at(k, S::redis, "heartbeat_ttl"),
                     duration_text(r.heartbeat_ttl) + " is not longer than heartbeat_interval",
                     "at least twice " + duration_text(r.heartbeat_interval));
    else if (r.heartbeat_ttl < 2 * r.heartbeat_interval)
        report_warning(k.to, at(k, S::redis, "heartbeat_ttl"),
                       duration_text(r.heartbeat_ttl) + " lets one late heartbeat look like a dead instance",
                       "at least twice " + duration_text(r.heartbeat_interval));
}

void check_sentinels(checker &k) {
    const redis_config &r = k.c.redis;
    if (!r.sentinels.empty() && r.master_name.empty())
        report_error(k.to, at(k, S::redis, "sentinels"), "given without master_name", "both or neither");
    if (r.sentinels.empty() && !r.master_name.empty())
        report_error(k.to, at(k, S::redis, "master_name"), "given without sentinels", "both or neither");
    if (!r.sentinels.empty() && given(k, S::redis, "addr"))
        report_warning(k.to, at(k, S::redis, "addr"), "has no effect with sentinels", "one of the two");
}

void check_console_user(checker &k, const char *user_key, const char *password_key, const std::string &user,
                        const std::string &password) {
    check_secret_given_once(k, S::proxy, password_key, k.lines.keys, 0);
    if (user.empty() == password.empty())
        return;
    const char *there = user.empty() ? password_key : user_key, *missing = user.empty() ? user_key : password_key;
    report_error(k.to, at(k, S::proxy, there), std::string("given without ") + missing, "both or neither");
}

// Where logins are answered by the proxy, the console can be reached.
void check_console(checker &k) {
    const proxy_config &p = k.c.proxy;
    check_console_user(k, "admin_user", "admin_password", p.admin_user, p.admin_password);
    check_console_user(k, "monitor_user", "monitor_password", p.monitor_user, p.monitor_password);
    if (p.admin_user.empty() && p.monitor_user.empty())
        return;
    const char *key = p.admin_user.empty() ? "monitor_user" : "admin_user";
    if (p.admin_user == p.monitor_user)
        report_error(k.to, at(k, S::proxy, "monitor_user"), "is admin_user too", "another name");
    bool reachable = p.mode != pool_mode::passthrough;
    for (const bucket_config &b : k.c.buckets)
        reachable = reachable || (b.listen_port != 0 && b.mode != pool_mode::passthrough);
    if (!reachable)
        report_warning(k.to, at(k, S::proxy, key), "has no effect where every port is passthrough",
                       "a listen_port of a bucket in another mode");
}

void check_redis(checker &k) {
    if (!k.c.redis.enabled)
        return;
    check_heartbeat(k);
    check_sentinels(k);
    check_secret_given_once(k, S::redis, "password", k.lines.keys, 0);
    check_secret_given_once(k, S::redis, "sentinel_password", k.lines.keys, 0);
    for (char c : k.c.redis.key_prefix)
        if (static_cast<unsigned char>(c) <= ' ' || c == '*' || c == '?')
            return report_error(k.to, at(k, S::redis, "key_prefix"), "holds a blank or a wildcard", "plain text");
    if (k.c.redis.key_prefix.empty())
        report_error(k.to, at(k, S::redis, "key_prefix"), "the value is empty", "text");
}

void check_default_bucket(checker &k) {
    const std::string &name = k.c.proxy.default_bucket;
    bool reachable = name != "none" || k.c.proxy.mode != pool_mode::passthrough;
    for (const bucket_config &b : k.c.buckets) {
        if (b.id == name && b.read_only_of < 0)
            return;
        reachable = reachable || b.listen_port != 0;
    }
    if (!name.empty() && name != "none")
        report_error(k.to, at(k, S::proxy, "default_bucket"),
                     "no bucket " + printable(name) + " in " + k.lines.buckets_file, "the id of a bucket, or none");
    else if (!reachable)
        report_warning(k.to, at(k, S::proxy, "default_bucket"), "none, and no bucket has a listen_port",
                       "a way to reach a bucket in passthrough");
}

void check_listen_port(checker &k, size_t i) {
    const bucket_config &b = k.c.buckets[i];
    if (b.listen_port == 0)
        return;
    if (b.listen_port == k.c.proxy.listen_port)
        report_error(k.to, at_bucket(k, i, "listen_port"), std::to_string(b.listen_port) + " is proxy.listen_port too",
                     "a free port");
    for (size_t j = 0; j < i; ++j)
        if (b.listen_port == k.c.buckets[j].listen_port)
            return report_error(k.to, at_bucket(k, i, "listen_port"),
                                std::to_string(b.listen_port) + " is bucket " + k.c.buckets[j].id + "'s too",
                                "a port for each bucket");
}

// Ids and aliases name buckets in one name space, without regard to case.
bool names(const bucket_config &b, const std::string &name) {
    if (same_name(b.id, name))
        return true;
    for (const std::string &alias : b.aliases)
        if (same_name(alias, name))
            return true;
    return false;
}

void check_names(checker &k, size_t i) {
    const bucket_config &b = k.c.buckets[i];
    if (b.id == "none")
        report_error(k.to, at_bucket(k, i, "id"), "none is a word of default_bucket", "another id");
    for (size_t j = 0; j < i; ++j) {
        const bucket_config &other = k.c.buckets[j];
        if (!b.id.empty() && same_name(b.id, other.id))
            report_error(k.to, at_bucket(k, i, "id"),
                         b.id + " is given twice, first in line " + std::to_string(other.line),
                         "an id for each bucket");
        else if (!b.id.empty() && names(other, b.id))
            report_error(k.to, at_bucket(k, i, "id"), b.id + " is an alias of bucket " + other.id, "another id");
        for (const std::string &alias : b.aliases)
            if (names(other, alias))
                report_error(k.to, at_bucket(k, i, "aliases"), alias + " names bucket " + other.id + " too",
                             "names of one bucket only");
    }
}

// The id of a bucket's read-only target is the proxy's to give.
void check_read_only(checker &k, size_t i) {
    const bucket_config &b = k.c.buckets[i];
    if (b.read_only < 0)
        return;
    const std::string &id = k.c.buckets[static_cast<size_t>(b.read_only)].id;
    for (size_t j = 0; j < k.c.buckets.size(); ++j)
        if (k.c.buckets[j].read_only_of < 0 && names(k.c.buckets[j], id))
            report_error(k.to, at_bucket(k, j, same_name(k.c.buckets[j].id, id) ? "id" : "aliases"),
                         id + " is the read-only target of bucket " + b.id, "another name");
}

void check_own_login(checker &k, size_t i) {
    const bucket_config &b = k.c.buckets[i];
    if (b.max_connections != 0 && b.min_idle > b.max_connections)
        report_error(k.to, at_bucket(k, i, "min_idle"), std::to_string(b.min_idle) + " is more than max_connections",
                     "at most " + std::to_string(b.max_connections));
    if (!b.username.empty())
        return;
    if (b.min_idle > 0)
        report_error(k.to, at_bucket(k, i, "min_idle"), "given without username", "both, or min_idle: 0");
    if (b.probe == health_probe::login)
        report_error(k.to, at_bucket(k, i, "health_probe"), "login without username", "both, or prelogin or off");
}

void check_server_tls(checker &k, size_t i) {
    const bucket_config &b = k.c.buckets[i];
    bool verified = b.tls == server_tls::verify_ca || b.tls == server_tls::verify_full || b.tls == server_tls::strict;
    if (!b.server_ca_file.empty() && !verified)
        report_warning(k.to, at_bucket(k, i, "server_ca_file"), "has no effect with this server_tls",
                       "server_tls: verify-ca, verify-full or strict");
}

// What only the modes with pooling look at.
constexpr const char *pooling_keys[] = {"min_idle",  "max_idle_time",          "server_lifetime",
                                        "databases", "share_across_databases", "pool_key_extra",
                                        "read_only"};

// Passthrough and the others do not mix on one port: the proxy must know before it has seen a login.
void check_passthrough(checker &k, size_t i) {
    const bucket_config &b = k.c.buckets[i];
    bool shared_port_passes = k.c.proxy.mode == pool_mode::passthrough;
    if (b.mode != pool_mode::passthrough) {
        if (shared_port_passes && b.listen_port == 0)
            report_warning(k.to, at_bucket(k, i, "pool_mode"),
                           "not passthrough, as the shared port is: no login there is routed to it",
                           "a listen_port for this bucket");
        return;
    }
    if (!shared_port_passes && b.listen_port == 0)
        report_warning(k.to, at_bucket(k, i, "pool_mode"),
                       "passthrough, as the shared port is not: logins routed to it there get error 50007",
                       "a listen_port for this bucket");
    for (const char *key : pooling_keys)
        if (given_in_bucket(k, i, key))
            report_warning(k.to, at_bucket(k, i, key), "has no effect in passthrough", "the key to be left out");
}

constexpr const char *transaction_keys[] = {"server_reset", "opaque_procedures", "pin_procedures",
                                            "last_values",  "last_values_hold",  "session_state"};

void check_transaction_keys(checker &k, size_t i) {
    if (k.c.buckets[i].mode == pool_mode::transaction)
        return;
    for (const char *key : transaction_keys)
        if (given_in_bucket(k, i, key))
            report_warning(k.to, at_bucket(k, i, key), "has no effect but in transaction mode",
                           "the key to be left out");
}

void check_bucket(checker &k, size_t i) {
    const bucket_config &b = k.c.buckets[i];
    check_names(k, i);
    check_listen_port(k, i);
    check_read_only(k, i);
    check_own_login(k, i);
    check_server_tls(k, i);
    check_passthrough(k, i);
    check_transaction_keys(k, i);
    check_secret_given_once(k, S::bucket, "password", k.lines.buckets[i], i);
    if (b.retry_backoff_min > b.retry_backoff_max)
        report_error(k.to, at_bucket(k, i, "retry_backoff_min"),
                     duration_text(b.retry_backoff_min) + " is longer than retry_backoff_max",
                     "at most " + duration_text(b.retry_backoff_max));
}

} // namespace

void config_check(const config &c, const config_lines &lines, report &to) {
    checker k{c, lines, to};
    check_buffers(k);
    check_packet_size(k);
    check_certificate(k);
    check_http_ports(k);
    check_redis(k);
    check_console(k);
    check_default_bucket(k);
    for (size_t i = 0; i < c.buckets.size(); ++i)
        if (c.buckets[i].read_only_of < 0) // a read-only target is its parent but for what check_read_only looks at
            check_bucket(k, i);
}
