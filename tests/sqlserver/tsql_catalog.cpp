// Catalog: table definitions to objects, to T-SQL text and to SQLite; see the header.
#include "tsql_catalog.h"

#include "tsql_parser.h"
#include "tsql_text.h"
#include "tsql_types.h"

#include <sqlite3.h>

namespace sqlserver {

const char *collation_of(const type_info &t) {
    if (is_char(t.id))
        return "TS";
    if (is_exact(t.id))
        return "TD";
    return t.id == type_id::datetimeoffset_ ? "TZ" : nullptr;
}

std::string storage_type(const type_info &t) {
    if (is_char(t.id) || is_exact(t.id) || t.id == type_id::datetimeoffset_)
        return std::string("TEXT COLLATE ") + collation_of(t);
    if (is_float(t.id))
        return "REAL";
    if (is_binary(t.id) || t.id == type_id::uniqueidentifier_ || t.id == type_id::sql_variant_)
        return "BLOB";
    return "INTEGER";
}

int object_column(const cat_object &o, std::string_view name) {
    for (size_t i = 0; i < o.columns.size(); i++)
        if (same_name(o.columns[i].def.name, name))
            return static_cast<int>(i);
    return -1;
}

static std::string made_up_name(const cat_object &o, const std::string &kind, const std::string &column) {
    uint32_t hash = 2166136261u;
    for (char c : o.name + kind + column + std::to_string(o.id))
        hash = (hash ^ static_cast<uint8_t>(c)) * 16777619u;
    std::string name = kind + "__" + o.name.substr(0, 9) + "__";
    if (!column.empty())
        name += column.substr(0, 5) + "__";
    return name + text_printf("%08X", hash);
}

void object_add_key(cat_object &o, const key_def &given) {
    cat_key k;
    k.def = given;
    for (const std::string &c : given.columns) {
        int i = object_column(o, c);
        if (i < 0)
            fail(1911, 16, 1, "Column name '%s' does not exist in the target table or view.", c.c_str());
        k.columns.push_back(static_cast<size_t>(i));
    }
    if (k.def.name.empty()) {
        std::string kind = given.kind == "F" ? "FK" : given.kind == "C" ? "CK" : given.kind;
        k.def.name = made_up_name(o, kind, given.kind == "PK" || given.columns.empty() ? "" : given.columns[0]);
    }
    for (const cat_key &other : o.keys)
        if (same_name(other.def.name, k.def.name))
            fail(
                given.kind == "IX" || given.kind == "UX" ? 1913 : 2714, 16, 1,
                given.kind == "IX" || given.kind == "UX"
                    ? "The operation failed because an index or statistics with name '%s' already exists on table '%s'."
                    : "There is already an object named '%s' in the database.",
                k.def.name.c_str(), (o.schema + "." + o.name).c_str());
    k.id = o.id + 100000 + static_cast<int32_t>(o.keys.size());
    if (given.kind == "PK") {
        for (size_t i : k.columns)
            o.columns[i].def.nullable = false;
        const type_info &t = o.columns[k.columns[0]].def.type;
        if (k.columns.size() == 1 && is_integer(t.id) && t.id != type_id::bit_ && o.table.empty())
            o.rowid_column = static_cast<int>(k.columns[0]);
    }
    bool rowid = given.kind == "PK" && o.rowid_column == static_cast<int>(k.columns[0]) && k.columns.size() == 1;
    bool index = given.kind == "PK" || given.kind == "UQ" || given.kind == "IX" || given.kind == "UX";
    if (index && !rowid)
        k.sqlite_index = text_printf("i$%d$", o.id) + lower(k.def.name);
    o.keys.push_back(std::move(k));
}

void object_from_def(cat_object &o, const table_def &def) {
    for (const column_def &c : def.columns) {
        if (object_column(o, c.name) >= 0)
            fail(2705, 16, 3,
                 "Column names in each table must be unique. Column name '%s' in table '%s' is specified "
                 "more than once.",
                 c.name.c_str(), o.name.c_str());
        if (!c.type_name.empty())
            fail(2715, 16, 6, "Column, parameter, or variable #%zu: Cannot find data type %s.", o.columns.size() + 1,
                 c.type_name.c_str());
        cat_column column{c, static_cast<int32_t>(o.columns.size()) + 1};
        if (c.default_value != nullptr && c.default_name.empty())
            column.def.default_name = made_up_name(o, "DF", c.name);
        if (c.identity)
            o.identity_column = static_cast<int>(o.columns.size());
        o.columns.push_back(column);
    }
    for (const column_def &c : def.columns) {
        key_def k;
        k.columns = {c.name};
        k.name = c.key_name;
        if (c.primary_key || c.unique)
            object_add_key(o, (k.kind = c.primary_key ? "PK" : "UQ", k));
        if (c.reference != nullptr)
            object_add_key(o, *c.reference);
        if (c.check != nullptr) {
            key_def check;
            check.kind = "C";
            check.name = c.check_name;
            check.check = c.check;
            check.check_text = c.check_text;
            object_add_key(o, check);
        }
    }
    for (const key_def &k : def.keys)
        object_add_key(o, k);
    if (o.table.empty())
        o.table = o.schema == "dbo" ? lower(o.name) : lower(o.schema) + "." + lower(o.name);
}

static std::string column_text(const cat_column &c) {
    const column_def &d = c.def;
    if (d.computed != nullptr)
        return quote_name(d.name) + " AS (" + d.computed_text + ")";
    std::string text = quote_name(d.name) + " " + type_text(d.type);
    if (d.identity)
        text +=
            text_printf(" IDENTITY(%lld,%lld)", static_cast<long long>(d.seed), static_cast<long long>(d.increment));
    text += d.nullable ? " NULL" : " NOT NULL";
    if (d.default_value != nullptr)
        text += " CONSTRAINT " + quote_name(d.default_name) + " DEFAULT " + d.default_text;
    return text;
}

static std::string name_list(const std::vector<std::string> &names) {
    std::string text;
    for (const std::string &n : names)
        text += (text.empty() ? "" : ", ") + quote_name(n);
    return "(" + text + ")";
}

static std::string key_text(const key_def &k) {
    if (k.kind == "IX" || k.kind == "UX")
        return "INDEX " + quote_name(k.name) + (k.kind == "UX" ? " UNIQUE " : " ") + name_list(k.columns);
    std::string text = "CONSTRAINT " + quote_name(k.name);
    if (k.kind == "C")
        return text + " CHECK " + k.check_text;
    if (k.kind != "F")
        return text + (k.kind == "PK" ? " PRIMARY KEY " : " UNIQUE ") + name_list(k.columns);
    text += " FOREIGN KEY " + name_list(k.columns) + " REFERENCES ";
    for (size_t i = 0; i < k.parent.size(); i++)
        text += (i > 0 ? "." : "") + quote_name(k.parent[i]);
    text += k.parent_columns.empty() ? "" : name_list(k.parent_columns);
    return text + (k.cascade_delete ? " ON DELETE CASCADE" : k.null_delete ? " ON DELETE SET NULL" : "");
}

std::string object_text(const cat_object &o) {
    std::string text = "CREATE TABLE " + quote_name(o.schema) + "." + quote_name(o.name) + " (";
    for (size_t i = 0; i < o.columns.size(); i++)
        text += (i > 0 ? ", " : "") + column_text(o.columns[i]);
    for (const cat_key &k : o.keys)
        text += ", " + key_text(k.def);
    return text + ")";
}

std::string object_sqlite(const cat_object &o, const std::string &schema) {
    std::string text = "CREATE TABLE " + quote_name(schema, '"') + "." + quote_name(o.table, '"') + " (";
    for (size_t i = 0; i < o.columns.size(); i++) {
        const column_def &d = o.columns[i].def;
        text += (i > 0 ? ", " : "") + quote_name(lower(d.name), '"') + " ";
        text += static_cast<int>(i) == o.rowid_column ? "INTEGER PRIMARY KEY" : storage_type(d.type);
    }
    return text + ")";
}

std::string key_sqlite(const cat_object &o, const cat_key &k, const std::string &schema) {
    if (k.sqlite_index.empty())
        return {};
    std::string text = k.def.kind == "IX" ? "CREATE INDEX " : "CREATE UNIQUE INDEX ";
    text += quote_name(schema, '"') + "." + quote_name(k.sqlite_index, '"') + " ON " + quote_name(o.table, '"') + " (";
    for (size_t i = 0; i < k.columns.size(); i++)
        text += (i > 0 ? ", " : "") + quote_name(lower(o.columns[k.columns[i]].def.name), '"');
    return text + ")";
}

static void load_object(catalog &out, cat_object &o, const std::string &body) {
    if (o.type == "U") {
        auto tree = parse_batch(body, true, {});
        object_from_def(o, *tree->body.at(0)->table);
        o.identity = std::make_shared<identity_counter>();
    } else {
        o.source = body;
    }
    out.next_id = std::max(out.next_id, o.id + 1);
    out.objects[lower(o.schema + "." + o.name)] = std::make_shared<cat_object>(o);
}

bool catalog_load(sqlite3 *db, const std::string &schema, catalog &out, std::string &error) {
    std::string q = quote_name(schema, '"');
    std::string create =
        "CREATE TABLE IF NOT EXISTS " + q +
        ".\"$objects\" (id INTEGER PRIMARY KEY, \"schema\", name, type, body, created, quoted, modified, encrypted)";
    sqlite3_stmt *st = nullptr;
    for (const char *column : {"modified", "encrypted"}) // files of an earlier version lack them; else it fails
        sqlite3_exec(db, ("ALTER TABLE " + q + ".\"$objects\" ADD COLUMN " + column).c_str(), nullptr, nullptr,
                     nullptr);
    out.schemas = {{"dbo", 1}, {"guest", 2}, {"information_schema", 3}, {"sys", 4}};
    if (sqlite3_exec(db, create.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK ||
        sqlite3_prepare_v2(db, ("SELECT * FROM " + q + ".\"$objects\" ORDER BY id").c_str(), -1, &st, nullptr) !=
            SQLITE_OK) {
        error = sqlite3_errmsg(db);
        return false;
    }
    auto text = [&](int i) {
        const void *bytes = sqlite3_column_text(st, i);
        return std::string(static_cast<const char *>(bytes), static_cast<size_t>(sqlite3_column_bytes(st, i)));
    };
    try {
        while (sqlite3_step(st) == SQLITE_ROW) {
            cat_object o;
            o.id = sqlite3_column_int(st, 0);
            o.schema = text(1);
            o.name = text(2);
            o.type = text(3);
            o.created = sqlite3_column_int64(st, 5);
            o.quoted_identifier = sqlite3_column_int(st, 6) != 0;
            o.modified = sqlite3_column_int64(st, 7);
            o.encrypted = sqlite3_column_int(st, 8) != 0;
            if (o.type == "S")
                out.schemas[lower(o.name)] = o.id;
            else
                load_object(out, o, text(4));
            out.next_id = std::max(out.next_id, o.id + 1);
        }
    } catch (const sql_error &e) {
        error = e.text;
    }
    sqlite3_finalize(st);
    return error.empty();
}

std::string catalog_save_sql(const std::string &schema) {
    return "INSERT OR REPLACE INTO " + quote_name(schema, '"') + ".\"$objects\" VALUES (?,?,?,?,?,?,?,?,?)";
}

} // namespace sqlserver
