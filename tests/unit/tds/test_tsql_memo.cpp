// Texts that are known from before: the same effect as if they were read, whatever else has been seen.
#include "tds/tsql_memo.h"

#include <algorithm>
#include <string>

#include "tds/utf16.h"

#include "cmocka_cpp.h"

struct memo_test {
    tsql_memo memo;
    tsql_scanner *scanner = tsql_scanner_create();
    ~memo_test() { tsql_scanner_destroy(scanner); }
};

static std::vector<uint8_t> utf16(std::string_view text) {
    std::vector<uint8_t> out;
    tds_utf16_append(text, text.size(), out);
    return out;
}

static tsql_effect look_up(memo_test &t, std::string_view text, tsql_scope scope = tsql_scope::batch) {
    tsql_effect effect;
    tsql_memo_scan(t.memo, t.scanner, scope, utf16(text), effect);
    return effect;
}

static tsql_effect read(memo_test &t, std::string_view text, tsql_scope scope = tsql_scope::batch) {
    tsql_effect effect;
    tsql_scan(t.scanner, scope, utf16(text), effect);
    return effect;
}

static const tsql_memo_text *known(const memo_test &t, std::string_view text) {
    for (const tsql_memo_slot &slot : t.memo.slots)
        if (slot.text && slot.text->utf16 == utf16(text))
            return slot.text.get();
    return nullptr;
}

static constexpr const char *texts[] = {
    "SELECT v FROM t WHERE id = @id",
    "SELECT @@ROWCOUNT, SCOPE_IDENTITY()",
    "SET LOCK_TIMEOUT 500; SELECT 1",
    "USE tenant_1",
    "CREATE TABLE #t (id int); INSERT INTO #t VALUES (1)",
    "DECLARE c CURSOR GLOBAL FOR SELECT 1; OPEN c",
    "BEGIN TRAN; UPDATE t SET v = 1; COMMIT",
    "EXEC p @a = 1",
    "EXECUTE AS USER = 'u'",
    "SELECT 'not to the end",
    "",
    " ",
};

static void test_same_effect_however_often_it_comes(void **) {
    memo_test t;
    for (int round = 0; round < 4; ++round)
        for (const char *text : texts)
            for (tsql_scope scope : {tsql_scope::batch, tsql_scope::inner})
                assert_true(look_up(t, text, scope) == read(t, text, scope));
}

// A literal in the text makes it another one each time: nothing is kept of those.
static void test_kept_when_it_comes_twice(void **) {
    memo_test t;
    (void)look_up(t, texts[0]);
    assert_null(known(t, texts[0]));
    (void)look_up(t, texts[0]);
    assert_non_null(known(t, texts[0]));
    assert_int_equal(t.memo.bytes, utf16(texts[0]).size());
}

static void test_scopes_are_kept_apart(void **) {
    memo_test t;
    for (int round = 0; round < 3; ++round) {
        assert_false(look_up(t, "SET LOCK_TIMEOUT 1", tsql_scope::batch).sets.empty());
        assert_true(look_up(t, "SET LOCK_TIMEOUT 1", tsql_scope::inner).sets.empty());
    }
}

// Two texts with the same hash, by force.
static void test_all_of_the_text_is_compared(void **) {
    memo_test t;
    for (int round = 0; round < 2; ++round)
        (void)look_up(t, "SELECT 1");
    for (tsql_memo_slot &slot : t.memo.slots)
        if (slot.text)
            slot.text.reset(new tsql_memo_text{tsql_scope::batch, utf16("USE ten1"), read(t, "USE ten1")});
    assert_true(look_up(t, "SELECT 1") == read(t, "SELECT 1"));
    assert_true(look_up(t, "SELECT 1") == read(t, "SELECT 1"));
    assert_non_null(known(t, "SELECT 1"));
}

static void test_passwords_are_not_kept(void **) {
    memo_test t;
    static constexpr const char *secrets[] = {
        "CREATE LOGIN l WITH PASSWORD = 'x'",
        "alter login l with Password = 'x'",
        "OPEN SYMMETRIC KEY k DECRYPTION BY PASSWORD = 'x'",
        "EXEC sp_addlogin 'l', 'x'",
        "sp_setapprole 'r', 'x'",
    };
    for (int round = 0; round < 3; ++round)
        for (const char *text : secrets)
            assert_true(look_up(t, text) == read(t, text));
    assert_int_equal(t.memo.bytes, 0);
}

static void test_memory_is_bounded(void **) {
    memo_test t;
    size_t peak = 0;
    for (int i = 0; i < 3000; ++i) {
        std::string text = "SELECT '" + std::to_string(i) + std::string(tsql_memo_text_max / 2 - 20, 'x') + "'";
        for (int round = 0; round < 2; ++round)
            assert_true(look_up(t, text).lone_select);
        peak = std::max(peak, t.memo.bytes);
    }
    assert_in_range(peak, tsql_memo_bytes_max / 2, tsql_memo_bytes_max);
    size_t sum = 0;
    for (const tsql_memo_slot &slot : t.memo.slots)
        sum += slot.text ? slot.text->utf16.size() : 0;
    assert_int_equal(t.memo.bytes, sum);
    std::string too_long = "SELECT '" + std::string(tsql_memo_text_max / 2, 'x') + "'";
    for (int round = 0; round < 3; ++round)
        assert_true(look_up(t, too_long).lone_select);
    assert_null(known(t, too_long));
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_same_effect_however_often_it_comes),
        cmocka_unit_test(test_kept_when_it_comes_twice),
        cmocka_unit_test(test_scopes_are_kept_apart),
        cmocka_unit_test(test_all_of_the_text_is_compared),
        cmocka_unit_test(test_passwords_are_not_kept),
        cmocka_unit_test(test_memory_is_bounded),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
