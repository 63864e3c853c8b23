// Queries to SQLite text. Every query's columns are called c1, c2, ...; every table gets an alias t1, t2, ... of its
// own, so that names are resolved here and never by SQLite.
#include "tsql_bind.h"
#include "tsql_functions.h"
#include "tsql_parser.h"
#include "tsql_types.h"

#include <sqlite3.h>

namespace sqlserver {

// --- expressions

static std::string parameter_text(binder &b, const bound_ptr &e) {
    b.p.params.push_back(e);
    return "?" + std::to_string(b.p.params.size());
}

static std::string emit_case(binder &b, const bound &e) {
    if (e.args.size() == 1)
        return emit(b, e.args[0]);
    std::string text = "CASE";
    size_t i = 0;
    for (; i + 1 < e.args.size(); i += 2)
        text += " WHEN " + emit(b, e.args[i], true) + " THEN " + emit(b, e.args[i + 1], true);
    return text + " ELSE " + emit(b, e.args[i], true) + " END";
}

static std::string emit_compare(binder &b, const bound &e, bool lazy) {
    const char *collate = collation_of(e.args[0]->type);
    std::string text = "(" + emit(b, e.args[0], lazy) + " " + e.text + " " + emit(b, e.args[1], lazy);
    return text + (collate != nullptr ? std::string(" COLLATE ") + collate + ")" : ")");
}

static std::string emit_in(binder &b, const bound &e, bool lazy) {
    const char *collate = collation_of(e.args[0]->type);
    std::string text =
        "(" + emit(b, e.args[0], lazy) + (collate != nullptr ? std::string(" COLLATE ") + collate : "") + " IN (";
    for (size_t i = 1; i < e.args.size(); i++)
        text += (i > 1 ? "," : "") + emit(b, e.args[i], lazy);
    return text + "))";
}

static std::string emit_call(binder &b, const bound_ptr &e, bool lazy) {
    std::string text = "ts(" + std::to_string(b.p.calls.size());
    b.p.calls.push_back(e);
    for (const bound_ptr &a : e->args)
        text += "," + emit(b, a, lazy);
    return text + ")";
}

// What needs no row is computed before the query runs and bound, except in the branches of a CASE, which may never run.
std::string emit(binder &b, const bound_ptr &e, bool lazy) {
    bool leaf = e->kind == bound_kind::literal || e->kind == bound_kind::variable;
    if (e->kind == bound_kind::literal && e->literal.null)
        return "NULL";
    if (e->kind == bound_kind::literal && is_integer(e->type.id))
        return e->literal.i64 < 0 ? "(" + std::to_string(e->literal.i64) + ")" : std::to_string(e->literal.i64);
    if (leaf || (!lazy && !e->columns && !e->subquery && !e->changing))
        return parameter_text(b, e);
    switch (e->kind) {
    case bound_kind::column:
    case bound_kind::sql: return e->text;
    case bound_kind::and_: return "(" + emit(b, e->args[0], lazy) + " AND " + emit(b, e->args[1], lazy) + ")";
    case bound_kind::or_: return "(" + emit(b, e->args[0], lazy) + " OR " + emit(b, e->args[1], lazy) + ")";
    case bound_kind::not_: return "(NOT " + emit(b, e->args[0], lazy) + ")";
    case bound_kind::is_null:
        return "(" + emit(b, e->args[0], lazy) + (e->text == "not" ? " IS NOT NULL)" : " IS NULL)");
    case bound_kind::compare: return emit_compare(b, *e, lazy);
    case bound_kind::in_list: return emit_in(b, *e, lazy);
    case bound_kind::case_: return emit_case(b, *e);
    case bound_kind::call: return emit_call(b, e, lazy);
    default: fail(8624, 16, 1, "Internal error: an expression that no query can compute.");
    }
}

std::string emit_collated(binder &b, const bound_ptr &e) {
    const char *collate = collation_of(e->type);
    return emit(b, e) + (collate != nullptr && e->kind != bound_kind::column ? std::string(" COLLATE ") + collate : "");
}

// --- tables

std::string path_text(const object_path &path) {
    std::string text;
    for (const std::string &part : path)
        text += (text.empty() && &part == &path[0] ? "" : ".") + part;
    return text;
}

void fail_unknown_object(const object_path &path) {
    sql_error e;
    e.number = 208;
    e.text = "Invalid object name '" + path_text(path) + "'.";
    e.aborts_batch = true;
    throw e;
}

static bool resolve_temp(frame &f, const std::string &name, resolved &out) {
    session *s = f.s;
    if (name[0] == '@') {
        for (frame *x = &f; x != nullptr; x = nullptr) {
            auto found = x->tables.find(name);
            if (found == x->tables.end())
                fail(1087, 15, 2, "Must declare the table variable \"%s\".", name.c_str());
            out.object = found->second;
        }
        out.sqlite_schema = "temp";
        store_open(s);
        return true;
    }
    if (name.compare(0, 2, "##") == 0) {
        auto found = s->eng->global_temps.find(name);
        if (found == s->eng->global_temps.end())
            return false;
        out.object = found->second;
        out.db = find_database(s, "tempdb");
        out.sqlite_schema = store_attach(s, *out.db);
        return true;
    }
    auto found = s->temps.find(name);
    if (found == s->temps.end())
        return false;
    out.object = found->second;
    out.sqlite_schema = "temp";
    store_open(s);
    return true;
}

bool resolve(frame &f, const object_path &path, resolved &out) {
    std::string name = lower(path.back());
    if (name[0] == '@' || name[0] == '#')
        return resolve_temp(f, name, out);
    std::string db = path.size() > 2 ? path[path.size() - 3] : "",
                schema = path.size() > 1 ? path[path.size() - 2] : "";
    out.db = find_database(f.s, db.empty() ? f.s->db : db);
    if (out.db == nullptr)
        return false;
    catalog_ptr c = session_catalog(f.s, *out.db);
    auto found = c->objects.find(lower(schema.empty() ? "dbo" : schema) + "." + name);
    if (found == c->objects.end())
        return false;
    out.object = found->second;
    if (out.object->type == "U")
        out.sqlite_schema = store_attach(f.s, *out.db);
    return true;
}

static std::string qualified(const resolved &r) {
    return quote_name(r.sqlite_schema, '"') + "." + quote_name(r.object->table, '"');
}

static void add_columns(source &s, const std::vector<bound_ptr> &items, const std::vector<std::string> &names) {
    for (size_t i = 0; i < items.size(); i++) {
        source_column c;
        c.name = i < names.size() ? names[i] : items[i]->name;
        c.type = items[i]->type;
        c.nullable = items[i]->nullable;
        c.identity = items[i]->identity;
        c.sql = s.sql_alias + ".c" + std::to_string(i + 1);
        s.columns.push_back(c);
    }
}

static std::string derived(binder &b, scope &sc, const query &q, const std::string &alias,
                           const std::vector<std::string> &names) {
    scope *saved = b.sc;
    b.sc = saved == &sc ? sc.outer : saved;
    std::vector<bound_ptr> items;
    std::string sql = translate_query(b, q, items, false);
    b.sc = saved;
    if (!names.empty() && names.size() != items.size())
        fail(8158, 16, 1, "'%s' has %s columns than were specified in the column list.", alias.c_str(),
             names.size() < items.size() ? "more" : "fewer");
    source s;
    s.alias = alias;
    s.sql_alias = "t" + std::to_string(b.next_alias++);
    add_columns(s, items, names);
    sc.sources.push_back(s);
    return "(" + sql + ") AS " + s.sql_alias;
}

static std::string bind_view(binder &b, scope &sc, const resolved &r, const std::string &alias) {
    if (++b.views > 32)
        fail(4429, 16, 1, "View or function '%s' contains a self-reference.", r.object->name.c_str());
    auto tree = cached_parse(b.f.s, r.object->source, {}, "");
    const stmt &create = *tree->body.at(0);
    scope *saved = b.sc;
    scope outside;
    b.sc = nullptr;
    std::vector<cte_entry> ctes;
    std::swap(ctes, b.ctes);
    std::string sql = derived(b, outside, *create.q, alias, create.columns);
    std::swap(ctes, b.ctes);
    b.sc = saved;
    outside.sources[0].table = r.object->name;
    sc.sources.push_back(outside.sources[0]);
    b.views--;
    return sql;
}

static bool bind_system(binder &b, scope &sc, const object_path &path, const std::string &alias, std::string &sql) {
    std::string schema = path.size() > 1 ? lower(path[path.size() - 2]) : "";
    const system_view *v = find_system_view(schema, lower(path.back()));
    if (v == nullptr)
        return false;
    std::string db = path.size() > 2 && !path[path.size() - 3].empty() ? path[path.size() - 3] : b.f.s->db;
    source s;
    s.alias = alias;
    s.table = v->name;
    s.schema = v->schema;
    s.sql_alias = "t" + std::to_string(b.next_alias++);
    s.columns = v->columns;
    for (source_column &c : s.columns)
        c.sql = s.sql_alias + "." + quote_name(c.name, '"');
    sc.sources.push_back(s);
    sql = quote_name(std::string("sys$") + v->schema + "$" + v->name, '"') + "(" + quote_name(db, '\'') + ") AS " +
          s.sql_alias;
    return true;
}

void bind_source(binder &b, scope &sc, const object_path &path, const std::string &given, std::string &sql) {
    std::string alias = given.empty() ? path.back() : given;
    if (path.size() == 1)
        for (size_t i = b.ctes.size(); i-- > 0;)
            if (same_name(b.ctes[i].name, path[0])) {
                source s;
                s.alias = alias;
                s.sql_alias = "t" + std::to_string(b.next_alias++);
                s.columns = b.ctes[i].columns;
                for (size_t k = 0; k < s.columns.size(); k++)
                    s.columns[k].sql = s.sql_alias + ".c" + std::to_string(k + 1);
                sql = b.ctes[i].sql_name + " AS " + s.sql_alias;
                sc.sources.push_back(s);
                return;
            }
    resolved r;
    if (!resolve(b.f, path, r) || r.object->type == "P") {
        if (!bind_system(b, sc, path, alias, sql))
            fail_unknown_object(path);
        return;
    }
    if (r.object->type == "V") {
        sql = bind_view(b, sc, r, alias);
        return;
    }
    source s;
    s.alias = alias;
    s.table = r.object->name;
    s.schema = r.object->schema;
    s.db = r.db != nullptr ? r.db->name : "tempdb";
    s.object = r.object;
    s.sql_alias = "t" + std::to_string(b.next_alias++);
    for (const cat_column &c : r.object->columns) {
        source_column column{c.def.name,     c.def.type, c.def.nullable,
                             c.def.identity, true,       s.sql_alias + "." + quote_name(lower(c.def.name), '"')};
        s.columns.push_back(column);
    }
    sql = qualified(r) + " AS " + s.sql_alias;
    sc.sources.push_back(s);
}

static void make_nullable(scope &sc, size_t from, size_t to) {
    for (size_t i = from; i < to; i++)
        for (source_column &c : sc.sources[i].columns)
            c.nullable = true;
}

static std::string values_text(binder &b, const std::vector<std::vector<expr_ptr>> &rows,
                               std::vector<bound_ptr> &items) {
    std::vector<std::vector<bound_ptr>> bound_rows;
    for (const auto &row : rows) {
        if (row.size() != rows[0].size())
            fail(10709, 16, 1, "The number of columns for each row in a table value constructor must be the same.");
        bound_rows.emplace_back();
        for (const expr_ptr &e : row)
            bound_rows.back().push_back(bind(b, *e));
    }
    for (size_t c = 0; c < rows[0].size(); c++) {
        std::vector<bound_ptr *> all;
        for (auto &row : bound_rows)
            all.push_back(&row[c]);
        to_common(all);
    }
    std::string text;
    for (size_t r = 0; r < bound_rows.size(); r++) {
        text += r > 0 ? " UNION ALL SELECT " : "SELECT ";
        for (size_t c = 0; c < bound_rows[r].size(); c++)
            text.append(c > 0 ? "," : "")
                .append(emit_collated(b, bound_rows[r][c]))
                .append(" AS c" + std::to_string(c + 1));
    }
    items = bound_rows[0];
    return text;
}

static std::string translate_join(binder &b, const table_ref &t, scope &sc) {
    size_t first = sc.sources.size();
    std::string left = translate_table(b, *t.left, sc, false);
    size_t middle = sc.sources.size();
    std::string right = translate_table(b, *t.right, sc, false);
    if (t.right->kind == table_kind::join)
        right = "(" + right + ")";
    if (t.join == "LEFT JOIN" || t.join == "FULL JOIN")
        make_nullable(sc, middle, sc.sources.size());
    if (t.join == "RIGHT JOIN" || t.join == "FULL JOIN")
        make_nullable(sc, first, middle);
    std::string text = left + " " + t.join + " " + right;
    if (t.on != nullptr)
        text += " ON " + emit(b, bind(b, *t.on));
    else if (t.kind == table_kind::apply && t.join == "LEFT JOIN")
        text += " ON 1";
    return text;
}

std::string translate_table(binder &b, const table_ref &t, scope &sc, bool) {
    std::string sql;
    switch (t.kind) {
    case table_kind::named: bind_source(b, sc, t.path, t.alias, sql); return sql;
    case table_kind::derived: return derived(b, sc, *t.sub, t.alias, t.column_names);
    case table_kind::join:
    case table_kind::apply: return translate_join(b, t, sc);
    default: fail(208, 16, 1, "Invalid object name '%s'.", t.call != nullptr ? t.call->text.c_str() : "");
    }
}

// --- SELECT

static void expand_star(binder &b, const select_item &item, const scope &sc, std::vector<bound_ptr> &items) {
    bool any = false;
    for (const source &s : sc.sources) {
        if (!item.star_of.empty() && !same_name(item.star_of, s.alias))
            continue;
        any = true;
        for (const source_column &c : s.columns) {
            auto x = std::make_shared<bound>();
            x->kind = bound_kind::column;
            x->type = c.type;
            x->nullable = c.nullable;
            x->identity = c.identity;
            x->updatable = c.updatable;
            x->columns = true;
            x->text = c.sql;
            x->name = c.name;
            items.push_back(x);
        }
    }
    (void)b;
    if (!any && !item.star_of.empty())
        fail(107, 15, 1, "The column prefix '%s' does not match with a table name or alias name used in the query.",
             item.star_of.c_str());
    if (!any)
        fail(263, 16, 1, "Must specify table to select from.");
}

void bind_items(binder &b, const select_core &core, scope &sc, std::vector<bound_ptr> &items) {
    for (const select_item &item : core.items) {
        if (item.star) {
            expand_star(b, item, sc, items);
            continue;
        }
        bound_ptr x = bind(b, *item.e);
        if (!item.variable.empty()) {
            type_info target = b.f.variables.at(item.variable).type;
            if (item.assign != "=") {
                expr variable;
                variable.kind = expr_kind::variable;
                variable.text = item.variable;
                x = bind_binary(item.assign.substr(0, 1), bind(b, variable), x, 0);
            }
            x = convert_to(x, target);
            b.p.assign.emplace_back(item.variable, item.assign);
        }
        if (!item.alias.empty() || x->kind != bound_kind::column) {
            x = std::make_shared<bound>(*x);
            x->name = item.alias;
        }
        items.push_back(x);
    }
}

// The position of an ORDER BY item in the select list, 0 when it is another expression.
static size_t order_position(const order_item &o, const std::vector<bound_ptr> &items) {
    const expr &e = *o.e;
    if (e.kind == expr_kind::literal && e.type.id == type_id::int_ && !e.literal.null) {
        if (e.literal.i64 < 1 || e.literal.i64 > static_cast<int64_t>(items.size()))
            fail(108, 16, 1,
                 "The ORDER BY position number %lld is out of range of the number of items in the select list.",
                 static_cast<long long>(e.literal.i64));
        return static_cast<size_t>(e.literal.i64);
    }
    if (e.kind == expr_kind::column && e.path.size() == 1)
        for (size_t i = 0; i < items.size(); i++)
            if (same_name(items[i]->name, e.path[0]))
                return i + 1;
    return 0;
}

static std::string order_text(binder &b, const query &q, const std::vector<bound_ptr> &items, bool outermost) {
    std::string text;
    bool positions = true;
    std::vector<uint16_t> order;
    for (const order_item &o : q.order) {
        size_t position = order_position(o, items);
        std::string key;
        if (position > 0) {
            key = "c" + std::to_string(position);
        } else if (q.core == nullptr) {
            fail(104, 16, 1,
                 "ORDER BY items must appear in the select list if the statement contains a UNION, INTERSECT or "
                 "EXCEPT operator.");
        } else {
            key = emit_collated(b, bind(b, *o.e));
            positions = false;
        }
        order.push_back(static_cast<uint16_t>(position));
        text += (text.empty() ? " ORDER BY " : ", ") + key + (o.descending ? " DESC" : "");
    }
    if (outermost && positions)
        b.p.order = order;
    return text;
}

static std::string limit_text(binder &b, const query &q) {
    auto number = [&](const expr_ptr &e) { return emit(b, bind_typed(b, *e, t_bigint)); };
    if (q.core != nullptr && q.core->top != nullptr)
        return " LIMIT " + number(q.core->top);
    if (q.offset == nullptr)
        return {};
    return " LIMIT " + (q.fetch != nullptr ? number(q.fetch) : "-1") + " OFFSET " + number(q.offset);
}

static std::string translate_core(binder &b, const query &q, std::vector<bound_ptr> &items, bool outermost) {
    const select_core &core = *q.core;
    scope sc;
    sc.outer = b.sc;
    b.sc = &sc;
    std::string from, text = core.distinct ? "SELECT DISTINCT " : "SELECT ";
    if (core.top_percent)
        fail(40510, 16, 1, "TOP PERCENT is not supported by this server.");
    if (core.from != nullptr) {
        b.p.has_from = true;
        from = " FROM " + translate_table(b, *core.from, sc, false);
    }
    bind_items(b, core, sc, items);
    for (size_t i = 0; i < items.size(); i++) {
        bool collate = items[i]->kind != bound_kind::column;
        text += (i > 0 ? "," : "") + (collate ? emit_collated(b, items[i]) : items[i]->text) + " AS c" +
                std::to_string(i + 1);
    }
    text += from;
    if (core.where != nullptr)
        text += " WHERE " + emit(b, bind(b, *core.where));
    for (size_t i = 0; i < core.group_by.size(); i++)
        text += (i > 0 ? ", " : " GROUP BY ") + emit_collated(b, bind(b, *core.group_by[i]));
    if (core.having != nullptr)
        text += (core.group_by.empty() && !sc.aggregates ? " GROUP BY NULL HAVING " : " HAVING ") +
                emit(b, bind(b, *core.having));
    bool keep_order = outermost || core.top != nullptr || q.offset != nullptr;
    if (keep_order)
        text += order_text(b, q, items, outermost);
    text += limit_text(b, q);
    b.sc = sc.outer;
    return text;
}

static std::string wrap_converted(binder &b, const std::string &sql, const std::vector<bound_ptr> &have,
                                  const std::vector<type_info> &want) {
    std::string alias = "q" + std::to_string(b.next_alias++), text = "SELECT ";
    bool changes = false;
    for (size_t i = 0; i < have.size(); i++) {
        auto field = std::make_shared<bound>();
        field->kind = bound_kind::column;
        field->type = have[i]->type;
        field->untyped_null = false;
        field->columns = true;
        field->text = alias + ".c" + std::to_string(i + 1);
        bound_ptr x = have[i]->untyped_null ? field : convert_to(field, want[i]);
        changes = changes || x->kind != bound_kind::column;
        text += (i > 0 ? "," : "") + emit_collated(b, x) + " AS c" + std::to_string(i + 1);
    }
    return changes ? text + " FROM (" + sql + ") AS " + alias : sql;
}

// The right side's parts are numbered after the left's, so a recursive CTE is known before its right side is seen.
static std::string translate_set(binder &b, const query &q, std::vector<bound_ptr> &items, cte_entry *recursive) {
    std::vector<bound_ptr> left_items, right_items;
    std::string left = translate_query(b, *q.left, left_items, false);
    if (recursive != nullptr) {
        source s;
        add_columns(s, left_items, {});
        for (size_t i = 0; i < s.columns.size(); i++) {
            if (i < recursive->columns.size())
                s.columns[i].name = recursive->columns[i].name;
            s.columns[i].nullable = true;
        }
        recursive->columns = s.columns;
        b.ctes.push_back(*recursive);
    }
    std::string right = translate_query(b, *q.right, right_items, false);
    if (left_items.size() != right_items.size())
        fail(205, 16, 1,
             "All queries combined using a UNION, INTERSECT or EXCEPT operator must have an equal number of "
             "expressions in their target lists.");
    std::vector<type_info> types;
    for (size_t i = 0; i < left_items.size(); i++) {
        const bound &x = *left_items[i], &y = *right_items[i];
        types.push_back(x.untyped_null                           ? y.type
                        : y.untyped_null || recursive != nullptr ? x.type
                                                                 : type_common(x.type, y.type));
        auto item = std::make_shared<bound>();
        item->kind = bound_kind::column;
        item->type = types[i];
        item->nullable = x.nullable || y.nullable;
        item->name = x.name;
        item->columns = true;
        items.push_back(item);
    }
    if (recursive == nullptr)
        left = wrap_converted(b, left, left_items, types);
    bool compound = q.right->core == nullptr && q.right->values.empty(); // a chain without parentheses would regroup
    if (recursive == nullptr)
        right = wrap_converted(b, right, right_items, types);
    if (compound)
        right = "SELECT * FROM (" + right + ")";
    return left + " " + q.set_op + " " + right;
}

static std::string translate_body(binder &b, const query &q, std::vector<bound_ptr> &items, bool outermost) {
    if (!q.values.empty())
        return values_text(b, q.values, items);
    if (q.core != nullptr)
        return translate_core(b, q, items, outermost);
    std::string text = translate_set(b, q, items, nullptr);
    if (outermost || q.offset != nullptr)
        text += order_text(b, q, items, outermost) + limit_text(b, q);
    return text;
}

static bool mentions(const table_ref *t, const std::string &name) {
    if (t == nullptr)
        return false;
    bool here = t->kind == table_kind::named && t->path.size() == 1 && same_name(t->path[0], name);
    return here || mentions(t->left.get(), name) || mentions(t->right.get(), name);
}

static std::string translate_cte(binder &b, const cte &c) {
    cte_entry entry;
    entry.name = c.name;
    entry.sql_name = "w" + std::to_string(b.next_alias++);
    std::vector<bound_ptr> items;
    const query &q = *c.body;
    bool recursive = !q.set_op.empty() && q.right->core != nullptr && mentions(q.right->core->from.get(), c.name);
    std::string text;
    if (recursive) {
        for (const std::string &n : c.columns)
            entry.columns.push_back({n, {}, true, false, false, ""});
        text = translate_set(b, q, items, &entry);
        b.ctes.pop_back();
    } else {
        text = translate_query(b, q, items, false);
    }
    source s;
    add_columns(s, items, c.columns);
    entry.columns = s.columns;
    b.ctes.push_back(entry);
    std::string names;
    for (size_t i = 0; i < items.size(); i++)
        names += (i > 0 ? ",c" : "c") + std::to_string(i + 1);
    return entry.sql_name + "(" + names + ") AS (" + text + ")";
}

std::string translate_query(binder &b, const query &q, std::vector<bound_ptr> &items, bool outermost) {
    size_t known = b.ctes.size();
    std::string with;
    for (const cte &c : q.ctes)
        with += (with.empty() ? "WITH RECURSIVE " : ", ") + translate_cte(b, c);
    std::string body = translate_body(b, q, items, outermost);
    b.ctes.resize(known);
    bool limited = !outermost && (q.core != nullptr && (q.core->top != nullptr || q.offset != nullptr));
    if (limited) // ORDER BY and LIMIT must not meet a UNION around
        body = "SELECT * FROM (" + body + ")";
    return with.empty() ? body : with + " " + body;
}

} // namespace sqlserver
