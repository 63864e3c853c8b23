// Login responses given again to other clients: their own packet size, features, version.
#include <algorithm>
#include <string>
#include <vector>

#include "cmocka_cpp.h"

#include "tds/login_tokens.h"
#include "tds/packet.h"

static const uint8_t asked_features[] = {0x10, 0, 0, 0, 0, 0x01, 0, 0, 0,    0, 0x04, 1, 0, 0, 0,    3, 0x08, 1, 0, 0,
                                         0,    0, 9, 1, 0, 0,    0, 2, 0x0a, 1, 0,    0, 0, 1, 0x0e, 1, 0,    0, 0, 1};

static tds_login_answer from_sql_server() {
    tds_login_answer a;
    assert_int_equal(parse(sql_server_answer(), a), e::none);
    return a;
}

static bytes payload_of(const bytes &packets, uint16_t spid) {
    tds_message_reader r;
    tds_message_start(r, tds_type_response, 4096, 1'000'000);
    size_t used = 0;
    assert_int_equal(tds_message_read(r, packets, used), tds_read_result::complete);
    assert_int_equal(used, packets.size());
    assert_int_equal(get_u16be(&packets[4]), spid);
    return {tds_message_payload(r).begin(), tds_message_payload(r).end()};
}

static bytes build(const tds_login_answer &a, const tds_login_reply &reply) {
    bytes packets;
    tds_login_answer_build(a, reply, packets);
    return payload_of(packets, reply.spid);
}

static void test_answer_for_another_client(void **) {
    tds_login_reply reply;
    reply.client_version = tds_7_4;
    reply.packet_size = 16383;
    reply.packet_size_asked = 32767;
    reply.features = asked_features;
    reply.spid = 0x1234;
    bytes expected = env(tds_env_database, "tenant", "master");
    append(expected, notice(5701, 0, "Changed database context to 'tenant'."));
    tds_put_collation(expected, collation);
    append(expected, env(tds_env_language, "us_english", ""));
    append(expected, notice(5703, 0, "Changed language setting to us_english."));
    append(expected, loginack());
    append(expected, env(tds_env_packet_size, "16383", "32767"));
    append(expected, {0xae, 0x04, 1, 0, 0, 0, 1, 0x09, 2, 0, 0, 0, 2, 1, 0x0a, 1, 0, 0, 0, 1, 0xff});
    append(expected, done());
    assert_true(build(from_sql_server(), reply) == expected);
}

// Whatever is in it, byte for byte: what go-mssqldb, FreeTDS and tedious trip over (collation with an empty old value,
// Interface 1, versions in their own byte order).
static void test_bytes_of_a_small_answer(void **) {
    tds_login_answer a;
    a.outcome = tds_login_outcome::accepted;
    a.tds_version = tds_7_4;
    a.program = "S";
    a.program_version = {15, 1, 0x1234, 0};
    a.database = "d";
    a.has_collation = true;
    std::copy(collation, collation + 5, a.collation);
    tds_login_reply reply;
    reply.client_version = tds_7_4;
    bytes expected{0xe3, 5,    0,   1, 1,    'd', 0,    0,                                       // database
                   0xe3, 8,    0,   7, 5,    9,   4,    0xd0, 0, 0x34, 0,                        // collation
                   0xad, 12,   0,   1, 0x74, 0,   0,    4,    1, 'S',  0, 15,  1, 0x12, 0x34,    // LOGINACK
                   0xe3, 0x13, 0,   4, 4,    '4', 0,    '0',  0, '9',  0, '6', 0, 4,    '4',  0, // packet size
                   '0',  0,    '9', 0, '6',  0,   0xfd, 0,    0, 0,    0, 0,   0, 0,    0,    0, 0, 0, 0};
    assert_true(build(a, reply) == expected);
}

static void test_features_only_as_asked(void **) {
    struct {
        uint32_t version;
        bytes asked, acknowledged;
    } cases[] = {
        {tds_7_4, {}, {}},
        {tds_7_4, {0x01, 0, 0, 0, 0}, {}},                       // SESSIONRECOVERY never
        {tds_7_4, {0x08, 1, 0, 0, 0, 1}, {}},                    // nor what the proxy does not pass on
        {tds_7_4, {0x0e, 1, 0, 0, 0, 1}, {}},                    // nor what the server did not
        {tds_7_4, {0x0a, 1, 0, 0, 0, 1}, {0x0a, 1, 0, 0, 0, 1}}, //
        {tds_8_0, {0x0d, 1, 0, 0, 0, 1}, {0x0d, 1, 0, 0, 0, 1}}, //
        {tds_7_3b, {0x0a, 1, 0, 0, 0, 1}, {}},                   // unknown to that version
    };
    for (const auto &c : cases) {
        tds_login_reply reply;
        reply.client_version = c.version;
        reply.features = c.asked;
        tds_login_answer again;
        assert_int_equal(parse(build(from_sql_server(), reply), again, c.version), e::none);
        assert_true(again.feature_acks == c.acknowledged);
    }
}

// A federated login's acknowledgement is mandatory: without it drivers give up.
static void test_fedauth_is_acknowledged(void **) {
    tds_login_answer a = from_sql_server();
    a.feature_acks = {0x02, 0, 0, 0, 0};
    static const uint8_t asked[] = {0x02, 2, 0, 0, 0, 5, 1};
    tds_login_reply reply;
    reply.client_version = tds_7_4;
    reply.features = asked;
    tds_login_answer again;
    assert_int_equal(parse(build(a, reply), again), e::none);
    assert_true(again.feature_acks == a.feature_acks);
}

static void test_versions(void **) {
    struct {
        uint32_t server, client, told;
    } cases[] = {
        {tds_7_4, tds_7_4, tds_7_4},   {tds_7_4, tds_7_1_sp1, tds_7_1_sp1}, {tds_7_2, tds_7_4, tds_7_2},
        {tds_8_0, tds_7_4, tds_7_4},   {tds_7_4, tds_8_0, tds_8_0},         {tds_8_0, tds_8_0, tds_8_0},
        {tds_7_3b, tds_8_0, tds_7_3b}, {tds_7_4, 0x7500aaaa, tds_7_4},      {tds_7_4, 0x730b0009, tds_7_3b},
        {tds_7_1, tds_7_0, tds_7_0},   {tds_7_4, tds_7_1, tds_7_1},
    };
    for (const auto &c : cases) {
        tds_login_answer a = from_sql_server(), again;
        a.tds_version = c.server;
        assert_int_equal(tds_login_answer_version(a, c.client), c.told);
        tds_login_reply reply;
        reply.client_version = c.client;
        assert_int_equal(parse(build(a, reply), again, c.client), e::none);
        assert_int_equal(again.tds_version, c.told);
        assert_int_equal(again.notices.size(), 2);
        assert_int_equal(again.has_collation, c.told != tds_7_0);
    }
}

static void test_old_environment(void **) {
    tds_login_answer a = from_sql_server(), again;
    a.charset = "iso_1";
    a.locale = "1033";
    a.compare_flags = "196609";
    tds_login_reply reply;
    for (uint32_t version : {tds_7_0, tds_7_1}) {
        reply.client_version = version;
        assert_int_equal(parse(build(a, reply), again, version), e::none);
        assert_string_equal(again.charset.c_str(), version == tds_7_0 ? "iso_1" : "");
        assert_string_equal(again.locale.c_str(), version == tds_7_0 ? "1033" : "");
        assert_string_equal(again.compare_flags.c_str(), version == tds_7_0 ? "196609" : "");
    }
}

static void test_other_database_and_language(void **) {
    static const uint8_t other[] = {1, 2, 3, 4, 5};
    tds_login_reply reply;
    reply.client_version = tds_7_4;
    reply.database = "shop";
    reply.language = "Deutsch";
    reply.collation = other;
    tds_login_answer again;
    assert_int_equal(parse(build(from_sql_server(), reply), again), e::none);
    assert_string_equal(again.database.c_str(), "shop");
    assert_string_equal(again.language.c_str(), "Deutsch");
    assert_memory_equal(again.collation, other, 5);
    assert_string_equal(again.notices[0].text.c_str(), "Changed database context to 'shop'.");
    assert_string_equal(again.notices[1].text.c_str(), "Changed language setting to Deutsch.");
    assert_string_equal(again.notices[0].server_name.c_str(), "SRV1");
}

// The server's own words are kept, in whatever language, and what it did not say is not made up.
static void test_notices_are_the_servers(void **) {
    tds_login_answer a = from_sql_server(), again;
    a.notices[0].text = "Der Datenbankkontext wurde in \"tenant\" ge\xc3\xa4ndert.";
    a.notices.erase(a.notices.begin() + 1);
    tds_login_notice trigger;
    trigger.number = 50000;
    trigger.text = "from a logon trigger";
    a.notices.push_back(trigger);
    tds_login_reply reply;
    reply.client_version = tds_7_4;
    assert_int_equal(parse(build(a, reply), again), e::none);
    assert_int_equal(again.notices.size(), 2);
    assert_string_equal(again.notices[0].text.c_str(), a.notices[0].text.c_str());
    assert_string_equal(again.notices[1].text.c_str(), "from a logon trigger");
}

static void test_packet_size_when_nothing_was_asked(void **) {
    tds_login_reply reply; // jTDS sends 0
    reply.client_version = tds_7_1;
    reply.packet_size = 512;
    bytes built = build(from_sql_server(), reply);
    bytes expected = env(tds_env_packet_size, "512", "4096");
    assert_true(std::search(built.begin(), built.end(), expected.begin(), expected.end()) != built.end());
}

static void test_sspi_and_user_instance_go_on(void **) {
    tds_login_answer a = from_sql_server(), again;
    a.sspi = bytes(300, 0x61);
    a.user_instance = "\\\\.\\pipe\\x";
    tds_login_reply reply;
    reply.client_version = tds_7_4;
    assert_int_equal(parse(build(a, reply), again), e::none);
    assert_true(again.sspi == a.sspi);
    assert_string_equal(again.user_instance.c_str(), a.user_instance.c_str());
}

static void test_routing_and_mirror_stay_here(void **) {
    bytes payload = env(13, "mirror1", "");
    append(payload, loginack());
    append(payload, routing(20, 0, 1433, "elsewhere", ""));
    append(payload, done());
    tds_login_answer a, again;
    assert_int_equal(parse(payload, a), e::none);
    tds_login_reply reply;
    reply.client_version = tds_7_4;
    bytes built = build(a, reply), expected = loginack();
    assert_int_equal(parse(built, again), e::none);
    assert_false(again.routing.present);
    append(expected, env(tds_env_packet_size, "4096", "4096"));
    append(expected, done());
    assert_true(built == expected);
}

static void test_long_answer_in_small_packets(void **) {
    tds_login_answer a = from_sql_server(), again;
    for (int i = 0; i < 10; ++i) {
        tds_login_notice n;
        n.number = 1000 + i;
        n.text = std::string(1000, 't');
        a.notices.push_back(n);
    }
    tds_login_reply reply;
    reply.client_version = tds_7_4;
    reply.packet_size = 32767; // holds from the next message on
    reply.spid = 55;
    assert_int_equal(parse(build(a, reply), again), e::none);
    assert_int_equal(again.notices.size(), 12);
}

static void test_refusal_goes_on_as_it_came(void **) {
    for (uint32_t version : {tds_7_4, tds_7_1, tds_8_0}) {
        bytes payload = notice(5701, 0, "x");
        append(payload, notice(4060, 11, "Cannot open database \"x\" requested by the login."));
        append(payload, notice(18456, 14, "Login failed for user 'u'."));
        append(payload, done(tds_done_error));
        tds_login_answer a, again;
        assert_int_equal(parse(payload, a), e::none);
        bytes packets, expected = notice(5701, 0, "x", version);
        append(expected, notice(4060, 11, "Cannot open database \"x\" requested by the login.", version));
        append(expected, notice(18456, 14, "Login failed for user 'u'.", version));
        append(expected, done(tds_done_error, version));
        tds_login_refusal_build(a, version, 77, packets);
        assert_true(payload_of(packets, 77) == expected);
    }
}

// In Babelfish's own order, which has the collation behind the language, but for the packet size.
static void test_recorded_answer_again(void **) {
    tds_login_answer a;
    bytes recorded = recorded_answer("freetds-tsql");
    assert_int_equal(parse(recorded, a), e::none);
    tds_login_reply reply;
    reply.client_version = tds_7_4;
    reply.packet_size = reply.packet_size_asked = 4096;
    bytes expected(recorded.begin(), recorded.end() - 13);
    append(expected, env(tds_env_packet_size, "4096", "4096"));
    append(expected, done());
    assert_true(build(a, reply) == expected);
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_answer_for_another_client),
        cmocka_unit_test(test_bytes_of_a_small_answer),
        cmocka_unit_test(test_features_only_as_asked),
        cmocka_unit_test(test_fedauth_is_acknowledged),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_old_environment),
        cmocka_unit_test(test_other_database_and_language),
        cmocka_unit_test(test_notices_are_the_servers),
        cmocka_unit_test(test_packet_size_when_nothing_was_asked),
        cmocka_unit_test(test_sspi_and_user_instance_go_on),
        cmocka_unit_test(test_routing_and_mirror_stay_here),
        cmocka_unit_test(test_long_answer_in_small_packets),
        cmocka_unit_test(test_refusal_goes_on_as_it_came),
        cmocka_unit_test(test_recorded_answer_again),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
