#include "proxy/console_parse.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include <strings.h>

#include "proxy/console_commands.h"
#include "tds/bytes.h"
#include "tds/tsql_token.h"
#include "tds/utf16.h"

static constexpr size_t tokens_max = 4096; // a driver's start-up is some dozens
static constexpr int depth_max = 8;        // of expressions, and of blocks

// ---- tokens ----------------------------------------------------------------------------------------------------

struct console_token {
    tsql_token_kind kind;
    tsql_word word;
    char16_t symbol;
    uint64_t at, end;
    std::string text; // UTF-8
};

struct console_tokens {
    std::vector<console_token> all;
    bool too_many = false;
};

static std::string utf8_of(std::u16string_view text) {
    std::vector<uint8_t> wire;
    for (char16_t c : text)
        put_u16le(wire, c);
    return tds_utf8(wire);
}

// A symbol's token has no text of its own.
static std::string text_of(const tsql_token &t) {
    if (t.kind != tsql_token_kind::symbol)
        return utf8_of(t.text);
    return t.symbol == tsql_symbol_scope ? "::" : utf8_of({&t.symbol, 1});
}

static void take_token(void *who, const tsql_token &t) {
    auto &tokens = *static_cast<console_tokens *>(who);
    if (tokens.all.size() < tokens_max)
        tokens.all.push_back({t.kind, t.word, t.symbol, t.at, t.end, text_of(t)});
    else
        tokens.too_many = true;
}

static bool cut(std::span<const uint8_t> text, console_tokens &tokens) {
    tsql_tokenizer t;
    tsql_tokens_begin(t, {&tokens, take_token, [](void *) { return false; }, nullptr});
    tsql_tokens_feed(t, text);
    return tsql_tokens_end(t) && !tokens.too_many;
}

// ---- reading them ----------------------------------------------------------------------------------------------

// Where the reading is. Once it is not `good` it stays so, at the token that did not belong there.
struct console_reader {
    const std::vector<console_token> &tokens;
    size_t at = 0;
    int depth = 0;
    bool good = true;
};

static const console_token *look(const console_reader &r, size_t ahead = 0) {
    return r.at + ahead < r.tokens.size() ? &r.tokens[r.at + ahead] : nullptr;
}

static bool is_word(const console_token *t, const char *word) {
    return t != nullptr && t->kind == tsql_token_kind::word && strcasecmp(t->text.c_str(), word) == 0;
}

static bool is_symbol(const console_token *t, char16_t symbol) {
    return t != nullptr && t->kind == tsql_token_kind::symbol && t->symbol == symbol;
}

static bool take_word(console_reader &r, const char *word) {
    bool there = is_word(look(r), word);
    r.at += there;
    return there;
}

static bool take_symbol(console_reader &r, char16_t symbol) {
    bool there = is_symbol(look(r), symbol);
    r.at += there;
    return there;
}

static void expect_symbol(console_reader &r, char16_t symbol) {
    r.good = r.good && take_symbol(r, symbol);
}

static bool is_name(const console_token *t) {
    return t != nullptr &&
           (t->kind == tsql_token_kind::word || t->kind == tsql_token_kind::name || t->kind == tsql_token_kind::either);
}

static size_t first_word_size(const console_command &c) {
    return strcspn(c.words, " ");
}

// The first word of one of the console's own statements.
static bool begins_command(const console_token *t) {
    if (t == nullptr || t->kind != tsql_token_kind::word)
        return false;
    for (const console_command &c : console_commands())
        if (t->text.size() == first_word_size(c) && strncasecmp(t->text.c_str(), c.words, t->text.size()) == 0)
            return true;
    return false;
}

// Statements need no semicolon between them.
static bool begins_statement(const console_token *t) {
    bool reserved =
        t != nullptr && t->kind == tsql_token_kind::word && tsql_word_begins(t->word) == tsql_begins::always;
    return reserved || begins_command(t);
}

static bool at_end(const console_reader &r) {
    const console_token *t = look(r);
    return t == nullptr || is_symbol(t, ';') || begins_statement(t);
}

static void skip_statement(console_reader &r) {
    while (!at_end(r))
        ++r.at;
}

// Tokens without a blank between them, as in bucket-001: one name.
static std::string take_glued(console_reader &r) {
    std::string name;
    for (const console_token *t = look(r), *last = nullptr; t != nullptr && !is_symbol(t, ';'); t = look(r)) {
        if (last != nullptr && last->end != t->at)
            break;
        name += t->text;
        last = t;
        ++r.at;
    }
    return name;
}

static std::string upper(std::string text) {
    for (char &c : text)
        if (c >= 'a' && c <= 'z')
            c = static_cast<char>(c - 'a' + 'A');
    return text;
}

// ---- expressions -----------------------------------------------------------------------------------------------

static console_expression read_expression(console_reader &r);

// nvarchar(128), varchar(max)
static std::string read_type(console_reader &r) {
    r.good = r.good && is_name(look(r));
    if (!r.good)
        return "";
    std::string type = upper(look(r)->text);
    ++r.at;
    if (!take_symbol(r, '('))
        return type;
    while (look(r) != nullptr && !is_symbol(look(r), ')'))
        ++r.at;
    expect_symbol(r, ')');
    return type;
}

static void read_arguments(console_reader &r, console_expression &e) {
    if (e.text == "CONVERT") {
        e.type = read_type(r);
        expect_symbol(r, ',');
    }
    if (take_symbol(r, ')'))
        return;
    do
        e.arguments.push_back(read_expression(r));
    while (r.good && take_symbol(r, ','));
    if (e.text == "CAST" && r.good) {
        r.good = take_word(r, "AS");
        e.type = read_type(r);
    }
    expect_symbol(r, ')');
}

static console_expression read_named(console_reader &r) {
    console_expression e;
    e.kind = console_expression::kind_t::call;
    e.text = upper(look(r)->text);
    ++r.at;
    if (e.text == "NULL")
        e.kind = console_expression::kind_t::null;
    else if (take_symbol(r, '('))
        read_arguments(r, e);
    return e;
}

static console_expression read_number(console_reader &r, bool negative) {
    console_expression e;
    const console_token *t = look(r);
    r.good = r.good && t != nullptr && t->kind == tsql_token_kind::number;
    if (!r.good)
        return e;
    e.kind = console_expression::kind_t::number;
    const char *end = t->text.data() + t->text.size();
    auto [last, error] = std::from_chars(t->text.data(), end, e.number);
    r.good = error == std::errc() && last == end;
    e.number = negative ? -e.number : e.number;
    r.at += r.good;
    return e;
}

static console_expression read_simple(console_reader &r) {
    console_expression e;
    const console_token *t = look(r);
    r.good = r.good && t != nullptr;
    if (!r.good)
        return e;
    switch (t->kind) {
    case tsql_token_kind::text:
    case tsql_token_kind::variable:
        e.kind =
            t->kind == tsql_token_kind::text ? console_expression::kind_t::text : console_expression::kind_t::variable;
        e.text = t->kind == tsql_token_kind::text ? t->text : upper(t->text);
        ++r.at;
        return e;
    case tsql_token_kind::word: return read_named(r);
    case tsql_token_kind::number: return read_number(r, false);
    default: break;
    }
    if (take_symbol(r, '-'))
        return read_number(r, true);
    expect_symbol(r, '(');
    if (r.good)
        e = read_expression(r);
    expect_symbol(r, ')');
    return e;
}

static console_expression read_expression(console_reader &r) {
    console_expression e;
    r.good = r.good && ++r.depth <= depth_max;
    if (r.good)
        e = read_simple(r);
    --r.depth;
    return e;
}

static console_compare read_compare(console_reader &r) {
    if (take_symbol(r, '='))
        return console_compare::equal;
    if (take_symbol(r, '<'))
        return take_symbol(r, '>')   ? console_compare::differs
               : take_symbol(r, '=') ? console_compare::at_most
                                     : console_compare::less;
    if (take_symbol(r, '>'))
        return take_symbol(r, '=') ? console_compare::at_least : console_compare::greater;
    expect_symbol(r, '!');
    expect_symbol(r, '=');
    return console_compare::differs;
}

// ---- SELECT ----------------------------------------------------------------------------------------------------

// value, value AS name, value name, name = value
static console_item read_item(console_reader &r) {
    console_item item;
    if (is_name(look(r)) && is_symbol(look(r, 1), '=')) {
        item.name = look(r)->text;
        r.at += 2;
    }
    item.value = read_expression(r);
    bool as = take_word(r, "AS");
    const console_token *t = look(r);
    bool named = r.good && item.name.empty() && (is_name(t) || (t != nullptr && t->kind == tsql_token_kind::text));
    if (named && (as || !at_end(r))) {
        item.name = t->text;
        ++r.at;
    } else if (as) {
        r.good = false;
    }
    return item;
}

// The place of a FROM that belongs to the SELECT itself; r.tokens.size() when it has none.
static size_t find_from(const console_reader &r) {
    int open = 0;
    for (size_t i = r.at; i < r.tokens.size(); ++i) {
        const console_token *t = &r.tokens[i];
        open += is_symbol(t, '(') - is_symbol(t, ')');
        if (open == 0 && is_word(t, "FROM"))
            return i;
        if (is_symbol(t, ';') || (open == 0 && begins_statement(t)))
            break;
    }
    return r.tokens.size();
}

static console_statement read_select(console_reader &r) {
    console_statement s;
    if (size_t from = find_from(r); from < r.tokens.size()) {
        s.verb = console_verb::from;
        r.at = from + 1;
        s.name = take_glued(r);
        while (look(r) != nullptr && !is_symbol(look(r), ';'))
            ++r.at; // nobody can tell where it ends
        return s;
    }
    s.verb = console_verb::select;
    do
        s.items.push_back(read_item(r));
    while (r.good && take_symbol(r, ','));
    return s;
}

// ---- statements ------------------------------------------------------------------------------------------------

static console_statement read_statement(console_reader &r);

static bool take_transaction(console_reader &r) {
    return take_word(r, "TRAN") || take_word(r, "TRANSACTION");
}

static console_statement read_end_of_transaction(console_reader &r, bool commits) {
    console_statement s;
    s.verb = commits ? console_verb::commit : console_verb::rollback;
    if (!take_transaction(r))
        take_word(r, "WORK");
    else if (!at_end(r))
        s.name = take_glued(r);
    if (!commits && !s.name.empty())
        s.verb = console_verb::rollback_named;
    return s;
}

static console_statement read_block(console_reader &r) {
    console_statement s;
    s.verb = console_verb::block;
    while (r.good && !take_word(r, "END")) {
        if (take_symbol(r, ';'))
            continue;
        r.good = look(r) != nullptr;
        if (r.good)
            s.body.push_back(read_statement(r));
    }
    return s;
}

static console_statement read_begin(console_reader &r) {
    if (!take_transaction(r))
        return read_block(r);
    console_statement s;
    s.verb = console_verb::begin;
    if (!at_end(r))
        s.name = take_glued(r);
    return s;
}

static console_statement read_if(console_reader &r) {
    console_statement s;
    s.verb = console_verb::if_;
    s.left = read_expression(r);
    s.compare = read_compare(r);
    s.right = read_expression(r);
    if (r.good)
        s.body.push_back(read_statement(r));
    size_t before = r.at;
    take_symbol(r, ';');
    if (r.good && take_word(r, "ELSE"))
        s.otherwise.push_back(read_statement(r));
    else if (r.good)
        r.at = before;
    return s;
}

static console_statement read_use(console_reader &r) {
    console_statement s;
    s.verb = console_verb::use;
    r.good = is_name(look(r));
    if (r.good)
        s.name = look(r)->text;
    r.at += r.good;
    return s;
}

static std::string last_part(const std::string &name) {
    size_t dot = name.rfind('.');
    return dot == std::string::npos ? name : name.substr(dot + 1);
}

// EXEC [@status =] name arguments
static console_statement read_exec(console_reader &r) {
    console_statement s;
    if (look(r) != nullptr && look(r)->kind == tsql_token_kind::variable && is_symbol(look(r, 1), '='))
        r.at += 2;
    s.name = take_glued(r);
    r.good = !s.name.empty();
    s.verb =
        strcasecmp(last_part(s.name).c_str(), "sp_reset_connection") == 0 ? console_verb::nothing : console_verb::call;
    skip_statement(r);
    return s;
}

static bool reads_as(const console_reader &r, const console_command &c) {
    size_t first = first_word_size(c);
    const console_token *t = look(r);
    if (t->text.size() != first || strncasecmp(t->text.c_str(), c.words, first) != 0)
        return false;
    return c.words[first] == '\0' || is_word(look(r, 1), c.words + first + 1);
}

static console_statement read_command(console_reader &r) {
    console_statement s;
    s.verb = console_verb::command;
    for (const console_command &c : console_commands())
        if (reads_as(r, c))
            s.command = &c;
    ++r.at;
    r.good = s.command != nullptr;
    if (!r.good)
        return s;
    r.at += strchr(s.command->words, ' ') != nullptr;
    if (s.command->argument != console_argument::none && !at_end(r))
        s.argument = take_glued(r);
    if (s.command->argument == console_argument::required)
        r.good = !s.argument.empty();
    return s;
}

// A batch may begin with the name of a procedure.
static console_statement read_other(console_reader &r) {
    const console_token *t = look(r);
    if (r.at == 0 && is_name(t) && (strncasecmp(t->text.c_str(), "sp_", 3) == 0 || is_symbol(look(r, 1), '.')))
        return read_exec(r);
    r.good = false;
    return {};
}

static console_statement read_reserved(console_reader &r) {
    tsql_word word = look(r)->word;
    ++r.at;
    switch (word) {
    case tsql_word::set:
        r.good = !at_end(r);
        skip_statement(r);
        return {};
    case tsql_word::save: skip_statement(r); return {};
    case tsql_word::use: return read_use(r);
    case tsql_word::select: return read_select(r);
    case tsql_word::if_: return read_if(r);
    case tsql_word::begin: return read_begin(r);
    case tsql_word::commit: return read_end_of_transaction(r, true);
    case tsql_word::rollback: return read_end_of_transaction(r, false);
    case tsql_word::exec:
    case tsql_word::execute: return read_exec(r);
    default: break;
    }
    --r.at;
    r.good = false;
    return {};
}

static console_statement read_statement(console_reader &r) {
    console_statement s;
    r.good = r.good && look(r) != nullptr && ++r.depth <= depth_max;
    if (r.good)
        s = begins_command(look(r)) ? read_command(r) : begins_statement(look(r)) ? read_reserved(r) : read_other(r);
    --r.depth;
    return s;
}

static uint32_t line_at(std::span<const uint8_t> text, uint64_t unit) {
    uint32_t line = 1;
    for (size_t i = 0; i < std::min<uint64_t>(unit, text.size() / 2); ++i)
        line += get_u16le(text.data() + 2 * i) == '\n';
    return line;
}

static void blame(console_batch &batch, std::span<const uint8_t> text, const console_reader &r) {
    const console_token *t = look(r);
    batch.good = false;
    batch.near = t != nullptr ? t->text : "";
    batch.line = line_at(text, t != nullptr ? t->at : UINT64_MAX);
    batch.statements.clear();
}

console_batch console_parse(std::span<const uint8_t> text) {
    console_batch batch;
    console_tokens tokens;
    console_reader r{tokens.all};
    bool whole = cut(text, tokens);
    while (r.good && look(r) != nullptr) {
        if (take_symbol(r, ';'))
            continue;
        batch.statements.push_back(read_statement(r));
        r.good = r.good && at_end(r);
    }
    if (!r.good || !whole)
        blame(batch, text, r);
    return batch;
}
