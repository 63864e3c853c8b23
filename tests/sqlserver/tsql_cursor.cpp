// Cursors of T-SQL: DECLARE, OPEN, FETCH, CLOSE, DEALLOCATE. See the header.
#include "tsql_cursor.h"

#include "tsql_functions.h"
#include "tsql_parser.h"
#include "tsql_types.h"

#include <algorithm>

namespace sqlserver {

// --- movement

static int64_t first_row_of(const cursor &c, fetch where, int64_t n, int64_t count) {
    auto rows = static_cast<int64_t>(c.set.rows.size());
    switch (where) {
    case fetch::next: return c.at < 0 ? 0 : c.at + std::max<int64_t>(c.held, 0);
    case fetch::prior:
        if (c.at <= 0)
            return -1;
        return std::max<int64_t>(0, c.at - count);
    case fetch::first: return 0;
    case fetch::last: return std::max<int64_t>(0, rows - count);
    case fetch::absolute: return n > 0 ? n - 1 : n == 0 ? -1 : rows + n;
    case fetch::relative: return std::max<int64_t>(c.at, -1) + n;
    case fetch::refresh: return c.at;
    }
    return -1;
}

bool cursor_move(cursor &c, fetch where, int64_t n, int64_t count) {
    auto rows = static_cast<int64_t>(c.set.rows.size());
    c.at = std::clamp<int64_t>(first_row_of(c, where, n, count), -1, rows);
    c.held = c.at < 0 ? 0 : std::min(std::max<int64_t>(count, 0), rows - c.at);
    return c.at >= 0 && c.at < rows;
}

void cursor_close(cursor &c) {
    c.is_open = false;
    c.set = {};
    c.at = -1;
    c.held = 0;
}

void cursors_end_tran(frame &f, bool rolled_back) {
    bool all = f.s->options.cursor_close_on_commit;
    auto end = [&](cursor &c) {
        if (all || (rolled_back && c.keyed))
            cursor_close(c);
    };
    for (auto &[name, c] : f.s->cursors)
        end(*c);
    for (auto &[id, c] : f.s->api_cursors)
        end(*c);
    for (frame *x = &f; x != nullptr; x = x->parent)
        for (auto *own : {&x->cursors, &x->cursor_variables})
            for (auto &[name, c] : *own)
                end(*c);
}

void cursors_forget(session *s) {
    s->cursors.clear();
    s->api_cursors.clear();
    s->cursor_handles.clear();
    s->fetch_status = 0;
    s->cursor_rows = 0;
}

// --- syntax

static bool cursor_word(parser &p, stmt &s) {
    static const char *const words[] = {"insensitive",  "scroll",     "local",       "global",       "forward_only",
                                        "static",       "keyset",     "dynamic",     "fast_forward", "read_only",
                                        "scroll_locks", "optimistic", "type_warning"};
    for (const char *w : words)
        if (accept_word(p, w)) {
            s.words.emplace_back(w);
            return true;
        }
    return false;
}

// What follows the word CURSOR.
static void parse_cursor_query(parser &p, stmt &s) {
    while (cursor_word(p, s)) {
    }
    expect_word(p, "for");
    s.q = parse_query(p);
    if (!accept_word(p, "for"))
        return;
    if (accept_word(p, "read")) {
        expect_word(p, "only");
        return;
    }
    expect_word(p, "update");
    if (accept_word(p, "of"))
        do
            name(p);
        while (accept_symbol(p, ","));
}

stmt_ptr parse_declare_cursor(parser &p) {
    auto s = new_stmt(p, stmt_kind::declare_cursor);
    s->text = name(p);
    while (cursor_word(p, *s)) {
    }
    expect_word(p, "cursor");
    parse_cursor_query(p, *s);
    return s;
}

stmt_ptr parse_set_cursor(parser &p) {
    auto s = new_stmt(p, stmt_kind::set_cursor);
    s->text = p.tokens[p.at++].lower;
    expect_symbol(p, "=");
    if (accept_word(p, "cursor"))
        parse_cursor_query(p, *s);
    else if (peek(p).kind == token_kind::variable)
        s->path.push_back(p.tokens[p.at++].lower);
    else
        s->path.push_back(name(p));
    return s;
}

static void parse_name_into(parser &p, stmt &s) {
    s.flag = is_word(p, "global") && is_name(p, 1);
    p.at += s.flag;
    if (peek(p).kind == token_kind::variable)
        s.text = p.tokens[p.at++].text;
    else
        s.text = name(p);
}

stmt_ptr parse_cursor_name(parser &p) {
    bool deallocates = is_word(p, "deallocate");
    auto s = new_stmt(p, is_word(p, "open") ? stmt_kind::open_cursor
                         : deallocates      ? stmt_kind::deallocate
                                            : stmt_kind::close_cursor);
    p.at++;
    if (is_word(p, "cursor") && deallocates)
        p.at++;
    parse_name_into(p, *s);
    return s;
}

stmt_ptr parse_fetch(parser &p) {
    auto s = new_stmt(p, stmt_kind::fetch);
    p.at++;
    s->words.emplace_back("next");
    for (const char *w : {"next", "prior", "first", "last", "absolute", "relative"})
        if (is_word(p, w) && !is_word(p, "into", 1) && peek(p, 1).kind != token_kind::end) {
            s->words[0] = w;
            p.at++;
            break;
        }
    if (s->words[0] == "absolute" || s->words[0] == "relative")
        s->e = parse_expr(p);
    accept_word(p, "from");
    parse_name_into(p, *s);
    if (!accept_word(p, "into"))
        return s;
    do {
        check_variable(p, peek(p));
        s->columns.push_back(p.tokens[p.at++].lower);
    } while (accept_symbol(p, ","));
    return s;
}

// --- names

static cursor_ptr find_cursor(frame &f, const std::string &name, bool global) {
    std::string key = lower(name);
    auto local = f.cursors.find(key);
    if (!global && local != f.cursors.end())
        return local->second;
    auto found = f.s->cursors.find(key);
    return found == f.s->cursors.end() ? nullptr : found->second;
}

static cursor_ptr named_cursor(frame &f, const std::string &name, bool global) {
    if (name.compare(0, 1, "@") == 0) {
        auto found = f.cursor_variables.find(lower(name));
        if (found == f.cursor_variables.end() || found->second == nullptr)
            fail(16950, 16, 2, "The variable '%s' does not currently have a cursor allocated to it.", name.c_str());
        return found->second;
    }
    cursor_ptr c = find_cursor(f, name, global);
    if (c == nullptr)
        fail(16916, 16, 1, "A cursor with the name '%s' does not exist.", name.c_str());
    return c;
}

static cursor &open_one(frame &f, const stmt &s) {
    cursor &c = *named_cursor(f, s.text, s.flag);
    if (!c.is_open)
        fail(16917, 16, 1, "Cursor is not open.");
    return c;
}

int cursor_status(frame &f, const std::string &scope, const std::string &name) {
    bool local = same_name(scope, "local"), global = same_name(scope, "global"),
         of_variable = same_name(scope, "variable");
    const auto &all = local ? f.cursors : of_variable ? f.cursor_variables : f.s->cursors;
    auto found = all.find(lower(name));
    if (of_variable && (found == all.end() || found->second == nullptr))
        return -2;
    if ((!local && !global && !of_variable) || found == all.end())
        return -3;
    return !found->second->is_open ? -1 : !found->second->set.rows.empty();
}

// --- statements

static bool has_word(const stmt &s, const char *word) {
    return std::find(s.words.begin(), s.words.end(), word) != s.words.end();
}

static cursor_ptr new_cursor(const frame &f, const stmt &s) {
    auto c = std::make_shared<cursor>();
    c->name = s.text;
    bool kind = has_word(s, "static") || has_word(s, "keyset") || has_word(s, "dynamic");
    c->scroll = has_word(s, "scroll") || (kind && !has_word(s, "forward_only"));
    c->keyed = !has_word(s, "static") && !has_word(s, "insensitive");
    c->dynamic = has_word(s, "dynamic") || has_word(s, "fast_forward") || (!kind && c->keyed);
    c->tree = f.tree;
    c->q = s.q;
    c->variables = f.variables;
    c->tables = f.tables;
    return c;
}

void exec_declare_cursor(frame &f, const stmt &s) {
    auto &where = has_word(s, "local") ? f.cursors : f.s->cursors;
    if (where.count(lower(s.text)) != 0)
        fail(16915, 16, 1, "A cursor with the name '%s' already exists.", s.text.c_str());
    where[lower(s.text)] = new_cursor(f, s);
    f.s->rowcount = 1;
    send_done(f, 0, 0xFD, 0);
}

void exec_set_cursor(frame &f, const stmt &s) {
    f.cursor_variables[s.text] = s.q != nullptr ? new_cursor(f, s) : named_cursor(f, s.path[0], false);
    send_done(f, 0, 0xBE, 0);
}

void exec_open_cursor(frame &f, const stmt &s) {
    cursor &c = *named_cursor(f, s.text, s.flag);
    if (c.is_open)
        fail(16905, 16, 1, "The cursor is already open.");
    tran_implicit(f);
    frame inner;
    inner.s = f.s;
    inner.h = f.h;
    inner.parent = &f;
    inner.tree = c.tree;
    inner.variables = c.variables;
    inner.tables = c.tables;
    row_set set;
    query_rows(inner, *c.q, c.q.get(), set);
    c.set = std::move(set);
    c.is_open = true;
    f.s->cursor_rows = c.dynamic ? -1 : static_cast<int64_t>(c.set.rows.size());
    send_done(f, 0, 0x20, 0);
}

static fetch direction(frame &f, const cursor &c, const stmt &s, int64_t &n) {
    static const std::pair<const char *, fetch> all[] = {{"next", fetch::next},         {"prior", fetch::prior},
                                                         {"first", fetch::first},       {"last", fetch::last},
                                                         {"absolute", fetch::absolute}, {"relative", fetch::relative}};
    if (!c.scroll && s.words[0] != "next")
        fail(16911, 16, 1, "fetch: The fetch type %s cannot be used with forward only cursors.", s.words[0].c_str());
    if (s.e != nullptr)
        n = eval_as(f, *s.e, t_bigint).i64;
    for (const auto &[word, where] : all)
        if (s.words[0] == word)
            return where;
    return fetch::next;
}

static void fetch_into(frame &f, const cursor &c, const stmt &s, bool there) {
    if (s.columns.size() != c.set.columns.size())
        fail(16924, 16, 1,
             "Cursorfetch: The number of variables declared in the INTO list must match that of selected columns.");
    for (size_t i = 0; there && i < s.columns.size(); i++) {
        variable &v = f.variables.at(s.columns[i]);
        v.val = convert_implicit(c.set.rows[static_cast<size_t>(c.at)][i], c.set.columns[i].type, v.type);
    }
}

void exec_fetch(frame &f, const stmt &s) {
    cursor &c = open_one(f, s);
    tran_implicit(f);
    int64_t n = 0;
    fetch where = direction(f, c, s, n);
    bool there = cursor_move(c, where, n, 1);
    f.s->fetch_status = there ? 0 : -1;
    if (s.columns.empty()) {
        row_set one;
        one.columns = c.set.columns;
        if (there)
            one.rows.push_back(c.set.rows[static_cast<size_t>(c.at)]);
        send_rows(f, one, 0xC1, true);
        return;
    }
    fetch_into(f, c, s, there);
    f.s->rowcount = there;
    send_done(f, 0, 0x21, 0);
}

void exec_close_cursor(frame &f, const stmt &s) {
    cursor_close(open_one(f, s));
    send_done(f, 0, 0x22, 0);
}

void exec_deallocate(frame &f, const stmt &s) {
    named_cursor(f, s.text, s.flag);
    std::string key = lower(s.text);
    if (key[0] == '@')
        f.cursor_variables.erase(key);
    else if (s.flag || f.cursors.erase(key) == 0)
        f.s->cursors.erase(key);
    send_done(f, 0, 0x23, 0);
}

} // namespace sqlserver
