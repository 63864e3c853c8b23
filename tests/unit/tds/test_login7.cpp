// LOGIN7: what a stranger may send, and what is refused.
#include <random> // before cmocka.h, which makes `fail` a macro

#include "cmocka_cpp.h"

#include <string>
#include <vector>

#include "tds/captures.h"
#include "tds/login7.h"

static void set16(bytes &b, size_t at, unsigned v) {
    b[at] = static_cast<uint8_t>(v);
    b[at + 1] = static_cast<uint8_t>(v >> 8);
}

static void set32(bytes &b, size_t at, unsigned v) {
    set16(b, at, v & 0xffff);
    set16(b, at + 2, v >> 16);
}

// A LOGIN7 with all fields empty; areas are appended by `put`.
static bytes login(uint32_t version = tds_7_4) {
    size_t fixed = tds_version_is_wide(version) ? 94 : 86;
    bytes b(fixed, 0);
    set32(b, 0, static_cast<unsigned>(fixed));
    set32(b, 4, version);
    set16(b, 36, static_cast<unsigned>(fixed));
    return b;
}

static void put(bytes &b, size_t field, const bytes &area, unsigned count) {
    set16(b, field, static_cast<unsigned>(b.size()));
    set16(b, field + 2, count);
    b.insert(b.end(), area.begin(), area.end());
    set32(b, 0, static_cast<unsigned>(b.size()));
}

static void put_features(bytes &b, const bytes &block) {
    b[27] |= tds_flags3_extension;
    put(b, 56, {0, 0, 0, 0}, 4);
    set32(b, b.size() - 4, static_cast<unsigned>(b.size()));
    b.insert(b.end(), block.begin(), block.end());
    set32(b, 0, static_cast<unsigned>(b.size()));
}

static tds_login7_error parse(const bytes &payload, tds_login7 &l) {
    static bytes copy; // exact size on the heap: AddressSanitizer sees any read behind it
    copy = payload;
    copy.shrink_to_fit();
    return tds_login7_parse(copy, l);
}

static tds_login7_error parse(const bytes &payload) {
    tds_login7 l;
    return parse(payload, l);
}

using e = tds_login7_error;

static void test_empty_login_is_legal(void **) {
    for (uint32_t v : {tds_7_0, tds_7_1, tds_7_1_sp1, tds_7_2, tds_7_3a, tds_7_3b, tds_7_4, tds_8_0}) {
        tds_login7 l;
        assert_int_equal(parse(login(v), l), e::none);
        assert_int_equal(l.tds_version, v);
        assert_true(l.user_name.empty() && l.password.size == 0 && l.sspi.empty() && l.features.empty());
    }
}

static void test_versions(void **) {
    assert_int_equal(tds_version_known(0x74000004), tds_7_4);
    assert_int_equal(tds_version_known(0x75000000), tds_7_4);
    assert_int_equal(tds_version_known(0x730a0004), tds_7_3a);
    assert_int_equal(tds_version_known(0x72090001), tds_7_1_sp1);
    assert_int_equal(tds_version_known(0x71000000), tds_7_1);
    assert_int_equal(tds_version_known(0x70000001), tds_7_0);
    assert_int_equal(tds_version_known(0x6fffffff), 0);
    assert_int_equal(tds_version_known(tds_8_0), tds_8_0);
    assert_int_equal(tds_version_known(0x08000001), 0);
    assert_false(tds_version_is_wide(tds_7_1_sp1));
    assert_true(tds_version_is_wide(tds_7_2) && tds_version_is_wide(tds_8_0));
}

static void test_length_must_be_the_messages(void **) {
    for (int change : {-1, 1, 1000, -94}) {
        bytes b = login();
        set32(b, 0, static_cast<unsigned>(94 + change));
        assert_int_equal(parse(b), e::bad_length);
    }
    assert_int_equal(parse(bytes(85, 0)), e::truncated);
    assert_int_equal(parse({}), e::truncated);
}

static void test_version_decides_the_fixed_part(void **) {
    bytes b = login(tds_7_1);
    set32(b, 4, tds_7_4); // the 86-byte form with TDS 7.4
    assert_int_equal(parse(b), e::truncated);
    b.resize(120);
    set32(b, 0, 120);
    assert_int_equal(parse(b), e::bad_layout);
    b = login();
    set16(b, 36, 0);
    assert_int_equal(parse(b), e::bad_layout);
    b = login();
    set32(b, 4, 0x04020000);
    assert_int_equal(parse(b), e::bad_version);
}

static constexpr size_t text_fields[] = {36, 40, 44, 48, 52, 60, 64, 68, 82, 86};

static void test_every_field_is_bounded(void **) {
    for (size_t field : text_fields) {
        bytes b = login();
        b.resize(94 + 20, 0);
        set32(b, 0, 114);
        auto at = [&](unsigned offset, unsigned units) {
            bytes c = b;
            set16(c, field, offset);
            set16(c, field + 2, units);
            return parse(c);
        };
        assert_int_equal(at(94, 10), e::none);
        assert_int_equal(at(94, 11), e::outside);
        assert_int_equal(at(112, 1), e::none);
        assert_int_equal(at(113, 1), e::outside); // odd end
        assert_int_equal(at(114, 1), e::outside);
        assert_int_equal(at(0xffff, 128), e::outside);
        assert_int_equal(at(94, 0xffff), e::too_long);
        assert_int_equal(at(94, field == 82 ? 261 : 129), e::too_long);
        if (field != 36) {
            assert_int_equal(at(0, 0), e::none);
            assert_int_equal(at(0xffff, 0), e::none);
            assert_int_equal(at(30, 1), e::outside);
            assert_int_equal(at(93, 1), e::outside);
        }
    }
}

static void test_long_names(void **) {
    bytes units;
    for (int i = 0; i < 128; ++i)
        units.insert(units.end(), {0xac, 0x20}); // the euro sign, three bytes of UTF-8
    bytes b = login();
    put(b, 40, units, 128);
    bytes secret = units;
    for (uint8_t &x : secret) {
        x = static_cast<uint8_t>(x << 4 | x >> 4);
        x ^= 0xa5;
    }
    put(b, 44, secret, 128);
    tds_login7 l;
    assert_int_equal(parse(b, l), e::none);
    assert_int_equal(l.user_name.size(), 384);
    assert_true(tds_secret_view(l.password) == l.user_name);
    tds_secret_wipe(l.password);
    assert_int_equal(l.password.size, 0);
    for (char c : l.password.text)
        assert_int_equal(c, 0);
}

static void test_password_check_value(void **) {
    uint8_t wire[] = {0xb3, 0xa5};
    tds_password_decode(wire);
    assert_int_equal(wire[0], 'a');
    assert_int_equal(wire[1], 0);
}

// What fails leaves no secret behind.
static void test_failure_wipes(void **) {
    bytes b = login();
    put(b, 44, {0xb3, 0xa5}, 1);
    set16(b, 78, 0xfff0);
    set16(b, 80, 10);
    tds_login7 l;
    assert_int_equal(parse(b, l), e::outside);
    assert_int_equal(l.password.size, 0);
    assert_int_equal(l.password.text[0], 0);
}

static void test_sspi_lengths(void **) {
    for (unsigned size : {1U, 65534U, 65535U, 65536U, 100000U}) {
        bytes b = login();
        put(b, 78, bytes(size, 7), std::min(size, 0xffffU));
        if (size >= 65535)
            set32(b, 90, size);
        tds_login7 l;
        assert_int_equal(parse(b, l), e::none);
        assert_int_equal(l.sspi.size(), size);
        if (size >= 65535) {
            set32(b, 90, size + 1);
            assert_int_equal(parse(b), e::outside);
            set32(b, 90, 0xffffffff);
            assert_int_equal(parse(b), e::outside);
            set32(b, 90, 0);
            assert_int_equal(parse(b, l), e::none);
            assert_int_equal(l.sspi.size(), 65535);
        }
    }
    bytes b = login(tds_7_1); // there is no long length before 7.2
    put(b, 78, bytes(65535, 7), 65535);
    tds_login7 l;
    assert_int_equal(parse(b, l), e::none);
    assert_int_equal(l.sspi.size(), 65535);
}

static void test_features(void **) {
    bytes b = login();
    put_features(b, {0x0a, 1, 0, 0, 0, 1, 0x01, 0, 0, 0, 0, 0x77, 3, 0, 0, 0, 9, 9, 9, 0xff});
    tds_login7 l;
    assert_int_equal(parse(b, l), e::none);
    auto rest = l.features;
    tds_feature f{};
    assert_true(tds_feature_next(rest, f) && f.id == 0x0a && f.data.size() == 1);
    assert_true(tds_feature_next(rest, f) && f.id == 0x01 && f.data.empty());
    assert_true(tds_feature_next(rest, f) && f.id == 0x77 && f.data.size() == 3);
    assert_false(tds_feature_next(rest, f));
    assert_true(rest.empty());
}

static e features_error(const bytes &block) {
    bytes b = login();
    put_features(b, block);
    return parse(b);
}

static void test_bad_features(void **) {
    assert_int_equal(features_error({0xff}), e::none);
    assert_int_equal(features_error({}), e::bad_extension);
    assert_int_equal(features_error({0x0a, 1, 0, 0, 0, 1}), e::bad_extension); // no end
    assert_int_equal(features_error({0x0a, 1, 0, 0}), e::bad_extension);
    assert_int_equal(features_error({0x0a, 0xff, 0xff, 0xff, 0xff, 1, 0xff}), e::bad_extension);
    assert_int_equal(features_error({0x0a, 3, 0, 0, 0, 1, 0xff}), e::bad_extension);
    assert_int_equal(features_error({1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0xff}), e::bad_extension); // twice
    bytes many;
    for (int i = 0; i < 10000; ++i)
        many.insert(many.end(), {static_cast<uint8_t>(i % 255), 0, 0, 0, 0});
    many.push_back(0xff);
    assert_int_equal(features_error(many), e::bad_extension);
}

static void test_bad_feature_pointer(void **) {
    bytes b = login();
    put_features(b, {0xff});
    size_t pointer = 94;
    bytes c = b;
    set32(c, pointer, 0);
    assert_int_equal(parse(c), e::none); // no features
    for (unsigned offset : {1U, 93U, 99U, 0x7fffffffU, 0xffffffffU}) {
        c = b;
        set32(c, pointer, offset);
        assert_int_equal(parse(c), e::bad_extension);
    }
    c = b;
    set16(c, 58, 3);
    assert_int_equal(parse(c), e::bad_extension);
    c = b;
    set16(c, 56, 97);
    assert_int_equal(parse(c), e::outside);
    c = b;
    c[27] = 0; // without the flag the field means nothing
    set16(c, 56, 0xffff);
    assert_int_equal(parse(c), e::none);
}

static void test_lone_surrogates_and_nul_in_names(void **) {
    bytes b = login();
    put(b, 40, {0x3d, 0xd8, 'x', 0, 0, 0, ']', 0}, 4);
    tds_login7 l;
    assert_int_equal(parse(b, l), e::none);
    assert_true(l.user_name == std::string("\xef\xbf\xbdx\0]", 6));
}

// Real logins with any one byte changed, and with bytes changed at random.
static void test_mangled_captures(void **) {
    std::mt19937 random(7);
    for (const captured_client &client : captured_clients) {
        bytes wire = capture_read(client.name);
        size_t begin = (client.prelogin ? static_cast<size_t>(wire[2] << 8 | wire[3]) : 0) + 8;
        bytes payload(wire.begin() + static_cast<long>(begin), wire.end());
        for (size_t i = 0; i < std::min<size_t>(payload.size(), 94); ++i)
            for (unsigned v = 0; v < 256; v += 3) {
                bytes changed = payload;
                changed[i] = static_cast<uint8_t>(v);
                (void)parse(changed);
            }
        for (int round = 0; round < 2000; ++round) {
            bytes changed = payload;
            for (auto k = random() % 6; k-- > 0;)
                changed[4 + random() % (changed.size() - 4)] = static_cast<uint8_t>(random());
            (void)parse(changed);
        }
    }
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_empty_login_is_legal),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_length_must_be_the_messages),
        cmocka_unit_test(test_version_decides_the_fixed_part),
        cmocka_unit_test(test_every_field_is_bounded),
        cmocka_unit_test(test_long_names),
        cmocka_unit_test(test_password_check_value),
        cmocka_unit_test(test_failure_wipes),
        cmocka_unit_test(test_sspi_lengths),
        cmocka_unit_test(test_features),
        cmocka_unit_test(test_bad_features),
        cmocka_unit_test(test_bad_feature_pointer),
        cmocka_unit_test(test_lone_surrogates_and_nul_in_names),
        cmocka_unit_test(test_mangled_captures),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
