// The files in configs/: they load, and they show every key of this version with its default.
#include "config/config.h"
#include "config/option_table.h"
#include "config/value.h"

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <regex>

#include "cmocka_cpp.h" // last: it defines fail()

static const std::string configs = REPO_DIR "/configs/";

static std::unique_ptr<config> load(const char *proxy_file) {
    std::vector<std::string> errors, warnings;
    auto c = config_load(configs + proxy_file, configs + "buckets.yaml", errors, warnings);
    for (const auto *list : {&errors, &warnings})
        for (const std::string &line : *list)
            print_error("%s\n", line.c_str());
    assert_true(errors.empty() && warnings.empty());
    return c;
}

static void proxy_yaml_loads(void **) {
    auto c = load("proxy.yaml");
    assert_true(c->redis.enabled && c->proxy.listen_port == 1433 && c->proxy.health_check_port == 8080);
    assert_int_equal(c->buckets.size(), 3);
    for (size_t i = 0; i < 3; ++i) {
        const bucket_config &b = c->buckets[i];
        std::string number = std::to_string(i + 1);
        assert_string_equal(b.id.c_str(), ("bucket-00" + number).c_str());
        assert_string_equal(b.host.c_str(), ("sqlserver-bucket-" + number).c_str());
        assert_string_equal(b.password.c_str(), ("YourStr0ngP@ssword" + number).c_str());
        assert_int_equal(b.listen_port, 14341 + i);
        assert_int_equal(b.max_connections, 50);
    }
}

static void local_yaml_loads_without_redis(void **) {
    auto c = load("local.yaml");
    assert_true(!c->redis.enabled && c->proxy.listen_addr == "127.0.0.1");
}

static std::string content(const std::string &path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

static std::string unquoted(const std::string &text) {
    return text.size() >= 2 && text.front() == '"' ? text.substr(1, text.size() - 2) : text;
}

// The value that a file shows for a key (commented out or not), ${NAME:-default} as its default.
static std::string shown_value(const std::string &text, const std::string &key) {
    std::smatch match;
    std::regex line("(?:^|\\n) +(?:# +|- )?" + key + ": *(\"[^\"]*\"|[^ \\n]+)");
    if (!std::regex_search(text, match, line))
        fail_msg("no key %s", key.c_str());
    std::string value, name;
    assert_int_equal(value_expand(unquoted(match[1]), value, name), expand_result::ok);
    return value;
}

static std::string part(const std::string &text, const char *begin, const char *end) {
    size_t from = text.find(begin);
    return text.substr(from, text.find(end, from) - from);
}

static void files_show_every_key_with_its_default(void **) {
    const std::string proxy = content(configs + "proxy.yaml"), buckets = content(configs + "buckets.yaml");
    const std::string texts[] = {part(proxy, "\nproxy:", "\nredis:"), part(proxy, "\nredis:", "\nfallback:"),
                                 part(proxy, "\nfallback:", "\v"), part(buckets, "id: bucket-001", "read_only:"),
                                 part(buckets, "# read_only:", "id: bucket-002")};
    for (const option_row &row : option_table()) {
        if (row.type == option_type::keys)
            continue;
        std::string value = shown_value(" \n  - " + texts[static_cast<size_t>(row.section)], row.name);
        bool differs = row.default_text[0] == '\0' || std::string_view(row.name) == "pool_mode" ||
                       std::string_view(row.name) == "listen_port";
        if (!differs && value != row.default_text)
            fail_msg("%s: shows %s, default %s", row.name, value.c_str(), row.default_text);
    }
}

int main() {
    for (const char *name :
         {"PROXY_LISTEN_PORT", "PROXY_HEALTH_PORT", "PROXY_METRICS_PORT", "PROXY_INSTANCE_ID", "REDIS_ADDR",
          "REDIS_PASSWORD", "HEARTBEAT_INTERVAL", "HEARTBEAT_TTL", "LOG_LEVEL", "LOG_FORMAT"})
        unsetenv(name);
    for (const char *bucket : {"BUCKET_001", "BUCKET_002", "BUCKET_003"})
        for (const char *key : {"_HOST", "_PORT", "_SERVER_PORT", "_MAX", "_PASSWORD"})
            unsetenv((std::string(bucket) + key).c_str());
    const CMUnitTest tests[] = {
        cmocka_unit_test(proxy_yaml_loads),
        cmocka_unit_test(local_yaml_loads_without_redis),
        cmocka_unit_test(files_show_every_key_with_its_default),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
