// Keyed digests and comparisons.
#include "tls/digest.h"

#include <cstring>
#include <string>

#include "cmocka_cpp.h" // last: it defines fail()

// RFC 4231 test case 2 has a shorter key: HMAC pads with zeros, so it is the same key filled up with zeros.
static void it_is_hmac_sha256(void **) {
    digest_key key;
    memcpy(key.bytes.data(), "Jefe", 4);
    digest made;
    assert_true(digest_make(key, "what do ya want for nothing?", made));
    static const uint8_t expected[] = {0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e, 0x6a, 0x04, 0x24,
                                       0x26, 0x08, 0x95, 0x75, 0xc7, 0x5a, 0x00, 0x3f, 0x08, 0x9d, 0x27,
                                       0x39, 0x83, 0x9d, 0xec, 0x58, 0xb9, 0x64, 0xec, 0x38, 0x43};
    assert_memory_equal(made.data(), expected, sizeof expected);
}

static void equal_secrets_only_have_equal_digests(void **) {
    digest_key key, other_key;
    assert_true(digest_key_create(key) && digest_key_create(other_key));
    assert_memory_not_equal(key.bytes.data(), other_key.bytes.data(), key.bytes.size());
    digest a, again, longer, empty, other;
    assert_true(digest_make(key, "secret", a) && digest_make(key, std::string("secret"), again));
    assert_true(digest_make(key, std::string_view("secret\0", 7), longer) && digest_make(key, {}, empty));
    assert_true(digest_make(other_key, "secret", other));
    assert_true(digest_equal(a, again));
    assert_false(digest_equal(a, longer) || digest_equal(a, empty) || digest_equal(a, other));
    for (size_t i = 0; i < a.size(); ++i) {
        again[i] ^= 1;
        assert_false(digest_equal(a, again));
        again[i] ^= 1;
    }
}

static void texts_are_compared_whole(void **) {
    assert_true(constant_time_equal("", "") && constant_time_equal("sa", "sa") && constant_time_equal({}, ""));
    for (const char *other : {"", "s", "sA", "saa", "sb", "xa", "sas", "ss"})
        assert_false(constant_time_equal("sa", other) || constant_time_equal(other, "sa"));
    assert_false(constant_time_equal("aa", "a") ||
                 constant_time_equal("aaaa", "aa")); // what is read again past the end
    assert_false(constant_time_equal(std::string_view("\0", 1), ""));
    assert_true(constant_time_equal(std::string_view("a\0b", 3), std::string_view("a\0b", 3)));
    assert_false(constant_time_equal(std::string_view("a\0b", 3), std::string_view("a\0c", 3)));
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(it_is_hmac_sha256),
        cmocka_unit_test(equal_secrets_only_have_equal_digests),
        cmocka_unit_test(texts_are_compared_whole),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
