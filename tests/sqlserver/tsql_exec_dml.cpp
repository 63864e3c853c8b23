// INSERT, UPDATE, DELETE, TRUNCATE. The rows concerned are read first, then written one by one, so that values, errors
// and OUTPUT are SQL Server's own.
#include "tsql_functions.h"
#include "tsql_rows.h"
#include "tsql_types.h"

#include <sqlite3.h>

#include <algorithm>
#include <set>

namespace sqlserver {

static void resolve_target(frame &f, const object_path &path, resolved &r) {
    if (!resolve(f, path, r))
        fail_unknown_object(path);
    if (r.object->type != "U")
        fail(4406, 16, 1,
             "Update or insert of view or function '%s' failed because it contains a derived or constant field.",
             r.object->name.c_str());
}

// --- OUTPUT

struct output_rows {
    std::vector<std::vector<value>> inserted, deleted;
};

static void send_output(frame &f, const stmt &s, const resolved &r, const output_rows &rows, uint16_t command) {
    plan none;
    scope sc;
    size_t width = r.object->columns.size();
    for (const char *name : {"inserted", "deleted"}) {
        source src;
        src.alias = name;
        for (const cat_column &c : r.object->columns)
            src.columns.push_back({c.def.name, c.def.type, c.def.nullable, c.def.identity, false, ""});
        sc.field_base.push_back(sc.sources.size() * width);
        sc.sources.push_back(src);
    }
    binder b{f, none, &sc, true};
    row_set set;
    std::vector<bound_ptr> items;
    for (const select_item &item : s.output) {
        if (!item.star) {
            items.push_back(bind(b, *item.e));
            set.columns.push_back({item.alias.empty() ? items.back()->name : item.alias, items.back()->type,
                                   items.back()->nullable, items.back()->identity, false});
            continue;
        }
        for (const cat_column &c : r.object->columns) {
            expr e;
            e.kind = expr_kind::column;
            e.path = {item.star_of, c.def.name};
            items.push_back(bind(b, e));
            set.columns.push_back({c.def.name, c.def.type, c.def.nullable, c.def.identity, false});
        }
    }
    size_t n = std::max(rows.inserted.size(), rows.deleted.size());
    for (size_t i = 0; i < n; i++) {
        std::vector<value> row = i < rows.inserted.size() ? rows.inserted[i] : std::vector<value>(width);
        std::vector<value> old = i < rows.deleted.size() ? rows.deleted[i] : std::vector<value>(width);
        row.insert(row.end(), old.begin(), old.end());
        eval_context c{f, &row};
        set.rows.emplace_back();
        for (const bound_ptr &item : items)
            set.rows.back().push_back(eval(*item, c));
    }
    if (s.output_into.empty()) {
        send_rows(f, set, 0, true);
        return;
    }
    resolved into;
    resolve_target(f, s.output_into, into);
    std::vector<size_t> targets;
    for (size_t i = 0; i < items.size(); i++) {
        int column = s.words.empty() ? static_cast<int>(i) : object_column(*into.object, s.words.at(i));
        if (column < 0 || static_cast<size_t>(column) >= into.object->columns.size())
            fail(207, 16, 1, "Invalid column name '%s'.", s.words.empty() ? "" : s.words[i].c_str());
        targets.push_back(static_cast<size_t>(column));
    }
    insert_rows(f, into, targets, set, nullptr);
    (void)command;
}

// --- INSERT

static std::vector<size_t> insert_targets(const stmt &s, const resolved &r) {
    std::vector<size_t> out;
    for (const std::string &name : s.columns) {
        int i = object_column(*r.object, name);
        if (i < 0)
            fail(207, 16, 1, "Invalid column name '%s'.", name.c_str());
        if (r.object->columns[static_cast<size_t>(i)].def.computed != nullptr)
            fail(271, 16, 1,
                 "The column \"%s\" cannot be modified because it is either a computed column or is the result of a "
                 "UNION "
                 "operator.",
                 name.c_str());
        out.push_back(static_cast<size_t>(i));
    }
    if (s.columns.empty() && !s.flag)
        for (size_t i = 0; i < r.object->columns.size(); i++) {
            const column_def &d = r.object->columns[i].def;
            if (d.computed == nullptr && !d.identity)
                out.push_back(i);
        }
    return out;
}

static void value_rows(frame &f, const stmt &s, const resolved &r, const std::vector<size_t> &targets, row_set &set) {
    for (const auto &exprs : s.q->values) {
        if (exprs.size() != targets.size()) {
            if (!s.columns.empty())
                fail(exprs.size() < targets.size() ? 109 : 110, 15, 1,
                     "There are %s columns in the INSERT statement than values specified in the VALUES clause. The "
                     "number of values in "
                     "the VALUES clause must match the number of columns specified in the INSERT statement.",
                     exprs.size() < targets.size() ? "more" : "fewer");
            fail(213, 16, 1, "Column name or number of supplied values does not match table definition.");
        }
        std::vector<value> row;
        for (size_t i = 0; i < exprs.size(); i++) {
            type_info t;
            if (exprs[i]->kind == expr_kind::default_)
                row.push_back(eval_default(f, r, targets[i]));
            else
                row.push_back(column_value(f, r, targets[i], eval_expr(f, *exprs[i], t), t));
        }
        set.rows.push_back(std::move(row));
    }
    for (size_t i : targets)
        set.columns.push_back({"", r.object->columns[i].def.type});
}

static int64_t next_identity(frame &f, const resolved &r) {
    const column_def &d = r.object->columns[static_cast<size_t>(r.object->identity_column)].def;
    load_identity(f, r);
    identity_counter &counter = *r.object->identity;
    counter.last = counter.used ? counter.last + d.increment : d.seed;
    counter.used = true;
    return counter.last;
}

static bool tells_identity(const frame &f, const resolved &r) {
    return r.object->name[0] != '@' || f.s->eng->options.table_variable_identity;
}

static void set_identity(frame &f, const resolved &r, std::vector<value> &row, bool given) {
    auto column = static_cast<size_t>(r.object->identity_column);
    const column_def &d = r.object->columns[column].def;
    int64_t n;
    if (given) {
        n = convert(row[column], d.type, t_bigint).i64;
        load_identity(f, r);
        identity_counter &counter = *r.object->identity;
        if (!counter.used || (d.increment > 0 ? n > counter.last : n < counter.last))
            counter = {true, n, true};
    } else {
        n = next_identity(f, r);
        row[column] = convert(value_int(n), t_bigint, d.type);
    }
    if (tells_identity(f, r))
        f.scope_identity = f.s->last_identity = n;
}

void insert_row(frame &f, const resolved &r, std::vector<value> &row, const std::vector<bool> &have) {
    const cat_object &o = *r.object;
    for (size_t i = 0; i < row.size(); i++)
        if (!have[i])
            row[i] = eval_default(f, r, i);
    if (o.identity_column >= 0)
        set_identity(f, r, row, have[static_cast<size_t>(o.identity_column)]);
    else if (tells_identity(f, r))
        f.s->last_identity.reset(); // @@IDENTITY is of the last INSERT, which has none
    fill_computed(f, r, row);
    check_row(f, r, row, "INSERT");
    row_insert(f, r, row);
}

void insert_rows(frame &f, const resolved &r, const std::vector<size_t> &targets, const row_set &set,
                 std::vector<std::vector<value>> *inserted) {
    size_t width = r.object->columns.size();
    write_scope write(f);
    if (r.object->identity_column < 0 && tells_identity(f, r))
        f.s->last_identity.reset(); // also where there are no rows
    for (const auto &values : set.rows) {
        std::vector<value> row(width);
        std::vector<bool> have(width);
        for (size_t i = 0; i < targets.size(); i++) {
            row[targets[i]] = column_value(f, r, targets[i], values[i], set.columns[i].type);
            have[targets[i]] = true;
        }
        insert_row(f, r, row, have);
        if (inserted != nullptr)
            inserted->push_back(std::move(row));
    }
    write.commit();
}

static void capture_rows(frame &f, const stmt &s, row_set &set) {
    f.capture = &set;
    flow r = run_stmt(f, *s.body[0]);
    f.capture = nullptr;
    if (r == flow::error || r == flow::abort) {
        sql_error e = f.s->pending_error.value_or(sql_error());
        throw e;
    }
}

static query with_ctes(const stmt &s) {
    query q = *s.q;
    q.ctes.insert(q.ctes.end(), s.ctes.begin(), s.ctes.end());
    return q;
}

static void check_identity_columns(frame &f, const stmt &s, const resolved &r, const std::vector<size_t> &targets) {
    const cat_object &o = *r.object;
    if (o.identity_column < 0)
        return;
    if (s.columns.empty() && s.q != nullptr && !s.q->values.empty() && s.q->values[0].size() == targets.size() + 1)
        fail(8101, 16, 1,
             "An explicit value for the identity column in table '%s' can only be specified when a column list is used "
             "and IDENTITY_INSERT is ON.",
             o.name.c_str());
    bool given = std::find(targets.begin(), targets.end(), static_cast<size_t>(o.identity_column)) != targets.end();
    bool allowed = f.s->identity_insert == lower(full_name(f, r));
    if (given && !allowed)
        fail(544, 16, 1,
             "Cannot insert explicit value for identity column in table '%s' when IDENTITY_INSERT is set to OFF.",
             o.name.c_str());
    if (!given && allowed)
        fail(545, 16, 1,
             "Explicit value must be specified for identity column in table '%s' either when IDENTITY_INSERT is set to "
             "ON "
             "or when a replication user is inserting into a NOT FOR REPLICATION identity column.",
             o.name.c_str());
}

void exec_insert(frame &f, const stmt &s) {
    resolved r;
    resolve_target(f, s.path, r);
    std::vector<size_t> targets = insert_targets(s, r);
    check_identity_columns(f, s, r, targets);
    row_set set;
    if (s.flag)
        set.rows.emplace_back();
    else if (!s.body.empty())
        capture_rows(f, s, set);
    else if (!s.q->values.empty())
        value_rows(f, s, r, targets, set);
    else if (s.ctes.empty())
        query_rows(f, *s.q, &s, set);
    else
        query_rows(f, with_ctes(s), &s, set);
    if (!set.rows.empty() && set.rows[0].size() != targets.size()) {
        bool more = targets.size() > set.rows[0].size();
        if (s.columns.empty())
            fail(213, 16, 1, "Column name or number of supplied values does not match table definition.");
        fail(more ? 120 : 121, 15, 1,
             "The select list for the INSERT statement contains %s items than the insert list. The number of "
             "SELECT values must match the number of INSERT columns.",
             more ? "fewer" : "more");
    }
    if (s.e != nullptr)
        set.rows.resize(std::min(set.rows.size(), static_cast<size_t>(eval_as(f, *s.e, t_bigint).i64)));
    output_rows rows;
    insert_rows(f, r, targets, set, s.output.empty() ? nullptr : &rows.inserted);
    if (!s.output.empty())
        send_output(f, s, r, rows, 0xC3);
    f.s->rowcount = static_cast<int64_t>(set.rows.size());
    send_done(f, done_count, 0xC3, set.rows.size());
}

// --- UPDATE and DELETE

// The source in FROM that the statement changes: by its alias, or the table itself.
static size_t find_target(const scope &sc, const object_path &path, const cat_object *object) {
    for (size_t i = 0; i < sc.sources.size(); i++)
        if (path.size() == 1 && same_name(sc.sources[i].alias, path[0]) && sc.sources[i].object != nullptr)
            return i;
    for (size_t i = 0; i < sc.sources.size(); i++)
        if (object != nullptr && sc.sources[i].object.get() == object)
            return i;
    return sc.sources.size();
}

struct change_plan : plan {
    resolved target;
    std::vector<size_t> set_to; // for each SET item: the column, SIZE_MAX for a variable alone
};

static object_path target_path(const stmt &s, const table_ref *t) {
    if (t == nullptr)
        return {};
    if (t->kind == table_kind::named && s.path.size() == 1 &&
        same_name(t->alias.empty() ? t->path.back() : t->alias, s.path[0]))
        return t->path;
    object_path left = target_path(s, t->left.get());
    return left.empty() ? target_path(s, t->right.get()) : left;
}

static std::string change_from(binder &b, const stmt &s, scope &sc, resolved &target, size_t &index) {
    std::string from, extra;
    if (s.from != nullptr)
        from = translate_table(b, *s.from, sc, false);
    object_path path = target_path(s, s.from.get());
    resolve_target(b.f, path.empty() ? s.path : path, target);
    index = find_target(sc, s.path, target.object.get());
    if (index < sc.sources.size())
        return from;
    bind_source(b, sc, s.path, "", extra);
    index = sc.sources.size() - 1;
    return from.empty() ? extra : extra + ", " + from;
}

static void bind_sets(binder &b, const stmt &s, change_plan &p, const std::string &alias, std::string &text) {
    for (const select_item &item : s.sets) {
        int column = item.alias.empty() ? -1 : object_column(*p.target.object, item.alias);
        if (!item.alias.empty() && column < 0)
            fail(207, 16, 1, "Invalid column name '%s'.", item.alias.c_str());
        bound_ptr x;
        if (item.e->kind == expr_kind::default_) {
            const expr_ptr &d = p.target.object->columns[static_cast<size_t>(column)].def.default_value;
            x = d != nullptr ? bind(b, *d) : make_literal(t_int, value());
        } else {
            x = bind(b, *item.e);
        }
        if (column >= 0) {
            const column_def &d = p.target.object->columns[static_cast<size_t>(column)].def;
            if (d.identity)
                fail(8102, 16, 1, "Cannot update identity column '%s'.", d.name.c_str());
            if (item.assign != "=") {
                auto now = std::make_shared<bound>();
                now->kind = bound_kind::column;
                now->type = d.type;
                now->columns = true;
                now->text = alias + "." + quote_name(lower(d.name), '"');
                x = bind_binary(item.assign.substr(0, 1), now, x, s.line);
            }
        }
        if (x->untyped_null)
            x = make_literal(column >= 0 ? p.target.object->columns[static_cast<size_t>(column)].def.type : t_int,
                             value());
        p.set_to.push_back(column < 0 ? SIZE_MAX : static_cast<size_t>(column));
        p.columns.push_back({"", x->type});
        text += "," + emit(b, x);
    }
}

static plan_ptr make_change_plan(frame &f, const stmt &s) {
    auto p = std::make_shared<change_plan>();
    scope sc;
    binder b{f, *p, &sc};
    std::string with;
    size_t index;
    (void)with;
    if (!s.ctes.empty())
        fail(40517, 16, 1, "WITH before UPDATE and DELETE is not supported by this server.");
    std::string from = change_from(b, s, sc, p->target, index);
    const source &target = sc.sources[index];
    std::string text = "SELECT " + target.sql_alias + "._rowid_";
    p->columns.push_back({"", t_bigint});
    for (const source_column &c : target.columns) {
        p->columns.push_back({c.name, c.type});
        text += "," + c.sql;
    }
    bind_sets(b, s, *p, target.sql_alias, text);
    text += " FROM " + from;
    if (s.e != nullptr)
        text += " WHERE " + emit(b, bind(b, *s.e));
    if (s.e2 != nullptr)
        text += " LIMIT " + emit(b, bind_typed(b, *s.e2, t_bigint));
    p->sql = text;
    return p;
}

struct change_row {
    int64_t rowid;
    std::vector<value> values; // the old row, then the new values
};

static std::vector<change_row> read_changes(frame &f, const change_plan &p, sqlite3_stmt *st) {
    std::vector<change_row> out;
    std::set<int64_t> seen; // a row that several rows of FROM match is changed once
    auto limit = static_cast<size_t>(f.s->options.rowcount);
    bind_parameters(f, st, p);
    while ((limit == 0 || out.size() < limit) && store_step(f, st, &p)) {
        change_row row;
        row.rowid = sqlite3_column_int64(st, 0);
        if (!seen.insert(row.rowid).second)
            continue;
        for (size_t i = 1; i < p.columns.size(); i++)
            row.values.push_back(store_column(st, static_cast<int>(i), p.columns[i].type));
        out.push_back(std::move(row));
    }
    sqlite3_reset(st);
    return out;
}

static void finish_change(frame &f, const stmt &s, const resolved &r, const output_rows &rows, size_t n,
                          uint16_t command) {
    if (!s.output.empty())
        send_output(f, s, r, rows, command);
    f.s->rowcount = static_cast<int64_t>(n);
    send_done(f, done_count, command, n);
}

static void update_row(frame &f, const stmt &s, const change_plan &p, const change_row &change, output_rows &rows) {
    size_t width = p.target.object->columns.size();
    std::vector<value> before(change.values.begin(), change.values.begin() + static_cast<long>(width)), after = before;
    std::vector<size_t> changed;
    for (size_t i = 0; i < p.set_to.size(); i++) {
        const value &v = change.values[width + i];
        const type_info &from = p.columns[1 + width + i].type;
        if (p.set_to[i] != SIZE_MAX) {
            after[p.set_to[i]] = column_value(f, p.target, p.set_to[i], v, from);
            changed.push_back(p.set_to[i]);
        }
        if (!s.sets[i].variable.empty()) {
            variable &target = f.variables.at(s.sets[i].variable);
            target.val = convert_implicit(v, from, target.type);
        }
    }
    fill_computed(f, p.target, after);
    for (size_t i = 0; i < width; i++)
        if (p.target.object->columns[i].def.computed != nullptr)
            changed.push_back(i);
    if (!changed.empty())
        row_update(f, p.target, change.rowid, before, after, changed);
    if (!s.output.empty()) {
        rows.deleted.push_back(before);
        rows.inserted.push_back(after);
    }
}

// In a database that is attached only after BEGIN IMMEDIATE others may write between the reading and the writing, and
// the transaction could never write there again.
static void attach_target(frame &f, const stmt &s) {
    resolved r;
    (void)resolve(f, s.path, r);
}

void exec_update(frame &f, const stmt &s) {
    attach_target(f, s);
    write_scope write(f); // before reading: nobody writes in between
    auto &c = cached_plan(f, &s, 3, [&] { return make_change_plan(f, s); });
    plan_ptr keep = c.p;
    const auto &p = static_cast<const change_plan &>(*keep);
    output_rows rows;
    std::vector<change_row> changes = read_changes(f, p, c.st);
    for (const change_row &change : changes)
        update_row(f, s, p, change, rows);
    write.commit();
    finish_change(f, s, p.target, rows, changes.size(), 0xC5);
}

void exec_delete(frame &f, const stmt &s) {
    attach_target(f, s);
    write_scope write(f);
    auto &c = cached_plan(f, &s, 3, [&] { return make_change_plan(f, s); });
    plan_ptr keep = c.p;
    const auto &p = static_cast<const change_plan &>(*keep);
    output_rows rows;
    std::vector<change_row> changes = read_changes(f, p, c.st);
    for (change_row &change : changes) {
        row_delete(f, p.target, change.rowid, change.values);
        if (!s.output.empty())
            rows.deleted.push_back(std::move(change.values));
    }
    write.commit();
    finish_change(f, s, p.target, rows, changes.size(), 0xC4);
}

void exec_truncate(frame &f, const stmt &s) {
    resolved r;
    if (!resolve(f, s.path, r))
        fail(4701, 16, 1, "Cannot find the object \"%s\" because it does not exist or you do not have permissions.",
             s.path.back().c_str());
    if (r.db != nullptr)
        for (const auto &[name, child] : session_catalog(f.s, *r.db)->objects)
            for (const cat_key &k : child->keys)
                if (k.def.kind == "F" && same_name(k.def.parent.back(), r.object->name) && child != r.object)
                    fail(4712, 16, 1,
                         "Cannot truncate table '%s' because it is being referenced by a FOREIGN KEY constraint.",
                         full_name(f, r).c_str());
    write_scope write(f);
    store_exec(f, "DELETE FROM " + table_text(r));
    write.commit();
    if (r.object->identity != nullptr)
        *r.object->identity = {false, 0, true};
    send_done(f, 0, 0xFD, 0);
}

} // namespace sqlserver
