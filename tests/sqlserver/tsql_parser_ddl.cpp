// Parser: CREATE, ALTER, DROP.
#include "tsql_parser.h"
#include "tsql_text.h"
#include "tsql_types.h"

namespace sqlserver {

static std::vector<std::string> parse_key_columns(parser &p, std::vector<bool> *descending) {
    std::vector<std::string> out;
    expect_symbol(p, "(");
    do {
        out.push_back(name(p));
        bool desc = accept_word(p, "desc");
        if (!desc)
            accept_word(p, "asc");
        if (descending != nullptr)
            descending->push_back(desc);
    } while (accept_symbol(p, ","));
    expect_symbol(p, ")");
    return out;
}

// WITH (...), ON [PRIMARY], TEXTIMAGE_ON ...: storage, ignored.
static void skip_storage(parser &p) {
    while (true) {
        if (is_word(p, "with") && is_symbol(p, "(", 1)) {
            skip_table_hints(p);
        } else if ((is_word(p, "on") || is_word(p, "textimage_on")) &&
                   (peek(p, 1).kind == token_kind::quoted_name || is_word(p, "primary", 1))) {
            p.at += 2;
        } else {
            return;
        }
    }
}

static void parse_reference(parser &p, key_def &k) {
    k.parent = path(p);
    if (is_symbol(p, "("))
        k.parent_columns = parse_key_columns(p, nullptr);
    while (is_word(p, "on") && (is_word(p, "delete", 1) || is_word(p, "update", 1))) {
        bool on_delete = is_word(p, "delete", 1);
        p.at += 2;
        if (accept_word(p, "cascade"))
            k.cascade_delete = k.cascade_delete || on_delete;
        else if (accept_word(p, "set"))
            k.null_delete = k.null_delete || on_delete, p.at++;
        else
            p.at += 2; // NO ACTION
    }
    if (accept_word(p, "not")) { // FOR REPLICATION
        p.at += 2;
    }
}

static void accept_clustered(parser &p, key_def &k) {
    k.clustered = accept_word(p, "clustered");
    accept_word(p, "nonclustered");
}

static key_def parse_table_key(parser &p) {
    key_def k;
    if (accept_word(p, "constraint"))
        k.name = name(p);
    if (accept_word(p, "primary")) {
        expect_word(p, "key");
        k.kind = "PK";
        accept_clustered(p, k);
        k.columns = parse_key_columns(p, &k.descending);
    } else if (accept_word(p, "unique")) {
        k.kind = "UQ";
        accept_clustered(p, k);
        k.columns = parse_key_columns(p, &k.descending);
    } else if (accept_word(p, "foreign")) {
        expect_word(p, "key");
        k.kind = "F";
        k.columns = parse_key_columns(p, nullptr);
        expect_word(p, "references");
        parse_reference(p, k);
    } else if (accept_word(p, "check")) {
        k.kind = "C";
        size_t from = p.at;
        expect_symbol(p, "(");
        k.check = parse_condition(p);
        expect_symbol(p, ")");
        k.check_text = text_since(p, from);
    } else if (accept_word(p, "default")) { // ALTER TABLE ... ADD CONSTRAINT d DEFAULT e FOR c
        k.kind = "D";
        size_t from = p.at;
        k.check = parse_expr(p);
        k.check_text = text_since(p, from);
        expect_word(p, "for");
        k.columns.push_back(name(p));
    } else {
        syntax_error(p);
    }
    skip_storage(p);
    return k;
}

static void parse_column_constraint(parser &p, column_def &c) {
    std::string given;
    if (accept_word(p, "constraint"))
        given = name(p);
    if (accept_word(p, "primary")) {
        expect_word(p, "key");
        c.primary_key = true;
        c.nullable = false;
        c.key_name = given;
        key_def ignored;
        accept_clustered(p, ignored);
    } else if (accept_word(p, "unique")) {
        c.unique = true;
        c.key_name = given;
        key_def ignored;
        accept_clustered(p, ignored);
    } else if (accept_word(p, "default")) {
        size_t from = p.at;
        c.default_value = parse_expr(p);
        c.default_text = text_since(p, from);
        c.default_name = given;
    } else if (accept_word(p, "check")) {
        size_t from = p.at;
        expect_symbol(p, "(");
        c.check = parse_condition(p);
        expect_symbol(p, ")");
        c.check_text = text_since(p, from);
        c.check_name = given;
    } else {
        if (accept_word(p, "foreign"))
            expect_word(p, "key");
        expect_word(p, "references");
        c.reference = std::make_shared<key_def>();
        c.reference->kind = "F";
        c.reference->name = given;
        c.reference->columns = {c.name};
        parse_reference(p, *c.reference);
    }
    skip_storage(p);
}

static column_def parse_column(parser &p) {
    column_def c;
    c.name = name(p);
    if (accept_word(p, "as")) {
        size_t from = p.at;
        c.computed = parse_expr(p);
        c.computed_text = text_since(p, from);
        accept_word(p, "persisted");
        return c;
    }
    if (is_word(p, "timestamp") || is_word(p, "rowversion")) {
        p.at++;
        c.type = {type_id::binary_, 8, 0, 0};
    } else {
        c.type = parse_type(p, &c.type_name);
    }
    while (true) {
        if (accept_word(p, "null")) {
            c.null_given = true;
        } else if (is_word(p, "not") && is_word(p, "null", 1)) {
            p.at += 2;
            c.nullable = false;
            c.null_given = true;
        } else if (accept_word(p, "identity")) {
            c.identity = true;
            c.nullable = false;
            if (accept_symbol(p, "(")) {
                c.seed = integer(p);
                expect_symbol(p, ",");
                c.increment = integer(p);
                expect_symbol(p, ")");
            }
        } else if (accept_word(p, "collate") || is_word(p, "sparse") || is_word(p, "rowguidcol")) {
            p.at++;
        } else if (is_word(p, "constraint") || is_word(p, "primary") || is_word(p, "unique") || is_word(p, "default") ||
                   is_word(p, "check") || is_word(p, "references") || is_word(p, "foreign")) {
            parse_column_constraint(p, c);
        } else {
            return c;
        }
    }
}

static key_def parse_inline_index(parser &p) {
    key_def k;
    p.at++;
    k.kind = "IX";
    k.name = name(p);
    if (accept_word(p, "unique"))
        k.kind = "UX";
    accept_clustered(p, k);
    k.columns = parse_key_columns(p, &k.descending);
    skip_storage(p);
    return k;
}

static void parse_table_element(parser &p, table_def &t) {
    if (is_word(p, "constraint") || is_word(p, "primary") || is_word(p, "unique") || is_word(p, "foreign") ||
        is_word(p, "check") || is_word(p, "default"))
        t.keys.push_back(parse_table_key(p));
    else if (is_word(p, "index"))
        t.keys.push_back(parse_inline_index(p));
    else
        t.columns.push_back(parse_column(p));
}

std::shared_ptr<table_def> parse_table_def(parser &p) {
    auto t = std::make_shared<table_def>();
    expect_symbol(p, "(");
    do {
        if (is_symbol(p, ")"))
            break;
        parse_table_element(p, *t);
        // a table constraint may follow a column without a comma
        while (is_word(p, "constraint") || is_word(p, "primary"))
            t->keys.push_back(parse_table_key(p));
    } while (accept_symbol(p, ","));
    expect_symbol(p, ")");
    return t;
}

static stmt_ptr parse_create_table(parser &p) {
    auto s = new_stmt(p, stmt_kind::create_table);
    p.at++;
    s->path = path(p);
    s->table = parse_table_def(p);
    skip_storage(p);
    return s;
}

static stmt_ptr parse_create_index(parser &p) {
    auto s = new_stmt(p, stmt_kind::create_index);
    s->key.kind = accept_word(p, "unique") ? "UX" : "IX";
    accept_clustered(p, s->key);
    accept_word(p, "columnstore");
    expect_word(p, "index");
    s->key.name = name(p);
    expect_word(p, "on");
    s->path = path(p);
    s->key.columns = parse_key_columns(p, &s->key.descending);
    if (accept_word(p, "include"))
        s->columns = parse_key_columns(p, nullptr);
    if (accept_word(p, "where"))
        s->e = parse_condition(p);
    skip_storage(p);
    return s;
}

// PROCEDURE and VIEW: the body is parsed now for its syntax, and again from the source when it is used.
// RECOMPILE, ENCRYPTION, SCHEMABINDING, EXECUTE AS OWNER ...
static void parse_module_option(parser &p, stmt &s) {
    s.flag = s.flag || is_word(p, "encryption");
    bool execute = is_word(p, "exec") || is_word(p, "execute");
    p.at++;
    if (execute) {
        expect_word(p, "as");
        p.at++;
    }
}

// What the server keeps: as written, but CREATE for ALTER, and blanks for OR ALTER. `from` and `kind`: where CREATE or
// ALTER and where PROCEDURE or VIEW begin.
static std::string module_text(const std::string &sql, size_t from, size_t kind) {
    std::string words = sql.substr(from, kind - from);
    bool altered = lower(words).find("alter") != std::string::npos;
    return altered ? sql.substr(0, from) + "CREATE" + (words.size() > 8 ? "   " : " ") + sql.substr(kind) : sql;
}

static stmt_ptr parse_module(parser &p, bool alter, bool or_alter) {
    size_t kind = p.at, first = kind - (or_alter ? 3 : 1);
    auto s = new_stmt(p, stmt_kind::create_module);
    s->alter = alter;
    s->or_alter = or_alter;
    bool view = is_word(p, "view");
    s->text = view ? "V" : "P";
    p.at++;
    s->path = path(p);
    if (accept_symbol(p, ";"))
        p.at++; // number
    auto outer = p.variables;
    p.variables.clear();
    if (view && is_symbol(p, "("))
        s->columns = parse_key_columns(p, nullptr);
    if (!view)
        s->declarations = parse_module_parameters(p);
    if (accept_word(p, "with"))
        do
            parse_module_option(p, *s);
        while (accept_symbol(p, ","));
    if (accept_word(p, "for"))
        p.at++;
    expect_word(p, "as");
    if (view) {
        s->q = parse_query(p);
        if (accept_word(p, "with"))
            p.at += 2; // CHECK OPTION
        accept_symbol(p, ";");
        if (peek(p).kind != token_kind::end)
            syntax_error(p);
    } else {
        while (peek(p).kind != token_kind::end)
            if (!accept_symbol(p, ";"))
                s->body.push_back(parse_stmt(p));
    }
    s->source = module_text(p.sql, p.tokens[first].offset, p.tokens[kind].offset);
    p.variables = outer;
    return s;
}

static stmt_ptr parse_create_database(parser &p) {
    auto s = new_stmt(p, stmt_kind::create_database);
    p.at++;
    s->text = name(p);
    if (accept_word(p, "collate"))
        p.at++;
    // ON (...), LOG ON (...), CONTAINMENT: storage
    while (is_word(p, "on") || is_word(p, "log") || is_word(p, "containment") || is_symbol(p, ",") ||
           is_symbol(p, "(") || is_word(p, "primary")) {
        if (!accept_symbol(p, "(")) {
            p.at += is_word(p, "containment") ? 3 : 1;
            continue;
        }
        for (int depth = 1; depth > 0 && peek(p).kind != token_kind::end; p.at++)
            depth += is_symbol(p, "(") ? 1 : is_symbol(p, ")") ? -1 : 0;
    }
    return s;
}

static stmt_ptr parse_rest_unsupported(parser &p, const std::string &what, stmt_kind kind) {
    auto s = new_stmt(p, kind);
    s->text = what;
    while (peek(p).kind != token_kind::end && !is_symbol(p, ";"))
        p.at++;
    return s;
}

stmt_ptr parse_create(parser &p) {
    p.at++;
    bool or_alter = is_word(p, "or") && is_word(p, "alter", 1);
    p.at += or_alter ? 2 : 0;
    if (is_word(p, "table"))
        return parse_create_table(p);
    if (is_word(p, "unique") || is_word(p, "clustered") || is_word(p, "nonclustered") || is_word(p, "index"))
        return parse_create_index(p);
    if (is_word(p, "proc") || is_word(p, "procedure") || is_word(p, "view"))
        return parse_module(p, false, or_alter);
    if (is_word(p, "symmetric") && is_word(p, "key", 1)) {
        auto s = new_stmt(p, stmt_kind::create_key);
        p.at += 2;
        s->text = name(p);
        while (peek(p).kind != token_kind::end && !is_symbol(p, ";"))
            p.at++;
        return s;
    }
    if (is_word(p, "database"))
        return parse_create_database(p);
    if (is_word(p, "schema")) {
        auto s = new_stmt(p, stmt_kind::create_schema);
        p.at++;
        s->text = name(p);
        if (accept_word(p, "authorization"))
            p.at++;
        return s;
    }
    if (is_word(p, "statistics") || is_word(p, "login") || is_word(p, "user") || is_word(p, "role"))
        return parse_rest_unsupported(p, "", stmt_kind::nothing);
    if (is_word(p, "function") || is_word(p, "trigger") || is_word(p, "type") || is_word(p, "sequence") ||
        is_word(p, "synonym"))
        return parse_rest_unsupported(p, "CREATE " + upper(peek(p).lower), stmt_kind::unsupported);
    syntax_error(p);
}

static stmt_ptr parse_alter_table(parser &p) {
    p.at++;
    object_path table = path(p);
    stmt_ptr s;
    if (is_word(p, "with") && (is_word(p, "check", 1) || is_word(p, "nocheck", 1)))
        p.at += 2;
    if (accept_word(p, "add")) {
        s = new_stmt(p, stmt_kind::alter_add);
        s->table = std::make_shared<table_def>();
        do
            parse_table_element(p, *s->table);
        while (accept_symbol(p, ","));
    } else if (accept_word(p, "alter")) {
        expect_word(p, "column");
        s = new_stmt(p, stmt_kind::alter_column);
        s->table = std::make_shared<table_def>();
        s->table->columns.push_back(parse_column(p));
    } else if (accept_word(p, "drop")) {
        s = new_stmt(p, stmt_kind::alter_drop);
        bool constraint = accept_word(p, "constraint");
        if (!constraint)
            accept_word(p, "column");
        s->text = constraint ? "constraint" : "column";
        if (accept_word(p, "if"))
            s->flag = (expect_word(p, "exists"), true);
        do {
            accept_word(p, "column");
            s->columns.push_back(name(p));
        } while (accept_symbol(p, ","));
    } else if (is_word(p, "check") || is_word(p, "nocheck") || is_word(p, "enable") || is_word(p, "disable") ||
               is_word(p, "rebuild") || is_word(p, "set")) {
        s = parse_rest_unsupported(p, "", stmt_kind::alter_constraint);
    } else {
        syntax_error(p);
    }
    s->path = table;
    return s;
}

stmt_ptr parse_alter(parser &p) {
    p.at++;
    if (is_word(p, "table"))
        return parse_alter_table(p);
    if (is_word(p, "proc") || is_word(p, "procedure") || is_word(p, "view"))
        return parse_module(p, true, false);
    if (is_word(p, "database") || is_word(p, "login") || is_word(p, "user") || is_word(p, "role") ||
        is_word(p, "index") || is_word(p, "server") || is_word(p, "authorization"))
        return parse_rest_unsupported(p, "", stmt_kind::nothing);
    return parse_rest_unsupported(p, "ALTER " + upper(peek(p).lower), stmt_kind::unsupported);
}

stmt_ptr parse_drop(parser &p) {
    auto s = new_stmt(p, stmt_kind::drop);
    p.at++;
    static const char *const kinds[] = {"table",      "view",   "procedure", "proc",    "database",
                                        "index",      "schema", "function",  "trigger", "type",
                                        "statistics", "login",  "user",      "synonym", "sequence"};
    for (const char *k : kinds)
        if (s->text.empty() && accept_word(p, k))
            s->text = std::string(k) == "proc" ? "procedure" : k;
    if (s->text.empty())
        syntax_error(p);
    if (accept_word(p, "if")) {
        expect_word(p, "exists");
        s->flag = true;
    }
    do {
        object_path what = path(p);
        if (s->text == "index" && accept_word(p, "on")) { // the table first, the index last
            std::string index = what.back();
            what = path(p);
            what.push_back(index);
        }
        s->paths.push_back(what);
    } while (accept_symbol(p, ","));
    return s;
}

} // namespace sqlserver
