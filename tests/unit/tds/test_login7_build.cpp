// LOGIN7 as the proxy sends it: what is built is what the parser reads, for every recorded client and for the corners.
#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "cmocka_cpp.h"

#include "tds/bytes.h"
#include "tds/captures.h"
#include "tds/login7_build.h"
#include "tds/packet.h"

// Payload of the LOGIN7 that a recorded client sent.
static bytes recorded_login7(const char *name) {
    bytes wire = capture_read(name);
    assert_false(wire.empty());
    tds_message_reader r;
    for (size_t at = 0, used = 0; at < wire.size(); at += used) {
        tds_message_start(r, 0, 4096, 100000);
        assert_int_equal(tds_message_read(r, std::span(wire).subspan(at), used), tds_read_result::complete);
    }
    assert_int_equal(r.type, tds_type_login7);
    return {tds_message_payload(r).begin(), tds_message_payload(r).end()};
}

static void parse(const bytes &payload, tds_login7 &out) {
    tds_login7_error error = tds_login7_parse(payload, out);
    assert_string_equal(tds_login7_error_text(error), "no error");
}

static bytes build(const tds_login7_request &request) {
    bytes payload;
    assert_true(tds_login7_build(request, payload));
    return payload;
}

static bytes copy_of(std::span<const uint8_t> s) {
    return {s.begin(), s.end()};
}

static void check_equal_texts(const tds_login7 &a, const tds_login7 &b) {
    assert_string_equal(a.host_name.c_str(), b.host_name.c_str());
    assert_string_equal(a.user_name.c_str(), b.user_name.c_str());
    assert_string_equal(a.app_name.c_str(), b.app_name.c_str());
    assert_string_equal(a.server_name.c_str(), b.server_name.c_str());
    assert_string_equal(a.library_name.c_str(), b.library_name.c_str());
    assert_string_equal(a.language.c_str(), b.language.c_str());
    assert_string_equal(a.database.c_str(), b.database.c_str());
    assert_string_equal(a.attach_file.c_str(), b.attach_file.c_str());
    assert_true(tds_secret_view(a.password) == tds_secret_view(b.password));
    assert_true(tds_secret_view(a.new_password) == tds_secret_view(b.new_password));
}

static void check_equal(const tds_login7 &a, const tds_login7 &b) {
    check_equal_texts(a, b);
    assert_int_equal(a.tds_version, b.tds_version);
    assert_int_equal(a.packet_size, b.packet_size);
    assert_int_equal(a.program_version, b.program_version);
    assert_int_equal(a.process_id, b.process_id);
    assert_int_equal(a.flags1, b.flags1);
    assert_int_equal(a.flags2, b.flags2);
    assert_int_equal(a.type_flags, b.type_flags);
    assert_int_equal(a.time_zone, b.time_zone);
    assert_int_equal(a.lcid, b.lcid);
    assert_memory_equal(a.client_id, b.client_id, sizeof a.client_id);
    assert_true(copy_of(a.sspi) == copy_of(b.sspi));
    assert_true(copy_of(a.features) == copy_of(b.features));
}

static void test_recorded_clients_again(void **) {
    for (const captured_client &client : captured_clients) {
        bytes recorded = recorded_login7(client.name);
        tds_login7 before, after;
        parse(recorded, before);
        bytes again = build(tds_login7_request_of(before));
        parse(again, after);
        check_equal(before, after);
        uint8_t expected = tds_version_is_wide(client.tds_version) ? client.flags[3] : 0;
        if (!client.utf8_feature)
            expected = static_cast<uint8_t>(expected & ~tds_flags3_extension);
        assert_int_equal(after.flags3, expected);
        assert_int_equal(get_u16le(&again[36]), tds_version_is_wide(client.tds_version) ? 94 : 86);
        assert_true(tds_secret_view(after.password) == "Lab_12345678");
    }
}

// The bytes of the password area, from the specification's own check value: 'a' is 61 00, sent as B3 A5.
static void test_password_is_obfuscated(void **) {
    tds_login7_request request;
    request.password = "a";
    request.user_name = "a";
    bytes payload = build(request);
    size_t at = get_u16le(&payload[44]);
    assert_int_equal(get_u16le(&payload[46]), 1);
    assert_int_equal(payload[at], 0xb3);
    assert_int_equal(payload[at + 1], 0xa5);
    assert_int_equal(payload[get_u16le(&payload[40])], 0x61);
}

static void test_every_field_at_its_limit(void **) {
    std::string name(300, 'n'), file(300, 'f'), pass;
    for (int i = 0; i < 150; ++i)
        pass += "\xe2\x82\xac"; // euro sign: three bytes, one unit
    tds_login7_request request;
    request.host_name = request.user_name = request.app_name = request.server_name = name;
    request.library_name = request.language = request.database = name;
    request.attach_file = file;
    request.password = request.new_password = pass;
    tds_login7 l;
    bytes payload = build(request);
    parse(payload, l);
    for (const std::string *text :
         {&l.host_name, &l.user_name, &l.app_name, &l.server_name, &l.library_name, &l.language, &l.database})
        assert_int_equal(text->size(), 128);
    assert_int_equal(l.attach_file.size(), 260);
    assert_true(tds_secret_view(l.password) == pass.substr(0, 128 * 3));
    assert_true(tds_secret_view(l.new_password) == pass.substr(0, 128 * 3));
}

static void test_old_form_has_no_new_password(void **) {
    tds_login7_request request;
    request.version = tds_7_1;
    request.new_password = "new";
    request.flags3 = 0x18;
    request.user_name = "u";
    static const uint8_t features[] = {0x0a, 1, 0, 0, 0, 1};
    request.features = features;
    bytes payload = build(request);
    assert_int_equal(get_u16le(&payload[36]), 86);
    assert_int_equal(payload[27], 0);
    tds_login7 l;
    parse(payload, l);
    assert_int_equal(l.new_password.size, 0);
    assert_true(l.features.empty());
    assert_int_equal(payload.size(), 86 + 2);
}

// FeatureExt came with 7.4; a server of 7.3 would take the bit for something else.
static void test_extension_bit_follows_the_features(void **) {
    static const uint8_t features[] = {0x0a, 1, 0, 0, 0, 1, 0x04, 1, 0, 0, 0, 3};
    struct {
        uint32_t version;
        bool given, expected;
    } cases[] = {{tds_7_4, true, true}, {tds_8_0, true, true}, {tds_7_3b, true, false}, {tds_7_4, false, false}};
    for (const auto &c : cases) {
        tds_login7_request request;
        request.version = c.version;
        request.flags3 = c.expected ? 0x08 : 0x18;
        if (c.given)
            request.features = features;
        bytes payload = build(request);
        assert_int_equal(payload[27], c.expected ? 0x18 : 0x08);
        tds_login7 l;
        parse(payload, l);
        assert_int_equal(l.features.size(), c.expected ? sizeof features : 0);
    }
}

// Babelfish reads on from one field to the next: with the extension's pointer behind the database it waited for more.
static void test_fields_lie_in_their_order(void **) {
    static const uint8_t features[] = {0x0a, 1, 0, 0, 0, 1};
    tds_login7_request request;
    request.version = tds_7_4;
    request.host_name = "h", request.user_name = "u", request.password = "p", request.app_name = "a";
    request.server_name = "s", request.library_name = "l", request.language = "g", request.database = "d";
    request.features = features;
    bytes payload = build(request);
    size_t end = 94;
    for (size_t field = 36; field <= 68; field += 4) {
        assert_int_equal(get_u16le(&payload[field]), end);
        end += field == 56 ? 4 : 2U * get_u16le(&payload[field + 2]);
    }
    tds_login7 l;
    parse(payload, l);
    assert_int_equal(l.features.size(), sizeof features);
}

static void test_sspi_forms(void **) {
    for (size_t size :
         {size_t{0}, size_t{1}, size_t{5000}, size_t{65534}, size_t{65535}, size_t{65536}, size_t{100000}}) {
        for (uint32_t version : {tds_7_4, tds_7_1}) {
            bytes blob(size, 0x5a);
            static const uint8_t features[] = {0x0a, 1, 0, 0, 0, 1};
            tds_login7_request request;
            request.version = version;
            request.sspi = blob;
            request.features = features;
            bytes payload;
            bool fits = tds_login7_build(request, payload);
            assert_int_equal(fits, version == tds_7_4 || size <= 65535);
            if (!fits) {
                assert_true(payload.empty());
                continue;
            }
            tds_login7 l;
            parse(payload, l);
            assert_true(copy_of(l.sspi) == blob);
            assert_int_equal(l.features.size(), version == tds_7_4 ? sizeof features : 0);
        }
    }
}

static void test_too_long_a_message(void **) {
    tds_login7_request request;
    request.password = "secret";
    bytes payload, blob(tds_login7_max - 94 - 12, 1); // 12: the password
    request.sspi = blob;
    assert_true(tds_login7_build(request, payload));
    assert_int_equal(payload.size(), tds_login7_max);
    blob.push_back(1);
    request.sspi = blob;
    assert_false(tds_login7_build(request, payload));
    assert_true(payload.empty());
    bytes huge(1'000'000, 1);
    request.sspi = {};
    request.features = huge;
    assert_false(tds_login7_build(request, payload));
}

// Growing would leave a copy of the password behind.
static void test_allocated_once(void **) {
    std::string name(128, 'n');
    bytes blob(70000, 7), features{0x02, 0, 0, 1, 0};
    features.resize(5 + 65536, 3);
    tds_login7_request request;
    request.host_name = request.user_name = request.database = request.password = name;
    request.sspi = std::span(blob).first(50000);
    request.features = features;
    bytes payload;
    assert_true(tds_login7_build(request, payload));
    size_t most = 94 + 4 * 256 + 50000 + 4 + features.size() + 1;
    assert_int_equal(payload.size(), most);
    assert_int_equal(payload.capacity(), most);
}

static void test_keep_features(void **) {
    static const uint8_t all[] = {0x10, 2, 0, 0, 0, 'x', 0, 0x01, 0, 0, 0,    0,    0x04, 1, 0, 0, 0, 3,
                                  5,    0, 0, 0, 0, 9,   1, 0,    0, 0, 0x02, 0x0a, 0x01, 0, 0, 0, 1};
    bytes kept = tds_features_keep(all, tds_stream_features);
    bytes expected{0x04, 1, 0, 0, 0, 3, 9, 1, 0, 0, 0, 2, 0x0a, 1, 0, 0, 0, 1};
    assert_true(kept == expected);
    assert_true(tds_features_keep({}, tds_stream_features).empty());
    tds_feature f;
    assert_true(tds_feature_find(all, 9, f));
    assert_int_equal(f.data.size(), 1);
    assert_int_equal(f.data[0], 2);
    assert_false(tds_feature_find(all, 0x0d, f));
    assert_false(tds_feature_find(std::span(all).first(9), 4, f)); // cut: the rest is not guessed
}

static void test_measure_features(void **) {
    size_t size = 99;
    static const uint8_t good[] = {1, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0xff, 0xff, 0x77};
    assert_true(tds_features_measure(good, size));
    assert_int_equal(size, 11); // the 0xff inside feature 4 ends nothing
    assert_false(tds_features_measure(std::span(good).first(11), size));
    static const uint8_t twice[] = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0xff};
    assert_false(tds_features_measure(twice, size));
    static const uint8_t giant[] = {1, 0xff, 0xff, 0xff, 0xff, 0xff};
    assert_false(tds_features_measure(giant, size));
}

static void test_fedauth_echo(void **) {
    static const uint8_t features[] = {0x0a, 1, 0, 0, 0, 1, 0x02, 2, 0, 0, 0, 0x04, 0x01};
    tds_login7_request request;
    request.features = features;
    request.user_name = "somebody";
    bytes without = build(request), with = without;
    assert_true(tds_login7_set_fedauth_echo(with, true));
    size_t differing = 0, at = 0;
    for (size_t i = 0; i < with.size(); ++i)
        if (with[i] != without[i]) {
            ++differing;
            at = i;
        }
    assert_int_equal(differing, 1);
    assert_int_equal(with[at], 0x05);
    assert_true(tds_login7_set_fedauth_echo(with, false));
    assert_true(with == without);
    request.features = std::span(features).first(6);
    bytes none = build(request);
    assert_false(tds_login7_set_fedauth_echo(none, true));
    assert_false(tds_login7_set_fedauth_echo(std::span(none).first(50), true));
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded_clients_again),
        cmocka_unit_test(test_password_is_obfuscated),
        cmocka_unit_test(test_every_field_at_its_limit),
        cmocka_unit_test(test_old_form_has_no_new_password),
        cmocka_unit_test(test_extension_bit_follows_the_features),
        cmocka_unit_test(test_fields_lie_in_their_order),
        cmocka_unit_test(test_sspi_forms),
        cmocka_unit_test(test_too_long_a_message),
        cmocka_unit_test(test_allocated_once),
        cmocka_unit_test(test_keep_features),
        cmocka_unit_test(test_measure_features),
        cmocka_unit_test(test_fedauth_echo),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
