// Parser: SELECT, FROM, set operations, common table expressions.
#include "tsql_parser.h"
#include "tsql_text.h"

namespace sqlserver {

void skip_table_hints(parser &p) {
    bool with = is_word(p, "with") && is_symbol(p, "(", 1);
    static const char *const bare[] = {"nolock", "readpast", "updlock", "holdlock", "rowlock", "tablock", "xlock"};
    bool old = false;
    for (const char *h : bare)
        old = old || (is_symbol(p, "(") && is_word(p, h, 1) && is_symbol(p, ")", 2));
    if (!with && !old)
        return;
    p.at += with ? 2 : 1;
    for (int depth = 1; depth > 0 && peek(p).kind != token_kind::end; p.at++)
        depth += is_symbol(p, "(") ? 1 : is_symbol(p, ")") ? -1 : 0;
}

void skip_option(parser &p) {
    if (!is_word(p, "option") || !is_symbol(p, "(", 1))
        return;
    p.at += 2;
    for (int depth = 1; depth > 0 && peek(p).kind != token_kind::end; p.at++)
        depth += is_symbol(p, "(") ? 1 : is_symbol(p, ")") ? -1 : 0;
}

std::vector<order_item> parse_order(parser &p) {
    std::vector<order_item> out;
    expect_word(p, "order");
    expect_word(p, "by");
    do {
        order_item item;
        item.e = parse_expr(p);
        item.descending = accept_word(p, "desc");
        if (!item.descending)
            accept_word(p, "asc");
        out.push_back(item);
    } while (accept_symbol(p, ","));
    return out;
}

expr_ptr parse_top(parser &p, bool &percent) {
    if (!accept_word(p, "top"))
        return nullptr;
    expr_ptr e;
    if (accept_symbol(p, "(")) {
        e = parse_expr(p);
        expect_symbol(p, ")");
    } else {
        token_kind k = peek(p).kind;
        if (k != token_kind::integer && k != token_kind::variable && k != token_kind::decimal_)
            syntax_error(p);
        parser one; // exactly one token: "TOP 5 -1" selects -1
        one.tokens = {peek(p), token()};
        one.variables = p.variables;
        e = parse_expr(one);
        p.at++;
    }
    percent = accept_word(p, "percent");
    if (is_word(p, "with") && is_word(p, "ties", 1))
        p.at += 2;
    return e;
}

static std::string alias_name(parser &p) {
    if (peek(p).kind == token_kind::string_ || peek(p).kind == token_kind::nstring)
        return p.tokens[p.at++].text;
    return name(p);
}

static bool is_alias(const parser &p) {
    if (peek(p).kind == token_kind::string_)
        return true;
    return is_name(p) && !(is_symbol(p, ":", 1) && peek(p).kind == token_kind::name);
}

static select_item parse_item(parser &p, bool assignments) {
    select_item item;
    if (accept_symbol(p, "*")) {
        item.star = true;
        return item;
    }
    for (size_t n = 0; is_name(p, n) && is_symbol(p, ".", n + 1); n += 2)
        if (is_symbol(p, "*", n + 2)) {
            item.star = true;
            item.star_of = peek(p, n).text;
            p.at += n + 3;
            return item;
        }
    static const char *const ops[] = {"=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^="};
    if (peek(p).kind == token_kind::variable && assignments)
        for (const char *op : ops)
            if (is_symbol(p, op, 1)) {
                check_variable(p, peek(p));
                item.variable = peek(p).lower;
                item.assign = op;
                p.at += 2;
                item.e = parse_expr(p);
                return item;
            }
    if ((is_name(p) || peek(p).kind == token_kind::string_) && is_symbol(p, "=", 1)) { // alias = expression
        item.alias = p.tokens[p.at].text;
        p.at += 2;
        item.e = parse_expr(p);
        return item;
    }
    item.e = parse_expr(p);
    if (accept_word(p, "as"))
        item.alias = alias_name(p);
    else if (is_alias(p))
        item.alias = alias_name(p);
    return item;
}

std::vector<select_item> parse_items(parser &p, bool assignments) {
    std::vector<select_item> out;
    do
        out.push_back(parse_item(p, assignments));
    while (accept_symbol(p, ","));
    return out;
}

static void parse_alias(parser &p, table_ref &t) {
    static const char *const stop[] = {"inner", "output", "option", "go"};
    skip_table_hints(p);
    bool as = accept_word(p, "as");
    bool plain = is_name(p) && !(is_symbol(p, ":", 1));
    for (const char *w : stop)
        plain = plain && !(!as && is_word(p, w));
    if (as || plain) {
        t.alias = name(p);
        if (is_symbol(p, "(") && t.kind != table_kind::named) {
            p.at++;
            do
                t.column_names.push_back(name(p));
            while (accept_symbol(p, ","));
            expect_symbol(p, ")");
        }
    }
    skip_table_hints(p);
}

static std::vector<std::vector<expr_ptr>> parse_rows(parser &p) {
    std::vector<std::vector<expr_ptr>> rows;
    do {
        expect_symbol(p, "(");
        rows.emplace_back();
        do
            rows.back().push_back(parse_expr(p));
        while (accept_symbol(p, ","));
        expect_symbol(p, ")");
    } while (accept_symbol(p, ","));
    return rows;
}

table_ptr parse_table(parser &p) {
    auto t = std::make_shared<table_ref>();
    t->line = peek(p).line;
    if (accept_symbol(p, "(")) {
        if (is_word(p, "select") || is_word(p, "with") || is_word(p, "values")) {
            t->kind = table_kind::derived;
            t->sub = parse_query(p);
            expect_symbol(p, ")");
            parse_alias(p, *t);
            return t;
        }
        t = parse_from(p);
        expect_symbol(p, ")");
        return t;
    }
    if (peek(p).kind == token_kind::variable) {
        check_variable(p, peek(p));
        t->path.push_back(p.tokens[p.at++].lower);
    } else {
        size_t from = p.at;
        t->path = path(p);
        skip_table_hints(p);
        if (is_symbol(p, "(")) {
            p.at = from + (t->path.size() - 1) * 2;
            t->kind = table_kind::function;
            t->call = parse_expr(p);
        }
    }
    parse_alias(p, *t);
    return t;
}

static std::string join_words(parser &p) {
    if (is_word(p, "join"))
        return "INNER JOIN";
    if (is_word(p, "inner"))
        return p.at++, "INNER JOIN";
    for (const char *side : {"left", "right", "full"})
        if (is_word(p, side)) {
            p.at++;
            accept_word(p, "outer");
            return upper(side) + " JOIN";
        }
    if (is_word(p, "cross"))
        return p.at++, "CROSS JOIN";
    return {};
}

static table_ptr parse_joined(parser &p) {
    table_ptr left = parse_table(p);
    while (true) {
        bool outer_apply = is_word(p, "outer") && is_word(p, "apply", 1);
        if (outer_apply)
            p.at++;
        std::string join = outer_apply ? "LEFT JOIN" : join_words(p);
        if (join.empty())
            return left;
        for (const char *h : {"loop", "hash", "merge", "remote"})
            accept_word(p, h);
        auto t = std::make_shared<table_ref>();
        t->kind = accept_word(p, "apply") ? table_kind::apply : (expect_word(p, "join"), table_kind::join);
        t->join = join;
        t->line = peek(p).line;
        t->left = left;
        if (t->kind == table_kind::apply || join == "CROSS JOIN") {
            t->right = parse_table(p);
        } else {
            t->right = parse_joined(p);
            expect_word(p, "on");
            t->on = parse_condition(p);
        }
        left = t;
    }
}

table_ptr parse_from(parser &p) {
    table_ptr left = parse_joined(p);
    while (accept_symbol(p, ",")) {
        auto t = std::make_shared<table_ref>();
        t->kind = table_kind::join;
        t->join = "CROSS JOIN";
        t->left = left;
        t->right = parse_joined(p);
        left = t;
    }
    return left;
}

static std::shared_ptr<select_core> parse_select_core(parser &p) {
    auto s = std::make_shared<select_core>();
    s->line = peek(p).line;
    expect_word(p, "select");
    s->distinct = accept_word(p, "distinct");
    if (!s->distinct)
        accept_word(p, "all");
    s->top = parse_top(p, s->top_percent);
    s->items = parse_items(p, true);
    if (accept_word(p, "into"))
        s->into = path(p);
    if (accept_word(p, "from"))
        s->from = parse_from(p);
    if (accept_word(p, "where"))
        s->where = parse_condition(p);
    if (accept_word(p, "group")) {
        expect_word(p, "by");
        do
            s->group_by.push_back(parse_expr(p));
        while (accept_symbol(p, ","));
    }
    if (accept_word(p, "having"))
        s->having = parse_condition(p);
    return s;
}

static query_ptr parse_query_term(parser &p) {
    auto q = std::make_shared<query>();
    if (accept_symbol(p, "(")) {
        q = parse_query(p);
        expect_symbol(p, ")");
        return q;
    }
    if (accept_word(p, "values"))
        q->values = parse_rows(p);
    else
        q->core = parse_select_core(p);
    return q;
}

static query_ptr combine(query_ptr left, std::string op, query_ptr right) {
    auto q = std::make_shared<query>();
    q->set_op = std::move(op);
    q->left = std::move(left);
    q->right = std::move(right);
    return q;
}

query_ptr parse_query_body(parser &p) {
    enter(p);
    auto intersections = [&] {
        query_ptr term = parse_query_term(p);
        while (accept_word(p, "intersect"))
            term = combine(term, "INTERSECT", parse_query_term(p));
        return term;
    };
    query_ptr left = intersections();
    while (is_word(p, "union") || is_word(p, "except")) {
        std::string op = upper(p.tokens[p.at++].lower);
        if (accept_word(p, "all"))
            op += " ALL";
        left = combine(left, op, intersections());
    }
    p.depth--;
    return left;
}

std::vector<cte> parse_ctes(parser &p) {
    std::vector<cte> out;
    expect_word(p, "with");
    do {
        cte c;
        c.name = name(p);
        if (accept_symbol(p, "(")) {
            do
                c.columns.push_back(name(p));
            while (accept_symbol(p, ","));
            expect_symbol(p, ")");
        }
        expect_word(p, "as");
        expect_symbol(p, "(");
        c.body = parse_query(p);
        expect_symbol(p, ")");
        out.push_back(std::move(c));
    } while (accept_symbol(p, ","));
    return out;
}

query_ptr parse_query(parser &p) {
    std::vector<cte> ctes;
    if (is_word(p, "with"))
        ctes = parse_ctes(p);
    query_ptr q = parse_query_body(p);
    if (!ctes.empty())
        q->ctes = std::move(ctes);
    if (is_word(p, "order"))
        q->order = parse_order(p);
    if (accept_word(p, "offset")) {
        q->offset = parse_expr(p);
        if (!accept_word(p, "rows"))
            expect_word(p, "row");
        if (accept_word(p, "fetch")) {
            if (!accept_word(p, "next"))
                expect_word(p, "first");
            q->fetch = parse_expr(p);
            if (!accept_word(p, "rows"))
                expect_word(p, "row");
            expect_word(p, "only");
        }
    }
    if (is_word(p, "for") && (is_word(p, "xml", 1) || is_word(p, "json", 1))) {
        sql_error e;
        e.number = 40517; // this engine has no such output
        e.line = peek(p).line;
        e.text = "FOR XML and FOR JSON are not supported by this server.";
        throw e;
    }
    if (is_word(p, "for") && is_word(p, "browse", 1))
        p.at += 2;
    skip_option(p);
    return q;
}

} // namespace sqlserver
