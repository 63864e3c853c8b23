// The log's lines: fields, quoting, JSON, and that no value can forge a line.
#include "cmocka_cpp.h"

#include <cstdio>
#include <string>
#include <unistd.h>

#include "base/log.h"

static std::string text(log_fields fields) {
    return log_format(log_level::info, "it happened", fields, false);
}
static std::string json(log_fields fields) {
    return log_format(log_level::warn, "it happened", fields, true);
}

static void equal(const std::string &got, const char *expected) {
    assert_string_equal(got.c_str(), expected);
}

static void test_types(void **) {
    equal(text({}), "info it happened");
    equal(text({{"session", 17u},
                {"count", -3},
                {"real", 0.5},
                {"on", true},
                {"bucket", "b-1"},
                {"none", static_cast<const char *>(nullptr)}}),
          "info it happened session=17 count=-3 real=0.5 on=true bucket=b-1 none=\"\"");
    equal(text({{"big", UINT64_MAX}, {"small", INT64_MIN}}),
          "info it happened big=18446744073709551615 small=-9223372036854775808");
}

static void test_quoting(void **) {
    equal(text({{"a", "two words"}}), "info it happened a=\"two words\"");
    equal(text({{"a", ""}, {"b", "x=y"}, {"c", "q\"q"}, {"d", "b\\s"}}),
          "info it happened a=\"\" b=\"x=y\" c=\"q\\\"q\" d=\"b\\\\s\"");
}

// A client's user name is not able to begin a new line or a new field, nor to turn the direction of writing.
static void test_forgery(void **) {
    equal(text({{"user", "x\n2026 info login user=sa"}}), "info it happened user=\"x\\u000a2026 info login user=sa\"");
    equal(text({{"user", std::string("a\0b\r\x1b[2J\x7f", 9)}}),
          "info it happened user=\"a\\u0000b\\u000d\\u001b[2J\\u007f\"");
    equal(text({{"user", "\xe2\x80\xae"}}), "info it happened user=\\u202e");
    equal(text({{"user", "\xc2\x85\xe2\x80\xa8"}}), "info it happened user=\\u0085\\u2028");
}

static void test_only_valid_utf8_is_written(void **) {
    equal(text({{"a", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"}}),
          "info it happened a=\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
    equal(json({{"a", "\xff"
                      "x\xc3"}}),
          "\"level\":\"warn\",\"message\":\"it happened\",\"a\":\"\xef\xbf\xbdx\xef\xbf\xbd\"");
    equal(text({{"a", "\xc0\xaf"}}), "info it happened a=\xef\xbf\xbd\xef\xbf\xbd");
    equal(text({{"a", "\xed\xa0\x80"}}), "info it happened a=\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    equal(text({{"a", "\xf4\x90\x80\x80"}}), "info it happened a=\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
}

static void test_json(void **) {
    equal(json({{"session", 17u}, {"bucket", "b\"1"}, {"on", false}}),
          "\"level\":\"warn\",\"message\":\"it happened\",\"session\":17,\"bucket\":\"b\\\"1\",\"on\":\"false\"");
}

static void test_levels(void **) {
    log_level level{};
    for (const char *name : {"debug", "info", "warn", "error"}) {
        assert_true(log_level_parse(name, level));
        assert_true(log_format(level, "m", {}, false) == std::string(name) + " m");
    }
    for (const char *name : {"", "Info", "warning", "trace"})
        assert_false(log_level_parse(name, level));
    log_configure(log_level::warn, false, "");
    assert_false(log_enabled(log_level::info));
    assert_true(log_enabled(log_level::error));
}

// What reaches standard error while `write` runs.
static std::string captured(void (*write)()) {
    FILE *file = tmpfile();
    assert_non_null(file);
    int saved = dup(STDERR_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    write();
    log_flush();
    dup2(saved, STDERR_FILENO);
    close(saved);
    char text[2000] = {};
    rewind(file);
    size_t n = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    return {text, n};
}

static constexpr size_t time_size = sizeof "2026-11-21T03:30:00.123Z" - 1;

static void test_whole_lines(void **) {
    std::string out = captured([] {
        log_configure(log_level::info, false, "proxy one");
        log_debug("not written");
        log_info("first", {{"n", 1}});
        log_configure(log_level::info, false, "");
        log_error("second");
    });
    assert_true(out.size() > time_size && out[10] == 'T' && out[time_size - 1] == 'Z');
    size_t end = out.find('\n');
    equal(out.substr(time_size, end - time_size), " info first n=1 instance=\"proxy one\"");
    equal(out.substr(end + 1 + time_size), " error second\n");
}

static void test_whole_json_line(void **) {
    std::string out = captured([] {
        log_configure(log_level::debug, true, "p-1");
        log_debug("text", {{"n", 1}});
        log_configure(log_level::info, false, "");
    });
    equal(out.substr(0, 9), "{\"time\":\"");
    equal(out.substr(9 + time_size), "\",\"level\":\"debug\",\"message\":\"text\",\"n\":1,\"instance\":\"p-1\"}\n");
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_types),       cmocka_unit_test(test_quoting),
        cmocka_unit_test(test_forgery),     cmocka_unit_test(test_only_valid_utf8_is_written),
        cmocka_unit_test(test_json),        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_whole_lines), cmocka_unit_test(test_whole_json_line),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
