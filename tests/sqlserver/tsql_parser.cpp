// Parser: tokens, names and types; see the header.
#include "tsql_parser.h"

#include "tsql_text.h"
#include "tsql_types.h"

#include <cerrno>
#include <cstdlib>

namespace sqlserver {

const token &peek(const parser &p, size_t ahead) {
    return p.tokens[std::min(p.at + ahead, p.tokens.size() - 1)];
}

bool is_word(const parser &p, const char *word, size_t ahead) {
    const token &t = peek(p, ahead);
    return t.kind == token_kind::name && t.lower == word;
}

bool is_symbol(const parser &p, const char *symbol, size_t ahead) {
    const token &t = peek(p, ahead);
    return t.kind == token_kind::symbol && t.text == symbol;
}

bool accept_word(parser &p, const char *word) {
    bool is = is_word(p, word);
    p.at += is;
    return is;
}

bool accept_symbol(parser &p, const char *symbol) {
    bool is = is_symbol(p, symbol);
    p.at += is;
    return is;
}

[[noreturn]] static void fail_line(int32_t number, int32_t line, const std::string &text) {
    sql_error e;
    e.number = number;
    e.severity = 15;
    e.text = text;
    e.line = line;
    throw e;
}

void syntax_error(const parser &p) {
    const token &t = peek(p);
    if (t.kind == token_kind::end) {
        const token &last = p.tokens.size() > 1 ? p.tokens[p.tokens.size() - 2] : t;
        fail_line(102, last.line, "Incorrect syntax near '" + last.text + "'.");
    }
    if (t.kind == token_kind::name && is_reserved(t.lower))
        fail_line(156, t.line, "Incorrect syntax near the keyword '" + t.text + "'.");
    fail_line(102, t.line, "Incorrect syntax near '" + t.text + "'.");
}

void expect_word(parser &p, const char *word) {
    if (!accept_word(p, word))
        syntax_error(p);
}

void expect_symbol(parser &p, const char *symbol) {
    if (!accept_symbol(p, symbol))
        syntax_error(p);
}

bool is_name(const parser &p, size_t ahead) {
    const token &t = peek(p, ahead);
    return t.kind == token_kind::quoted_name || (t.kind == token_kind::name && !is_reserved(t.lower));
}

std::string name(parser &p) {
    if (!is_name(p))
        syntax_error(p);
    return p.tokens[p.at++].text;
}

object_path path(parser &p) {
    object_path out{name(p)};
    while (accept_symbol(p, "."))
        out.push_back(is_symbol(p, ".") ? std::string() : name(p));
    if (out.size() > 4)
        fail_line(117, peek(p).line,
                  "The object name contains more than the maximum number of prefixes. The maximum is 3.");
    return out;
}

int64_t integer(parser &p) {
    bool minus = accept_symbol(p, "-");
    const token &t = peek(p);
    bool digits = t.kind == token_kind::integer || (t.kind == token_kind::decimal_ && t.text.size() == 19);
    std::string text = (minus ? "-" : "") + t.text;
    errno = 0;
    int64_t n = std::strtoll(text.c_str(), nullptr, 10);
    if (!digits || errno != 0 || text.find('.') != std::string::npos)
        syntax_error(p);
    p.at++;
    return n;
}

std::string text_since(const parser &p, size_t first) {
    const token &from = p.tokens[first], &last = p.tokens[p.at > first ? p.at - 1 : first];
    return p.sql.substr(from.offset, last.offset + last.length - from.offset);
}

void check_variable(const parser &p, const token &t) {
    if (p.variables.count(t.lower) == 0)
        fail_line(137, t.line, "Must declare the scalar variable \"" + t.text + "\".");
}

void enter(parser &p) {
    if (++p.depth > 400)
        fail_line(191, peek(p).line,
                  "Some part of your SQL statement is nested too deeply. Rewrite the query or break "
                  "it up into smaller queries.");
}

// The name of a built-in type; "double precision", "character varying" and "national ..." are spelled out.
static std::string type_words(parser &p) {
    std::string first = peek(p).lower;
    if (peek(p).kind == token_kind::quoted_name || !is_word(p, first.c_str())) {
        std::string text = lower(name(p));
        while (accept_symbol(p, "."))
            text = lower(name(p));
        return text;
    }
    p.at++;
    while (accept_symbol(p, "."))
        first = lower(name(p));
    if (first == "national")
        first = accept_word(p, "text") ? "ntext" : (p.at++, "nchar");
    if (first == "double" && accept_word(p, "precision"))
        return "float";
    bool varies = accept_word(p, "varying");
    if (first == "character")
        first = "char";
    return varies ? (first == "nchar" ? "nvarchar" : first == "binary" ? "varbinary" : "varchar") : first;
}

type_info parse_type(parser &p, std::string *user_name) {
    int32_t line = peek(p).line;
    std::string word = type_words(p);
    type_info t;
    if (!type_by_name(word, t)) {
        if (user_name == nullptr)
            fail_line(243, line, "Type " + word + " is not a defined system type.");
        *user_name = word;
        return t;
    }
    int64_t first = -1, second = -1;
    if (is_symbol(p, "(")) {
        p.at++;
        first = accept_word(p, "max") ? static_cast<int64_t>(length_max) : integer(p);
        if (accept_symbol(p, ","))
            second = integer(p);
        expect_symbol(p, ")");
    }
    if (!type_apply_length(t, first, second))
        fail_line(1001, line,
                  "Line " + std::to_string(line) + ": Length or precision specification " + std::to_string(first) +
                      " is invalid.");
    return t;
}

std::vector<declaration> parse_module_parameters(parser &p) {
    std::vector<declaration> out;
    bool paren = accept_symbol(p, "(");
    while (peek(p).kind == token_kind::variable) {
        declaration d;
        d.line = peek(p).line;
        d.name = p.tokens[p.at++].lower;
        accept_word(p, "as");
        d.type = parse_type(p);
        if (accept_symbol(p, "="))
            d.init = parse_expr(p);
        while (is_word(p, "output") || is_word(p, "out") || is_word(p, "readonly") || is_word(p, "null") ||
               is_word(p, "not")) {
            d.output = d.output || is_word(p, "output") || is_word(p, "out");
            p.at++;
        }
        p.variables.insert(d.name);
        out.push_back(std::move(d));
        if (!accept_symbol(p, ","))
            break;
    }
    if (paren)
        expect_symbol(p, ")");
    return out;
}

std::vector<declaration> parse_parameters(std::string_view text) {
    parser p;
    p.sql = std::string(text);
    p.tokens = lex(p.sql, true);
    auto out = parse_module_parameters(p);
    if (peek(p).kind != token_kind::end)
        syntax_error(p);
    return out;
}

std::shared_ptr<const batch> parse_batch(std::string_view sql, bool quoted_identifier,
                                         const std::vector<declaration> &known) {
    parser p;
    p.sql = std::string(sql);
    auto out = std::make_shared<batch>();
    p.tokens = lex(p.sql, quoted_identifier, &out->quoted_identifier);
    for (const auto &d : known)
        p.variables.insert(d.name);
    out->text = p.sql;
    while (peek(p).kind != token_kind::end) {
        if (accept_symbol(p, ";"))
            continue;
        // a procedure may be called without EXEC by the first statement of a batch
        bool bare = p.at == 0 && is_name(p) && !is_symbol(p, ":", 1) && !is_symbol(p, "(", 1);
        static const std::set<std::string> statements = {"throw", "go",  "enable", "disable", "print",
                                                         "send",  "get", "move",   "receive"};
        if (bare && peek(p).kind == token_kind::name && statements.count(peek(p).lower))
            bare = false;
        if (bare) {
            token exec;
            exec.kind = token_kind::name;
            exec.text = exec.lower = "exec";
            exec.line = peek(p).line;
            p.tokens.insert(p.tokens.begin(), exec);
        }
        out->body.push_back(parse_stmt(p));
    }
    return out;
}

} // namespace sqlserver
