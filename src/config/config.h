// What the two YAML files say, checked and with defaults filled in (docs/configuration.md).
//
// Every key of the files has one row in the option table (config/option_table.cpp): name, type, default, range,
// where it goes, one sentence. Loading, --check-config and the documents read that table and nothing else.
// Times are in milliseconds, sizes in bytes, everywhere in these structs.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

enum class pool_mode : uint8_t { transaction, session, passthrough };
enum class health_probe : uint8_t { login, prelogin, off };
enum class client_tls : uint8_t { disable, allow, require };
enum class server_tls : uint8_t { disable, prefer, require, verify_ca, verify_full, strict };
enum class mars_mode : uint8_t { refuse, dedicate };
enum class opaque_procedures : uint8_t { read, share, pin };

inline constexpr const char *read_only_suffix = ".ro"; // id of a bucket's read-only target: the bucket's own and this

struct bucket_config {
    std::string id;
    std::string host;
    uint16_t port = 1433;
    std::string database;
    std::string username;
    std::string password;
    uint32_t max_connections = 0;
    uint64_t connection_timeout = 30'000;
    uint64_t queue_timeout = 0;  // proxy's when not set
    uint32_t max_queue_size = 0; // proxy's when not set; 0 = unlimited
    uint32_t rate_limit = 0;     // proxy's when not set; requests per second and tenant, 0 = unlimited
    pool_mode mode = pool_mode::transaction;
    uint16_t listen_port = 0;         // 0: none of its own
    std::vector<std::string> aliases; // other host names (TLS SNI, Login7 ServerName)
    uint64_t idle_timeout = 0;        // 0: off; transaction mode: of a pinned session, proxy's when not set
    uint64_t session_timeout = 0;     // 0: off; transaction mode: of a pin, likewise
    uint64_t retry_backoff_min = 100;
    uint64_t retry_backoff_max = 5'000;
    health_probe probe = health_probe::prelogin;
    server_tls tls = server_tls::prefer;
    std::string server_ca_file;         // empty: the system's
    std::vector<std::string> databases; // names or patterns (* and ?) that lead to this bucket, `database` aside
    uint32_t min_idle = 0;
    uint64_t max_idle_time = 300'000;
    uint64_t server_lifetime = 3'600'000;
    bool share_across_databases = true;
    bool key_has_application_name = false; // pool_key_extra: [application_name]
    uint32_t max_concurrent_logins = 4;
    bool server_reset_always = false; // server_reset: always
    opaque_procedures procedures = opaque_procedures::read;
    std::vector<std::string> pin_procedures; // names or patterns
    bool keep_last_values = true;            // last_values: keep
    uint64_t last_values_hold = 10'000;
    bool session_state = true; // session_state: use
    uint32_t max_prepared_per_connection = 256;
    bool defer_begin = true;
    int32_t read_only = -1;    // index of its read-only target, -1: none
    int32_t read_only_of = -1; // >= 0: this is such a target, made from buckets[].read_only of that index. It takes no
                               // part in routing, keeps nothing warm and has no listen_port or alias
    int line = 0;              // where it stands in the file, for messages
};

struct proxy_config {
    std::string listen_addr = "0.0.0.0";
    uint16_t listen_port = 0;
    std::string instance_id;    // host name when not set; PROXY_INSTANCE_ID overrides
    std::string default_bucket; // id; empty: the first in the file; "none": no such rule
    pool_mode mode = pool_mode::transaction;
    uint64_t queue_timeout = 30'000; // 0: queueing is off
    uint32_t max_queue_size = 1000;
    uint32_t rate_limit = 0; // requests per second and tenant; 0: unlimited
    uint64_t queue_poll = 500;
    uint64_t fairness_interval = 500;
    uint64_t queue_notify = 0; // 0: nobody is told that it waits
    client_tls tls = client_tls::allow;
    std::string tls_cert_file;
    std::string tls_key_file;
    bool tls_self_signed_ecdsa = false;
    bool tls_min_version_13 = false;  // tls_min_version "1.3" instead of "1.2"
    std::string server_version;       // PRELOGIN VERSION; empty: as learnt from the servers, 16.0.0 until then
    uint64_t auth_cache_ttl = 60'000; // 0: every login is a real one
    mars_mode mars = mars_mode::refuse;
    uint32_t server_packet_size = 8000;
    uint32_t client_packet_size_max = 0; // 0: what the client's encryption allows (16383 with TLS, 32767 without)
    uint64_t login_timeout = 15'000;
    uint64_t health_check_interval = 15'000;
    std::string health_listen_addr = "0.0.0.0";
    uint16_t health_check_port = 8080;
    uint16_t metrics_port = 9090;
    uint32_t http_threads = 2;
    uint32_t buffer_high = 64 * 1024;
    uint32_t buffer_low = 16 * 1024;
    uint32_t max_client_connections = 0; // 0: unlimited
    uint32_t max_unauthenticated = 10'000;
    uint64_t release_timeout = 5'000;
    uint64_t keepalive = 30'000;
    uint64_t dns_ttl = 30'000;
    uint64_t shutdown_timeout = 30'000;
    uint64_t client_idle_timeout = 0;   // 0: off
    uint64_t session_timeout = 300'000; // longest pin in transaction mode, 0: off
    uint64_t idle_timeout = 60'000;     // longest silence of a pinned session there, 0: off
    bool reuse_port = false;
    std::string admin_user;     // of the admin console; empty: nobody
    std::string admin_password; //
    std::string monitor_user;   // may look only
    std::string monitor_password;
    std::string log_level = "info";
    bool log_json = false; // log_format: json
};

struct sentinel_address {
    std::string host;
    uint16_t port = 26379;
};

struct redis_config {
    bool enabled = false; // a `redis` section is there
    std::string host = "redis";
    uint16_t port = 6379;
    std::string username;
    std::string password;
    uint32_t db = 0;
    uint32_t pool_size = 1; // accepted; one pipelined connection is used
    uint64_t dial_timeout = 5'000;
    uint64_t read_timeout = 3'000;
    uint64_t write_timeout = 3'000;
    uint64_t heartbeat_interval = 10'000;
    uint64_t heartbeat_ttl = 30'000;
    std::string key_prefix = "proxy";
    std::vector<sentinel_address> sentinels;
    std::string master_name;
    std::string sentinel_password;
};

struct fallback_config {
    bool enabled = true;
    uint32_t local_limit_divisor = 3;
};

struct config {
    proxy_config proxy;
    redis_config redis;
    fallback_config fallback;
    std::vector<bucket_config> buckets; // at least one; read-only targets (read_only_of >= 0) stand behind the others
};

// Loads and checks both files. On failure returns nullptr and appends to `errors` one line for every defect found, each
// as "file:line: key: what is wrong; what was expected". Never prints a secret's value. `warnings` likewise for what is
// legal but probably not meant. Environment: ${NAME} and ${NAME:-default} inside values, PROXY_INSTANCE_ID.
std::unique_ptr<config> config_load(const std::string &proxy_file, const std::string &buckets_file,
                                    std::vector<std::string> &errors, std::vector<std::string> &warnings);

// Overwrites the secrets held in `c`.
void config_wipe(config &c);
