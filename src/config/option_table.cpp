// The option table itself; docs/configuration.md is made from it. What each field of a row means is in option_table.h.
#include "config/option_table.h"

// The address of a member of the section's struct.
#define AT(type, member) [](void *s) -> option_target { return &static_cast<type *>(s)->member; }

namespace {

using S = option_section;
using T = option_type;

constexpr uint64_t second = 1'000, minute = 60 * second, hour = 60 * minute, day = 24 * hour;
constexpr uint64_t kib = 1024, mib = 1024 * kib;

constexpr option_choice pool_modes[] = {
    {"transaction", static_cast<uint8_t>(pool_mode::transaction)},
    {"session", static_cast<uint8_t>(pool_mode::session)},
    {"passthrough", static_cast<uint8_t>(pool_mode::passthrough)},
    {nullptr},
};
constexpr option_choice client_tls_modes[] = {
    {"disable", static_cast<uint8_t>(client_tls::disable)},
    {"allow", static_cast<uint8_t>(client_tls::allow)},
    {"require", static_cast<uint8_t>(client_tls::require)},
    {nullptr},
};
constexpr option_choice health_probes[] = {
    {"login", static_cast<uint8_t>(health_probe::login)},
    {"prelogin", static_cast<uint8_t>(health_probe::prelogin)},
    {"off", static_cast<uint8_t>(health_probe::off)},
    {nullptr},
};
constexpr option_choice server_tls_modes[] = {
    {"disable", static_cast<uint8_t>(server_tls::disable)},
    {"prefer", static_cast<uint8_t>(server_tls::prefer)},
    {"require", static_cast<uint8_t>(server_tls::require)},
    {"verify-ca", static_cast<uint8_t>(server_tls::verify_ca)},
    {"verify-full", static_cast<uint8_t>(server_tls::verify_full)},
    {"strict", static_cast<uint8_t>(server_tls::strict)},
    {nullptr},
};
constexpr option_choice mars_modes[] = {
    {"refuse", static_cast<uint8_t>(mars_mode::refuse)},
    {"dedicate", static_cast<uint8_t>(mars_mode::dedicate)},
    {nullptr},
};
constexpr option_choice server_resets[] = {{"auto", false}, {"always", true}, {nullptr}};
constexpr option_choice procedure_modes[] = {
    {"read", static_cast<uint8_t>(opaque_procedures::read)},
    {"share", static_cast<uint8_t>(opaque_procedures::share)},
    {"pin", static_cast<uint8_t>(opaque_procedures::pin)},
    {nullptr},
};
constexpr option_choice session_state_modes[] = {{"off", false}, {"use", true}, {nullptr}};
constexpr option_choice last_values_modes[] = {{"off", false}, {"keep", true}, {nullptr}};
constexpr option_choice key_extras[] = {{"application_name", true}, {nullptr}};
constexpr option_choice key_types[] = {{"rsa", false}, {"ecdsa", true}, {nullptr}};
constexpr option_choice tls_versions[] = {{"1.2", false}, {"1.3", true}, {nullptr}};
constexpr option_choice log_formats[] = {{"text", false}, {"json", true}, {nullptr}};
constexpr option_choice log_levels[] = {{"debug"}, {"info"}, {"warn"}, {"error"}, {nullptr}};

option_target redis_addr(void *section) {
    auto *redis = static_cast<redis_config *>(section);
    return host_port_target{&redis->host, &redis->port};
}

// A row is one paragraph.
// clang-format off
const option_row table[] = {
    // proxy: where it listens
    {.section = S::proxy, .name = "listen_addr", .type = T::ip, .default_text = "0.0.0.0",
     .flags = option_restart, .target = AT(proxy_config, listen_addr),
     .help = "Address that clients connect to, on every TDS port."},
    {.section = S::proxy, .name = "listen_port", .type = T::number, .min = 1, .max = 65535, .flags = option_required | option_restart,
     .target = AT(proxy_config, listen_port),
     .help = "The shared TDS port. Its clients are routed by their login; in passthrough by TLS SNI or to "
             "`default_bucket`."},
    {.section = S::proxy, .name = "reuse_port", .type = T::boolean, .default_text = "false",
     .flags = option_restart, .target = AT(proxy_config, reuse_port),
     .help = "Sets SO_REUSEPORT, so that several processes may share the TDS ports."},
    {.section = S::proxy, .name = "instance_id", .type = T::name, .default_text = "",
     .flags = option_restart, .target = AT(proxy_config, instance_id),
     .help = "Name of this instance in Redis, health and metrics; the host name when empty. `PROXY_INSTANCE_ID` "
             "overrides it."},
    {.section = S::proxy, .name = "default_bucket", .type = T::name, .default_text = "",
     .target = AT(proxy_config, default_bucket),
     .help = "Bucket for clients that nothing else assigns; the first of the file when empty, `none` for no such "
             "rule."},

    // proxy: how it serves
    {.section = S::proxy, .name = "pool_mode", .alias = "pinning_mode", .type = T::choice,
     .default_text = "transaction", .choices = pool_modes, .flags = option_restart, .target = AT(proxy_config, mode),
     .help = "How server connections are shared. `transaction`: each held for one request or transaction, or a pin. "
             "`session`: for a client's whole session, then cleaned. `passthrough`: end to end, never shared."},
    {.section = S::proxy, .name = "queue_timeout", .type = T::duration, .default_text = "30s", .max = day,
     .target = AT(proxy_config, queue_timeout),
     .help = "Longest wait for a slot, then error 50004; 0 turns queueing off (error 50001). Many drivers give up "
             "their login after 15s by themselves."},
    {.section = S::proxy, .name = "max_queue_size", .type = T::number, .default_text = "1000", .max = 1'000'000,
     .target = AT(proxy_config, max_queue_size),
     .help = "Most waiters per bucket and instance, then error 50005; 0: unlimited."},
    {.section = S::proxy, .name = "rate_limit", .type = T::number, .default_text = "0", .max = 1'000'000,
     .target = AT(proxy_config, rate_limit),
     .help = "Most requests per second of a tenant, which is a login and its database in one bucket, over all its "
             "sessions on this instance; one second's worth may come at once. More get error 50006, but for those in "
             "a transaction or a pinned session. 0: unlimited. Not for passthrough and MARS sessions."},
    {.section = S::proxy, .name = "queue_poll", .type = T::duration, .default_text = "500ms", .min = 10,
     .max = minute, .target = AT(proxy_config, queue_poll),
     .help = "How often the head of a queue asks for a slot again, in case a notification was lost."},
    {.section = S::proxy, .name = "fairness_interval", .type = T::duration, .default_text = "500ms",
     .max = minute, .target = AT(proxy_config, fairness_interval),
     .help = "An instance whose clients wait for a slot tells the others so this often; one that holds more of them gives "
             "one back, at most one in each interval. 0: instances keep what they have."},
    {.section = S::proxy, .name = "queue_notify", .type = T::duration, .default_text = "0", .max = day,
     .target = AT(proxy_config, queue_notify),
     .help = "A client whose request waits longer is told so by a message (50010, severity 0) ahead of the answer; 0: never. "
             "PHP's sqlsrv takes messages for errors by default."},
    {.section = S::proxy, .name = "max_client_connections", .type = T::number, .default_text = "0",
     .max = 10'000'000, .target = AT(proxy_config, max_client_connections),
     .help = "Most clients of this instance that wait for or have a server connection; further ones get 50005. 0: unlimited."},
    {.section = S::proxy, .name = "max_unauthenticated", .type = T::number, .default_text = "10000", .min = 1,
     .max = 10'000'000, .target = AT(proxy_config, max_unauthenticated),
     .help = "Most client connections that have not said enough yet to be served; further ones are closed without an answer."},
    {.section = S::proxy, .name = "login_timeout", .type = T::duration, .default_text = "15s", .min = 100,
     .max = hour, .target = AT(proxy_config, login_timeout),
     .help = "A client that has not sent what its login needs by then is closed. Time in the queue does not count."},
    {.section = S::proxy, .name = "client_idle_timeout", .type = T::duration, .default_text = "0", .max = 30 * day,
     .target = AT(proxy_config, client_idle_timeout),
     .help = "Closes a client that is silent for so long; 0: never."},
    {.section = S::proxy, .name = "session_timeout", .type = T::duration, .default_text = "5m", .max = 365 * day,
     .target = AT(proxy_config, session_timeout),
     .help = "Longest that a pin may last in transaction mode; never cuts a running request. Then the session is "
             "closed. 0: no end."},
    {.section = S::proxy, .name = "idle_timeout", .type = T::duration, .default_text = "60s", .max = 30 * day,
     .target = AT(proxy_config, idle_timeout),
     .help = "Longest that a pinned session may be silent in transaction mode, or stall a request or a result. Then it "
             "is closed. 0: no end."},
    {.section = S::proxy, .name = "release_timeout", .type = T::duration, .default_text = "5s", .min = 100,
     .max = minute, .target = AT(proxy_config, release_timeout),
     .help = "How long a closing server connection is waited for before its slot is given back all the same."},
    {.section = S::proxy, .name = "keepalive", .type = T::duration, .default_text = "30s", .max = hour,
     .target = AT(proxy_config, keepalive),
     .help = "TCP keepalive of every connection; 0: off."},
    {.section = S::proxy, .name = "dns_ttl", .type = T::duration, .default_text = "30s", .max = day,
     .target = AT(proxy_config, dns_ttl),
     .help = "How long a resolved server name is used before it is asked again. Connections to an address that it has not had "
             "twice in a row are closed as they come free. 0: asked for every connection, and none is closed for it."},
    {.section = S::proxy, .name = "buffer_high", .type = T::size, .default_text = "64KiB", .min = 4 * kib,
     .max = 16 * mib, .flags = option_restart, .target = AT(proxy_config, buffer_high),
     .help = "Reading from one side stops when so much waits to be written to the other."},
    {.section = S::proxy, .name = "buffer_low", .type = T::size, .default_text = "16KiB", .min = 1 * kib,
     .max = 16 * mib, .flags = option_restart, .target = AT(proxy_config, buffer_low),
     .help = "... and goes on below this."},
    {.section = S::proxy, .name = "shutdown_timeout", .type = T::duration, .default_text = "30s", .max = day,
     .target = AT(proxy_config, shutdown_timeout),
     .help = "How long running sessions may go on after SIGTERM; 0: closed at once."},

    // proxy: logins
    {.section = S::proxy, .name = "auth_cache_ttl", .type = T::duration, .default_text = "60s", .max = hour,
     .target = AT(proxy_config, auth_cache_ttl),
     .help = "A login may be answered from one that the server itself accepted no longer ago than this; 0: every "
             "login is a real one. A password changed at the server may be good for so long."},
    {.section = S::proxy, .name = "mars", .type = T::choice, .default_text = "refuse", .choices = mars_modes,
     .target = AT(proxy_config, mars),
     .help = "Multiple active result sets. `refuse`: declined at login (error 50007 if used all the same). `dedicate`: a "
             "client that asks is granted them, on a server connection that it keeps for itself (pin reason `mars`)."},
    {.section = S::proxy, .name = "server_packet_size", .type = T::number, .default_text = "8000", .min = 512,
     .max = 32767, .target = AT(proxy_config, server_packet_size),
     .help = "TDS packet size asked of the servers, in bytes."},
    {.section = S::proxy, .name = "client_packet_size_max", .type = T::number, .default_text = "0", .max = 32767,
     .target = AT(proxy_config, client_packet_size_max),
     .help = "Largest TDS packet size granted to a client, from 512; 0: 16383 with TLS, 32767 without."},

    // proxy: its own TLS, for what it answers by itself
    {.section = S::proxy, .name = "client_tls", .type = T::choice, .default_text = "allow",
     .choices = client_tls_modes, .flags = option_restart, .target = AT(proxy_config, tls),
     .help = "TLS towards clients: forbidden, as the client wants, or demanded. Sessions in passthrough negotiate with "
             "the server."},
    {.section = S::proxy, .name = "tls_cert_file", .type = T::file, .default_text = "",
     .target = AT(proxy_config, tls_cert_file),
     .help = "Certificate chain (PEM); a self-signed one is made at start when empty."},
    {.section = S::proxy, .name = "tls_key_file", .type = T::file, .default_text = "",
     .target = AT(proxy_config, tls_key_file),
     .help = "Its private key (PEM)."},
    {.section = S::proxy, .name = "tls_self_signed", .type = T::choice, .default_text = "rsa", .choices = key_types,
     .target = AT(proxy_config, tls_self_signed_ecdsa),
     .help = "Key of the self-signed certificate: `rsa` (2048, old clients know it) or `ecdsa` (cheaper)."},
    {.section = S::proxy, .name = "tls_min_version", .type = T::choice, .default_text = "1.2",
     .choices = tls_versions, .target = AT(proxy_config, tls_min_version_13),
     .help = "Lowest TLS version accepted from clients; `1.3` leaves only strict TDS 8.0."},
    {.section = S::proxy, .name = "server_version", .type = T::version, .default_text = "",
     .target = AT(proxy_config, server_version),
     .help = "SQL Server version told in PRELOGIN; empty: as learnt from the servers, 16.0 until then."},

    // proxy: health, metrics, log
    {.section = S::proxy, .name = "health_check_interval", .type = T::duration, .default_text = "15s", .min = 100,
     .max = hour, .target = AT(proxy_config, health_check_interval),
     .help = "How often Redis and every bucket are checked for `/health`."},
    {.section = S::proxy, .name = "health_listen_addr", .type = T::ipv4, .default_text = "0.0.0.0",
     .flags = option_restart, .target = AT(proxy_config, health_listen_addr),
     .help = "Address of the two HTTP ports (IPv4)."},
    {.section = S::proxy, .name = "health_check_port", .type = T::number, .default_text = "8080", .max = 65535,
     .flags = option_restart, .target = AT(proxy_config, health_check_port),
     .help = "HTTP port of `/health`; 0: off."},
    {.section = S::proxy, .name = "metrics_port", .type = T::number, .default_text = "9090", .max = 65535,
     .flags = option_restart, .target = AT(proxy_config, metrics_port),
     .help = "HTTP port of `/metrics`; may equal `health_check_port`; 0: off."},
    {.section = S::proxy, .name = "http_threads", .type = T::number, .default_text = "2", .min = 1, .max = 64,
     .flags = option_restart, .target = AT(proxy_config, http_threads),
     .help = "Threads that answer HTTP."},
    {.section = S::proxy, .name = "log_level", .type = T::choice, .default_text = "info", .choices = log_levels,
     .target = AT(proxy_config, log_level),
     .help = "Least important event that is logged."},
    {.section = S::proxy, .name = "log_format", .type = T::choice, .default_text = "text", .choices = log_formats,
     .flags = option_restart, .target = AT(proxy_config, log_json),
     .help = "`text`: key=value; `json`: one object per line."},

    // proxy: the admin console
    {.section = S::proxy, .name = "admin_user", .target = AT(proxy_config, admin_user),
     .help = "Logs in to the admin console, database `tdsbouncer`, and may do everything there; empty: nobody may."},
    {.section = S::proxy, .name = "admin_password", .type = T::secret, .target = AT(proxy_config, admin_password),
     .help = "Its password."},
    {.section = S::proxy, .name = "admin_password_file", .type = T::secret_file,
     .target = AT(proxy_config, admin_password),
     .help = "File that holds the password instead."},
    {.section = S::proxy, .name = "monitor_user", .target = AT(proxy_config, monitor_user),
     .help = "Logs in to the admin console and may only look."},
    {.section = S::proxy, .name = "monitor_password", .type = T::secret, .target = AT(proxy_config, monitor_password),
     .help = "Its password."},
    {.section = S::proxy, .name = "monitor_password_file", .type = T::secret_file,
     .target = AT(proxy_config, monitor_password),
     .help = "File that holds the password instead."},

    // redis
    {.section = S::redis, .name = "addr", .type = T::host_port, .default_text = "redis:6379", .flags = option_restart, .target = redis_addr,
     .help = "Redis server, `host:port`. Not used with `sentinels`."},
    {.section = S::redis, .name = "username", .flags = option_restart, .target = AT(redis_config, username),
     .help = "User of Redis ACLs."},
    {.section = S::redis, .name = "password", .type = T::secret, .flags = option_restart, .target = AT(redis_config, password),
     .help = "Password of Redis."},
    {.section = S::redis, .name = "password_file", .type = T::secret_file, .flags = option_restart, .target = AT(redis_config, password),
     .help = "File that holds the password instead."},
    {.section = S::redis, .name = "db", .type = T::number, .default_text = "0", .max = 1'000'000,
     .flags = option_restart, .target = AT(redis_config, db),
     .help = "Number of the Redis database."},
    {.section = S::redis, .name = "pool_size", .type = T::number, .default_text = "1", .min = 1, .max = 10'000,
     .flags = option_restart, .target = AT(redis_config, pool_size),
     .help = "Accepted for old files; one pipelined connection is used."},
    {.section = S::redis, .name = "dial_timeout", .type = T::duration, .default_text = "5s", .min = 10, .max = hour,
     .flags = option_restart, .target = AT(redis_config, dial_timeout),
     .help = "Longest time to connect."},
    {.section = S::redis, .name = "read_timeout", .type = T::duration, .default_text = "3s", .min = 10, .max = hour,
     .flags = option_restart, .target = AT(redis_config, read_timeout),
     .help = "Longest wait for a reply; then the connection is given up."},
    {.section = S::redis, .name = "write_timeout", .type = T::duration, .default_text = "3s", .min = 10, .max = hour,
     .flags = option_restart, .target = AT(redis_config, write_timeout),
     .help = "Longest time to send a command."},
    {.section = S::redis, .name = "heartbeat_interval", .type = T::duration, .default_text = "10s", .min = 100,
     .max = hour, .flags = option_restart, .target = AT(redis_config, heartbeat_interval),
     .help = "How often this instance says it is alive."},
    {.section = S::redis, .name = "heartbeat_ttl", .type = T::duration, .default_text = "30s", .min = 200,
     .max = day, .flags = option_restart, .target = AT(redis_config, heartbeat_ttl),
     .help = "An instance silent for so long is dead and its slots are freed. At least twice the interval."},
    {.section = S::redis, .name = "key_prefix", .type = T::text, .default_text = "proxy",
     .flags = option_restart, .target = AT(redis_config, key_prefix),
     .help = "First part of every key; `{proxy}` on Redis Cluster keeps all keys in one hash slot."},
    {.section = S::redis, .name = "sentinels", .type = T::host_port_list, .default_text = "[]",
     .flags = option_restart, .target = AT(redis_config, sentinels),
     .help = "Sentinels, each `host:port`; they are asked where the master is."},
    {.section = S::redis, .name = "master_name", .flags = option_restart, .target = AT(redis_config, master_name),
     .help = "Name of the master that the Sentinels watch."},
    {.section = S::redis, .name = "sentinel_password", .type = T::secret,
     .flags = option_restart, .target = AT(redis_config, sentinel_password),
     .help = "Password of the Sentinels."},
    {.section = S::redis, .name = "sentinel_password_file", .type = T::secret_file,
     .flags = option_restart, .target = AT(redis_config, sentinel_password),
     .help = "File that holds the Sentinels' password instead."},

    // fallback
    {.section = S::fallback, .name = "enabled", .type = T::boolean, .default_text = "true",
     .target = AT(fallback_config, enabled),
     .help = "Without Redis go on with a share of each limit; `false`: no new server connections then."},
    {.section = S::fallback, .name = "local_limit_divisor", .type = T::number, .default_text = "3", .min = 1,
     .max = 10'000, .target = AT(fallback_config, local_limit_divisor),
     .help = "The share is max_connections divided by this, or by the instances last seen if those are more."},

    // buckets[]
    {.section = S::bucket, .name = "id", .type = T::name, .flags = option_required, .target = AT(bucket_config, id),
     .help = "Name of the bucket in Redis, metrics and health."},
    {.section = S::bucket, .name = "host", .type = T::host, .flags = option_required,
     .target = AT(bucket_config, host),
     .help = "Host name or address of the SQL Server."},
    {.section = S::bucket, .name = "port", .type = T::number, .default_text = "1433", .min = 1, .max = 65535,
     .target = AT(bucket_config, port),
     .help = "Its TDS port."},
    {.section = S::bucket, .name = "database", .target = AT(bucket_config, database),
     .help = "The database of its own login; logins that ask for it are routed here."},
    {.section = S::bucket, .name = "databases", .type = T::pattern_list, .default_text = "[]",
     .target = AT(bucket_config, databases),
     .help = "Further databases whose logins are routed here: names, or patterns with `*` and `?`."},
    {.section = S::bucket, .name = "username", .target = AT(bucket_config, username),
     .help = "The proxy's own login, for `min_idle` and health; clients with the same are routed here."},
    {.section = S::bucket, .name = "password", .type = T::secret, .target = AT(bucket_config, password),
     .help = "Its password."},
    {.section = S::bucket, .name = "password_file", .type = T::secret_file, .target = AT(bucket_config, password),
     .help = "File that holds the password instead."},
    {.section = S::bucket, .name = "max_connections", .type = T::number, .min = 1, .max = 100'000,
     .flags = option_required, .target = AT(bucket_config, max_connections),
     .help = "Most server connections of this bucket, over all instances."},
    {.section = S::bucket, .name = "listen_port", .type = T::number, .default_text = "0", .max = 65535,
     .flags = option_restart, .target = AT(bucket_config, listen_port),
     .help = "A TDS port of its own, which needs no routing; 0: none."},
    {.section = S::bucket, .name = "aliases", .type = T::host_list, .default_text = "[]",
     .target = AT(bucket_config, aliases),
     .help = "Other host names of the bucket (Login7 ServerName, TLS SNI)."},
    {.section = S::bucket, .name = "pool_mode", .alias = "pinning_mode", .type = T::choice, .default_text = "",
     .choices = pool_modes, .flags = option_inherits | option_restart, .target = AT(bucket_config, mode),
     .help = "As proxy.pool_mode."},
    {.section = S::bucket, .name = "queue_timeout", .type = T::duration, .default_text = "", .max = day,
     .flags = option_inherits, .target = AT(bucket_config, queue_timeout),
     .help = "As proxy.queue_timeout."},
    {.section = S::bucket, .name = "max_queue_size", .type = T::number, .default_text = "", .max = 1'000'000,
     .flags = option_inherits, .target = AT(bucket_config, max_queue_size),
     .help = "As proxy.max_queue_size."},
    {.section = S::bucket, .name = "rate_limit", .type = T::number, .default_text = "", .max = 1'000'000,
     .flags = option_inherits, .target = AT(bucket_config, rate_limit),
     .help = "As proxy.rate_limit."},
    {.section = S::bucket, .name = "connection_timeout", .type = T::duration, .default_text = "30s", .min = 100,
     .max = hour, .target = AT(bucket_config, connection_timeout),
     .help = "Longest time to connect to the server and log in."},
    {.section = S::bucket, .name = "idle_timeout", .type = T::duration, .default_text = "", .max = 30 * day,
     .flags = option_inherits, .target = AT(bucket_config, idle_timeout),
     .help = "In transaction mode as proxy.idle_timeout; in the others it closes a session that is silent for so long, "
             "and is off when not given."},
    {.section = S::bucket, .name = "session_timeout", .type = T::duration, .default_text = "", .max = 365 * day,
     .flags = option_inherits, .target = AT(bucket_config, session_timeout),
     .help = "In transaction mode as proxy.session_timeout; in the others the longest that a session may last, and off "
             "when not given."},
    {.section = S::bucket, .name = "retry_backoff_min", .type = T::duration, .default_text = "100ms", .min = 1,
     .max = hour, .target = AT(bucket_config, retry_backoff_min),
     .help = "First pause after a failed connect to the server; doubled each time."},
    {.section = S::bucket, .name = "retry_backoff_max", .type = T::duration, .default_text = "5s", .min = 1,
     .max = hour, .target = AT(bucket_config, retry_backoff_max),
     .help = "Longest such pause."},
    {.section = S::bucket, .name = "health_probe", .type = T::choice, .default_text = "prelogin",
     .choices = health_probes, .target = AT(bucket_config, probe),
     .help = "How the server is checked: `login` logs in with the bucket's credentials, `prelogin` asks for its "
             "PRELOGIN answer, `off` only while it is down."},

    // buckets[]: pooled server connections
    {.section = S::bucket, .name = "server_tls", .type = T::choice, .default_text = "prefer",
     .choices = server_tls_modes, .target = AT(bucket_config, tls),
     .help = "TLS to the server. `prefer`: encrypted if it can; `require`: always, its certificate is not checked; "
             "`verify-ca`: that it is signed by a CA known; `verify-full`: and made for `host`; `strict`: TDS 8.0, "
             "checked in full."},
    {.section = S::bucket, .name = "server_ca_file", .type = T::file, .target = AT(bucket_config, server_ca_file),
     .help = "PEM file of the CAs for that; empty: the system's."},
    {.section = S::bucket, .name = "min_idle", .type = T::number, .default_text = "0", .max = 100'000,
     .target = AT(bucket_config, min_idle),
     .help = "Server connections that this instance keeps open for the logins used last, at start with the bucket's "
             "own. They yield to any waiter."},
    {.section = S::bucket, .name = "max_idle_time", .type = T::duration, .default_text = "300s", .max = 30 * day,
     .target = AT(bucket_config, max_idle_time),
     .help = "Closes a server connection that nobody has used for so long; 0: never."},
    {.section = S::bucket, .name = "server_lifetime", .type = T::duration, .default_text = "1h", .max = 365 * day,
     .target = AT(bucket_config, server_lifetime),
     .help = "A server connection older than this, give or take a tenth, is closed when it comes free; 0: never."},
    {.section = S::bucket, .name = "share_across_databases", .type = T::boolean, .default_text = "true",
     .target = AT(bucket_config, share_across_databases),
     .help = "Clients of different databases share server connections, moved by `USE`; `false` where that cannot be "
             "(Azure SQL Database, contained users)."},
    {.section = S::bucket, .name = "pool_key_extra", .type = T::choice_list, .default_text = "[]",
     .choices = key_extras, .target = AT(bucket_config, key_has_application_name),
     .help = "What else must be equal for clients to share a server connection (Resource Governor)."},
    {.section = S::bucket, .name = "max_concurrent_logins", .type = T::number, .default_text = "4", .min = 1,
     .max = 10'000, .target = AT(bucket_config, max_concurrent_logins),
     .help = "Most real logins that this instance has under way at the server at a time."},
    {.section = S::bucket, .name = "server_reset", .type = T::choice, .default_text = "auto",
     .choices = server_resets, .target = AT(bucket_config, server_reset_always),
     .help = "Transaction mode: when a server connection goes to another client it is reset only if something has run "
             "on it that may have left more than the proxy knows of; `always`: every time."},
    {.section = S::bucket, .name = "opaque_procedures", .type = T::choice, .default_text = "read",
     .choices = procedure_modes, .target = AT(bucket_config, procedures),
     .help = "Transaction mode, stored procedures: `read` their definition and pin those that may leave session state "
             "or cannot be read; `share`: pin none; `pin` all."},
    {.section = S::bucket, .name = "pin_procedures", .type = T::pattern_list, .default_text = "[]",
     .target = AT(bucket_config, pin_procedures),
     .help = "Transaction mode: procedures that pin in any case: names or patterns with `*` and `?`."},
    {.section = S::bucket, .name = "session_state", .type = T::choice, .default_text = "use",
     .choices = session_state_modes, .target = AT(bucket_config, session_state),
     .help = "What servers that offer SESSIONRECOVERY tell of a session's state: a change that its requests do not explain is "
             "read back, state that could not be had elsewhere pins (`session_state`). `off`: not asked for."},
    {.section = S::bucket, .name = "last_values", .type = T::choice, .default_text = "keep",
     .choices = last_values_modes, .target = AT(bucket_config, keep_last_values),
     .help = "Transaction mode: `@@IDENTITY`, `SCOPE_IDENTITY()`, `@@ROWCOUNT` and `@@ERROR` in the next request are "
             "the client's own; `off` saves a batch after writes, for applications that ask in the same request."},
    {.section = S::bucket, .name = "last_values_hold", .type = T::duration, .default_text = "10s", .max = hour,
     .target = AT(bucket_config, last_values_hold),
     .help = "Transaction mode, servers on which an identity cannot be put into another session (Babelfish): how long "
             "a client keeps its server connection behind a request that may have inserted; 0: not."},
    {.section = S::bucket, .name = "defer_begin", .type = T::boolean, .default_text = "true",
     .target = AT(bucket_config, defer_begin),
     .help = "Transaction mode: a `BEGIN TRAN` alone in its message is answered by the proxy and sent with the next "
             "request; `false`: at once."},
    {.section = S::bucket, .name = "max_prepared_per_connection", .type = T::number, .default_text = "256", .min = 1,
     .max = 100'000, .target = AT(bucket_config, max_prepared_per_connection),
     .help = "Transaction mode: most prepared statements that a server connection keeps; those used least recently are "
             "prepared again when they are executed."},
    {.section = S::bucket, .name = "read_only", .type = T::keys,
     .help = "Where logins with ApplicationIntent=ReadOnly go: a bucket of its own, named `<id>.ro`, otherwise "
             "like this one."},

    // buckets[].read_only
    {.section = S::read_only, .name = "host", .type = T::host, .flags = option_required,
     .target = AT(bucket_config, host),
     .help = "Host name or address of the read-only server."},
    {.section = S::read_only, .name = "port", .type = T::number, .default_text = "1433", .min = 1, .max = 65535,
     .target = AT(bucket_config, port),
     .help = "Its TDS port."},
    {.section = S::read_only, .name = "max_connections", .type = T::number, .min = 1, .max = 100'000,
     .flags = option_required, .target = AT(bucket_config, max_connections),
     .help = "Most server connections to it, over all instances; counted as bucket `<id>.ro`."},
};
// clang-format on

} // namespace

std::span<const option_row> option_table() {
    return table;
}

const option_row *option_find(option_section section, std::string_view name) {
    for (const option_row &row : table)
        if (row.section == section && (name == row.name || (row.alias != nullptr && name == row.alias)))
            return &row;
    return nullptr;
}

size_t option_index(const option_row &row) {
    return static_cast<size_t>(&row - table);
}

const char *option_section_name(option_section section) {
    constexpr const char *names[] = {"proxy", "redis", "fallback", "buckets[]", "buckets[].read_only"};
    return names[static_cast<size_t>(section)];
}

const char *option_mode_name(pool_mode mode) {
    const option_choice *choice = pool_modes;
    while (choice->text != nullptr && choice->value != static_cast<uint8_t>(mode))
        ++choice;
    return choice->text;
}
