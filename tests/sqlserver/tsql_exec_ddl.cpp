// CREATE, ALTER, DROP: a changed copy of the catalog, published at commit; SQLite's tables follow.
#include "tsql_functions.h"
#include "tsql_parser.h"
#include "tsql_rows.h"
#include "tsql_types.h"

#include <sqlite3.h>

#include <unistd.h>

namespace sqlserver {

// --- the catalog's copy of this session

static std::shared_ptr<catalog> own_catalog(frame &f, const database &db) {
    auto copy = std::make_shared<catalog>(*session_catalog(f.s, db));
    f.s->dirty[lower(db.name)] = copy;
    f.s->eng->schema_version++;
    return copy;
}

static void save_row(frame &f, const std::string &schema, const cat_object &o) {
    sqlite3_stmt *st = store_statement(f.s, catalog_save_sql(schema));
    auto text = [&](int i, const std::string &s) {
        sqlite3_bind_text64(st, i, s.data(), s.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
    };
    sqlite3_bind_int(st, 1, o.id);
    text(2, o.schema);
    text(3, o.name);
    text(4, o.type);
    text(5, o.type == "U" ? object_text(o) : o.source);
    sqlite3_bind_int64(st, 6, o.created);
    sqlite3_bind_int(st, 7, o.quoted_identifier);
    sqlite3_bind_int64(st, 8, o.modified);
    sqlite3_bind_int(st, 9, o.encrypted);
    store_step(f, st, nullptr);
    sqlite3_reset(st);
}

// Later than the last change of any object, by what a datetime can tell apart, however fast one change follows the
// other.
static void touch(frame &f, cat_object &o) {
    constexpr int64_t least = ticks_per_second / 250;
    int64_t &last = f.s->eng->last_change;
    last = o.modified = std::max(datetime_number(datetime_now(false)), last + least);
}

static void put_object(frame &f, database &db, const std::shared_ptr<cat_object> &o) {
    auto c = own_catalog(f, db);
    touch(f, *o);
    save_row(f, store_attach(f.s, db), *o);
    c->objects[lower(o->schema + "." + o->name)] = o;
    c->next_id = std::max(c->next_id, o->id + 1);
}

static void remove_object(frame &f, database &db, const cat_object &o) {
    auto c = own_catalog(f, db);
    store_exec(f, "DELETE FROM " + quote_name(store_attach(f.s, db), '"') +
                      ".\"$objects\" WHERE id=" + std::to_string(o.id));
    c->objects.erase(lower(o.schema + "." + o.name));
}

static database &target_database(frame &f, const object_path &path) {
    std::string name = path.size() > 2 && !path[path.size() - 3].empty() ? path[path.size() - 3] : f.s->db;
    database *db = find_database(f.s, name);
    if (db == nullptr)
        fail(2702, 16, 2, "Database '%s' does not exist.", name.c_str());
    return *db;
}

static std::string target_schema(frame &f, const database &db, const object_path &path) {
    std::string schema = path.size() > 1 && !path[path.size() - 2].empty() ? path[path.size() - 2] : "dbo";
    if (session_catalog(f.s, db)->schemas.count(lower(schema)) == 0)
        fail(2760, 16, 1,
             "The specified schema name \"%s\" either does not exist or you do not have permission to use it.",
             schema.c_str());
    return schema;
}

// --- tables

static void make_sqlite_table(frame &f, const cat_object &o, const std::string &schema) {
    store_exec(f, object_sqlite(o, schema));
    for (const cat_key &k : o.keys)
        if (std::string sql = key_sqlite(o, k, schema); !sql.empty())
            store_exec(f, sql);
}

static void infer_computed(frame &f, cat_object &o) {
    for (cat_column &c : o.columns) {
        if (c.def.computed == nullptr)
            continue;
        plan none;
        scope sc;
        source s;
        s.alias = o.name;
        for (const cat_column &x : o.columns)
            if (x.def.computed == nullptr)
                s.columns.push_back({x.def.name, x.def.type, true, false, false, ""});
        sc.sources.push_back(s);
        sc.field_base.push_back(0);
        binder b{f, none, &sc, true};
        c.def.type = bind(b, *c.def.computed)->type;
    }
}

static void check_references(frame &f, const cat_object &o, const database &db) {
    for (const cat_key &k : o.keys) {
        resolved parent;
        if (k.def.kind != "F")
            continue;
        object_path path = k.def.parent;
        bool self = same_name(path.back(), o.name);
        if (!self &&
            !resolve(f, path.size() > 2 ? path : object_path{db.name, path.size() > 1 ? path[0] : "dbo", path.back()},
                     parent))
            fail(1767, 16, 0, "Foreign key '%s' references invalid table '%s'.", k.def.name.c_str(),
                 path_text(path).c_str());
    }
}

static object_ptr create_temp_table(frame &f, const std::string &name, const table_def &def) {
    session *s = f.s;
    bool global = name.compare(0, 2, "##") == 0;
    auto &all = global ? s->eng->global_temps : s->temps;
    if (all.count(lower(name)))
        fail(2714, 16, 6, "There is already an object named '%s' in the database.", name.c_str());
    auto o = std::make_shared<cat_object>();
    o->id = -static_cast<int32_t>(s->eng->next_temp++) - 1000000;
    o->name = name;
    o->type = "U";
    o->created = datetime_number(datetime_now(false));
    o->identity = std::make_shared<identity_counter>();
    o->identity->loaded = true;
    object_from_def(*o, def);
    infer_computed(f, *o);
    o->table = lower(name) + "$" + std::to_string(-o->id);
    std::string schema = global ? store_attach(s, *find_database(s, "tempdb")) : "temp";
    write_scope write(f);
    make_sqlite_table(f, *o, schema);
    write.commit();
    all[lower(name)] = o;
    if (global) {
        s->eng->global_owners[lower(name)] = s->spid;
        s->eng->schema_version++;
    } else if (f.parent != nullptr && !f.keeps_temps) {
        f.own_temps.push_back(lower(name));
    }
    s->temp_version++;
    return o;
}

object_ptr create_table(frame &f, const object_path &path, const table_def &def) {
    if (path.back()[0] == '#')
        return create_temp_table(f, path.back(), def);
    database &db = target_database(f, path);
    auto o = std::make_shared<cat_object>();
    o->schema = target_schema(f, db, path);
    o->name = path.back();
    o->type = "U";
    std::string schema = store_attach(f.s, db);
    write_scope write(f); // before looking: names and ids cannot change any more
    catalog_ptr c = session_catalog(f.s, db);
    if (c->objects.count(lower(o->schema + "." + o->name)))
        fail(2714, 16, 6, "There is already an object named '%s' in the database.", o->name.c_str());
    o->id = c->next_id;
    o->created = datetime_number(datetime_now(false));
    o->identity = std::make_shared<identity_counter>();
    object_from_def(*o, def);
    infer_computed(f, *o);
    check_references(f, *o, db);
    make_sqlite_table(f, *o, schema);
    put_object(f, db, o);
    write.commit();
    return o;
}

void create_table_variable(frame &f, const declaration &d) {
    if (f.tables.count(d.name)) {
        return; // a DECLARE inside a loop keeps the table
    }
    auto o = std::make_shared<cat_object>();
    o->id = -static_cast<int32_t>(f.s->eng->next_temp++) - 1000000;
    o->name = d.name;
    o->type = "U";
    o->identity = std::make_shared<identity_counter>();
    o->identity->loaded = true;
    object_from_def(*o, *d.table);
    o->table = d.name + "$" + std::to_string(-o->id);
    make_sqlite_table(f, *o, (store_open(f.s), "temp"));
    f.tables[d.name] = o;
    f.s->temp_version++;
}

// --- ALTER TABLE: the changed object replaces the old one

static void replace_object(frame &f, const resolved &r, const std::shared_ptr<cat_object> &o) {
    if (r.db != nullptr && o->name[0] != '#') {
        put_object(f, *r.db, o);
        return;
    }
    auto &all = o->name.compare(0, 2, "##") == 0 ? f.s->eng->global_temps : f.s->temps;
    all[lower(o->name)] = o;
    f.s->temp_version++;
    f.s->eng->schema_version += &all == &f.s->eng->global_temps;
}

static void add_column(frame &f, const resolved &r, cat_object &o, const column_def &d) {
    if (!d.nullable && d.default_value == nullptr && !d.identity && d.computed == nullptr) {
        sqlite3_stmt *st = store_statement(f.s, "SELECT 1 FROM " + table_text(r) + " LIMIT 1");
        bool rows = store_step(f, st, nullptr);
        sqlite3_reset(st);
        if (rows)
            fail(4901, 16, 1,
                 "ALTER TABLE only allows columns to be added that can contain nulls, or have a DEFAULT definition "
                 "specified, or the column being added is an identity or timestamp column. Column '%s' cannot be added "
                 "to "
                 "non-empty table '%s' because it does not satisfy these conditions.",
                 d.name.c_str(), o.name.c_str());
    }
    std::string column = quote_name(lower(d.name), '"');
    store_exec(f, "ALTER TABLE " + table_text(r) + " ADD COLUMN " + column + " " + storage_type(d.type));
    if (d.default_value == nullptr || d.nullable)
        return;
    resolved changed{std::make_shared<cat_object>(o), r.db, r.sqlite_schema};
    value v = eval_default(f, changed, o.columns.size() - 1);
    sqlite3_stmt *st = store_statement(f.s, "UPDATE " + table_text(r) + " SET " + column + "=?");
    store_bind(st, 1, v, d.type);
    store_step(f, st, nullptr);
    sqlite3_reset(st);
}

static void alter_add(frame &f, const stmt &s, const resolved &r) {
    auto o = std::make_shared<cat_object>(*r.object);
    for (const column_def &c : s.table->columns) {
        table_def one;
        one.columns.push_back(c);
        cat_object fresh = *o;
        size_t keys = fresh.keys.size();
        object_from_def(fresh, one);
        *o = fresh;
        add_column(f, r, *o, o->columns.back().def);
        for (size_t i = keys; i < o->keys.size(); i++)
            if (std::string sql = key_sqlite(*o, o->keys[i], r.sqlite_schema); !sql.empty())
                store_exec(f, sql);
    }
    for (const key_def &k : s.table->keys) {
        if (k.kind == "D") {
            int i = object_column(*o, k.columns.at(0));
            if (i < 0)
                fail(1752, 16, 0, "Column '%s' in table '%s' is invalid for creating a default constraint.",
                     k.columns[0].c_str(), o->name.c_str());
            column_def &d = o->columns[static_cast<size_t>(i)].def;
            d.default_value = k.check;
            d.default_text = k.check_text;
            d.default_name = k.name.empty() ? "DF__" + o->name + "__" + d.name : k.name;
            continue;
        }
        object_add_key(*o, k);
        if (k.kind == "F" && r.db != nullptr)
            check_references(f, *o, *r.db);
        if (std::string sql = key_sqlite(*o, o->keys.back(), r.sqlite_schema); !sql.empty())
            store_exec(f, sql);
    }
    replace_object(f, r, o);
}

static bool drop_key(frame &f, const resolved &r, cat_object &o, const std::string &name) {
    for (size_t i = 0; i < o.keys.size(); i++) {
        if (!same_name(o.keys[i].def.name, name))
            continue;
        if (!o.keys[i].sqlite_index.empty())
            store_exec(f, "DROP INDEX " + quote_name(r.sqlite_schema, '"') + "." +
                              quote_name(o.keys[i].sqlite_index, '"'));
        o.keys.erase(o.keys.begin() + static_cast<long>(i));
        return true;
    }
    for (cat_column &c : o.columns)
        if (c.def.default_value != nullptr && same_name(c.def.default_name, name)) {
            c.def.default_value = nullptr;
            return true;
        }
    return false;
}

static void drop_column(frame &f, const resolved &r, cat_object &o, const std::string &name) {
    int at = object_column(o, name);
    if (at < 0)
        fail(4924, 16, 1, "ALTER TABLE DROP COLUMN failed because column '%s' does not exist in table '%s'.",
             name.c_str(), o.name.c_str());
    auto index = static_cast<size_t>(at);
    for (cat_key &k : o.keys)
        for (size_t &c : k.columns) {
            if (c == index)
                fail(5074, 16, 1, "The object '%s' is dependent on column '%s'.", k.def.name.c_str(), name.c_str());
            c -= c > index;
        }
    store_exec(f, "ALTER TABLE " + table_text(r) + " DROP COLUMN " + quote_name(lower(name), '"'));
    o.columns.erase(o.columns.begin() + at);
    o.identity_column = o.identity_column == at ? -1 : o.identity_column - (o.identity_column > at);
    o.rowid_column -= o.rowid_column > at;
}

static void alter_drop(frame &f, const stmt &s, const resolved &r) {
    auto o = std::make_shared<cat_object>(*r.object);
    for (const std::string &name : s.columns) {
        if (s.text == "column") {
            if (!s.flag || object_column(*o, name) >= 0)
                drop_column(f, r, *o, name);
        } else if (!drop_key(f, r, *o, name) && !s.flag) {
            fail(3728, 16, 1, "'%s' is not a constraint.", name.c_str());
        }
    }
    replace_object(f, r, o);
}

static void alter_column(frame &f, const stmt &s, const resolved &r) {
    auto o = std::make_shared<cat_object>(*r.object);
    const column_def &d = s.table->columns[0];
    int at = object_column(*o, d.name);
    if (at < 0)
        fail(4924, 16, 1, "ALTER TABLE ALTER COLUMN failed because column '%s' does not exist in table '%s'.",
             d.name.c_str(), o->name.c_str());
    column_def &c = o->columns[static_cast<size_t>(at)].def;
    if (storage_type(c.type) != storage_type(d.type))
        fail(40517, 16, 1, "ALTER COLUMN from %s to %s is not supported by this server.", type_text(c.type).c_str(),
             type_text(d.type).c_str());
    type_info old = c.type;
    c.type = d.type;
    c.nullable = d.null_given ? d.nullable : true;
    resolved changed{o, r.db, r.sqlite_schema};
    sqlite3_stmt *st =
        store_statement(f.s, "SELECT _rowid_," + quote_name(lower(c.name), '"') + " FROM " + table_text(r));
    std::vector<std::pair<int64_t, value>> rows;
    while (store_step(f, st, nullptr))
        rows.emplace_back(sqlite3_column_int64(st, 0), store_column(st, 1, old));
    sqlite3_reset(st);
    sqlite3_stmt *update = store_statement(f.s, "UPDATE " + table_text(r) + " SET " + quote_name(lower(c.name), '"') +
                                                    "=? WHERE _rowid_=?");
    for (auto &[rowid, v] : rows) {
        if (v.null && !c.nullable)
            fail(
                515, 16, 2,
                "Cannot insert the value NULL into column '%s', table '%s'; column does not allow nulls. UPDATE fails.",
                c.name.c_str(), full_name(f, r).c_str());
        sqlite3_reset(update);
        store_bind(update, 1, column_value(f, changed, static_cast<size_t>(at), v, old), c.type);
        sqlite3_bind_int64(update, 2, rowid);
        store_step(f, update, nullptr);
    }
    sqlite3_reset(update);
    replace_object(f, r, o);
}

static void alter_table(frame &f, const stmt &s) {
    resolved r;
    if (!resolve(f, s.path, r) || r.object->type != "U")
        fail(4902, 16, 1, "Cannot find the object \"%s\" because it does not exist or you do not have permissions.",
             path_text(s.path).c_str());
    write_scope write(f);
    resolve(f, s.path, r);
    store_forget_plans(f.s); // SQLite refuses to alter a table under open statements
    if (s.kind == stmt_kind::alter_add)
        alter_add(f, s, r);
    else if (s.kind == stmt_kind::alter_drop)
        alter_drop(f, s, r);
    else
        alter_column(f, s, r);
    write.commit();
}

static void create_index(frame &f, const stmt &s) {
    resolved r;
    if (!resolve(f, s.path, r) || r.object->type != "U")
        fail(1088, 16, 12, "Cannot find the object \"%s\" because it does not exist or you do not have permissions.",
             path_text(s.path).c_str());
    write_scope write(f);
    resolve(f, s.path, r);
    auto o = std::make_shared<cat_object>(*r.object);
    object_add_key(*o, s.key);
    std::string sql = key_sqlite(*o, o->keys.back(), r.sqlite_schema);
    if (s.e != nullptr && s.key.kind == "UX") // a filtered unique index must not refuse the other rows
        sql.replace(sql.find("UNIQUE "), 7, "");
    try {
        store_exec(f, sql);
    } catch (const sql_error &e) {
        if (e.number != 2627)
            throw;
        fail(1505, 16, 1,
             "The CREATE UNIQUE INDEX statement terminated because a duplicate key was found for the object name "
             "'%s.%s' and the index name '%s'.",
             o->schema.c_str(), o->name.c_str(), s.key.name.c_str());
    }
    replace_object(f, r, o);
    write.commit();
}

// --- procedures, views, schemas, databases

static void create_module(frame &f, const stmt &s) {
    auto o = std::make_shared<cat_object>();
    o->name = s.path.back();
    o->type = s.text;
    o->source = s.source;
    o->encrypted = s.flag;
    o->quoted_identifier = f.s->options.quoted_identifier;
    if (o->name[0] == '#') { // a temporary procedure
        if (f.s->temps.count(lower(o->name)) && !s.alter)
            fail(2714, 16, 3, "There is already an object named '%s' in the database.", o->name.c_str());
        o->id = -static_cast<int32_t>(f.s->eng->next_temp++) - 1000000;
        f.s->temps[lower(o->name)] = o;
        return;
    }
    database &db = target_database(f, s.path);
    o->schema = target_schema(f, db, s.path);
    store_attach(f.s, db);
    write_scope write(f);
    catalog_ptr c = session_catalog(f.s, db);
    auto found = c->objects.find(lower(o->schema + "." + o->name));
    bool exists = found != c->objects.end();
    if (exists && ((!s.alter && !s.or_alter) || found->second->type != o->type))
        fail(2714, 16, 3, "There is already an object named '%s' in the database.", o->name.c_str());
    if (!exists && s.alter)
        fail(208, 16, 6, "Invalid object name '%s'.", path_text(s.path).c_str());
    o->id = exists ? found->second->id : c->next_id;
    o->created = exists ? found->second->created : datetime_number(datetime_now(false));
    put_object(f, db, o);
    write.commit();
}

static void create_schema(frame &f, const stmt &s) {
    database &db = target_database(f, {});
    if (session_catalog(f.s, db)->schemas.count(lower(s.text)))
        fail(2714, 16, 6, "There is already an object named '%s' in the database.", s.text.c_str());
    store_attach(f.s, db);
    write_scope write(f);
    auto o = std::make_shared<cat_object>();
    auto c = own_catalog(f, db);
    o->id = c->next_id++;
    o->name = o->schema = s.text;
    o->type = "S";
    save_row(f, store_attach(f.s, db), *o);
    c->schemas[lower(s.text)] = o->id;
    write.commit();
}

static void create_database(frame &f, const stmt &s) {
    engine *e = f.s->eng;
    if (f.s->trancount > 0)
        fail(226, 16, 6, "CREATE DATABASE statement not allowed within multi-statement transaction.");
    if (find_database(f.s, s.text) != nullptr)
        fail(1801, 16, 3, "Database '%s' already exists. Choose a different database name.", s.text.c_str());
    auto db = std::make_shared<database>();
    std::string error;
    int32_t last = 4;
    for (const auto &[name, other] : e->databases)
        last = std::max(last, other->id);
    db->id = last + 1;
    db->name = s.text;
    db->created = datetime_number(datetime_now(false));
    if (s.text.find_first_of("/\\") != std::string::npos || s.text[0] == '.')
        fail(1802, 16, 1, "CREATE DATABASE failed. The name '%s' is not possible here.", s.text.c_str());
    db->file = e->options.data_dir + "/" + s.text + ".db";
    if (!store_create_file(e, *db, error))
        fail(1802, 16, 1, "CREATE DATABASE failed. %s", error.c_str());
    e->databases[lower(s.text)] = db;
}

static void drop_database(frame &f, const object_path &path, bool if_exists) {
    engine *e = f.s->eng;
    database *db = find_database(f.s, path.back());
    if (db == nullptr) {
        if (if_exists)
            return;
        fail(3701, 11, 1, "Cannot drop the database '%s', because it does not exist or you do not have permission.",
             path.back().c_str());
    }
    if (db->id <= 4)
        fail(3708, 16, 1, "Cannot drop the database '%s' because it is a system database.", db->name.c_str());
    std::string key = lower(db->name);
    for (auto &[spid, s] : e->sessions)
        if (same_name(s->db, db->name) || (s != f.s && s->attached.count(key) && s->trancount > 0))
            fail(3702, 16, 3, "Cannot drop database \"%s\" because it is currently in use.", db->name.c_str());
    for (auto &[spid, s] : e->sessions)
        if (auto found = s->attached.find(key); found != s->attached.end()) {
            store_forget_plans(s);
            if (s->conn == nullptr ||
                sqlite3_exec(s->conn, ("DETACH " + found->second).c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
                fail(3702, 16, 3, "Cannot drop database \"%s\" because it is currently in use.", db->name.c_str());
            s->attached.erase(found);
        }
    db->open.reset();
    for (const char *suffix : {"", "-wal", "-shm"})
        unlink((db->file + suffix).c_str());
    e->databases.erase(key);
    e->schema_version++;
}

static void drop_missing(const std::string &kind, const object_path &path) {
    fail(3701, 11, 5, "Cannot drop the %s '%s', because it does not exist or you do not have permission.", kind.c_str(),
         path_text(path).c_str());
}

static void check_not_referenced(frame &f, const resolved &r) {
    for (const auto &[name, child] : session_catalog(f.s, *r.db)->objects)
        for (const cat_key &k : child->keys)
            if (k.def.kind == "F" && child != r.object && same_name(k.def.parent.back(), r.object->name))
                fail(3726, 16, 1, "Could not drop object '%s' because it is referenced by a FOREIGN KEY constraint.",
                     r.object->name.c_str());
}

static void drop_index(frame &f, const object_path &given, bool if_exists) {
    object_path table(given.begin(), given.end() - 1);
    resolved r;
    if (table.empty() || !resolve(f, table, r)) {
        if (!if_exists)
            drop_missing("index", given);
        return;
    }
    write_scope write(f);
    resolve(f, table, r);
    auto o = std::make_shared<cat_object>(*r.object);
    if (!drop_key(f, r, *o, given.back())) {
        if (!if_exists)
            drop_missing("index", given);
    } else {
        replace_object(f, r, o);
    }
    write.commit();
}

static void drop_object(frame &f, const std::string &kind, const object_path &path, bool if_exists) {
    const char *type = kind == "table" ? "U" : kind == "view" ? "V" : "P";
    resolved r;
    if (!resolve(f, path, r) || r.object->type != type) {
        if (!if_exists)
            drop_missing(kind, path);
        return;
    }
    write_scope write(f);
    resolve(f, path, r);
    if (r.object->name[0] == '#') {
        store_forget_plans(f.s);
        drop_temp(f.s, lower(r.object->name), f.h);
    } else {
        if (r.object->type == "U") {
            check_not_referenced(f, r);
            store_forget_plans(f.s);
            store_exec(f, "DROP TABLE " + table_text(r));
        }
        remove_object(f, *r.db, *r.object);
    }
    write.commit();
}

static void drop_schema(frame &f, const std::string &name, bool if_exists) {
    database &db = target_database(f, {});
    catalog_ptr c = session_catalog(f.s, db);
    auto found = c->schemas.find(lower(name));
    if (found == c->schemas.end() || found->second <= 4) {
        if (!if_exists)
            fail(15151, 16, 1, "Cannot drop the schema '%s', because it does not exist or you do not have permission.",
                 name.c_str());
        return;
    }
    write_scope write(f);
    store_exec(f, "DELETE FROM " + store_attach(f.s, db) + ".\"$objects\" WHERE id=" + std::to_string(found->second));
    own_catalog(f, db)->schemas.erase(lower(name));
    write.commit();
}

static void exec_drop(frame &f, const stmt &s) {
    for (const object_path &path : s.paths) {
        if (s.text == "database")
            drop_database(f, path, s.flag);
        else if (s.text == "index")
            drop_index(f, path, s.flag);
        else if (s.text == "schema")
            drop_schema(f, path.back(), s.flag);
        else if (s.text == "table" || s.text == "view" || s.text == "procedure")
            drop_object(f, s.text, path, s.flag);
        else if (!s.flag)
            drop_missing(s.text, path);
    }
}

void exec_ddl(frame &f, const stmt &s) {
    switch (s.kind) {
    case stmt_kind::create_table: create_table(f, s.path, *s.table); break;
    case stmt_kind::alter_add:
    case stmt_kind::alter_drop:
    case stmt_kind::alter_column: alter_table(f, s); break;
    case stmt_kind::create_index: create_index(f, s); break;
    case stmt_kind::create_module: create_module(f, s); break;
    case stmt_kind::create_schema: create_schema(f, s); break;
    case stmt_kind::create_database: create_database(f, s); break;
    case stmt_kind::drop: exec_drop(f, s); break;
    default: fail(40517, 16, 1, "This statement is not supported by this server.");
    }
    uint16_t command = s.kind == stmt_kind::create_table ? 0xC6 : s.kind == stmt_kind::drop ? 0xC7 : 0xFD;
    send_done(f, 0, command, 0);
}

} // namespace sqlserver
