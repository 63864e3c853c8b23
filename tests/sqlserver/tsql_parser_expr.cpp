// Parser: expressions and conditions, by precedence climbing.
#include "tsql_parser.h"
#include "tsql_text.h"
#include "tsql_types.h"

namespace sqlserver {

static expr_ptr make(const parser &p, expr_kind kind, std::string text = {}) {
    auto e = std::make_shared<expr>();
    e->kind = kind;
    e->text = std::move(text);
    e->line = peek(p).line;
    return e;
}

static expr_ptr make2(const parser &p, expr_kind kind, std::string text, expr_ptr a, expr_ptr b) {
    auto e = make(p, kind, std::move(text));
    e->line = a->line;
    e->args = {std::move(a), std::move(b)};
    return e;
}

static expr_ptr literal(parser &p) {
    auto e = make(p, expr_kind::literal);
    const token &t = p.tokens[p.at++];
    literal_value(static_cast<int>(t.kind), t.text, e->type, e->literal);
    return e;
}

static expr_ptr null_literal(parser &p) {
    auto e = make(p, expr_kind::literal, "null");
    p.at++;
    return e;
}

static expr_ptr parse_case(parser &p) {
    auto e = make(p, expr_kind::case_);
    p.at++;
    if (!is_word(p, "when")) {
        e->simple_case = true;
        e->args.push_back(parse_expr(p));
    }
    while (accept_word(p, "when")) {
        e->args.push_back(e->simple_case ? parse_expr(p) : parse_condition(p));
        expect_word(p, "then");
        e->args.push_back(parse_expr(p));
    }
    if (accept_word(p, "else")) {
        e->has_else = true;
        e->args.push_back(parse_expr(p));
    }
    expect_word(p, "end");
    return e;
}

// CAST(x AS varchar) means varchar(30)
static type_info cast_type(parser &p) {
    type_info t = parse_type(p);
    bool lengths = (is_char(t.id) || is_binary(t.id)) && t.length == 1;
    if (lengths && !(p.tokens[p.at - 1].kind == token_kind::symbol && p.tokens[p.at - 1].text == ")"))
        t.length = 30;
    return t;
}

static expr_ptr parse_cast(parser &p, const std::string &word) {
    auto e = make(p, expr_kind::cast, word);
    e->try_ = word.compare(0, 4, "try_") == 0;
    p.at += 2;
    if (word == "convert" || word == "try_convert") {
        e->type = cast_type(p);
        expect_symbol(p, ",");
        e->args.push_back(parse_expr(p));
        if (accept_symbol(p, ","))
            e->args.push_back(parse_expr(p));
    } else {
        e->args.push_back(parse_expr(p));
        expect_word(p, "as");
        e->type = cast_type(p);
    }
    expect_symbol(p, ")");
    return e;
}

static std::shared_ptr<window> parse_over(parser &p) {
    auto w = std::make_shared<window>();
    expect_symbol(p, "(");
    if (accept_word(p, "partition")) {
        expect_word(p, "by");
        do
            w->partition.push_back(parse_expr(p));
        while (accept_symbol(p, ","));
    }
    if (is_word(p, "order"))
        w->order = parse_order(p);
    size_t from = p.at;
    while (!is_symbol(p, ")") && peek(p).kind != token_kind::end)
        p.at++;
    if (p.at > from)
        w->frame = text_since(p, from);
    expect_symbol(p, ")");
    return w;
}

static bool is_date_part_function(const std::string &f) {
    return f == "dateadd" || f == "datediff" || f == "datediff_big" || f == "datepart" || f == "datename" ||
           f == "datetrunc" || f == "eomonth_part";
}

static expr_ptr parse_call(parser &p) {
    auto e = make(p, expr_kind::call, p.tokens[p.at].lower);
    p.at += 2;
    e->distinct = accept_word(p, "distinct");
    if (!e->distinct)
        accept_word(p, "all");
    if (is_date_part_function(e->text)) {
        auto part = make(p, expr_kind::literal);
        literal_value(static_cast<int>(token_kind::string_), peek(p).lower, part->type, part->literal);
        p.at++;
        e->args.push_back(part);
        accept_symbol(p, ",");
    }
    if (accept_symbol(p, "*")) {
        e->star = true;
    } else if (!is_symbol(p, ")")) {
        do
            e->args.push_back(e->text == "iif" && e->args.empty() ? parse_condition(p) : parse_expr(p));
        while (accept_symbol(p, ",") || (e->text == "trim" && accept_word(p, "from")));
    }
    expect_symbol(p, ")");
    if (is_word(p, "within") && is_word(p, "group", 1)) { // STRING_AGG(...) WITHIN GROUP (ORDER BY ...)
        p.at += 2;
        expect_symbol(p, "(");
        auto w = std::make_shared<window>();
        w->order = parse_order(p);
        for (auto &o : w->order)
            e->path.push_back(o.descending ? "desc" : "asc");
        expect_symbol(p, ")");
    }
    if (accept_word(p, "over"))
        e->over = parse_over(p);
    return e;
}

// Functions written without parentheses, and those whose names are reserved words.
static bool is_bare_function(const std::string &w) {
    return w == "current_timestamp" || w == "current_user" || w == "session_user" || w == "system_user" || w == "user";
}
static bool is_word_function(const std::string &w) {
    return w == "left" || w == "right" || w == "coalesce" || w == "nullif" || w == "update" || w == "contains";
}

static expr_ptr parse_name(parser &p) {
    const token &t = peek(p);
    bool call = is_symbol(p, "(", 1);
    if (t.kind == token_kind::name && call &&
        (t.lower == "cast" || t.lower == "convert" || t.lower == "try_cast" || t.lower == "try_convert"))
        return parse_cast(p, t.lower);
    if (t.kind == token_kind::name && call && (!is_reserved(t.lower) || is_word_function(t.lower)))
        return parse_call(p);
    if (t.kind == token_kind::name && is_bare_function(t.lower)) {
        auto e = make(p, expr_kind::call, t.lower);
        p.at++;
        return e;
    }
    auto e = make(p, expr_kind::column);
    e->path.push_back(name(p));
    while (is_symbol(p, ".") && !is_symbol(p, "*", 1)) {
        p.at++;
        e->path.push_back(is_symbol(p, ".") ? std::string() : name(p));
    }
    if (is_symbol(p, "(")) { // schema.function(...)
        p.at--;
        return parse_call(p);
    }
    return e;
}

static expr_ptr parse_primary(parser &p) {
    const token &t = peek(p);
    switch (t.kind) {
    case token_kind::string_:
    case token_kind::nstring:
    case token_kind::integer:
    case token_kind::decimal_:
    case token_kind::float_:
    case token_kind::money:
    case token_kind::binary: return literal(p);
    case token_kind::variable: {
        check_variable(p, t);
        auto e = make(p, expr_kind::variable, t.lower);
        p.at++;
        return e;
    }
    case token_kind::global: {
        auto e = make(p, expr_kind::global, t.lower);
        p.at++;
        return e;
    }
    default: break;
    }
    if (is_word(p, "null"))
        return null_literal(p);
    if (is_word(p, "case"))
        return parse_case(p);
    if (is_word(p, "default")) {
        auto e = make(p, expr_kind::default_);
        p.at++;
        return e;
    }
    if (accept_symbol(p, "(")) {
        if (is_word(p, "select") || is_word(p, "with") || is_word(p, "values")) {
            auto e = make(p, expr_kind::subquery);
            e->sub = parse_query(p);
            expect_symbol(p, ")");
            return e;
        }
        auto e = parse_expr(p);
        expect_symbol(p, ")");
        return e;
    }
    return parse_name(p);
}

static expr_ptr parse_unary(parser &p) {
    enter(p);
    expr_ptr e;
    if (is_symbol(p, "-") || is_symbol(p, "+") || is_symbol(p, "~")) {
        e = make(p, expr_kind::unary, p.tokens[p.at].text);
        p.at++;
        e->args.push_back(parse_unary(p));
    } else {
        e = parse_primary(p);
        while (accept_word(p, "collate"))
            name(p);
    }
    p.depth--;
    return e;
}

static int binary_level(const parser &p) {
    const token &t = peek(p);
    if (t.kind != token_kind::symbol)
        return 0;
    if (t.text == "*" || t.text == "/" || t.text == "%")
        return 2;
    return t.text == "+" || t.text == "-" || t.text == "&" || t.text == "|" || t.text == "^" ? 1 : 0;
}

static expr_ptr parse_binary(parser &p, int level) {
    expr_ptr left = level == 2 ? parse_unary(p) : parse_binary(p, 2);
    while (binary_level(p) == level) {
        std::string op = p.tokens[p.at++].text;
        expr_ptr right = level == 2 ? parse_unary(p) : parse_binary(p, 2);
        left = make2(p, expr_kind::binary, op, left, right);
    }
    return left;
}

expr_ptr parse_expr(parser &p) {
    enter(p);
    expr_ptr e = parse_binary(p, 1);
    p.depth--;
    return e;
}

static expr_ptr parse_in(parser &p, expr_ptr left) {
    auto e = make(p, expr_kind::in_list);
    expect_symbol(p, "(");
    e->args.push_back(std::move(left));
    if (is_word(p, "select") || is_word(p, "with")) {
        e->kind = expr_kind::in_query;
        e->sub = parse_query(p);
    } else {
        do
            e->args.push_back(parse_expr(p));
        while (accept_symbol(p, ","));
    }
    expect_symbol(p, ")");
    return e;
}

static std::string comparison(parser &p) {
    static const char *const ops[] = {"=", "<>", "!=", "<", ">", "<=", ">=", "!<", "!>"};
    static const char *const same[] = {"=", "<>", "<>", "<", ">", "<=", ">=", ">=", "<="};
    for (size_t i = 0; i < 9; i++)
        if (accept_symbol(p, ops[i]))
            return same[i];
    return {};
}

// what may follow an expression: LIKE, IN, BETWEEN, IS NULL, a comparison
static expr_ptr parse_predicate(parser &p) {
    if (is_word(p, "exists")) {
        auto e = make(p, expr_kind::exists);
        p.at++;
        expect_symbol(p, "(");
        e->sub = parse_query(p);
        expect_symbol(p, ")");
        return e;
    }
    // "(" opens a condition or an expression: try the expression first, take the condition when it does not fit
    if (is_symbol(p, "(")) {
        size_t from = p.at;
        int depth = p.depth;
        try {
            p.at++;
            auto e = parse_condition(p);
            if (e->kind >= expr_kind::compare && e->kind <= expr_kind::exists && accept_symbol(p, ")"))
                return e;
        } catch (const sql_error &e) {
            if (e.number == 137 || e.number == 191)
                throw;
        }
        p.at = from;
        p.depth = depth;
    }
    expr_ptr left = parse_expr(p);
    if (accept_word(p, "is")) {
        auto e = make(p, expr_kind::is_null);
        e->negated = accept_word(p, "not");
        expect_word(p, "null");
        e->args = {left};
        return e;
    }
    std::string op = comparison(p);
    if (!op.empty()) {
        for (const char *q : {"any", "some", "all"})
            if (is_word(p, q) && is_symbol(p, "(", 1)) {
                p.at += 2;
                auto e = make(p, expr_kind::quantified, op);
                e->negated = std::string(q) == "all";
                e->args = {left};
                e->sub = parse_query(p);
                expect_symbol(p, ")");
                return e;
            }
        return make2(p, expr_kind::compare, op, left, parse_expr(p));
    }
    bool negated = accept_word(p, "not");
    expr_ptr e;
    if (accept_word(p, "like")) {
        e = make2(p, expr_kind::like, "like", left, parse_expr(p));
        if (accept_word(p, "escape"))
            e->args.push_back(parse_expr(p));
    } else if (accept_word(p, "between")) {
        e = make2(p, expr_kind::between, "between", left, parse_expr(p));
        expect_word(p, "and");
        e->args.push_back(parse_expr(p));
    } else if (accept_word(p, "in")) {
        e = parse_in(p, left);
    } else if (negated) {
        syntax_error(p);
    } else {
        return left;
    }
    e->negated = negated;
    return e;
}

static expr_ptr parse_not(parser &p) {
    if (!accept_word(p, "not"))
        return parse_predicate(p);
    auto e = make(p, expr_kind::not_);
    e->args.push_back(parse_not(p));
    return e;
}

static expr_ptr parse_and(parser &p) {
    expr_ptr left = parse_not(p);
    while (accept_word(p, "and"))
        left = make2(p, expr_kind::and_, "and", left, parse_not(p));
    return left;
}

expr_ptr parse_condition(parser &p) {
    enter(p);
    expr_ptr left = parse_and(p);
    while (accept_word(p, "or"))
        left = make2(p, expr_kind::or_, "or", left, parse_and(p));
    p.depth--;
    return left;
}

} // namespace sqlserver
