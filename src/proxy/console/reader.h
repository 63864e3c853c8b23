// The text of a batch as tokens, and what the parts of the console's parser have in common to read them. Nobody else
// includes this.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "proxy/console/ast.h"
#include "tds/tsql_token.h"

struct console_token {
    tsql_token_kind kind;
    tsql_word word;
    char16_t symbol;
    uint64_t at, end;
    std::string text; // UTF-8; of a quoted one all of it
};

struct console_tokens {
    std::vector<console_token> all;
    std::vector<uint8_t> content; // of the text that is being read
    bool bad = false;             // too many, or too long
};

// False: it ends inside of something, or is too long.
[[nodiscard]] bool console_cut(std::span<const uint8_t> utf16, console_tokens &);

// Where the reading is. Once it is not `good` it stays so, at the token that did not belong there.
struct console_reader {
    const std::vector<console_token> &tokens;
    size_t at = 0;
    int depth = 0;
    bool good = true;
};

inline constexpr int console_depth_max = 100; // of expressions, queries and blocks together

// One level deeper, as long as it lives.
struct console_deeper {
    console_reader &r;
    explicit console_deeper(console_reader &reader) : r(reader) { r.good = r.good && ++r.depth <= console_depth_max; }
    ~console_deeper() { --r.depth; }
    console_deeper(const console_deeper &) = delete;
    console_deeper &operator=(const console_deeper &) = delete;
};

const console_token *console_look(const console_reader &, size_t ahead = 0); // nullptr: behind the last one
bool console_is_word(const console_token *, const char *word);
bool console_is_symbol(const console_token *, char16_t symbol);
bool console_is_name(const console_token *); // word, [..] or ".."
bool console_take_word(console_reader &, const char *word);
bool console_take_symbol(console_reader &, char16_t symbol);
void console_expect_word(console_reader &, const char *word);
void console_expect_symbol(console_reader &, char16_t symbol);
// A name's text; not good: there is none.
std::string console_take_name(console_reader &);
// name.name..name: its parts, empty where nothing stands between two dots.
std::vector<std::string> console_take_parts(console_reader &);
// What may name a column or a table without AS: no word that goes on with the query.
bool console_is_alias(const console_token *);
// Whether the name of a column or a function stands here.
bool console_begins_name(const console_reader &);
std::string console_upper(std::string);
// Behind an opening bracket: behind its closing one.
void console_skip_brackets(console_reader &);

// Statements need no semicolon between them.
bool console_begins_statement(const console_token *);
bool console_at_end(const console_reader &);

// Each reads one, and leaves the reader behind it, or not good.
console_expression console_read_expression(console_reader &); // a condition too
console_type console_read_type(console_reader &);
console_query console_read_query(console_reader &);
bool console_begins_query(const console_reader &); // SELECT, WITH, VALUES, or ( in front of them
