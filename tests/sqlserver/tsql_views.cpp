// sys.* and INFORMATION_SCHEMA.* to SQLite: one table-valued function for each view of tsql_system_views.cpp. Its
// hidden column is the database's name.
#include "tsql_bind.h"
#include "tsql_types.h"

#include <sqlite3.h>

#include <cstring>

namespace sqlserver {

namespace {

struct view_module {
    session *s;
    const system_view *view;
};

struct view_table {
    sqlite3_vtab base;
    view_module *module;
};

struct view_cursor {
    sqlite3_vtab_cursor base;
    std::vector<std::vector<value>> rows;
    size_t at = 0;
};

int view_connect(sqlite3 *db, void *aux, int, const char *const *, sqlite3_vtab **out, char **) {
    auto *module = static_cast<view_module *>(aux);
    std::string sql = "CREATE TABLE x(";
    for (const source_column &c : module->view->columns)
        sql += quote_name(c.name, '"') + " " + (is_char(c.type.id) ? "TEXT" : "") + ", ";
    if (int rc = sqlite3_declare_vtab(db, (sql + "\"$db\" HIDDEN)").c_str()); rc != SQLITE_OK)
        return rc;
    auto *table = new view_table();
    table->module = module;
    *out = &table->base;
    return SQLITE_OK;
}

int view_disconnect(sqlite3_vtab *table) {
    delete reinterpret_cast<view_table *>(table);
    return SQLITE_OK;
}

int view_best_index(sqlite3_vtab *table, sqlite3_index_info *info) {
    int hidden = static_cast<int>(reinterpret_cast<view_table *>(table)->module->view->columns.size());
    for (int i = 0; i < info->nConstraint; i++) {
        if (info->aConstraint[i].iColumn != hidden)
            continue;
        if (info->aConstraint[i].usable == 0)
            return SQLITE_CONSTRAINT;
        info->aConstraintUsage[i].argvIndex = 1;
        info->aConstraintUsage[i].omit = 1;
    }
    info->estimatedCost = 100;
    return SQLITE_OK;
}

int view_open(sqlite3_vtab *, sqlite3_vtab_cursor **out) {
    *out = &(new view_cursor())->base;
    return SQLITE_OK;
}

int view_close(sqlite3_vtab_cursor *cursor) {
    delete reinterpret_cast<view_cursor *>(cursor);
    return SQLITE_OK;
}

int view_filter(sqlite3_vtab_cursor *cursor, int, const char *, int n, sqlite3_value **args) {
    auto *c = reinterpret_cast<view_cursor *>(cursor);
    view_module *module = reinterpret_cast<view_table *>(cursor->pVtab)->module;
    const char *name = n > 0 ? reinterpret_cast<const char *>(sqlite3_value_text(args[0])) : nullptr;
    database *db = find_database(module->s, name == nullptr ? module->s->db : name);
    c->rows.clear();
    c->at = 0;
    if (db != nullptr)
        module->view->rows(module->s, db, c->rows);
    return SQLITE_OK;
}

int view_next(sqlite3_vtab_cursor *cursor) {
    reinterpret_cast<view_cursor *>(cursor)->at++;
    return SQLITE_OK;
}

int view_eof(sqlite3_vtab_cursor *cursor) {
    auto *c = reinterpret_cast<view_cursor *>(cursor);
    return c->at >= c->rows.size();
}

int view_column(sqlite3_vtab_cursor *cursor, sqlite3_context *context, int i) {
    auto *c = reinterpret_cast<view_cursor *>(cursor);
    const auto &columns = reinterpret_cast<view_table *>(cursor->pVtab)->module->view->columns;
    auto index = static_cast<size_t>(i);
    const auto &row = c->rows[c->at];
    if (index >= row.size() || row[index].null) {
        sqlite3_result_null(context);
        return SQLITE_OK;
    }
    const value &v = row[index];
    const type_info &t = columns[index].type;
    if (is_char(t.id) || is_exact(t.id))
        sqlite3_result_text64(context, v.text.data(), v.text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
    else if (is_binary(t.id))
        sqlite3_result_blob64(context, v.text.data(), v.text.size(), SQLITE_TRANSIENT);
    else
        sqlite3_result_int64(context, is_date(t.id) ? datetime_number(v) : v.i64);
    return SQLITE_OK;
}

int view_rowid(sqlite3_vtab_cursor *cursor, sqlite3_int64 *rowid) {
    *rowid = static_cast<sqlite3_int64>(reinterpret_cast<view_cursor *>(cursor)->at);
    return SQLITE_OK;
}

const sqlite3_module &view_methods() {
    static const sqlite3_module methods = [] {
        sqlite3_module m{};
        m.xConnect = view_connect; // no xCreate: always there
        m.xBestIndex = view_best_index;
        m.xDisconnect = view_disconnect;
        m.xDestroy = view_disconnect;
        m.xOpen = view_open;
        m.xClose = view_close;
        m.xFilter = view_filter;
        m.xNext = view_next;
        m.xEof = view_eof;
        m.xColumn = view_column;
        m.xRowid = view_rowid;
        return m;
    }();
    return methods;
}

} // namespace

void register_system_views(session *s, sqlite3 *conn) {
    for (const system_view &v : all_system_views()) {
        std::string name = std::string("sys$") + v.schema + "$" + v.name;
        sqlite3_create_module_v2(conn, name.c_str(), &view_methods(), new view_module{s, &v},
                                 [](void *m) { delete static_cast<view_module *>(m); });
    }
}

const system_view *find_system_view(std::string_view schema, std::string_view name) {
    if (schema.empty() || schema == "dbo")
        schema = name == "sysobjects" || name == "sysdatabases" || name == "sysprocesses" || name == "systypes"
                     ? "sys"
                     : schema;
    for (const system_view &v : all_system_views())
        if (lower(v.schema) == schema && name == v.name)
            return &v;
    return nullptr;
}

} // namespace sqlserver
