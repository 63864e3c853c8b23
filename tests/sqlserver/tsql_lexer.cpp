// Lexer: see the header.
#include "tsql_lexer.h"

#include "tsql_text.h"

#include <unordered_set>

namespace sqlserver {

namespace {

struct lexer {
    std::string_view sql;
    bool quoted_identifier;
    size_t at = 0;
    int32_t line = 1;
    std::vector<token> out;

    char peek(size_t ahead = 0) const { return at + ahead < sql.size() ? sql[at + ahead] : '\0'; }
};

bool name_start(char c) {
    return isalpha(static_cast<unsigned char>(c)) || c == '_' || c == '#' || (c & 0x80) != 0;
}
bool name_part(char c) {
    return name_start(c) || isdigit(static_cast<unsigned char>(c)) || c == '@' || c == '$';
}

[[noreturn]] void fail_at(const lexer &lx, int32_t number, const std::string &text) {
    sql_error e;
    e.number = number;
    e.severity = 15;
    e.text = text;
    e.line = lx.line;
    throw e;
}

void skip_comment(lexer &lx) {
    int depth = 0;
    do {
        if (lx.at >= lx.sql.size())
            fail_at(lx, 113, "Missing end comment mark '*/'.");
        if (lx.peek() == '/' && lx.peek(1) == '*') {
            depth++;
            lx.at += 2;
        } else if (lx.peek() == '*' && lx.peek(1) == '/') {
            depth--;
            lx.at += 2;
        } else {
            lx.line += lx.peek() == '\n';
            lx.at++;
        }
    } while (depth > 0);
}

bool skip_space(lexer &lx) {
    while (lx.at < lx.sql.size()) {
        unsigned char c = static_cast<unsigned char>(lx.peek());
        if (c <= ' ') {
            lx.line += c == '\n';
            lx.at++;
        } else if (c == 0xC2 && lx.peek(1) == '\xA0') {
            lx.at += 2;
        } else if (c == 0xEF && lx.peek(1) == '\xBB' && lx.peek(2) == '\xBF') {
            lx.at += 3;
        } else if (c == '-' && lx.peek(1) == '-') {
            while (lx.at < lx.sql.size() && lx.peek() != '\n')
                lx.at++;
        } else if (c == '/' && lx.peek(1) == '*') {
            skip_comment(lx);
        } else {
            return true;
        }
    }
    return false;
}

std::string quoted(lexer &lx, char close) {
    std::string text;
    for (lx.at++; lx.at < lx.sql.size(); lx.at++) {
        char c = lx.peek();
        if (c == close) {
            if (lx.peek(1) != close) {
                lx.at++;
                return text;
            }
            lx.at++;
        } else if (c == '\\' && close == '\'' && (lx.peek(1) == '\n' || (lx.peek(1) == '\r' && lx.peek(2) == '\n'))) {
            lx.at += lx.peek(1) == '\r' ? 2 : 1; // a backslash at the end of a line joins the lines
            lx.line++;
            continue;
        }
        lx.line += c == '\n';
        text.push_back(c);
    }
    fail_at(lx, 105, "Unclosed quotation mark after the character string '" + text + "'.");
}

void number(lexer &lx, token &t) {
    size_t from = lx.at;
    if (lx.peek() == '0' && (lx.peek(1) == 'x' || lx.peek(1) == 'X')) {
        lx.at += 2;
        std::string digits;
        while (isxdigit(static_cast<unsigned char>(lx.peek())))
            digits.push_back(lx.sql[lx.at++]);
        if (digits.size() % 2)
            digits.insert(digits.begin(), '0');
        for (size_t i = 0; i < digits.size(); i += 2)
            t.text.push_back(static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16)));
        t.kind = token_kind::binary;
        return;
    }
    t.kind = token_kind::integer;
    while (isdigit(static_cast<unsigned char>(lx.peek())))
        lx.at++;
    if (lx.peek() == '.') {
        t.kind = token_kind::decimal_;
        for (lx.at++; isdigit(static_cast<unsigned char>(lx.peek()));)
            lx.at++;
    }
    if (lx.peek() == 'e' || lx.peek() == 'E') {
        size_t skip = lx.peek(1) == '+' || lx.peek(1) == '-' ? 2 : 1;
        t.kind = token_kind::float_;
        for (lx.at += skip; isdigit(static_cast<unsigned char>(lx.peek()));)
            lx.at++;
    }
    t.text = std::string(lx.sql.substr(from, lx.at - from));
}

void name(lexer &lx, token &t) {
    size_t from = lx.at;
    while (lx.at < lx.sql.size() && name_part(lx.peek()))
        lx.at++;
    t.text = std::string(lx.sql.substr(from, lx.at - from));
    t.lower = lower(t.text);
}

void symbol(lexer &lx, token &t) {
    static const char *const pairs[] = {
        "<=", ">=", "<>", "!=", "!<", "!>", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "::"};
    t.kind = token_kind::symbol;
    for (const char *p : pairs)
        if (lx.peek() == p[0] && lx.peek(1) == p[1]) {
            t.text = p;
            lx.at += 2;
            return;
        }
    t.text = std::string(1, lx.peek());
    lx.at++;
}

void one_token(lexer &lx, token &t) {
    char c = lx.peek();
    if ((c == 'N' || c == 'n') && lx.peek(1) == '\'') {
        lx.at++;
        t.kind = token_kind::nstring;
        t.text = quoted(lx, '\'');
    } else if (c == '\'' || (c == '"' && !lx.quoted_identifier)) {
        t.kind = token_kind::string_;
        t.text = quoted(lx, c);
    } else if (c == '[' || c == '"') {
        t.kind = token_kind::quoted_name;
        t.text = quoted(lx, c == '[' ? ']' : '"');
        t.lower = lower(t.text);
    } else if (c == '@') {
        t.kind = lx.peek(1) == '@' ? token_kind::global : token_kind::variable;
        name(lx, t);
    } else if (name_start(c)) {
        t.kind = token_kind::name;
        name(lx, t);
    } else if (isdigit(static_cast<unsigned char>(c)) ||
               (c == '.' && isdigit(static_cast<unsigned char>(lx.peek(1))))) {
        number(lx, t);
    } else if (c == '$' && (isdigit(static_cast<unsigned char>(lx.peek(1))) || lx.peek(1) == '.')) {
        lx.at++;
        number(lx, t);
        t.kind = token_kind::money;
    } else {
        symbol(lx, t);
    }
}

// SET name [, name] ON | OFF, as the tokens come by.
struct set_watch {
    bool inside = false, named = false;
};

// The new value when `t` ends a SET that names QUOTED_IDENTIFIER or ANSI_DEFAULTS.
std::optional<bool> watch_set(set_watch &w, const token &t) {
    bool word = t.kind == token_kind::name;
    bool ends = word && (t.lower == "on" || t.lower == "off");
    std::optional<bool> on;
    if (ends && w.inside && w.named)
        on = t.lower == "on";
    if (word && t.lower == "set")
        w = {true, false};
    else if (ends || !(word || t.text == ","))
        w = {};
    else if (t.lower == "quoted_identifier" || t.lower == "ansi_defaults")
        w.named = w.inside;
    return on;
}

} // namespace

std::vector<token> lex(std::string_view sql, bool quoted_identifier, std::optional<bool> *set_to) {
    lexer lx{sql, quoted_identifier, 0, 1, {}};
    set_watch watch;
    while (skip_space(lx)) {
        token t;
        t.line = lx.line;
        t.offset = static_cast<uint32_t>(lx.at);
        one_token(lx, t);
        t.length = static_cast<uint32_t>(lx.at) - t.offset;
        if (std::optional<bool> on = watch_set(watch, t); on) {
            lx.quoted_identifier = *on;
            if (set_to != nullptr)
                set_to->emplace(*on);
        }
        lx.out.push_back(std::move(t));
    }
    token last;
    last.line = lx.line;
    last.offset = static_cast<uint32_t>(sql.size());
    lx.out.push_back(last);
    return std::move(lx.out);
}

bool is_reserved(std::string_view name) {
    static const std::unordered_set<std::string_view> words = {
        "add",          "all",          "alter",        "and",
        "any",          "as",           "asc",          "authorization",
        "backup",       "begin",        "between",      "break",
        "browse",       "bulk",         "by",           "cascade",
        "case",         "check",        "checkpoint",   "close",
        "clustered",    "coalesce",     "collate",      "column",
        "commit",       "compute",      "constraint",   "contains",
        "continue",     "convert",      "create",       "cross",
        "current",      "current_date", "current_time", "current_timestamp",
        "current_user", "cursor",       "database",     "dbcc",
        "deallocate",   "declare",      "default",      "delete",
        "deny",         "desc",         "distinct",     "distributed",
        "double",       "drop",         "else",         "end",
        "errlvl",       "escape",       "except",       "exec",
        "execute",      "exists",       "exit",         "external",
        "fetch",        "file",         "fillfactor",   "for",
        "foreign",      "freetext",     "from",         "full",
        "function",     "goto",         "grant",        "group",
        "having",       "holdlock",     "identity",     "identity_insert",
        "identitycol",  "if",           "in",           "index",
        "inner",        "insert",       "intersect",    "into",
        "is",           "join",         "key",          "kill",
        "left",         "like",         "lineno",       "load",
        "merge",        "national",     "nocheck",      "nonclustered",
        "not",          "null",         "nullif",       "of",
        "off",          "offsets",      "on",           "open",
        "option",       "or",           "order",        "outer",
        "over",         "percent",      "pivot",        "plan",
        "primary",      "print",        "proc",         "procedure",
        "public",       "raiserror",    "read",         "readtext",
        "reconfigure",  "references",   "replication",  "restore",
        "restrict",     "return",       "revert",       "revoke",
        "right",        "rollback",     "rowcount",     "rowguidcol",
        "rule",         "save",         "schema",       "select",
        "session_user", "set",          "setuser",      "shutdown",
        "some",         "statistics",   "system_user",  "table",
        "tablesample",  "textsize",     "then",         "to",
        "top",          "tran",         "transaction",  "trigger",
        "truncate",     "try_convert",  "tsequal",      "union",
        "unique",       "unpivot",      "update",       "updatetext",
        "use",          "user",         "values",       "varying",
        "view",         "waitfor",      "when",         "where",
        "while",        "with",         "writetext"};
    return words.count(name) != 0;
}

} // namespace sqlserver
