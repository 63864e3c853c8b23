// SELECT: rows to the client, into variables, into a new table.
#include "tsql_bind.h"
#include "tsql_functions.h"
#include "tsql_types.h"

#include <sqlite3.h>

namespace sqlserver {

static void set_variables(frame &f, const plan &p, const std::vector<value> &row) {
    for (size_t i = 0; i < p.assign.size() && i < row.size(); i++)
        f.variables.at(p.assign[i].first).val = row[i];
}

static std::vector<value> read_row(sqlite3_stmt *st, const std::vector<column> &columns) {
    std::vector<value> row(columns.size());
    for (size_t i = 0; i < row.size(); i++)
        row[i] = store_column(st, static_cast<int>(i), columns[i].type);
    return row;
}

// Stops the statement however the loop over its rows ends.
struct statement_use {
    sqlite3_stmt *st;
    explicit statement_use(sqlite3_stmt *st_) : st(st_) {}
    ~statement_use() { sqlite3_reset(st); }
};

static void cut_to_textsize(frame &f, const plan &p, std::vector<value> &row) {
    auto limit = static_cast<uint32_t>(f.s->options.text_size);
    for (size_t i = 0; i < row.size(); i++) {
        const type_info &t = p.columns[i].type;
        if (t.length != length_max || row[i].text.size() <= limit / (is_nchar(t.id) ? 2 : 1) || t.id == type_id::xml_)
            continue;
        row[i].text = is_binary(t.id) ? row[i].text.substr(0, limit)
                                      : utf16_substring(row[i].text, 0, is_nchar(t.id) ? limit / 2 : limit);
    }
}

template <class F> static uint64_t each_row(frame &f, const plan &p, sqlite3_stmt *st, F take) {
    uint64_t n = 0;
    auto limit = static_cast<uint64_t>(f.s->options.rowcount);
    if (p.direct) {
        eval_context c{f, nullptr};
        if (p.where != nullptr && !is_true(eval(*p.where, c)))
            return 0;
        if (!p.assign.empty()) { // one after the other: SELECT @a = 1, @b = @a
            for (size_t i = 0; i < p.items.size(); i++)
                f.variables.at(p.assign[i].first).val = eval(*p.items[i], c);
            return 1;
        }
        std::vector<value> row;
        for (const bound_ptr &item : p.items)
            row.push_back(eval(*item, c));
        take(row);
        return 1;
    }
    bind_parameters(f, st, p);
    statement_use use(st);
    while ((limit == 0 || n < limit) && store_step(f, st, &p)) {
        std::vector<value> row = read_row(st, p.columns);
        n++;
        take(row);
        if (f.h->cancelled())
            break;
    }
    return n;
}

void query_rows(frame &f, const query &q, const void *key, row_set &out) {
    auto &c = cached_plan(f, key, 2, [&] { return plan_query(f, q); });
    plan_ptr p = c.p;
    out.columns = p->columns;
    each_row(f, *p, c.st, [&](std::vector<value> &row) { out.rows.push_back(std::move(row)); });
}

void send_rows(frame &f, const row_set &set, uint16_t command, bool count) {
    if (f.capture != nullptr) {
        if (f.capture->columns.empty())
            f.capture->columns = set.columns;
        f.capture->rows.insert(f.capture->rows.end(), set.rows.begin(), set.rows.end());
    } else {
        f.h->columns(set.columns);
        for (const auto &row : set.rows)
            f.h->row(row);
    }
    f.s->rowcount = static_cast<int64_t>(set.rows.size());
    if (command != 0 && f.capture == nullptr)
        send_done(f, count ? done_count : 0, command, set.rows.size());
}

// SELECT ... INTO: the table has the columns and types of the result.
static void select_into(frame &f, const stmt &s, const object_path &into) {
    row_set set;
    query_rows(f, *s.q, &s, set);
    table_def def;
    for (const column &c : set.columns) {
        column_def d;
        d.name = c.name;
        d.type = c.type;
        d.nullable = c.nullable;
        d.identity = c.identity;
        if (d.name.empty())
            fail(1038, 15, 5,
                 "An object or column name is missing or empty. For SELECT INTO statements, verify each column has a "
                 "name. For other statements, look for empty alias names.");
        if (d.type.length == 0 && (is_char(d.type.id) || is_binary(d.type.id)))
            d.type.length = 1;
        def.columns.push_back(d);
    }
    create_table(f, into, def);
    resolved r;
    resolve(f, into, r);
    std::vector<size_t> targets;
    for (size_t i = 0; i < def.columns.size(); i++)
        targets.push_back(i);
    insert_rows(f, r, targets, set, nullptr);
    f.s->rowcount = static_cast<int64_t>(set.rows.size());
    send_done(f, done_count, 0xC1, set.rows.size());
}

static void send_columns(frame &f, const plan &p) {
    f.h->columns(p.columns);
    if (!p.browse_table.empty())
        f.h->browse_info(p.browse_table, p.columns);
}

static bool fmt_only(frame &f, const plan &p) {
    if (!f.s->options.fmtonly || !p.assign.empty())
        return false;
    send_columns(f, p);
    send_done(f, done_count, 0xC1, 0);
    return true;
}

void exec_select(frame &f, const stmt &s) {
    if (s.q->core != nullptr && !s.q->core->into.empty())
        return select_into(f, s, s.q->core->into);
    bool browse = f.s->options.no_browsetable && f.capture == nullptr;
    auto &c = cached_plan(f, &s, browse ? 3 : 2, [&] { return browse ? plan_browse(f, *s.q) : plan_query(f, *s.q); });
    plan_ptr p = c.p;
    sqlite3_stmt *st = c.st;
    if (fmt_only(f, *p))
        return;
    if (p->has_from)
        tran_implicit(f);
    if (!p->assign.empty()) {
        if (p->assign.size() != p->columns.size())
            fail(141, 15, 1,
                 "A SELECT statement that assigns a value to a variable must not be combined with data-retrieval "
                 "operations.");
        uint64_t n = each_row(f, *p, st, [&](std::vector<value> &row) { set_variables(f, *p, row); });
        f.s->rowcount = static_cast<int64_t>(n);
        send_done(f, done_count, 0xC1, n);
        return;
    }
    if (f.capture != nullptr) {
        row_set set;
        set.columns = p->columns;
        each_row(f, *p, st, [&](std::vector<value> &row) { set.rows.push_back(std::move(row)); });
        send_rows(f, set, 0xC1, true);
        return;
    }
    bool begun = false;
    auto begin = [&] {
        send_columns(f, *p);
        f.s->result_open = true;
        if (!p->order.empty())
            f.h->order(p->order);
        begun = true;
    };
    if (p->direct) { // an error of the expressions comes after the columns
        begin();
    }
    uint64_t n = each_row(f, *p, st, [&](std::vector<value> &row) {
        if (!begun)
            begin();
        cut_to_textsize(f, *p, row);
        f.h->row(row);
    });
    if (!begun)
        begin();
    f.s->rowcount = static_cast<int64_t>(n);
    send_done(f, done_count, 0xC1, n);
}

} // namespace sqlserver
