// Parser: statements of control flow, variables, SET, transactions, EXEC, errors.
#include "tsql_cursor.h"
#include "tsql_parser.h"
#include "tsql_text.h"

namespace sqlserver {

stmt_ptr new_stmt(const parser &p, stmt_kind kind) {
    auto s = std::make_shared<stmt>();
    s->kind = kind;
    s->line = peek(p).line;
    return s;
}

static bool at_end(const parser &p) {
    return peek(p).kind == token_kind::end || is_symbol(p, ";") || is_word(p, "end") || is_word(p, "else");
}

// A word that can only begin a statement: what stops an optional operand.
static bool begins_statement(const parser &p) {
    if (at_end(p))
        return true;
    const token &t = peek(p);
    static const std::set<std::string> words = {
        "select", "insert",   "update", "delete",   "declare", "set",        "if",        "while", "begin",
        "commit", "rollback", "save",   "exec",     "execute", "print",      "raiserror", "throw", "use",
        "create", "alter",    "drop",   "truncate", "return",  "break",      "continue",  "goto",  "waitfor",
        "dbcc",   "merge",    "open",   "close",    "fetch",   "deallocate", "with",      "revert"};
    return t.kind == token_kind::name && words.count(t.lower) != 0;
}

static std::vector<stmt_ptr> parse_until_end(parser &p, const char *second) {
    std::vector<stmt_ptr> out;
    while (!is_word(p, "end")) {
        if (peek(p).kind == token_kind::end)
            syntax_error(p);
        if (!accept_symbol(p, ";"))
            out.push_back(parse_stmt(p));
    }
    p.at++;
    if (second != nullptr)
        expect_word(p, second);
    return out;
}

static stmt_ptr parse_try(parser &p) {
    auto s = new_stmt(p, stmt_kind::try_);
    p.at += 2;
    s->body = parse_until_end(p, "try");
    accept_symbol(p, ";");
    expect_word(p, "begin");
    expect_word(p, "catch");
    s->other = parse_until_end(p, "catch");
    return s;
}

static stmt_ptr parse_begin(parser &p) {
    if (is_word(p, "try", 1))
        return parse_try(p);
    bool distributed = is_word(p, "distributed", 1);
    if (distributed || is_word(p, "tran", 1) || is_word(p, "transaction", 1)) {
        auto s = new_stmt(p, stmt_kind::begin_tran);
        p.at += distributed ? 3 : 2;
        if (peek(p).kind == token_kind::variable)
            s->e = parse_expr(p);
        else if (is_name(p) && !begins_statement(p))
            s->text = name(p);
        if (accept_word(p, "with")) {
            expect_word(p, "mark");
            if (peek(p).kind == token_kind::string_ || peek(p).kind == token_kind::nstring)
                p.at++;
        }
        return s;
    }
    auto s = new_stmt(p, stmt_kind::block);
    p.at++;
    s->body = parse_until_end(p, nullptr);
    return s;
}

static stmt_ptr parse_end_tran(parser &p, stmt_kind kind) {
    auto s = new_stmt(p, kind);
    p.at++;
    bool word = accept_word(p, "tran") || accept_word(p, "transaction") || accept_word(p, "work");
    if (word && peek(p).kind == token_kind::variable)
        s->e = parse_expr(p);
    else if (word && is_name(p) && !begins_statement(p))
        s->text = name(p);
    if (kind == stmt_kind::commit && is_word(p, "with") && is_symbol(p, "(", 1))
        skip_table_hints(p);
    return s;
}

static stmt_ptr parse_if(parser &p) {
    auto s = new_stmt(p, stmt_kind::if_);
    p.at++;
    s->e = parse_condition(p);
    while (accept_symbol(p, ";")) {
    }
    s->body.push_back(parse_stmt(p));
    size_t before = p.at;
    while (accept_symbol(p, ";")) {
    }
    if (accept_word(p, "else"))
        s->other.push_back(parse_stmt(p));
    else
        p.at = before;
    return s;
}

static stmt_ptr parse_while(parser &p) {
    auto s = new_stmt(p, stmt_kind::while_);
    p.at++;
    s->e = parse_condition(p);
    s->body.push_back(parse_stmt(p));
    return s;
}

static stmt_ptr parse_declare(parser &p) {
    auto s = new_stmt(p, stmt_kind::declare);
    p.at++;
    do {
        declaration d;
        d.line = peek(p).line;
        if (peek(p).kind != token_kind::variable) {
            return parse_declare_cursor(p);
        }
        const token &t = p.tokens[p.at++];
        d.name = t.lower;
        if (!p.variables.insert(d.name).second) {
            sql_error e;
            e.number = 134;
            e.severity = 15;
            e.line = t.line;
            e.text = "The variable name '" + t.text +
                     "' has already been declared. Variable names must be unique within a query batch or stored "
                     "procedure.";
            throw e;
        }
        accept_word(p, "as");
        if (accept_word(p, "table")) {
            d.is_table = true;
            d.table = parse_table_def(p);
        } else if (accept_word(p, "cursor")) {
            d.is_cursor = true;
            p.cursors.insert(d.name);
        } else {
            d.type = parse_type(p);
            if (accept_symbol(p, "="))
                d.init = parse_expr(p);
        }
        s->declarations.push_back(std::move(d));
    } while (accept_symbol(p, ","));
    return s;
}

static std::vector<argument> parse_arguments(parser &p) {
    std::vector<argument> out;
    if (begins_statement(p))
        return out;
    do {
        argument a;
        if (peek(p).kind == token_kind::variable && is_symbol(p, "=", 1)) {
            a.name = peek(p).lower;
            p.at += 2;
        }
        if (!accept_word(p, "default")) {
            const token &t = peek(p);
            if (t.kind == token_kind::name && (!is_reserved(t.lower) || t.lower == "primary")) { // a bare word is text
                auto e = std::make_shared<expr>();
                e->type = {type_id::varchar_, static_cast<uint32_t>(t.text.size()), 0, 0};
                e->literal.null = false;
                e->literal.text = t.text;
                a.value = e;
                p.at++;
            } else {
                a.value = parse_expr(p);
            }
        }
        a.output = accept_word(p, "output") || accept_word(p, "out");
        out.push_back(std::move(a));
    } while (accept_symbol(p, ","));
    return out;
}

// EXECUTE AS LOGIN | USER = 'name' [WITH NO REVERT | COOKIE INTO @v], EXECUTE AS CALLER
static stmt_ptr parse_execute_as(parser &p) {
    auto s = new_stmt(p, stmt_kind::execute_as);
    p.at += 2;
    s->text = peek(p).lower;
    if (s->text != "login" && s->text != "user" && s->text != "caller")
        syntax_error(p);
    p.at++;
    if (s->text == "caller")
        return s;
    expect_symbol(p, "=");
    s->e = parse_expr(p);
    if (!is_word(p, "with") || !(is_word(p, "no", 1) || is_word(p, "cookie", 1)))
        return s;
    p.at++;
    s->flag = accept_word(p, "no");
    if (s->flag) {
        expect_word(p, "revert");
        return s;
    }
    expect_word(p, "cookie");
    expect_word(p, "into");
    check_variable(p, peek(p));
    s->words.push_back(p.tokens[p.at++].lower);
    return s;
}

static stmt_ptr parse_revert(parser &p) {
    auto s = new_stmt(p, stmt_kind::revert);
    p.at++;
    if (!is_word(p, "with") || !is_word(p, "cookie", 1))
        return s;
    p.at += 2;
    expect_symbol(p, "=");
    s->e = parse_expr(p);
    return s;
}

// SETUSER 'name' and SETUSER: the old EXECUTE AS USER and REVERT.
static stmt_ptr parse_setuser(parser &p) {
    auto s = new_stmt(p, stmt_kind::revert);
    p.at++;
    if (peek(p).kind != token_kind::string_ && peek(p).kind != token_kind::nstring)
        return s;
    s->kind = stmt_kind::execute_as;
    s->text = "user";
    s->e = parse_expr(p);
    if (is_word(p, "with") && is_word(p, "noreset", 1))
        p.at += 2;
    return s;
}

// OPEN SYMMETRIC KEY k DECRYPTION BY ...; CLOSE SYMMETRIC KEY k; CLOSE ALL SYMMETRIC KEYS. Else of a cursor.
static stmt_ptr parse_open_or_close(parser &p) {
    bool all = is_word(p, "all", 1) && is_word(p, "symmetric", 2);
    if (!all && !(is_word(p, "symmetric", 1) && is_word(p, "key", 2)))
        return parse_cursor_name(p);
    auto s = new_stmt(p, is_word(p, "open") ? stmt_kind::open_key : stmt_kind::close_key);
    s->flag = all;
    p.at += all ? 4 : 3;
    if (!all)
        s->text = name(p);
    while (s->kind == stmt_kind::open_key && !begins_statement(p))
        p.at++;
    return s;
}

static stmt_ptr parse_exec(parser &p) {
    if (is_word(p, "as", 1))
        return parse_execute_as(p);
    auto s = new_stmt(p, stmt_kind::exec_proc);
    p.at++;
    if (accept_symbol(p, "(")) {
        s->kind = stmt_kind::exec_text;
        s->e = parse_expr(p);
        expect_symbol(p, ")");
        return s;
    }
    if (peek(p).kind == token_kind::variable && is_symbol(p, "=", 1)) {
        check_variable(p, peek(p));
        s->text = peek(p).lower;
        p.at += 2;
    }
    if (peek(p).kind == token_kind::variable)
        s->e = parse_expr(p);
    else if (accept_symbol(p, "."))
        accept_symbol(p, "."), s->path = path(p);
    else
        s->path = path(p);
    if (accept_symbol(p, ";"))
        p.at += peek(p).kind == token_kind::integer; // proc;1
    s->arguments = parse_arguments(p);
    if (is_word(p, "with") && is_word(p, "recompile", 1))
        p.at += 2;
    return s;
}

static stmt_ptr parse_raiserror(parser &p) {
    auto s = new_stmt(p, stmt_kind::raiserror);
    p.at++;
    expect_symbol(p, "(");
    do
        s->list.push_back(parse_expr(p));
    while (accept_symbol(p, ","));
    expect_symbol(p, ")");
    if (s->list.size() < 3)
        syntax_error(p);
    if (accept_word(p, "with"))
        do
            s->words.push_back(lower(name(p)));
        while (accept_symbol(p, ","));
    return s;
}

static stmt_ptr parse_throw(parser &p) {
    auto s = new_stmt(p, stmt_kind::throw_);
    p.at++;
    if (begins_statement(p))
        return s;
    do
        s->list.push_back(parse_expr(p));
    while (accept_symbol(p, ","));
    if (s->list.size() != 3)
        syntax_error(p);
    return s;
}

static stmt_ptr parse_waitfor(parser &p) {
    auto s = new_stmt(p, stmt_kind::waitfor);
    p.at++;
    s->flag = accept_word(p, "delay");
    if (!s->flag)
        expect_word(p, "time");
    s->e = parse_expr(p);
    return s;
}

static stmt_ptr parse_dbcc(parser &p) {
    auto s = new_stmt(p, stmt_kind::dbcc);
    p.at++;
    s->text = lower(name(p));
    if (s->text.compare(0, 5, "trace") == 0 && accept_symbol(p, "(") && !accept_symbol(p, ")")) {
        do
            s->list.push_back(parse_expr(p));
        while (accept_symbol(p, ","));
        expect_symbol(p, ")");
    }
    while (!begins_statement(p) || (is_word(p, "with") && is_word(p, "no_infomsgs", 1)))
        p.at++;
    return s;
}

static stmt_ptr parse_simple(parser &p, stmt_kind kind) {
    auto s = new_stmt(p, kind);
    p.at++;
    if ((kind == stmt_kind::print || kind == stmt_kind::return_) && !begins_statement(p))
        s->e = parse_expr(p);
    if (kind == stmt_kind::use || kind == stmt_kind::goto_)
        s->text = name(p);
    if (kind == stmt_kind::save_tran) {
        p.at++;
        if (peek(p).kind == token_kind::variable)
            s->e = parse_expr(p);
        else
            s->text = name(p);
    }
    if (kind == stmt_kind::truncate) {
        expect_word(p, "table");
        s->path = path(p);
    }
    return s;
}

static stmt_ptr parse_select_stmt(parser &p) {
    auto s = new_stmt(p, stmt_kind::select);
    s->q = parse_query(p);
    return s;
}

static stmt_ptr parse_with(parser &p) {
    size_t from = p.at;
    std::vector<cte> ctes = parse_ctes(p);
    stmt_ptr s;
    if (is_word(p, "insert"))
        s = parse_insert(p);
    else if (is_word(p, "update"))
        s = parse_update(p);
    else if (is_word(p, "delete"))
        s = parse_delete(p);
    if (s == nullptr) {
        p.at = from;
        return parse_select_stmt(p);
    }
    s->ctes = std::move(ctes);
    return s;
}

// Statements of other T-SQL areas: parsed up to their end, refused when run.
static stmt_ptr parse_unsupported(parser &p) {
    auto s = new_stmt(p, stmt_kind::unsupported);
    s->text = upper(p.tokens[p.at++].lower);
    while (!begins_statement(p))
        p.at++;
    return s;
}

static stmt_ptr parse_ignored(parser &p) {
    auto s = new_stmt(p, stmt_kind::nothing);
    p.at++;
    while (!begins_statement(p))
        p.at++;
    return s;
}

stmt_ptr parse_stmt(parser &p) {
    enter(p);
    size_t first = p.at;
    const token &t = peek(p);
    stmt_ptr s;
    if (is_symbol(p, "(")) {
        s = parse_select_stmt(p);
    } else if (t.kind != token_kind::name) {
        syntax_error(p);
    } else if (is_symbol(p, ":", 1) && !is_reserved(t.lower)) {
        s = new_stmt(p, stmt_kind::label);
        s->text = t.text;
        p.at += 2;
    } else {
        using maker = stmt_ptr (*)(parser &);
        static const std::pair<const char *, maker> makers[] = {{"select", parse_select_stmt},
                                                                {"insert", parse_insert},
                                                                {"update", parse_update},
                                                                {"delete", parse_delete},
                                                                {"with", parse_with},
                                                                {"declare", parse_declare},
                                                                {"set", parse_set},
                                                                {"begin", parse_begin},
                                                                {"if", parse_if},
                                                                {"while", parse_while},
                                                                {"exec", parse_exec},
                                                                {"execute", parse_exec},
                                                                {"revert", parse_revert},
                                                                {"setuser", parse_setuser},
                                                                {"raiserror", parse_raiserror},
                                                                {"throw", parse_throw},
                                                                {"waitfor", parse_waitfor},
                                                                {"dbcc", parse_dbcc},
                                                                {"create", parse_create},
                                                                {"alter", parse_alter},
                                                                {"drop", parse_drop},
                                                                {"merge", parse_unsupported},
                                                                {"open", parse_open_or_close},
                                                                {"close", parse_open_or_close},
                                                                {"fetch", parse_fetch},
                                                                {"deallocate", parse_cursor_name},
                                                                {"grant", parse_ignored},
                                                                {"revoke", parse_ignored},
                                                                {"deny", parse_ignored},
                                                                {"checkpoint", parse_ignored},
                                                                {"reconfigure", parse_ignored},
                                                                {"kill", parse_unsupported},
                                                                {"bulk", parse_unsupported},
                                                                {"backup", parse_unsupported},
                                                                {"restore", parse_unsupported}};
        static const std::pair<const char *, stmt_kind> simple[] = {
            {"print", stmt_kind::print},        {"return", stmt_kind::return_}, {"break", stmt_kind::break_},
            {"continue", stmt_kind::continue_}, {"goto", stmt_kind::goto_},     {"use", stmt_kind::use},
            {"truncate", stmt_kind::truncate},  {"save", stmt_kind::save_tran}};
        for (auto &[word, make] : makers)
            if (s == nullptr && t.lower == word)
                s = make(p);
        for (auto &[word, kind] : simple)
            if (s == nullptr && is_word(p, word))
                s = parse_simple(p, kind);
        if (s == nullptr && is_word(p, "commit"))
            s = parse_end_tran(p, stmt_kind::commit);
        if (s == nullptr && is_word(p, "rollback"))
            s = parse_end_tran(p, stmt_kind::rollback);
        if (s == nullptr)
            syntax_error(p);
    }
    const token &last = p.tokens[p.at > first ? p.at - 1 : first];
    s->at = p.tokens[first].offset;
    s->length = last.offset + last.length - s->at;
    accept_symbol(p, ";");
    p.depth--;
    return s;
}

} // namespace sqlserver
