// Rows of a table: see the header.
#include "tsql_rows.h"

#include "tsql_functions.h"
#include "tsql_types.h"

#include <sqlite3.h>

namespace sqlserver {

std::string table_text(const resolved &r) {
    return quote_name(r.sqlite_schema, '"') + "." + quote_name(r.object->table, '"');
}

std::string full_name(frame &f, const resolved &r) {
    (void)f;
    if (r.object->name[0] == '@')
        return r.object->name;
    return (r.db != nullptr ? r.db->name : "tempdb") + "." + r.object->schema + "." + r.object->name;
}

// A value on its way into a column: converted, and refused when text would be cut.
value column_value(frame &f, const resolved &r, size_t column, const value &v, const type_info &from) {
    const column_def &d = r.object->columns[column].def;
    if (v.null)
        return v;
    type_info wide = d.type;
    bool text = is_char(d.type.id) || is_binary(d.type.id);
    if (text)
        wide.length = length_max;
    value out = convert_implicit(v, from, wide);
    if (!text || d.type.length == length_max)
        return out;
    bool cut;
    std::string fitted = fit_text(out.text, d.type, cut);
    if (cut) {
        size_t kept = fitted.size();
        char pad = is_binary(d.type.id) ? '\0' : ' ';
        if (out.text.find_first_not_of(pad, kept) != std::string::npos && d.type.id != type_id::binary_)
            fail(2628, 16, 1,
                 "String or binary data would be truncated in table '%s', column '%s'. Truncated value: '%s'.",
                 full_name(f, r).c_str(), d.name.c_str(), is_binary(d.type.id) ? "" : fitted.c_str());
    }
    out.text = std::move(fitted);
    return out;
}

static value eval_field(frame &f, const resolved &r, const expr &e, const std::vector<value> &row,
                        const type_info *target) {
    plan none;
    scope sc;
    source s;
    s.alias = s.table = r.object->name;
    for (const cat_column &c : r.object->columns)
        s.columns.push_back({c.def.name, c.def.type, c.def.nullable, false, false, ""});
    sc.sources.push_back(s);
    sc.field_base.push_back(0);
    binder b{f, none, &sc, true};
    bound_ptr x = target != nullptr ? bind_typed(b, e, *target) : bind(b, e);
    eval_context c{f, &row};
    return eval(*x, c);
}

value eval_default(frame &f, const resolved &r, size_t column) {
    const column_def &d = r.object->columns[column].def;
    if (d.default_value == nullptr)
        return {};
    type_info t;
    value v = eval_expr(f, *d.default_value, t);
    return column_value(f, r, column, v, t);
}

void fill_computed(frame &f, const resolved &r, std::vector<value> &row) {
    for (size_t i = 0; i < row.size(); i++) {
        const column_def &d = r.object->columns[i].def;
        if (d.computed != nullptr)
            row[i] = eval_field(f, r, *d.computed, row, &d.type);
    }
}

// --- constraints

static void bind_key(sqlite3_stmt *st, const cat_object &o, const std::vector<size_t> &columns,
                     const std::vector<value> &row) {
    for (size_t i = 0; i < columns.size(); i++)
        store_bind(st, static_cast<int>(i) + 1, row[columns[i]], o.columns[columns[i]].def.type);
}

static bool key_exists(frame &f, const std::string &table, const std::vector<std::string> &columns,
                       const cat_object &from, const std::vector<size_t> &from_columns, const std::vector<value> &row) {
    std::string sql = "SELECT 1 FROM " + table + " WHERE ";
    for (size_t i = 0; i < columns.size(); i++)
        sql += (i > 0 ? " AND " : "") + quote_name(lower(columns[i]), '"') + " = ?";
    sqlite3_stmt *st = store_statement(f.s, sql + " LIMIT 1");
    bind_key(st, from, from_columns, row);
    bool found = store_step(f, st, nullptr);
    sqlite3_reset(st);
    return found;
}

static bool any_null(const std::vector<size_t> &columns, const std::vector<value> &row) {
    for (size_t i : columns)
        if (row[i].null)
            return true;
    return false;
}

static object_path in_database(const resolved &r, object_path path) {
    while (path.size() < 2)
        path.insert(path.begin(), "dbo");
    if (path.size() == 2 && r.db != nullptr)
        path.insert(path.begin(), r.db->name);
    return path;
}

static std::vector<std::string> parent_columns(const cat_object &parent, const key_def &k) {
    if (!k.parent_columns.empty())
        return k.parent_columns;
    for (const cat_key &p : parent.keys)
        if (p.def.kind == "PK")
            return p.def.columns;
    return {};
}

static void check_parent(frame &f, const resolved &r, const cat_key &k, const std::vector<value> &row,
                         const char *verb) {
    resolved parent;
    if (any_null(k.columns, row) || !resolve(f, in_database(r, k.def.parent), parent))
        return;
    std::vector<std::string> columns = parent_columns(*parent.object, k.def);
    if (columns.size() != k.columns.size() || key_exists(f, table_text(parent), columns, *r.object, k.columns, row))
        return;
    std::string column = columns.size() == 1 ? ", column '" + columns[0] + "'" : "";
    fail(
        547, 16, 0,
        "The %s statement conflicted with the FOREIGN KEY constraint \"%s\". The conflict occurred in database \"%s\", "
        "table \"%s\"%s.",
        verb, k.def.name.c_str(), parent.db != nullptr ? parent.db->name.c_str() : "tempdb",
        (parent.object->schema + "." + parent.object->name).c_str(), column.c_str());
}

void check_row(frame &f, const resolved &r, const std::vector<value> &row, const char *verb) {
    for (size_t i = 0; i < row.size(); i++) {
        const column_def &d = r.object->columns[i].def;
        if (row[i].null && !d.nullable && d.computed == nullptr)
            fail(515, 16, 2,
                 "Cannot insert the value NULL into column '%s', table '%s'; column does not allow nulls. %s fails.",
                 d.name.c_str(), full_name(f, r).c_str(), verb);
    }
    for (const cat_key &k : r.object->keys) {
        if (k.def.kind == "F")
            check_parent(f, r, k, row, verb);
        if (k.def.kind != "C")
            continue;
        value v = eval_field(f, r, *k.def.check, row, nullptr);
        if (!v.null && v.i64 == 0)
            fail(547, 16, 0,
                 "The %s statement conflicted with the CHECK constraint \"%s\". The conflict occurred in database "
                 "\"%s\", table \"%s\".",
                 verb, k.def.name.c_str(), r.db != nullptr ? r.db->name.c_str() : "tempdb",
                 (r.object->schema + "." + r.object->name).c_str());
    }
}

// SQLite says "UNIQUE constraint failed: t.a, t.b" (or names the index): the key with these columns.
[[noreturn]] static void duplicate(const resolved &r, const std::string &message, const std::vector<value> &row) {
    std::string tail = message.substr(std::min(message.find(": "), message.size() - 1) + 1);
    for (const cat_key &k : r.object->keys) {
        std::string wanted, values;
        for (size_t i : k.columns) {
            const column_def &d = r.object->columns[i].def;
            wanted += (wanted.empty() ? " " : ", ") + r.object->table + "." + lower(d.name);
            values += (values.empty() ? "" : ", ") + (row[i].null ? "<NULL>" : to_text(row[i], d.type));
        }
        if (k.def.kind == "F" || k.def.kind == "C" || k.def.kind == "IX" || wanted != tail)
            continue;
        std::string table = r.object->schema + "." + r.object->name;
        if (k.def.kind == "UX")
            fail(2601, 14, 1,
                 "Cannot insert duplicate key row in object '%s' with unique index '%s'. The duplicate key value is "
                 "(%s).",
                 table.c_str(), k.def.name.c_str(), values.c_str());
        fail(2627, 14, 1,
             "Violation of %s KEY constraint '%s'. Cannot insert duplicate key in object '%s'. The duplicate key value "
             "is (%s).",
             k.def.kind == "PK" ? "PRIMARY" : "UNIQUE", k.def.name.c_str(), table.c_str(), values.c_str());
    }
    fail(2627, 14, 1, "Cannot insert duplicate key in object '%s'. %s", r.object->name.c_str(), message.c_str());
}

static void step_write(frame &f, sqlite3_stmt *st, const resolved &r, const std::vector<value> &row) {
    std::string duplicate_text;
    try {
        store_step(f, st, nullptr);
        sqlite3_reset(st);
        return;
    } catch (const sql_error &e) {
        if (e.number != 2627)
            throw;
        duplicate_text = e.text;
    }
    duplicate(r, duplicate_text, row);
}

void row_insert(frame &f, const resolved &r, const std::vector<value> &row) {
    std::string sql = "INSERT INTO " + table_text(r) + " VALUES (?";
    for (size_t i = 1; i < row.size(); i++)
        sql += ",?";
    sqlite3_stmt *st = store_statement(f.s, sql + ")");
    for (size_t i = 0; i < row.size(); i++)
        store_bind(st, static_cast<int>(i) + 1, row[i], r.object->columns[i].def.type);
    step_write(f, st, r, row);
}

static bool key_changed(const std::vector<size_t> &key, const cat_object &o, const std::vector<value> &before,
                        const std::vector<value> *after) {
    if (after == nullptr)
        return true;
    for (size_t i : key) {
        const value &x = before[i], &y = (*after)[i];
        if (x.null != y.null || (!x.null && value_compare(x, y, o.columns[i].def.type) != 0))
            return true;
    }
    return false;
}

static void cascade(frame &f, const resolved &child, const cat_key &k, const cat_object &parent,
                    const std::vector<size_t> &parent_key, const std::vector<value> &before) {
    std::string sql = "SELECT _rowid_, * FROM " + table_text(child) + " WHERE ";
    for (size_t i = 0; i < k.columns.size(); i++)
        sql += (i > 0 ? " AND " : "") + quote_name(lower(child.object->columns[k.columns[i]].def.name), '"') + " = ?";
    std::vector<std::pair<int64_t, std::vector<value>>> rows;
    sqlite3_stmt *st = store_statement(f.s, sql);
    bind_key(st, parent, parent_key, before);
    while (store_step(f, st, nullptr)) {
        std::vector<value> row;
        for (size_t i = 0; i < child.object->columns.size(); i++)
            row.push_back(store_column(st, static_cast<int>(i) + 1, child.object->columns[i].def.type));
        rows.emplace_back(sqlite3_column_int64(st, 0), row);
    }
    sqlite3_reset(st);
    for (auto &[rowid, row] : rows) {
        if (k.def.cascade_delete) {
            row_delete(f, child, rowid, row);
            continue;
        }
        std::vector<value> after = row;
        for (size_t i : k.columns)
            after[i] = value();
        row_update(f, child, rowid, row, after, k.columns);
    }
}

// Rows of other tables that refer to this one. `after` is null for DELETE.
static void check_children(frame &f, const resolved &r, const std::vector<value> &before,
                           const std::vector<value> *after) {
    if (r.db == nullptr)
        return;
    catalog_ptr objects = session_catalog(f.s, *r.db);
    for (const auto &[name, child] : objects->objects)
        for (const cat_key &k : child->keys) {
            if (k.def.kind != "F" || !same_name(k.def.parent.back(), r.object->name))
                continue;
            resolved c;
            if (!resolve(f, {r.db->name, child->schema, child->name}, c))
                continue;
            std::vector<size_t> parent_key;
            for (const std::string &column : parent_columns(*r.object, k.def))
                parent_key.push_back(static_cast<size_t>(std::max(0, object_column(*r.object, column))));
            std::vector<std::string> child_columns;
            for (size_t i : k.columns)
                child_columns.push_back(child->columns[i].def.name);
            if (!key_changed(parent_key, *r.object, before, after) || any_null(parent_key, before) ||
                !key_exists(f, table_text(c), child_columns, *r.object, parent_key, before))
                continue;
            if (after == nullptr && (k.def.cascade_delete || k.def.null_delete)) {
                cascade(f, c, k, *r.object, parent_key, before);
                continue;
            }
            std::string column = child_columns.size() == 1 ? ", column '" + child_columns[0] + "'" : "";
            fail(547, 16, 0,
                 "The %s statement conflicted with the REFERENCE constraint \"%s\". The conflict occurred in database "
                 "\"%s\", table \"%s\"%s.",
                 after == nullptr ? "DELETE" : "UPDATE", k.def.name.c_str(), r.db->name.c_str(),
                 (child->schema + "." + child->name).c_str(), column.c_str());
        }
}

void row_update(frame &f, const resolved &r, int64_t rowid, const std::vector<value> &before,
                const std::vector<value> &after, const std::vector<size_t> &changed) {
    check_row(f, r, after, "UPDATE");
    check_children(f, r, before, &after);
    std::string sql = "UPDATE " + table_text(r) + " SET ";
    for (size_t i = 0; i < changed.size(); i++)
        sql += (i > 0 ? "," : "") + quote_name(lower(r.object->columns[changed[i]].def.name), '"') + "=?";
    sqlite3_stmt *st = store_statement(f.s, sql + " WHERE _rowid_=?");
    for (size_t i = 0; i < changed.size(); i++)
        store_bind(st, static_cast<int>(i) + 1, after[changed[i]], r.object->columns[changed[i]].def.type);
    sqlite3_bind_int64(st, static_cast<int>(changed.size()) + 1, rowid);
    step_write(f, st, r, after);
}

void row_delete(frame &f, const resolved &r, int64_t rowid, const std::vector<value> &before) {
    check_children(f, r, before, nullptr);
    sqlite3_stmt *st = store_statement(f.s, "DELETE FROM " + table_text(r) + " WHERE _rowid_=?");
    sqlite3_bind_int64(st, 1, rowid);
    step_write(f, st, r, before);
}

// The counter is not part of a transaction: a rolled back INSERT leaves a gap, as in SQL Server.
void load_identity(frame &f, const resolved &r) {
    identity_counter &counter = *r.object->identity;
    if (counter.loaded)
        return;
    const column_def &d = r.object->columns[static_cast<size_t>(r.object->identity_column)].def;
    std::string sql = std::string("SELECT ") + (d.increment > 0 ? "max(" : "min(") + quote_name(lower(d.name), '"') +
                      ") FROM " + table_text(r);
    sqlite3_stmt *st = store_statement(f.s, sql);
    if (store_step(f, st, nullptr)) {
        value v = store_column(st, 0, is_exact(d.type.id) ? d.type : t_bigint);
        if (!v.null) {
            counter.used = true;
            counter.last = is_exact(d.type.id) ? convert(v, d.type, t_bigint).i64 : v.i64;
        }
    }
    sqlite3_reset(st);
    counter.loaded = true;
}

} // namespace sqlserver
