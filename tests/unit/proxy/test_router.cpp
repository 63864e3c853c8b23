// The six rules: each by itself, their order, ambiguity, and what none of them finds.
#include "proxy/router.h"

#include <cstring>

#include "cmocka_cpp.h" // last: it defines fail()

static bucket_config bucket(const char *id, const char *host, uint16_t port = 1433) {
    bucket_config b;
    b.id = id;
    b.host = host;
    b.port = port;
    b.mode = pool_mode::session;
    return b;
}

// b1 (alias one.example), b2, b3; no default.
static config three() {
    config c;
    c.proxy.mode = pool_mode::session;
    c.proxy.default_bucket = "none";
    c.buckets = {bucket("b1", "sql1"), bucket("b2", "sql2", 1500), bucket("b3", "10.0.0.3")};
    c.buckets[0].aliases = {"one.example", "uno"};
    return c;
}

static void set_password(tds_login7 &login, std::string_view password) {
    memcpy(login.password.text, password.data(), password.size());
    login.password.size = password.size();
}

static route route_login(const config &c, const tds_login7 &login, int32_t listener = -1, std::string_view sni = {}) {
    return router_route(c, {listener, sni, &login});
}

static void expect(const route &r, int32_t bucket, route_rule rule) {
    assert_int_equal(r.bucket, bucket);
    assert_string_equal(route_rule_name(r.rule), route_rule_name(rule));
    if (bucket >= 0)
        assert_int_equal(r.candidate, bucket);
}

static void expect_none(const route &r) {
    expect(r, -1, route_rule::none);
    assert_true(r.error == proxy_error::no_bucket && r.candidate == -1 && r.reason[0] != '\0');
}

// ---- rule 1 ----------------------------------------------------------------------------------------------------

static void the_listener_comes_before_all(void **) {
    config c = three();
    tds_login7 login;
    login.server_name = "b2";
    login.user_name = "sa@b2";
    route r = route_login(c, login, 2, "b1");
    expect(r, 2, route_rule::listener);
    assert_string_equal(r.user_name.c_str(), "sa");
    expect(router_route(c, {2, {}, nullptr}), 2, route_rule::listener);
}

static void sni_names_a_bucket(void **) {
    config c = three();
    tds_login7 login;
    login.server_name = "b2";
    expect(route_login(c, login, -1, "b1"), 0, route_rule::sni);
    expect(route_login(c, login, -1, "ONE.example"), 0, route_rule::sni);
    expect(route_login(c, login, -1, "b3.sql.example.net"), 2, route_rule::sni); // its first label
    expect(route_login(c, login, -1, "proxy.example.net"), 1, route_rule::server_name);
    expect(router_route(c, {-1, "b3", nullptr}), 2, route_rule::sni);
}

// ---- rule 2 ----------------------------------------------------------------------------------------------------

static int32_t by_server_name(const config &c, const char *name) {
    tds_login7 login;
    login.server_name = name;
    route r = route_login(c, login);
    assert_true(r.bucket < 0 || r.rule == route_rule::server_name);
    return r.bucket;
}

static void server_name_is_an_id_or_alias(void **) {
    config c = three();
    for (const char *name :
         {"b1", "B1", "uno", "One.Example", "b1\\SQLEXPRESS", "b1,1433", "b1,9999", "tcp:b1,1433", "TCP:b1", "b1:1433",
          "b1:77", " b1 , 1433 ", "b1\\inst,1433", "b1,not-a-port", "tcp:b1\\inst"})
        assert_int_equal(by_server_name(c, name), 0);
    for (const char *name :
         {"", "b", "b11", "b1.example", "tcp:", ",1433", "\\inst", ":", "b4", "[b1", "b1:x:y", "tcp:tcp:b1"})
        assert_int_equal(by_server_name(c, name), -1);
}

static void server_name_is_an_address(void **) {
    config c = three();
    c.buckets.push_back(bucket("b4", "fe80::4", 1600));
    for (const char *name : {"sql1", "SQL1", "sql1,1433", "tcp:sql1,1433", "sql1:1433"})
        assert_int_equal(by_server_name(c, name), 0);
    for (const char *name : {"sql2,1500", "sql2:1500", "tcp:sql2,1500", "sql2\\inst,1500"})
        assert_int_equal(by_server_name(c, name), 1);
    assert_int_equal(by_server_name(c, "10.0.0.3"), 2);
    for (const char *name : {"[fe80::4]:1600", "fe80::4,1600", "[FE80::4],1600", "tcp:fe80::4,1600"})
        assert_int_equal(by_server_name(c, name), 3);
    // another port, no port where it is not 1433, an instance (whose port nobody knows), no number
    for (const char *name :
         {"sql1,1500", "sql2", "sql1\\inst", "sql1,", "sql1,99999", "sql1,14330x", "sql1,0", "fe80::4", "[fe80::4"})
        assert_int_equal(by_server_name(c, name), -1);
}

static void two_buckets_at_one_address_are_not_told_apart(void **) {
    config c = three();
    c.buckets.push_back(bucket("b4", "sql1"));
    c.buckets[3].database = "four";
    assert_int_equal(by_server_name(c, "sql1"), -1);
    tds_login7 login;
    login.server_name = "sql1";
    login.database = "four";
    expect(route_login(c, login), 3, route_rule::database); // the next rule decides
}

// ---- rule 3 ----------------------------------------------------------------------------------------------------

static void the_user_name_names_a_bucket(void **) {
    config c = three();
    const struct {
        const char *sent;
        int32_t bucket;
        const char *user;
    } cases[] = {
        {"sa@b2", 1, "sa"},          {"sa@UNO", 0, "sa"}, {"user@example.com@b3", 2, "user@example.com"},
        {"sa@one.example", 0, "sa"}, {"sa", -1, "sa"},    {"user@example.com", -1, "user@example.com"},
        {"sa@", -1, "sa@"},          {"@b2", -1, "@b2"},  {"", -1, ""},
    };
    for (const auto &one : cases) {
        tds_login7 login;
        login.user_name = one.sent;
        route r = route_login(c, login);
        expect(r, one.bucket, one.bucket >= 0 ? route_rule::user_suffix : route_rule::none);
        assert_string_equal(r.user_name.c_str(), one.user);
    }
}

static void the_suffix_goes_even_if_an_earlier_rule_decides(void **) {
    config c = three();
    tds_login7 login;
    login.server_name = "b1";
    login.user_name = "sa@b2";
    route r = route_login(c, login);
    expect(r, 0, route_rule::server_name);
    assert_string_equal(r.user_name.c_str(), "sa");
}

// ---- rule 4 ----------------------------------------------------------------------------------------------------

static int32_t by_database(const config &c, const char *database) {
    tds_login7 login;
    login.database = database;
    route r = route_login(c, login);
    assert_true(r.bucket < 0 || r.rule == route_rule::database);
    return r.bucket;
}

static void the_database_names_a_bucket(void **) {
    config c = three();
    c.buckets[0].database = "main";
    c.buckets[1].databases = {"tenant_?", "a*b*c", "Both"};
    c.buckets[2].databases = {"other*", "both"};
    assert_int_equal(by_database(c, "main"), 0);
    assert_int_equal(by_database(c, "MAIN"), 0);
    for (const char *name : {"tenant_1", "TENANT_x", "abc", "aXXbYYc", "abbcbc"})
        assert_int_equal(by_database(c, name), 1);
    assert_int_equal(by_database(c, "other"), 2);
    for (const char *name : {"", "mai", "tenant_", "tenant_12", "ab", "aXc", "abcd", "othe", "both"})
        assert_int_equal(by_database(c, name), -1);
}

static void no_pattern_takes_for_ever(void **) {
    config c = three();
    c.buckets[0].databases = {"*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b"};
    assert_int_equal(by_database(c, std::string(128, 'a').c_str()), -1);
    assert_int_equal(by_database(c, (std::string(127, 'a') + "b").c_str()), 0);
}

// ---- rule 5 ----------------------------------------------------------------------------------------------------

static config with_credentials() {
    config c = three();
    c.buckets[0].username = c.buckets[1].username = "sa";
    c.buckets[0].password = "one";
    c.buckets[1].password = "two";
    return c; // b3 has none
}

static void credentials_name_a_bucket(void **) {
    config c = with_credentials();
    tds_login7 login;
    login.user_name = "sa";
    set_password(login, "two");
    expect(route_login(c, login), 1, route_rule::credentials);
    set_password(login, "one");
    expect(route_login(c, login), 0, route_rule::credentials);
    set_password(login, "on");
    expect_none(route_login(c, login));
    set_password(login, "two");
    login.user_name = "SA";
    expect_none(route_login(c, login));
}

static void no_credentials_fit_a_bucket_without(void **) {
    config c = with_credentials();
    tds_login7 login; // no user, no password, as b3
    expect_none(route_login(c, login));
    login.user_name = "sa";
    set_password(login, "two");
    login.flags2 = tds_flags2_integrated;
    expect_none(route_login(c, login)); // integrated security has no password
}

static void credentials_of_several_buckets_are_refused(void **) {
    config c = with_credentials();
    c.buckets[1].password = "one";
    c.proxy.default_bucket = "b3"; // not even the default
    tds_login7 login;
    login.user_name = "sa";
    set_password(login, "one");
    route r = route_login(c, login);
    expect_none(r);
    assert_non_null(strstr(r.reason, "several buckets"));
}

// ---- rule 6 ----------------------------------------------------------------------------------------------------

static void the_default_comes_last(void **) {
    config c = with_credentials();
    tds_login7 login;
    expect_none(route_login(c, login));
    expect_none(router_route(c, {-1, "unknown", nullptr}));
    c.proxy.default_bucket = "b3";
    expect(route_login(c, login), 2, route_rule::default_bucket);
    expect(router_route(c, {-1, "unknown", nullptr}), 2, route_rule::default_bucket);
    c.proxy.default_bucket.clear();
    expect(route_login(c, login), 0, route_rule::default_bucket); // the first of the file
}

static void the_order_of_the_rules(void **) {
    config c = with_credentials();
    c.proxy.default_bucket = "b3";
    c.buckets[2].database = "three";
    tds_login7 login;
    login.server_name = "b1";
    login.user_name = "sa@b2";
    login.database = "three";
    set_password(login, "one");
    expect(route_login(c, login, -1, "b3"), 2, route_rule::sni);
    expect(route_login(c, login), 0, route_rule::server_name);
    login.server_name = "proxy.example.net";
    expect(route_login(c, login), 1, route_rule::user_suffix);
    login.user_name = "sa";
    expect(route_login(c, login), 2, route_rule::database);
    login.database = "unknown";
    expect(route_login(c, login), 0, route_rule::credentials);
    set_password(login, "wrong");
    expect(route_login(c, login), 2, route_rule::default_bucket);
}

// ---- passthrough and read-only ---------------------------------------------------------------------------------

static void a_login_for_a_passthrough_bucket_is_refused(void **) {
    config c = three();
    c.buckets[1].mode = pool_mode::passthrough;
    tds_login7 login;
    login.server_name = "b2";
    route r = route_login(c, login);
    assert_true(r.bucket == -1 && r.candidate == 1 && r.error == proxy_error::refused);
    assert_true(r.rule == route_rule::server_name && strstr(r.reason, "passthrough") != nullptr);
    login.server_name.clear();
    c.proxy.default_bucket = "b2";
    assert_true(route_login(c, login).error == proxy_error::refused);
    expect(router_route(c, {1, {}, nullptr}), 1, route_rule::listener);
    expect(route_login(c, login, 1), 1, route_rule::listener); // its own port: to answer it an error
    expect(router_route(c, {-1, {}, nullptr}), 1, route_rule::default_bucket);
}

static config with_read_only() {
    config c = three();
    bucket_config ro = bucket("b1.ro", "replica1");
    ro.read_only_of = 0;
    ro.database = "main";
    ro.username = "sa";
    ro.password = "one";
    c.buckets.push_back(ro);
    c.buckets[0].read_only = 3;
    c.buckets[0].database = "main";
    c.buckets[0].username = "sa";
    c.buckets[0].password = "one";
    return c;
}

static void read_only_intent_goes_to_the_target(void **) {
    config c = with_read_only();
    tds_login7 login;
    login.server_name = "b1";
    expect(route_login(c, login), 0, route_rule::server_name);
    login.type_flags = tds_type_flags_read_only;
    route r = route_login(c, login);
    assert_true(r.bucket == 3 && r.candidate == 0 && r.read_only && r.rule == route_rule::server_name);
    r = route_login(c, login, 0);
    assert_true(r.bucket == 3 && r.rule == route_rule::listener);
    login.server_name = "b2"; // has none
    r = route_login(c, login);
    assert_true(r.bucket == 1 && !r.read_only);
}

// It has its parent's database and credentials, which must not make two buckets of one.
static void a_read_only_target_is_never_found_by_a_rule(void **) {
    config c = with_read_only();
    assert_int_equal(by_server_name(c, "b1.ro"), -1);
    assert_int_equal(by_server_name(c, "replica1"), -1);
    assert_int_equal(by_database(c, "main"), 0);
    tds_login7 login;
    login.user_name = "sa";
    set_password(login, "one");
    expect(route_login(c, login), 0, route_rule::credentials);
    login.user_name = "sa@b1.ro";
    route r = route_login(c, login, -1, "b1.ro");
    expect(r, 0, route_rule::sni); // by its first label
    assert_string_equal(r.user_name.c_str(), "sa@b1.ro");
    c.proxy.default_bucket = "b1.ro";
    expect_none(router_route(c, {-1, {}, nullptr}));
    assert_true(router_find_name(c, "b1.ro") == -1 && router_find_name(c, "UNO") == 0 && router_find_name(c, "") == -1);
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(the_listener_comes_before_all),
        cmocka_unit_test(sni_names_a_bucket),
        cmocka_unit_test(server_name_is_an_id_or_alias),
        cmocka_unit_test(server_name_is_an_address),
        cmocka_unit_test(two_buckets_at_one_address_are_not_told_apart),
        cmocka_unit_test(the_user_name_names_a_bucket),
        cmocka_unit_test(the_suffix_goes_even_if_an_earlier_rule_decides),
        cmocka_unit_test(the_database_names_a_bucket),
        cmocka_unit_test(no_pattern_takes_for_ever),
        cmocka_unit_test(credentials_name_a_bucket),
        cmocka_unit_test(no_credentials_fit_a_bucket_without),
        cmocka_unit_test(credentials_of_several_buckets_are_refused),
        cmocka_unit_test(the_default_comes_last),
        cmocka_unit_test(the_order_of_the_rules),
        cmocka_unit_test(a_login_for_a_passthrough_bucket_is_refused),
        cmocka_unit_test(read_only_intent_goes_to_the_target),
        cmocka_unit_test(a_read_only_target_is_never_found_by_a_rule),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
