#include "proxy/console/reader.h"

#include <algorithm>
#include <cstring>

#include <strings.h>

#include "proxy/console/commands.h"
#include "tds/bytes.h"
#include "tds/utf16.h"

static constexpr size_t tokens_max = 8192; // a tool's longest is some 3,000

// ---- tokens ----------------------------------------------------------------------------------------------------

static std::string utf8_of(std::u16string_view text) {
    std::vector<uint8_t> wire;
    for (char16_t c : text)
        put_u16le(wire, c);
    return tds_utf8(wire);
}

// A symbol's token has no text of its own.
static std::string text_of(const console_tokens &tokens, const tsql_token &t) {
    switch (t.kind) {
    case tsql_token_kind::symbol: return t.symbol == tsql_symbol_scope ? "::" : utf8_of({&t.symbol, 1});
    case tsql_token_kind::text:
    case tsql_token_kind::either: return tds_utf8(tokens.content);
    default: return utf8_of(t.text);
    }
}

static void take_token(void *who, const tsql_token &t) {
    auto &tokens = *static_cast<console_tokens *>(who);
    bool quoted = t.kind == tsql_token_kind::text || t.kind == tsql_token_kind::either;
    tokens.bad = tokens.bad || tokens.all.size() >= tokens_max || (t.cut && !quoted);
    if (!tokens.bad)
        tokens.all.push_back({t.kind, t.word, t.symbol, t.at, t.end, text_of(tokens, t)});
    tokens.content.clear();
}

static void take_content(void *who, std::span<const uint8_t> utf16) {
    auto &content = static_cast<console_tokens *>(who)->content;
    content.insert(content.end(), utf16.begin(), utf16.end());
}

bool console_cut(std::span<const uint8_t> utf16, console_tokens &tokens) {
    tsql_tokenizer t;
    tsql_tokens_begin(t, {&tokens, take_token, [](void *) { return true; }, take_content});
    tsql_tokens_feed(t, utf16);
    return tsql_tokens_end(t) && !tokens.bad;
}

// ---- reading them ----------------------------------------------------------------------------------------------

const console_token *console_look(const console_reader &r, size_t ahead) {
    return r.at + ahead < r.tokens.size() ? &r.tokens[r.at + ahead] : nullptr;
}

bool console_is_word(const console_token *t, const char *word) {
    return t != nullptr && t->kind == tsql_token_kind::word && strcasecmp(t->text.c_str(), word) == 0;
}

bool console_is_symbol(const console_token *t, char16_t symbol) {
    return t != nullptr && t->kind == tsql_token_kind::symbol && t->symbol == symbol;
}

bool console_is_name(const console_token *t) {
    return t != nullptr &&
           (t->kind == tsql_token_kind::word || t->kind == tsql_token_kind::name || t->kind == tsql_token_kind::either);
}

bool console_take_word(console_reader &r, const char *word) {
    bool there = r.good && console_is_word(console_look(r), word);
    r.at += there;
    return there;
}

bool console_take_symbol(console_reader &r, char16_t symbol) {
    bool there = r.good && console_is_symbol(console_look(r), symbol);
    r.at += there;
    return there;
}

void console_skip_brackets(console_reader &r) {
    for (int open = 1; r.good && open > 0;) {
        const console_token *t = console_look(r);
        r.good = t != nullptr;
        open += console_is_symbol(t, '(') - console_is_symbol(t, ')');
        r.at += r.good;
    }
}

void console_expect_word(console_reader &r, const char *word) {
    r.good = console_take_word(r, word);
}

void console_expect_symbol(console_reader &r, char16_t symbol) {
    r.good = console_take_symbol(r, symbol);
}

std::string console_take_name(console_reader &r) {
    r.good = r.good && console_is_name(console_look(r));
    return r.good ? r.tokens[r.at++].text : "";
}

std::vector<std::string> console_take_parts(console_reader &r) {
    std::vector<std::string> parts{console_take_name(r)};
    while (console_take_symbol(r, '.')) {
        if (console_is_symbol(console_look(r), '.')) {
            parts.emplace_back();
            continue;
        }
        if (console_is_symbol(console_look(r), '*')) { // t.*
            --r.at;
            break;
        }
        parts.push_back(console_take_name(r));
    }
    r.good = r.good && parts.size() <= 5;
    return parts;
}

std::string console_upper(std::string text) {
    for (char &c : text)
        if (c >= 'a' && c <= 'z')
            c = static_cast<char>(c - 'a' + 'A');
    return text;
}

// Words that go on with a query or an expression.
static bool goes_on(const console_token *t) {
    static constexpr const char *words[] = {
        "AND",    "APPLY", "AS",   "ASC",  "BETWEEN", "CASE",   "COLLATE", "CROSS",  "DESC",  "ELSE",      "END",
        "EXCEPT", "FETCH", "FOR",  "FROM", "FULL",    "GROUP",  "HAVING",  "IN",     "INNER", "INTERSECT", "INTO",
        "IS",     "JOIN",  "LEFT", "LIKE", "NOT",     "OFFSET", "ON",      "OPTION", "OR",    "ORDER",     "OUTER",
        "OVER",   "RIGHT", "SET",  "THEN", "UNION",   "VALUES", "WHEN",    "WHERE",  "WITH",
    };
    return std::any_of(std::begin(words), std::end(words), [t](const char *word) { return console_is_word(t, word); });
}

bool console_is_alias(const console_token *t) {
    return console_is_name(t) && (t->kind != tsql_token_kind::word || (!console_begins_statement(t) && !goes_on(t)));
}

// The console's own words may name columns: reload. LEFT and RIGHT are functions.
bool console_begins_name(const console_reader &r) {
    const console_token *t = console_look(r);
    bool free = t != nullptr && (t->kind != tsql_token_kind::word || console_is_symbol(console_look(r, 1), '(') ||
                                 (tsql_word_begins(t->word) != tsql_begins::always && !goes_on(t)));
    return console_is_name(t) && free;
}

// ---- where statements begin ------------------------------------------------------------------------------------

// The first word of one of the console's own statements.
static bool begins_command(const console_token *t) {
    for (const console_command &c : console_commands()) {
        size_t size = strcspn(c.words, " ");
        if (t->text.size() == size && strncasecmp(t->text.c_str(), c.words, size) == 0)
            return true;
    }
    return false;
}

bool console_begins_statement(const console_token *t) {
    if (t == nullptr || t->kind != tsql_token_kind::word)
        return false;
    return tsql_word_begins(t->word) == tsql_begins::always || begins_command(t);
}

bool console_at_end(const console_reader &r) {
    const console_token *t = console_look(r);
    return t == nullptr || console_is_symbol(t, ';') || console_begins_statement(t);
}
