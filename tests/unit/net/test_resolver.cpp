// Which addresses a name has had, and which is tried first; look-ups themselves are tested with real names.
#include "cmocka_cpp.h"

#include <cstring>

#include <arpa/inet.h>
#include <uv.h>

#include "net/resolver.h"

static sockaddr_storage v4(const char *text, uint16_t port = 1433) {
    sockaddr_storage out{};
    auto &a = reinterpret_cast<sockaddr_in &>(out);
    a.sin_family = AF_INET;
    a.sin_port = htons(port);
    inet_pton(AF_INET, text, &a.sin_addr);
    return out;
}

static sockaddr_storage v6(const char *text, uint16_t port = 1433) {
    sockaddr_storage out{};
    auto &a = reinterpret_cast<sockaddr_in6 &>(out);
    a.sin6_family = AF_INET6;
    a.sin6_port = htons(port);
    inet_pton(AF_INET6, text, &a.sin6_addr);
    return out;
}

static bool is(const sockaddr_storage &a, const sockaddr_storage &b) {
    return memcmp(&a, &b, sizeof(sockaddr_in)) == 0;
}

static void knows_the_last_two_answers(void **) {
    net_target t;
    t.addresses = {v4("10.0.0.2")};
    t.before = {v4("10.0.0.1"), v6("fd00::1")};
    assert_true(net_target_has(&t, v4("10.0.0.2")));
    assert_true(net_target_has(&t, v4("10.0.0.1")));
    assert_true(net_target_has(&t, v6("fd00::1")));
    assert_false(net_target_has(&t, v4("10.0.0.3")));
    assert_false(net_target_has(&t, v4("10.0.0.2", 1434)));
    assert_false(net_target_has(&t, v6("fd00::2")));
    assert_false(net_target_has(&t, v6("fd00::1", 1)));
}

static void the_preferred_goes_first(void **) {
    net_target t;
    t.addresses = {v4("10.0.0.1"), v6("fd00::1"), v4("10.0.0.2")};
    net_target_prefer(&t, v4("10.0.0.2"));
    assert_true(is(t.addresses[0], v4("10.0.0.2")));
    assert_true(is(t.addresses[1], v4("10.0.0.1")));
    net_target_prefer(&t, v4("10.9.9.9"));
    assert_int_equal(t.addresses.size(), 3);
    assert_true(is(t.addresses[0], v4("10.0.0.2")));
    net_target none;
    net_target_prefer(&none, v4("10.0.0.1"));
    assert_int_equal(none.addresses.size(), 0);
}

static int answers;
static void on_resolved(void *, net_target *, int status) {
    assert_int_equal(status, 0);
    ++answers;
}

// A literal is never asked for again by itself; a name is when its time has come, and what came first stays first.
static void refresh_asks_for_names_only(void **) {
    uv_loop_t loop;
    uv_loop_init(&loop);
    for (const char *host : {"127.0.0.1", "localhost"}) {
        bool name = strcmp(host, "localhost") == 0;
        net_target t;
        t.host = host;
        t.port = 1433;
        t.ttl = 1;
        t.on_resolved = on_resolved;
        answers = 0;
        net_target_refresh(&loop, &t);
        assert_false(t.in_flight); // nobody has wanted it yet
        assert_false(net_target_ready(&loop, &t));
        uv_run(&loop, UV_RUN_DEFAULT);
        assert_int_equal(answers, 1);
        sockaddr_storage last = t.addresses.back();
        net_target_prefer(&t, last);
        net_target_expire(&t);
        net_target_refresh(&loop, &t);
        assert_int_equal(t.in_flight, name);
        uv_run(&loop, UV_RUN_DEFAULT);
        assert_int_equal(answers, name ? 2 : 1);
        assert_memory_equal(&t.addresses.front(), &last, sizeof(sockaddr_in));
        t.ttl = 0;
        net_target_refresh(&loop, &t);
        assert_false(t.in_flight);
    }
    assert_int_equal(uv_loop_close(&loop), 0);
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(knows_the_last_two_answers),
        cmocka_unit_test(the_preferred_goes_first),
        cmocka_unit_test(refresh_asks_for_names_only),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
