// Loading both files: what a good pair yields, and one message for each kind of defect.
#include "config/config.h"
#include "temp_files.h"

#include <cstring>

#include "cmocka_cpp.h" // last: it defines fail()

static const char good_proxy[] = "proxy:\n"                     // 1
                                 "  listen_port: 1433\n"        // 2
                                 "  pool_mode: passthrough\n"   // 3
                                 "  instance_id: proxy-1\n"     // 4
                                 "redis:\n"                     // 5
                                 "  addr: 127.0.0.1:6380\n";    // 6
static const char good_buckets[] = "buckets:\n"                 // 1
                                   "  - id: b1\n"               // 2
                                   "    host: sql1\n"           // 3
                                   "    max_connections: 50\n"  // 4
                                   "  - id: b2\n"               // 5
                                   "    host: sql2\n"           // 6
                                   "    max_connections: 10\n"; // 7

struct outcome {
    std::unique_ptr<config> loaded;
    std::vector<std::string> errors, warnings;
};

static outcome load(const temp_files &files, std::string_view proxy, std::string_view buckets) {
    write_file(files.proxy, proxy);
    write_file(files.buckets, buckets);
    outcome o;
    o.loaded = config_load(files.proxy, files.buckets, o.errors, o.warnings);
    assert_true((o.loaded != nullptr) == o.errors.empty());
    return o;
}

static outcome load(std::string_view proxy, std::string_view buckets) {
    temp_files files;
    outcome o = load(files, proxy, buckets);
    for (auto *list : {&o.errors, &o.warnings}) // file names without the folder, for short expectations
        for (std::string &line : *list)
            for (size_t at; (at = line.find(files.folder + "/")) != std::string::npos;)
                line.erase(at, files.folder.size() + 1);
    return o;
}

static std::string joined(const std::vector<std::string> &lines) {
    std::string all;
    for (const std::string &line : lines)
        all += line + "\n";
    return all;
}

static void expect_errors(std::string_view proxy, std::string_view buckets, const char *expected) {
    outcome o = load(proxy, buckets);
    assert_string_equal(joined(o.errors).c_str(), expected);
}

// `lines` more keys under proxy: (from line 7 on when good_proxy's redis is left out: line 5).
static std::string proxy_with(const char *lines) {
    return std::string("proxy:\n  listen_port: 1433\n  pool_mode: passthrough\n") + lines;
}
static std::string bucket_with(const char *lines) {
    return std::string("buckets:\n  - id: b1\n    host: sql1\n    max_connections: 50\n") + lines;
}

static void good_files_load_with_defaults(void **) {
    unsetenv("PROXY_INSTANCE_ID");
    outcome o = load(good_proxy, good_buckets);
    assert_string_equal(joined(o.errors).c_str(), "");
    assert_true(o.warnings.empty());
    const config &c = *o.loaded;
    assert_int_equal(c.proxy.listen_port, 1433);
    assert_true(c.proxy.mode == pool_mode::passthrough && c.proxy.instance_id == "proxy-1");
    assert_int_equal(c.proxy.queue_timeout, 30'000);
    assert_int_equal(c.proxy.buffer_high, 65536);
    assert_true(c.redis.enabled && c.redis.host == "127.0.0.1" && c.redis.port == 6380);
    assert_true(c.fallback.enabled && c.fallback.local_limit_divisor == 3);
    assert_int_equal(c.buckets.size(), 2);
    assert_true(c.buckets[1].id == "b2" && c.buckets[1].host == "sql2" && c.buckets[1].port == 1433);
    assert_int_equal(c.buckets[1].line, 5);
    assert_true(c.buckets[0].mode == pool_mode::passthrough);
    assert_int_equal(c.buckets[0].queue_timeout, 30'000);
    assert_int_equal(c.buckets[0].max_queue_size, 1000);
}

static void no_redis_section_means_local(void **) {
    outcome o = load(proxy_with(""), good_buckets);
    assert_non_null(o.loaded.get());
    assert_false(o.loaded->redis.enabled);
    o = load(proxy_with("redis:\n"), good_buckets);
    assert_true(o.loaded->redis.enabled && o.loaded->redis.host == "redis" && o.loaded->redis.port == 6379);
}

static void every_kind_of_value_is_stored(void **) {
    outcome o = load(proxy_with("  client_tls: require\n  tls_self_signed: ecdsa\n  tls_min_version: '1.3'\n"
                                "  log_format: json\n  log_level: debug\n  reuse_port: yes\n  buffer_high: 128KiB\n"
                                "  queue_timeout: 1m30s\n  server_version: 15.0.4123\n  listen_addr: '::'\n"
                                "redis:\n  sentinels: [s1, 's2:26380']\n  master_name: m\n  db: 3\n"
                                "fallback:\n  enabled: false\n  local_limit_divisor: 5\n"),
                     bucket_with("    aliases: [one, two.example]\n    queue_timeout: 0\n    max_queue_size: 2\n"
                                 "    health_probe: off\n    listen_port: 14331\n    username: sa\n    password: p\n"));
    assert_string_equal(joined(o.errors).c_str(), "");
    const config &c = *o.loaded;
    assert_true(c.proxy.tls == client_tls::require && c.proxy.tls_self_signed_ecdsa && c.proxy.tls_min_version_13);
    assert_true(c.proxy.log_json && c.proxy.log_level == "debug" && c.proxy.reuse_port);
    assert_true(c.proxy.buffer_high == 131072 && c.proxy.queue_timeout == 90'000 && c.proxy.listen_addr == "::");
    assert_true(c.redis.sentinels.size() == 2 && c.redis.sentinels[0].port == 26379);
    assert_true(c.redis.sentinels[1].host == "s2" && c.redis.sentinels[1].port == 26380 && c.redis.db == 3);
    assert_true(!c.fallback.enabled && c.fallback.local_limit_divisor == 5);
    const bucket_config &b = c.buckets[0];
    assert_true(b.aliases.size() == 2 && b.aliases[1] == "two.example" && b.probe == health_probe::off);
    assert_true(b.queue_timeout == 0 && b.max_queue_size == 2 && b.listen_port == 14331 && b.password == "p");
}

static void instance_id_comes_from_the_environment(void **) {
    setenv("PROXY_INSTANCE_ID", "proxy-7", 1);
    assert_string_equal(load(good_proxy, good_buckets).loaded->proxy.instance_id.c_str(), "proxy-7");
    setenv("PROXY_INSTANCE_ID", "a b", 1);
    expect_errors(good_proxy, good_buckets,
                  "environment: PROXY_INSTANCE_ID: \"a b\" is not accepted; expected 1 to 100 of A-Z a-z 0-9 . _ -\n");
    unsetenv("PROXY_INSTANCE_ID");
    assert_true(load(proxy_with(""), good_buckets).loaded->proxy.instance_id.size() > 0); // the host name
}

static void environment_in_values(void **) {
    setenv("TB_PORT", "1555", 1);
    unsetenv("TB_NONE");
    outcome o = load("proxy:\n  listen_port: ${TB_PORT}\n  pool_mode: ${TB_NONE:-passthrough}\n", good_buckets);
    assert_int_equal(o.loaded->proxy.listen_port, 1555);
    expect_errors(
        proxy_with(""), bucket_with("    password: ${TB_NONE}\n"),
        "buckets.yaml:5: buckets[0].password: environment variable TB_NONE is not set; expected it to be set, "
        "or ${TB_NONE:-default}\n");
    expect_errors(proxy_with("  log_level: ${TB\n"), good_buckets,
                  "proxy.yaml:4: proxy.log_level: ${ that names no variable; expected ${NAME} or ${NAME:-default}, or "
                  "$${ for a plain ${\n");
}

static void unknown_keys_and_sections(void **) {
    expect_errors(proxy_with("  listen_prt: 1\n"), good_buckets,
                  "proxy.yaml:4: proxy.listen_prt: unknown key; expected a key of proxy, perhaps listen_port\n");
    expect_errors(proxy_with("proxies:\n  a: 1\n"), good_buckets,
                  "proxy.yaml:4: proxies: unknown section; expected the sections proxy, redis and fallback\n");
    expect_errors(proxy_with(""), bucket_with("    zzzzzzzzzzz: 1\n"),
                  "buckets.yaml:5: buckets[0].zzzzzzzzzzz: unknown key; expected a key of buckets[]\n");
    expect_errors(proxy_with(""), bucket_with("    'Secret pass': 1\n"),
                  "buckets.yaml:5: buckets[0].(unreadable): unknown key; expected a key of buckets[]\n");
}

static void wrong_types(void **) {
    expect_errors(proxy_with("  listen_addr: [a]\n"), good_buckets,
                  "proxy.yaml:4: proxy.listen_addr: a list instead of a single value; expected an IP address\n");
    expect_errors(proxy_with("  queue_timeout: 30\n"), good_buckets,
                  "proxy.yaml:4: proxy.queue_timeout: \"30\" is not accepted; expected a duration such as 500ms, 30s, "
                  "5m or 1h, 0 to 24h\n");
    expect_errors(proxy_with("  reuse_port: maybe\n"), good_buckets,
                  "proxy.yaml:4: proxy.reuse_port: \"maybe\" is not accepted; expected true or false\n");
    expect_errors(proxy_with("  log_level:\n"), good_buckets,
                  "proxy.yaml:4: proxy.log_level: no value; expected debug or info or warn or error\n");
    expect_errors(proxy_with("  health_listen_addr: '::1'\n"), good_buckets,
                  "proxy.yaml:4: proxy.health_listen_addr: \"::1\" is not accepted; expected an IPv4 address\n");
    expect_errors(proxy_with(""), bucket_with("    aliases: one\n"),
                  "buckets.yaml:5: buckets[0].aliases: a value instead of a list; expected a list of host names\n");
    expect_errors(proxy_with(""), bucket_with("    aliases: ['a b']\n"),
                  "buckets.yaml:5: buckets[0].aliases: \"a b\" is not accepted; expected a list of host names\n");
    expect_errors(proxy_with("redis: no\n"), good_buckets,
                  "proxy.yaml:4: redis: a value instead of keys; expected keys, one per line\n");
    expect_errors(proxy_with(""), "buckets: {}\n",
                  "buckets.yaml:1: buckets: a mapping instead of a list; expected a list of buckets\n");
    expect_errors("- a\n", good_buckets,
                  "proxy.yaml:1: no sections; expected the sections proxy, redis and fallback\n");
}

static void out_of_range(void **) {
    expect_errors(proxy_with("  http_threads: 65\n"), good_buckets,
                  "proxy.yaml:4: proxy.http_threads: \"65\" is out of range; expected a whole number, 1 to 64\n");
    expect_errors(proxy_with(""), "buckets:\n  - {id: b, host: h, max_connections: 0}\n",
                  "buckets.yaml:2: buckets[0].max_connections: \"0\" is out of range; expected a whole number, 1 to "
                  "100000\n");
}

static void duplicates(void **) {
    expect_errors(proxy_with("  listen_port: 2\n"), good_buckets,
                  "proxy.yaml:4: proxy.listen_port: given twice, first in line 2; expected it once\n");
    expect_errors(proxy_with("  pinning_mode: passthrough\n"), good_buckets,
                  "proxy.yaml:4: proxy.pinning_mode: given twice, first in line 3; expected it once\n");
    expect_errors(proxy_with("proxy:\n  listen_port: 1\n"), good_buckets,
                  "proxy.yaml:4: proxy: given twice; expected it once\n");
    expect_errors(
        proxy_with(""), bucket_with("  - {id: B1, host: h, max_connections: 1}\n"),
        "buckets.yaml:5: buckets[1].id: B1 is given twice, first in line 2; expected an id for each bucket\n");
    expect_errors(proxy_with(""),
                  bucket_with("    listen_port: 5\n  - {id: b2, host: h, max_connections: 1, listen_port: 5}\n"),
                  "buckets.yaml:6: buckets[1].listen_port: 5 is bucket b1's too; expected a port for each bucket\n");
    expect_errors(proxy_with(""), bucket_with("    listen_port: 1433\n"),
                  "buckets.yaml:5: buckets[0].listen_port: 1433 is proxy.listen_port too; expected a free port\n");
    expect_errors(proxy_with("  metrics_port: 1433\n"), good_buckets,
                  "proxy.yaml:4: proxy.metrics_port: 1433 is listen_port too; expected a free port\n");
    expect_errors(
        proxy_with(""), bucket_with("    listen_port: 8080\n"),
        "buckets.yaml:5: buckets[0].listen_port: 8080 is proxy.health_check_port too; expected a free port\n");
    expect_errors(proxy_with(""),
                  bucket_with("    aliases: [x]\n  - {id: b2, host: h, max_connections: 1, aliases: [X]}\n"),
                  "buckets.yaml:6: buckets[1].aliases: X names bucket b1 too; expected names of one bucket only\n");
    expect_errors(proxy_with(""), bucket_with("    aliases: [b2]\n  - {id: b2, host: h, max_connections: 1}\n"),
                  "buckets.yaml:6: buckets[1].id: b2 is an alias of bucket b1; expected another id\n");
}

static void missing_things(void **) {
    expect_errors("proxy:\n  pool_mode: passthrough\n", good_buckets,
                  "proxy.yaml:2: proxy.listen_port: missing; expected a whole number, 1 to 65535\n");
    expect_errors("redis:\n", good_buckets, "proxy.yaml:1: proxy: missing; expected the section proxy\n");
    expect_errors("", good_buckets,
                  "proxy.yaml:1: the file is empty; expected the sections proxy, redis and fallback\n");
    expect_errors(proxy_with(""), "buckets:\n  - id: b1\n",
                  "buckets.yaml:2: buckets[0].host: missing; expected a host name or IP address\n"
                  "buckets.yaml:2: buckets[0].max_connections: missing; expected a whole number, 1 to 100000\n");
    expect_errors(proxy_with(""), "buckets: []\n",
                  "buckets.yaml:1: buckets: the list is empty; expected at least one bucket\n");
    temp_files files;
    outcome o;
    o.loaded = config_load(files.folder + "/none.yaml", files.folder + "/none2.yaml", o.errors, o.warnings);
    assert_null(o.loaded.get());
    assert_int_equal(o.errors.size(), 2);
    assert_non_null(strstr(o.errors[0].c_str(), "none.yaml: cannot be opened: No such file or directory; expected"));
}

static void keys_that_contradict_each_other(void **) {
    expect_errors(
        proxy_with("  default_bucket: b9\n"), good_buckets,
        "proxy.yaml:4: proxy.default_bucket: no bucket \"b9\" in buckets.yaml; expected the id of a bucket, or "
        "none\n");
    expect_errors(proxy_with("  buffer_low: 64KiB\n"), good_buckets,
                  "proxy.yaml:4: proxy.buffer_low: 64KiB is not below buffer_high; expected less than 64KiB\n");
    expect_errors(proxy_with("  tls_cert_file: /dev/null\n"), good_buckets,
                  "proxy.yaml:4: proxy.tls_cert_file: given without tls_key_file; expected both or neither\n");
    expect_errors(
        proxy_with("redis:\n  heartbeat_ttl: 10s\n"), good_buckets,
        "proxy.yaml:5: redis.heartbeat_ttl: 10s is not longer than heartbeat_interval; expected at least twice "
        "10s\n");
    expect_errors(proxy_with("redis:\n  sentinels: [a]\n"), good_buckets,
                  "proxy.yaml:5: redis.sentinels: given without master_name; expected both or neither\n");
    expect_errors(proxy_with(""), bucket_with("    retry_backoff_min: 6s\n"),
                  "buckets.yaml:5: buckets[0].retry_backoff_min: 6s is longer than retry_backoff_max; expected at most "
                  "5s\n");
    expect_errors(proxy_with("redis:\n  key_prefix: 'a b'\n"), good_buckets,
                  "proxy.yaml:5: redis.key_prefix: holds a blank or a wildcard; expected plain text\n");
}

static void legal_but_odd_is_a_warning(void **) {
    outcome o = load(proxy_with("redis:\n  heartbeat_ttl: 15s\n"), good_buckets);
    assert_string_equal(joined(o.errors).c_str(), "");
    assert_string_equal(joined(o.warnings).c_str(),
                        "proxy.yaml:5: redis.heartbeat_ttl: 15s lets one late heartbeat look like a dead instance; "
                        "expected at least twice 10s\n");
    o = load(proxy_with("  default_bucket: none\n"), good_buckets);
    assert_int_equal(o.warnings.size(), 1);
    o = load(proxy_with("  default_bucket: none\n"), bucket_with("    listen_port: 5\n"));
    assert_int_equal(o.warnings.size(), 0);
}

static void console_users(void **) {
    temp_files files;
    write_file(files.folder + "/secret", "s3cret\n");
    std::string secret = files.folder + "/secret";
    std::string admin = "  admin_user: op\n  admin_password_file: " + secret + "\n";
    outcome o = load(files, "proxy:\n  listen_port: 1\n" + admin, good_buckets);
    assert_string_equal((joined(o.errors) + joined(o.warnings)).c_str(), "");
    assert_true(o.loaded->proxy.admin_user == "op" && o.loaded->proxy.admin_password == "s3cret");
    config_wipe(*o.loaded);
    assert_true(o.loaded->proxy.admin_password.find("s3cret") == std::string::npos);
    o = load(files, proxy_with(admin.c_str()), good_buckets);
    assert_true(joined(o.warnings).find("proxy.admin_user: has no effect where every port is passthrough") !=
                std::string::npos);
    o = load(files, "proxy:\n  listen_port: 1\n" + admin + "  monitor_user: op\n  monitor_password_file: " + secret,
             good_buckets);
    assert_true(joined(o.errors).find("proxy.monitor_user: is admin_user too") != std::string::npos);
    expect_errors("proxy:\n  listen_port: 1\n  admin_user: op\n", good_buckets,
                  "proxy.yaml:3: proxy.admin_user: given without admin_password; expected both or neither\n");
    o = load(files, "proxy:\n  listen_port: 1\n  monitor_password_file: " + secret + "\n", good_buckets);
    assert_true(joined(o.errors).find("proxy.monitor_password: given without monitor_user") != std::string::npos);
}

static void rate_limits_are_inherited(void **) {
    outcome o = load(proxy_with("  rate_limit: 5\n"),
                     bucket_with("  - {id: b2, host: h, max_connections: 1, rate_limit: 9}\n"
                                 "  - {id: b3, host: h, max_connections: 1, rate_limit: 0}\n"));
    assert_string_equal(joined(o.errors).c_str(), "");
    assert_int_equal(o.loaded->buckets[0].rate_limit, 5);
    assert_int_equal(o.loaded->buckets[1].rate_limit, 9);
    assert_int_equal(o.loaded->buckets[2].rate_limit, 0);
    expect_errors(
        proxy_with("  rate_limit: 1000001\n"), bucket_with(""),
        "proxy.yaml:4: proxy.rate_limit: \"1000001\" is out of range; expected a whole number, 0 to 1000000\n");
}

static void transaction_mode_is_the_default(void **) {
    outcome o = load("proxy:\n  listen_port: 1\n  idle_timeout: 7s\n",
                     bucket_with("    server_reset: always\n    opaque_procedures: pin\n    last_values: off\n"
                                 "    last_values_hold: 0\n"
                                 "    pin_procedures: ['sp_app_*', dbo.p]\n    session_timeout: 9s\n"
                                 "  - {id: b2, host: h, max_connections: 1, pool_mode: session}\n"));
    assert_string_equal(joined(o.errors).c_str(), "");
    assert_string_equal(joined(o.warnings).c_str(), "");
    const bucket_config &b = o.loaded->buckets[0], &other = o.loaded->buckets[1];
    assert_true(b.mode == pool_mode::transaction && b.idle_timeout == 7'000 && b.session_timeout == 9'000);
    assert_true(b.server_reset_always && b.procedures == opaque_procedures::pin && !b.keep_last_values);
    assert_true(b.last_values_hold == 0 && other.last_values_hold == 10'000);
    assert_true(b.pin_procedures.size() == 2 && b.pin_procedures[1] == "dbo.p");
    assert_true(other.mode == pool_mode::session && other.idle_timeout == 0 && other.session_timeout == 0);
    assert_true(other.keep_last_values && other.procedures == opaque_procedures::read);
}

static void keys_of_transaction_mode_mean_nothing_in_others(void **) {
    outcome o = load("proxy:\n  listen_port: 1\n  pool_mode: session\n", bucket_with("    last_values: off\n"));
    assert_string_equal(joined(o.errors).c_str(), "");
    assert_string_equal(joined(o.warnings).c_str(),
                        "buckets.yaml:5: buckets[0].last_values: has no effect but in transaction mode; expected the "
                        "key to be left out\n");
}

static const char session_proxy[] = "proxy:\n  listen_port: 1433\n  pool_mode: session\n";

static void keys_of_pooling_are_stored(void **) {
    outcome o = load(std::string(session_proxy) + "  auth_cache_ttl: 0\n  mars: dedicate\n  server_packet_size: 4096\n"
                                                  "  client_packet_size_max: 512\n",
                     bucket_with("    server_tls: verify-full\n    server_ca_file: /dev/null\n    username: sa\n"
                                 "    min_idle: 3\n    max_idle_time: 0\n    server_lifetime: 10m\n"
                                 "    databases: [a, 'tenant_*']\n    pool_key_extra: [application_name]\n"
                                 "    share_across_databases: false\n    max_concurrent_logins: 9\n"
                                 "    health_probe: login\n"));
    assert_string_equal(joined(o.errors).c_str(), "");
    assert_string_equal(joined(o.warnings).c_str(), "");
    const proxy_config &p = o.loaded->proxy;
    assert_true(p.mode == pool_mode::session && p.auth_cache_ttl == 0 && p.mars == mars_mode::dedicate);
    assert_true(p.server_packet_size == 4096 && p.client_packet_size_max == 512 && p.server_version.empty());
    const bucket_config &b = o.loaded->buckets[0];
    assert_true(b.mode == pool_mode::session && b.tls == server_tls::verify_full && b.server_ca_file == "/dev/null");
    assert_true(b.min_idle == 3 && b.max_idle_time == 0 && b.server_lifetime == 600'000);
    assert_true(b.databases.size() == 2 && b.databases[1] == "tenant_*" && b.key_has_application_name);
    assert_true(!b.share_across_databases && b.max_concurrent_logins == 9 && b.probe == health_probe::login);
    assert_true(b.read_only == -1 && b.read_only_of == -1);
}

static void defaults_of_pooling(void **) {
    outcome o = load(session_proxy, good_buckets);
    assert_true(o.loaded->proxy.auth_cache_ttl == 60'000 && o.loaded->proxy.server_packet_size == 8000);
    const bucket_config &b = o.loaded->buckets[0];
    assert_true(b.tls == server_tls::prefer && b.max_idle_time == 300'000 && b.server_lifetime == 3'600'000);
    assert_true(b.share_across_databases && !b.key_has_application_name && b.max_concurrent_logins == 4);
}

static void read_only_makes_a_bucket_of_its_own(void **) {
    outcome o = load(session_proxy,
                     "buckets:\n"
                     "  - {id: b1, host: h1, max_connections: 5, username: sa, password: pw, min_idle: 2,\n"
                     "     listen_port: 5, aliases: [x], databases: [d], queue_timeout: 7s, server_tls: require,\n"
                     "     read_only: {host: h2, port: 1444, max_connections: 3}}\n"
                     "  - {id: b2, host: h3, max_connections: 5}\n"
                     "  - {id: b3, host: h4, max_connections: 5, read_only: {host: h5, max_connections: 1}}\n");
    assert_string_equal(joined(o.errors).c_str(), "");
    assert_string_equal(joined(o.warnings).c_str(), "");
    const auto &buckets = o.loaded->buckets;
    assert_int_equal(buckets.size(), 5);
    assert_true(buckets[0].read_only == 3 && buckets[1].read_only == -1 && buckets[2].read_only == 4);
    const bucket_config &ro = buckets[3];
    assert_true(ro.id == "b1.ro" && ro.host == "h2" && ro.port == 1444 && ro.max_connections == 3);
    assert_true(ro.read_only_of == 0 && ro.read_only == -1 && ro.line == 4);
    assert_true(ro.listen_port == 0 && ro.aliases.empty() && ro.databases.empty() && ro.min_idle == 0);
    assert_true(ro.username == "sa" && ro.password == "pw" && ro.queue_timeout == 7'000);
    assert_true(ro.tls == server_tls::require && ro.mode == pool_mode::session);
    assert_true(buckets[4].id == "b3.ro" && buckets[4].read_only_of == 2 && buckets[4].port == 1433);
    assert_true(buckets[0].min_idle == 2 && buckets[0].listen_port == 5); // the parent keeps its own
    config_wipe(*o.loaded);
    assert_true(o.loaded->buckets[3].password.empty());
}

static void read_only_is_checked(void **) {
    expect_errors(
        session_proxy, bucket_with("    read_only: {host: h}\n"),
        "buckets.yaml:5: buckets[0].read_only.max_connections: missing; expected a whole number, 1 to 100000\n");
    expect_errors(session_proxy, bucket_with("    read_only: h\n"),
                  "buckets.yaml:5: buckets[0].read_only: a value instead of keys; expected the keys host, port, "
                  "max_connections\n");
    expect_errors(session_proxy, bucket_with("    read_only:\n"),
                  "buckets.yaml:5: buckets[0].read_only: no value instead of keys; expected the keys host, port, "
                  "max_connections\n");
    expect_errors(
        session_proxy, bucket_with("    read_only: {host: h, max_connections: 1, prt: 5}\n"),
        "buckets.yaml:5: buckets[0].read_only.prt: unknown key; expected a key of buckets[].read_only, perhaps "
        "port\n");
    expect_errors(session_proxy,
                  bucket_with("    read_only: {host: h, max_connections: 1}\n"
                              "  - {id: B1.ro, host: h, max_connections: 1}\n"),
                  "buckets.yaml:6: buckets[1].id: b1.ro is the read-only target of bucket b1; expected another name\n");
    expect_errors(
        session_proxy, bucket_with("    read_only: {host: h, max_connections: 1}\n    aliases: [b1.ro]\n"),
        "buckets.yaml:6: buckets[0].aliases: b1.ro is the read-only target of bucket b1; expected another name\n");
    expect_errors(
        std::string(session_proxy) + "  default_bucket: b1.ro\n",
        bucket_with("    read_only: {host: h, max_connections: 1}\n"),
        "proxy.yaml:4: proxy.default_bucket: no bucket \"b1.ro\" in buckets.yaml; expected the id of a bucket, or "
        "none\n");
    assert_true(load(session_proxy, bucket_with("  - {id: b9.ro, host: h, max_connections: 1}\n")).errors.empty());
}

static void pooling_keys_that_contradict_each_other(void **) {
    expect_errors(session_proxy, bucket_with("    min_idle: 51\n    username: sa\n"),
                  "buckets.yaml:5: buckets[0].min_idle: 51 is more than max_connections; expected at most 50\n");
    expect_errors(
        session_proxy, bucket_with("    min_idle: 1\n    health_probe: login\n"),
        "buckets.yaml:5: buckets[0].min_idle: given without username; expected both, or min_idle: 0\n"
        "buckets.yaml:6: buckets[0].health_probe: login without username; expected both, or prelogin or off\n");
    expect_errors(
        std::string(session_proxy) + "  client_packet_size_max: 511\n", good_buckets,
        "proxy.yaml:4: proxy.client_packet_size_max: 511 is no TDS packet size; expected 0 or 512 to 32767\n");
    expect_errors(
        std::string(session_proxy) + "  server_packet_size: 32768\n  auth_cache_ttl: 61m\n", good_buckets,
        "proxy.yaml:4: proxy.server_packet_size: \"32768\" is out of range; expected a whole number, 512 to "
        "32767\n"
        "proxy.yaml:5: proxy.auth_cache_ttl: \"61m\" is out of range; expected a duration such as 500ms, 30s, 5m "
        "or 1h, 0 to 1h\n");
    expect_errors(
        session_proxy, bucket_with("    pool_key_extra: [host_name]\n    databases: ['']\n"),
        "buckets.yaml:5: buckets[0].pool_key_extra: \"host_name\" is not accepted; expected a list of "
        "application_name\n"
        "buckets.yaml:6: buckets[0].databases: the value is empty; expected a list of names or patterns with * "
        "and ?\n");
    expect_errors(
        session_proxy, bucket_with("    server_tls: verify\n"),
        "buckets.yaml:5: buckets[0].server_tls: \"verify\" is not accepted; expected disable or prefer or require "
        "or verify-ca or verify-full or strict\n");
}

static void expect_warnings(std::string_view proxy, std::string_view buckets, const char *expected) {
    outcome o = load(proxy, buckets);
    assert_string_equal(joined(o.errors).c_str(), "");
    assert_string_equal(joined(o.warnings).c_str(), expected);
}

static void modes_that_do_not_mix_on_the_shared_port_are_warned_about(void **) {
    expect_warnings(session_proxy, bucket_with("    pool_mode: passthrough\n"),
                    "buckets.yaml:5: buckets[0].pool_mode: passthrough, as the shared port is not: logins routed to it "
                    "there get error 50007; expected a listen_port for this bucket\n");
    expect_warnings(proxy_with(""), bucket_with("    pool_mode: session\n"),
                    "buckets.yaml:5: buckets[0].pool_mode: not passthrough, as the shared port is: no login there is "
                    "routed to it; expected a listen_port for this bucket\n");
    expect_warnings(session_proxy, bucket_with("    pool_mode: passthrough\n    listen_port: 5\n"), "");
    expect_warnings(proxy_with(""), bucket_with("    pool_mode: session\n    listen_port: 5\n"), "");
    expect_warnings(proxy_with(""), bucket_with("    databases: [a]\n"),
                    "buckets.yaml:5: buckets[0].databases: has no effect in passthrough; expected the key to be left "
                    "out\n");
    expect_warnings(
        session_proxy, bucket_with("    server_ca_file: /dev/null\n"),
        "buckets.yaml:5: buckets[0].server_ca_file: has no effect with this server_tls; expected server_tls: "
        "verify-ca, verify-full or strict\n");
    expect_warnings(std::string(session_proxy) + "  default_bucket: none\n", good_buckets, "");
}

static void every_defect_is_reported_at_once(void **) {
    outcome o = load("proxy:\n  listen_port: x\n  log_level: loud\n  nothing: 1\n  pool_mode: passthrough\n",
                     "buckets:\n  - id: 'a b'\n    port: 0\n  - host: h\n");
    assert_int_equal(o.errors.size(), 9);
}

static void syntax_errors_have_line_and_column(void **) {
    outcome o = load("proxy:\n  listen_port: [1\n", good_buckets);
    assert_int_equal(o.errors.size(), 1);
    assert_non_null(strstr(o.errors[0].c_str(), "proxy.yaml:3:1: not YAML: "));
    o = load("proxy:\n\tlisten_port: 1\n", good_buckets);
    assert_non_null(strstr(o.errors[0].c_str(), "proxy.yaml:2:1: not YAML: "));
    expect_errors(proxy_with("---\nproxy:\n"), good_buckets,
                  "proxy.yaml:5: a second YAML document; expected one document in the file\n");
}

static void secrets_come_from_files(void **) {
    temp_files files;
    write_file(files.secret, "s3cret\n");
    std::string buckets = bucket_with(("    password_file: " + files.secret + "\n").c_str());
    outcome o = load(files, proxy_with(("redis:\n  password_file: " + files.secret + "\n").c_str()), buckets);
    assert_string_equal(joined(o.errors).c_str(), "");
    assert_string_equal(o.loaded->buckets[0].password.c_str(), "s3cret");
    assert_string_equal(o.loaded->redis.password.c_str(), "s3cret");
    config_wipe(*o.loaded);
    assert_true(o.loaded->buckets[0].password.empty() && o.loaded->redis.password.empty());

    o = load(files, proxy_with(""), buckets + "    password: x\n");
    assert_non_null(strstr(joined(o.errors).c_str(), "password_file: given together with password; expected one"));
    for (const std::string &content : {std::string(), std::string(5000, 'x'), std::string("a\0b", 3)}) {
        write_file(files.secret, content);
        assert_int_equal(load(files, proxy_with(""), buckets).errors.size(), 1);
    }
    unlink(files.secret.c_str());
    assert_int_equal(load(files, proxy_with(""), buckets).errors.size(), 1);
}

static void secrets_are_never_shown(void **) {
    setenv("TB_SECRET", "Hunter2", 1);
    const char *cases[] = {
        "    password: [Hunter2]\n",
        "    password: {a: Hunter2}\n",
        "    password:Hunter2\n",
        "    password: ${Hunter2\n",
        "    password: \"Hunter2\n",
        "    password: Hunter2\n    password: Hunter2\n",
        "    Hunter2\n",
        "    password: \"a\\0Hunter2\"\n",
        "    admin: Hunter2\n",
    };
    for (const char *text : cases) {
        outcome o = load(proxy_with(""), bucket_with(text));
        assert_false(o.errors.empty());
        if (joined(o.errors).find("Hunter2") != std::string::npos)
            fail_msg("shown: %s", joined(o.errors).c_str());
    }
}

// A file cut off at any byte loads or is refused, and the loader stays in one piece (run under ASan too).
static void truncated_files_do_no_harm(void **) {
    temp_files files;
    std::string proxy =
        proxy_with("  queue_timeout: ${TB_NONE:-5s}\nredis:\n  addr: \"[::1]:1\"\n  sentinels: [a, 'b:1']\n"
                   "  master_name: &x m\nfallback: {enabled: true}\n");
    std::string buckets = bucket_with("    aliases: [a, b]\n    password: >-\n      text\n  - *x\n  - {id: c}\n");
    for (size_t cut = 0; cut <= proxy.size(); ++cut)
        (void)load(files, std::string_view(proxy).substr(0, cut), good_buckets);
    for (size_t cut = 0; cut <= buckets.size(); ++cut)
        (void)load(files, good_proxy, std::string_view(buckets).substr(0, cut));
    for (size_t at = 0; at < proxy.size(); ++at) {
        std::string changed = proxy;
        changed[at] = static_cast<char>(changed[at] ^ 0x55);
        (void)load(files, changed, good_buckets);
    }
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(good_files_load_with_defaults),
        cmocka_unit_test(no_redis_section_means_local),
        cmocka_unit_test(every_kind_of_value_is_stored),
        cmocka_unit_test(instance_id_comes_from_the_environment),
        cmocka_unit_test(environment_in_values),
        cmocka_unit_test(unknown_keys_and_sections),
        cmocka_unit_test(wrong_types),
        cmocka_unit_test(out_of_range),
        cmocka_unit_test(duplicates),
        cmocka_unit_test(missing_things),
        cmocka_unit_test(keys_that_contradict_each_other),
        cmocka_unit_test(legal_but_odd_is_a_warning),
        cmocka_unit_test(console_users),
        cmocka_unit_test(rate_limits_are_inherited),
        cmocka_unit_test(transaction_mode_is_the_default),
        cmocka_unit_test(keys_of_transaction_mode_mean_nothing_in_others),
        cmocka_unit_test(keys_of_pooling_are_stored),
        cmocka_unit_test(defaults_of_pooling),
        cmocka_unit_test(read_only_makes_a_bucket_of_its_own),
        cmocka_unit_test(read_only_is_checked),
        cmocka_unit_test(pooling_keys_that_contradict_each_other),
        cmocka_unit_test(modes_that_do_not_mix_on_the_shared_port_are_warned_about),
        cmocka_unit_test(every_defect_is_reported_at_once),
        cmocka_unit_test(syntax_errors_have_line_and_column),
        cmocka_unit_test(secrets_come_from_files),
        cmocka_unit_test(secrets_are_never_shown),
        cmocka_unit_test(truncated_files_do_no_harm),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
