// Texts of values: numbers, durations, sizes, addresses, ${ENV}.
#include "config/value.h"

#include <cstdlib>

#include "cmocka_cpp.h" // last: it defines fail()

static uint64_t duration(const char *text) {
    uint64_t ms = 999'999'999;
    assert_true(value_duration(text, ms));
    return ms;
}

static void durations_have_units(void **) {
    assert_int_equal(duration("0"), 0);
    assert_int_equal(duration("500ms"), 500);
    assert_int_equal(duration("30s"), 30'000);
    assert_int_equal(duration("5m"), 300'000);
    assert_int_equal(duration("1h"), 3'600'000);
    assert_int_equal(duration("1h30m"), 5'400'000);
    uint64_t ms = 7;
    for (const char *text :
         {"", "5", "s", "5 s", "-5s", "1.5s", "5S", "5d", "5s ", "18446744073709551616ms", "9999999999999999h"})
        assert_false(value_duration(text, ms));
    assert_int_equal(ms, 7);
}

static void sizes_are_bytes_or_have_binary_units(void **) {
    uint64_t bytes = 0;
    assert_true(value_size("65536", bytes) && bytes == 65536);
    assert_true(value_size("64KiB", bytes) && bytes == 65536);
    assert_true(value_size("2MiB", bytes) && bytes == 2097152);
    assert_true(value_size("1GiB", bytes) && bytes == 1073741824);
    for (const char *text : {"", "KiB", "64K", "64kb", "64KiB1", "-1", "99999999999999999999"})
        assert_false(value_size(text, bytes));
}

static void numbers_are_decimal_digits(void **) {
    uint64_t number = 0;
    assert_true(value_number("18446744073709551615", number) && number == UINT64_MAX);
    for (const char *text : {"", "+1", "-1", "0x10", "1e3", "1 ", " 1", "18446744073709551616"})
        assert_false(value_number(text, number));
}

static void host_and_port(void **) {
    std::string host;
    uint16_t port = 6379;
    assert_true(value_host_port("redis", host, port) && host == "redis" && port == 6379);
    assert_true(value_host_port("redis:7000", host, port) && host == "redis" && port == 7000);
    assert_true(value_host_port("[::1]:7001", host, port) && host == "::1" && port == 7001);
    assert_true(value_host_port("[::1]", host, port) && host == "::1" && port == 7001);
    for (const char *text :
         {"", ":1", "h:", "h:0", "h:65536", "h:x", "::1", "[::1", "[x]:1", "[::1]1", "a b:1", "h:1:2"})
        assert_false(value_host_port(text, host, port));
    assert_true(host == "::1" && port == 7001);
}

static void names_hosts_addresses_versions(void **) {
    assert_true(value_name("bucket-001.ro_x"));
    assert_false(value_name("") || value_name("a b") || value_name("a/b") || value_name(std::string(101, 'a')));
    assert_true(value_host("db.example.org") && value_host("10.0.0.1") && value_host("fe80::1"));
    assert_false(value_host("") || value_host("a:b") || value_host("a b") || value_host(std::string(254, 'a')));
    assert_true(value_ip("127.0.0.1", true) && value_ip("::", false));
    assert_false(value_ip("::", true) || value_ip("localhost", false) || value_ip("1.2.3", false));
    assert_true(value_version("16.0") && value_version("15.0.4123"));
    assert_false(value_version("16") || value_version("16.") || value_version("300.0") || value_version("1.2.3.4"));
}

static std::string expanded(const char *text) {
    std::string out, name;
    assert_int_equal(value_expand(text, out, name), expand_result::ok);
    return out;
}

static void environment_is_expanded(void **) {
    setenv("TB_SET", "va${lue", 1);
    setenv("TB_EMPTY", "", 1);
    unsetenv("TB_UNSET");
    assert_string_equal(expanded("a ${TB_SET} b").c_str(), "a va${lue b");
    assert_string_equal(expanded("${TB_SET:-x}${TB_UNSET:-y}${TB_EMPTY:-z}[${TB_EMPTY}]").c_str(), "va${lueyz[]");
    assert_string_equal(expanded("${TB_UNSET:-}").c_str(), "");
    assert_string_equal(expanded("$5 $${TB_SET} $").c_str(), "$5 ${TB_SET} $");
    std::string out, name;
    assert_int_equal(value_expand("${TB_UNSET}", out, name), expand_result::unset);
    assert_string_equal(name.c_str(), "TB_UNSET");
    for (const char *text : {"${", "${}", "${A", "${1A}", "${A-b}", "${A:b}", "${ A}", "x${:-y}"})
        assert_int_equal(value_expand(text, out, name), expand_result::malformed);
}

static void times_and_sizes_are_written_as_they_are_read(void **) {
    assert_string_equal(duration_text(0).c_str(), "0");
    assert_string_equal(duration_text(90'000).c_str(), "90s");
    assert_string_equal(duration_text(3'600'000).c_str(), "1h");
    assert_string_equal(duration_text(1'001).c_str(), "1001ms");
    assert_string_equal(size_text(65536).c_str(), "64KiB");
    assert_string_equal(size_text(65537).c_str(), "65537B");
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(durations_have_units),
        cmocka_unit_test(sizes_are_bytes_or_have_binary_units),
        cmocka_unit_test(numbers_are_decimal_digits),
        cmocka_unit_test(host_and_port),
        cmocka_unit_test(names_hosts_addresses_versions),
        cmocka_unit_test(environment_is_expanded),
        cmocka_unit_test(times_and_sizes_are_written_as_they_are_read),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
