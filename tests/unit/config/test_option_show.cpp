// Values as they would stand in the file: what was stored is shown, and shown again the same.
#include "config/option_show.h"
#include "config/option_table.h"

#include "cmocka_cpp.h" // last: it defines fail()

struct all_sections {
    proxy_config proxy;
    redis_config redis;
    fallback_config fallback;
    bucket_config bucket;
};

static void *section_of(all_sections &all, option_section section) {
    switch (section) {
    case option_section::proxy: return &all.proxy;
    case option_section::redis: return &all.redis;
    case option_section::fallback: return &all.fallback;
    default: return &all.bucket;
    }
}

static std::string shown_after(option_section section, const char *name, const char *text) {
    all_sections all;
    std::string what;
    const option_row &row = *option_find(section, name);
    assert_true(option_store(row, section_of(all, section), text, what));
    return option_show(row, section_of(all, section));
}

static void one_of_each_type(void **) {
    static constexpr struct {
        option_section section;
        const char *name, *text, *shown;
    } expected[] = {
        {option_section::proxy, "listen_port", "1433", "1433"},
        {option_section::proxy, "queue_timeout", "90s", "90s"},
        {option_section::proxy, "buffer_high", "65536", "64KiB"},
        {option_section::proxy, "reuse_port", "yes", "true"},
        {option_section::proxy, "pool_mode", "session", "session"},
        {option_section::proxy, "log_level", "warn", "warn"},
        {option_section::proxy, "log_format", "json", "json"},
        {option_section::proxy, "mars", "dedicate", "dedicate"},
        {option_section::proxy, "client_tls", "require", "require"},
        {option_section::proxy, "server_version", "16.0.4135", "16.0.4135"},
        {option_section::proxy, "admin_user", "operator", "operator"},
        {option_section::redis, "addr", "cache:6380", "cache:6380"},
        {option_section::redis, "sentinels", "one:1", "one:1"},
        {option_section::redis, "password", "s3cret", "(set)"},
        {option_section::bucket, "server_tls", "verify-ca", "verify-ca"},
        {option_section::bucket, "health_probe", "off", "off"},
        {option_section::bucket, "opaque_procedures", "pin", "pin"},
        {option_section::bucket, "databases", "tenant_*", "tenant_*"},
        {option_section::bucket, "pool_key_extra", "application_name", "application_name"},
        {option_section::bucket, "password", "s3cret", "(set)"},
    };
    for (const auto &e : expected)
        assert_string_equal(shown_after(e.section, e.name, e.text).c_str(), e.shown);
}

// The defaults are in the members already: shown as the table has them, but for how a duration is written.
static void defaults(void **) {
    all_sections all, again;
    for (const option_row &row : option_table()) {
        if (row.target == nullptr || (row.flags & (option_required | option_inherits)) != 0 || option_is_list(row))
            continue;
        std::string shown = option_show(row, section_of(all, row.section)), what;
        if (shown.empty())
            assert_string_equal(row.default_text, "");
        else if (row.type != option_type::secret_file && row.type != option_type::secret)
            assert_true(option_store(row, section_of(again, row.section), shown, what));
        assert_string_equal(option_show(row, section_of(again, row.section)).c_str(), shown.c_str());
    }
}

static void lists_and_secrets(void **) {
    all_sections all;
    all.bucket.databases = {"a", "b*"};
    all.redis.sentinels = {{"one", 1}, {"two", 26379}};
    all.proxy.admin_password = "s3cret";
    assert_string_equal(option_show(*option_find(option_section::bucket, "databases"), &all.bucket).c_str(), "a, b*");
    assert_string_equal(option_show(*option_find(option_section::redis, "sentinels"), &all.redis).c_str(),
                        "one:1, two:26379");
    assert_string_equal(option_show(*option_find(option_section::proxy, "admin_password_file"), &all.proxy).c_str(),
                        "(set)");
    assert_string_equal(option_show(*option_find(option_section::proxy, "monitor_password_file"), &all.proxy).c_str(),
                        "");
    assert_string_equal(option_show(*option_find(option_section::bucket, "read_only"), &all.bucket).c_str(), "");
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(one_of_each_type),
        cmocka_unit_test(defaults),
        cmocka_unit_test(lists_and_secrets),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
