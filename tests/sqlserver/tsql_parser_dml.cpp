// Parser: INSERT, UPDATE, DELETE and SET.
#include "tsql_cursor.h"
#include "tsql_parser.h"
#include "tsql_text.h"

namespace sqlserver {

static void parse_output(parser &p, stmt &s) {
    if (!is_word(p, "output"))
        return;
    p.at++;
    s.output = parse_items(p, false);
    if (!accept_word(p, "into"))
        return;
    if (peek(p).kind == token_kind::variable)
        s.output_into.push_back(p.tokens[p.at++].lower);
    else
        s.output_into = path(p);
    if (accept_symbol(p, "(")) {
        do
            s.words.push_back(name(p));
        while (accept_symbol(p, ","));
        expect_symbol(p, ")");
    }
}

static void parse_target(parser &p, stmt &s) {
    if (peek(p).kind == token_kind::variable) {
        check_variable(p, peek(p));
        s.path.push_back(p.tokens[p.at++].lower);
    } else {
        s.path = path(p);
    }
    skip_table_hints(p);
}

// INSERT BULK t (column type [COLLATE name], ...) [WITH (KEEP_NULLS, ORDER (...), ...)]. The types are not needed: the
// data comes with its own.
static void parse_bulk(parser &p, stmt &s) {
    s.path = path(p);
    if (accept_symbol(p, "(")) {
        do {
            std::string user_type;
            s.columns.push_back(name(p));
            parse_type(p, &user_type);
            if (accept_word(p, "collate"))
                name(p);
            accept_word(p, "not");
            accept_word(p, "null");
        } while (accept_symbol(p, ","));
        expect_symbol(p, ")");
    }
    if (!accept_word(p, "with"))
        return;
    expect_symbol(p, "(");
    for (int depth = 1; depth > 0; p.at++) {
        if (peek(p).kind == token_kind::end)
            syntax_error(p);
        depth += is_symbol(p, "(") ? 1 : is_symbol(p, ")") ? -1 : 0;
        s.words.push_back(peek(p).lower);
    }
}

stmt_ptr parse_insert(parser &p) {
    auto s = new_stmt(p, stmt_kind::insert);
    p.at++;
    if (accept_word(p, "bulk")) {
        s->kind = stmt_kind::insert_bulk;
        parse_bulk(p, *s);
        return s;
    }
    bool percent = false;
    s->e = parse_top(p, percent);
    accept_word(p, "into");
    parse_target(p, *s);
    if (is_symbol(p, "(") && is_name(p, 1) && !is_word(p, "select", 1)) {
        p.at++;
        do
            s->columns.push_back(path(p).back());
        while (accept_symbol(p, ","));
        expect_symbol(p, ")");
    }
    parse_output(p, *s);
    if (accept_word(p, "default")) {
        expect_word(p, "values");
        s->flag = true;
    } else if (is_word(p, "exec") || is_word(p, "execute")) {
        s->body.push_back(parse_stmt(p));
    } else if (is_word(p, "values") || is_word(p, "select") || is_word(p, "with") || is_symbol(p, "(")) {
        s->q = parse_query(p);
    } else {
        syntax_error(p);
    }
    return s;
}

static select_item parse_assignment(parser &p) {
    select_item item;
    item.assign.clear();
    if (peek(p).kind == token_kind::variable) {
        check_variable(p, peek(p));
        item.variable = p.tokens[p.at++].lower;
        if (is_symbol(p, "=") && is_name(p, 1) && is_symbol(p, "=", 2)) { // @v = column = expression
            p.at++;
            item.alias = path(p).back();
        }
    } else {
        item.alias = path(p).back();
    }
    static const char *const ops[] = {"=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^="};
    for (const char *op : ops)
        if (item.assign.empty() && accept_symbol(p, op))
            item.assign = op;
    if (item.assign.empty())
        syntax_error(p);
    item.e = parse_expr(p);
    return item;
}

stmt_ptr parse_update(parser &p) {
    auto s = new_stmt(p, stmt_kind::update);
    p.at++;
    if (is_word(p, "statistics")) {
        s->kind = stmt_kind::nothing;
        p.at++;
        path(p);
        return s;
    }
    bool percent = false;
    s->e2 = parse_top(p, percent);
    parse_target(p, *s);
    expect_word(p, "set");
    do
        s->sets.push_back(parse_assignment(p));
    while (accept_symbol(p, ","));
    parse_output(p, *s);
    if (accept_word(p, "from"))
        s->from = parse_from(p);
    if (accept_word(p, "where"))
        s->e = parse_condition(p);
    skip_option(p);
    return s;
}

stmt_ptr parse_delete(parser &p) {
    auto s = new_stmt(p, stmt_kind::delete_);
    p.at++;
    bool percent = false;
    s->e2 = parse_top(p, percent);
    accept_word(p, "from");
    parse_target(p, *s);
    parse_output(p, *s);
    if (accept_word(p, "from"))
        s->from = parse_from(p);
    if (accept_word(p, "where"))
        s->e = parse_condition(p);
    skip_option(p);
    return s;
}

static stmt_ptr parse_set_variable(parser &p) {
    if (p.cursors.count(peek(p).lower) != 0)
        return parse_set_cursor(p);
    auto s = new_stmt(p, stmt_kind::set_variable);
    check_variable(p, peek(p));
    s->sets.push_back(parse_assignment(p));
    return s;
}

static void parse_isolation(parser &p, stmt &s) {
    p.at += 3; // TRANSACTION ISOLATION LEVEL
    s.text = "transaction isolation level";
    std::string words = p.tokens[p.at++].lower;
    if (words == "read" || words == "repeatable")
        words += " " + p.tokens[p.at++].lower;
    s.words.push_back(words);
}

stmt_ptr parse_set(parser &p) {
    p.at++;
    if (peek(p).kind == token_kind::variable)
        return parse_set_variable(p);
    auto s = new_stmt(p, stmt_kind::set_option);
    if (is_word(p, "transaction") && is_word(p, "isolation", 1) && is_word(p, "level", 2)) {
        parse_isolation(p, *s);
        return s;
    }
    if (is_word(p, "identity_insert")) {
        p.at++;
        s->text = "identity_insert";
        s->path = path(p);
    } else {
        bool statistics = accept_word(p, "statistics"); // STATISTICS IO, TIME ON
        do {
            s->text = s->words.empty() ? peek(p).lower : s->text;
            if (peek(p).kind != token_kind::name)
                syntax_error(p);
            s->words.push_back((statistics ? "statistics " : "") + p.tokens[p.at++].lower);
        } while (accept_symbol(p, ","));
    }
    if (accept_word(p, "on"))
        s->flag = true;
    else if (accept_word(p, "off"))
        s->flag = false;
    else if (is_name(p)) { // SET LANGUAGE us_english, SET DATEFORMAT dmy, SET DEADLOCK_PRIORITY LOW
        auto e = std::make_shared<expr>();
        e->type = {type_id::nvarchar_, 128, 0, 0};
        e->literal.null = false;
        e->literal.text = name(p);
        s->e = e;
    } else {
        s->e = parse_expr(p);
    }
    return s;
}

} // namespace sqlserver
