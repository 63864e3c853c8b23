// UTF-16LE to UTF-8 and back.
#include "cmocka_cpp.h"

#include "tds/utf16.h"

using bytes = std::vector<uint8_t>;

static bytes wire_of(std::initializer_list<unsigned> units) {
    bytes w;
    for (unsigned u : units) {
        w.push_back(static_cast<uint8_t>(u));
        w.push_back(static_cast<uint8_t>(u >> 8));
    }
    return w;
}

static void test_to_utf8(void **) {
    assert_string_equal(tds_utf8(wire_of({'a', 0xe4, 0x20ac, 0xd83d, 0xde00})).c_str(),
                        "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
    assert_int_equal(tds_utf8({}).size(), 0);
    assert_int_equal(tds_utf8(wire_of({0, 'x'})).size(), 2);
}

static void test_lone_surrogates(void **) {
    static constexpr char bad[] = "\xef\xbf\xbd";
    assert_string_equal(tds_utf8(wire_of({0xd83d})).c_str(), bad);
    assert_string_equal(tds_utf8(wire_of({0xde00})).c_str(), bad);
    assert_string_equal(tds_utf8(wire_of({0xd83d, 'x'})).c_str(), "\xef\xbf\xbdx");
    assert_string_equal(tds_utf8(wire_of({0xd83d, 0xd83d, 0xde00})).c_str(), "\xef\xbf\xbd\xf0\x9f\x98\x80");
}

static void test_odd_byte_is_ignored(void **) {
    bytes w = wire_of({'a'});
    w.push_back('b');
    assert_string_equal(tds_utf8(w).c_str(), "a");
}

// Every code point there and back.
static void test_round_trip(void **) {
    for (unsigned c = 0; c <= 0x10ffff; c += c < 0x900 || (c > 0xd700 && c < 0xe100) || c > 0x10ff00 ? 1 : 97) {
        if (c >= 0xd800 && c <= 0xdfff)
            continue;
        bytes w =
            c < 0x10000 ? wire_of({c}) : wire_of({0xd800 + ((c - 0x10000) >> 10), 0xdc00 + ((c - 0x10000) & 0x3ff)});
        std::string text = tds_utf8(w);
        bytes back;
        assert_int_equal(tds_utf16_append(text, 10, back), w.size() / 2);
        assert_true(back == w);
    }
}

static void test_malformed_utf8(void **) {
    struct {
        std::string_view text;
        bytes wire;
    } cases[] = {
        {"\x80", wire_of({0xfffd})},
        {"\xc3", wire_of({0xfffd})},
        {"\xc0\xaf", wire_of({0xfffd, 0xfffd})},
        {"\xe0\x80\x80x", wire_of({0xfffd, 0xfffd, 0xfffd, 'x'})},
        {"\xed\xa0\x80", wire_of({0xfffd, 0xfffd, 0xfffd})},
        {"\xf4\x90\x80\x80", wire_of({0xfffd, 0xfffd, 0xfffd, 0xfffd})},
        {"\xff\xfe", wire_of({0xfffd, 0xfffd})},
        {"\xf0\x9f\x98", wire_of({0xfffd, 0xfffd, 0xfffd})},
    };
    for (const auto &c : cases) {
        bytes w;
        tds_utf16_append(c.text, 100, w);
        assert_true(w == c.wire);
    }
}

static void test_limit_keeps_pairs_whole(void **) {
    bytes w;
    assert_int_equal(tds_utf16_append("ab\xf0\x9f\x98\x80", 3, w), 2);
    assert_true(w == wire_of({'a', 'b'}));
    w.clear();
    assert_int_equal(tds_utf16_append("abc", 0, w), 0);
    assert_true(w.empty());
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_to_utf8),
        cmocka_unit_test(test_lone_surrogates),
        cmocka_unit_test(test_odd_byte_is_ignored),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_malformed_utf8),
        cmocka_unit_test(test_limit_keeps_pairs_whole),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
