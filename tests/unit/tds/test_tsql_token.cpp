// Tokens: their kinds, their places, and what of a quotation reaches who wants it.
#include <algorithm>
#include <string>
#include <vector>

#include "cmocka_cpp.h"

#include "tds/bytes.h"
#include "tds/tsql_token.h"
#include "tds/utf16.h"

struct tokens_seen {
    std::string tokens;  // kind and text, one behind the other
    std::string content; // of wanted quotations
    bool wants = false;
};

static void on_token(void *who, const tsql_token &t) {
    // word, variable, name in brackets, either, text, number, symbol, odd
    static constexpr char letters[] = "wvbetns!";
    auto &seen = *static_cast<tokens_seen *>(who);
    std::vector<uint8_t> wire;
    for (char16_t c : t.text)
        put_u16le(wire, c);
    char kind = letters[static_cast<size_t>(t.kind)];
    seen.tokens.append(seen.tokens.empty() ? "" : " ").push_back(kind);
    seen.tokens.append(std::to_string(t.at)).append("-").append(std::to_string(t.end)).append(":");
    if (t.kind == tsql_token_kind::symbol)
        seen.tokens.append(t.symbol == tsql_symbol_scope ? "::" : std::string(1, static_cast<char>(t.symbol)));
    else
        seen.tokens.append(tds_utf8(wire));
}

static bool on_wants(void *who) {
    return static_cast<tokens_seen *>(who)->wants;
}

static void on_content(void *who, std::span<const uint8_t> utf16) {
    static_cast<tokens_seen *>(who)->content.append(tds_utf8(utf16));
}

static tokens_seen seen_in(std::string_view text, size_t piece, bool &complete, bool wants = false) {
    std::vector<uint8_t> wire;
    tds_utf16_append(text, SIZE_MAX, wire);
    tokens_seen seen;
    seen.wants = wants;
    tsql_tokenizer t;
    tsql_tokens_begin(t, {&seen, on_token, on_wants, on_content});
    for (size_t at = 0; at < wire.size(); at += piece)
        tsql_tokens_feed(t, std::span(wire).subspan(at, std::min(piece, wire.size() - at)));
    complete = tsql_tokens_end(t);
    return seen;
}

// In pieces of every size.
static void check(std::string_view text, const char *tokens, bool ends_well = true) {
    for (size_t piece = 1; piece <= 2 * text.size() + 1; ++piece) {
        bool complete = false;
        tokens_seen seen = seen_in(text, piece, complete);
        assert_string_equal(seen.tokens.c_str(), tokens);
        assert_int_equal(complete, ends_well);
    }
}

static void test_words(void **) {
    check("", "");
    check("select a1", "w0-6:select w7-9:a1");
    check("@a @@b #t ##t a@b", "v0-2:@a v3-6:@@b w7-9:#t w10-13:##t w14-17:a@b");
    check("zażółć", "w0-6:zażółć");
    check("x, N y", "w0-1:x s1-2:, w3-4:N w5-6:y");
    check("select@@spid", "!0-12:select@@spid");
    check("into#t", "!0-6:into#t");
}

static void test_numbers(void **) {
    check("1 1.5 .5 0x1F 1e5 1.5E-3", "n0-1:1 n2-5:1.5 s6-7:. n7-8:5 n9-13:0x1F n14-17:1e5 n18-24:1.5E-3");
    check("1a 0xg 1+2", "n0-1:1 w1-2:a n3-5:0x w5-6:g n7-8:1 s8-9:+ n9-10:2");
    check("1e", "n0-2:1e");
    check("1else", "!0-2:1e w2-5:lse");
    check("00x1", "n0-2:00 w2-4:x1");
}

static void test_quotations(void **) {
    check("'a''b'", "t0-6:a'b");
    check("N'a' n'b' xN'c'", "t0-4:a t5-9:b w10-12:xN t12-15:c");
    check("[a]]b] \"c\"\"d\"", "b0-6:a]b e7-13:c\"d");
    check("'a'[b]\"c\"", "t0-3:a b3-6:b e6-9:c");
    check("''", "t0-2:");
    check("'a", "", false);
    check("'a''", "", false);
    check("[a", "", false);
}

static void test_comments(void **) {
    check("a--b\nc", "w0-1:a w5-6:c");
    check("a--b\r\nc", "w0-1:a w6-7:c");
    check("a--b\rc", "w0-1:a !5-5: w5-6:c");
    check("a/*b*/c", "w0-1:a w6-7:c");
    check("a/*b/*c*/d*/e", "w0-1:a w12-13:e");
    check("/***/a", "w5-6:a");
    check("/*/a*/b", "w6-7:b");
    check("/*/*/a*/", "", false);
    check("a--", "w0-1:a");
    check("a/*", "w0-1:a", false);
    check("a-b/c*d", "w0-1:a s1-2:- w2-3:b s3-4:/ w4-5:c s5-6:* w6-7:d");
    check("-", "s0-1:-");
    check("/", "s0-1:/");
}

static void test_symbols(void **) {
    check("a::b c:d:", "w0-1:a s1-3::: w3-4:b w5-6:c s6-7:: w7-8:d s8-9::");
    check("(a)=;", "s0-1:( w1-2:a s2-3:) s3-4:= s4-5:;");
    check("a→b", "w0-1:a !1-2: w2-3:b");
    check("\xc2\xa0"
          "a\xe3\x80\x80"
          "b",
          "w1-2:a w3-4:b"); // no-break and ideographic space
}

static void test_content(void **) {
    for (size_t piece = 1; piece < 20; ++piece) {
        bool complete = false;
        tokens_seen seen = seen_in("x 'a''b' [c] \"d\"\"\"", piece, complete, true);
        assert_string_equal(seen.content.c_str(), "a'bd\"");
        assert_true(complete);
    }
}

static void test_long_text(void **) {
    bool complete = false;
    std::string text(tsql_token_max + 10, 'x');
    tokens_seen seen = seen_in("'" + text + "'", 7, complete, true);
    assert_true(seen.content == text);
    assert_true(seen.tokens == "t0-524:" + text.substr(0, tsql_token_max));
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_words),     cmocka_unit_test(test_numbers), cmocka_unit_test(test_quotations),
        cmocka_unit_test(test_comments),  cmocka_unit_test(test_symbols), cmocka_unit_test(test_content),
        cmocka_unit_test(test_long_text),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
