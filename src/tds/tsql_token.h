// Cuts T-SQL text into tokens, as it comes. Pure; UTF-16LE in pieces that may end anywhere, inside a unit too.
//
// A text in "..." may be a name or a literal: QUOTED_IDENTIFIER says which, and that is the server's business. It is a
// kind of its own (either) and must mean the same both ways to whoever reads the tokens.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "tds/tsql_scan.h"
#include "tds/tsql_word.h"

enum class tsql_token_kind : uint8_t {
    word,     // name, #t, ##t
    variable, // @v, @@v
    name,     // [..], text without the brackets
    either,   // ".."
    text,     // '..', N'..'
    number,   // 1.5e3, 0x1F
    symbol,   // one unit, or ::
    odd,      // what T-SQL has no use for, or what servers may cut in another way
};

struct tsql_token {
    tsql_token_kind kind;
    tsql_word word;   // of a word or a variable that is known
    char16_t symbol;  // of a symbol; u'\u2237' for ::
    bool cut;         // the text is longer than tsql_token_max
    uint64_t at, end; // in units from the text's beginning
    std::u16string_view text;
};
inline constexpr char16_t tsql_symbol_scope = u'\u2237';

// Who takes the tokens.
struct tsql_token_sink {
    void *who;
    void (*token)(void *who, const tsql_token &);
    // Asked where a text or an either begins: whether its whole content is wanted, doubled quotes made single.
    bool (*wants)(void *who);
    void (*content)(void *who, std::span<const uint8_t> utf16);
};

enum class tsql_lex : uint8_t {
    start,
    word,
    digits, // of a number: 1, 0 (maybe 0x), behind the point, behind e, behind e and its sign, behind 0x
    zero,
    fraction,
    exponent,
    exponent_digits,
    hex,
    dash, // of a comment?
    slash,
    colon,
    line_comment,
    line_comment_cr,
    comment,
    comment_star,
    comment_slash,
    quoted, // '..', "..", [..]
    quoted_quote,
};

struct tsql_tokenizer {
    tsql_token_sink sink;
    tsql_lex state;
    tsql_token_kind quoted_kind;
    char16_t quote; // that ends it
    bool wanted;    // its content goes to the sink
    bool has_half;
    uint8_t half;      // the first byte of a unit
    unsigned comments; // how deep
    uint64_t at;       // of the next unit
    uint64_t token_at;
    bool cut;
    size_t size;
    char16_t text[tsql_token_max];
};

void tsql_tokens_begin(tsql_tokenizer &, const tsql_token_sink &);
void tsql_tokens_feed(tsql_tokenizer &, std::span<const uint8_t> utf16);
// The text's end. False: it ends inside a comment, a quotation or a unit.
[[nodiscard]] bool tsql_tokens_end(tsql_tokenizer &);
