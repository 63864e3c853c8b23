// Databases and their objects. A catalog is immutable: DDL makes a changed copy, which belongs to the session until
// its transaction commits and is then published for all. In the database's file the objects are kept as T-SQL text.
#pragma once

#include "tsql_ast.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

struct sqlite3;

namespace sqlserver {

struct identity_counter {
    bool used = false; // a value has been handed out since the seed
    int64_t last = 0;
    bool loaded = false;
};

struct cat_column {
    column_def def;
    int32_t id = 0;
};

struct cat_key {
    key_def def;
    int32_t id = 0;
    std::vector<size_t> columns; // indexes into cat_object::columns
    std::string sqlite_index;    // empty when the key is the rowid
};

struct cat_object {
    int32_t id = 0;
    std::string schema = "dbo", name, type; // U, V, P
    std::string table;                      // SQLite: its table
    std::string source;                     // V, P: CREATE text
    int64_t created = 0, modified = 0;      // as datetime_number
    bool encrypted = false;                 // WITH ENCRYPTION: nobody sees the source
    std::vector<cat_column> columns;
    std::vector<cat_key> keys;
    int rowid_column = -1; // the column that is SQLite's rowid
    int identity_column = -1;
    std::shared_ptr<identity_counter> identity;
    bool quoted_identifier = true;
};

using object_ptr = std::shared_ptr<const cat_object>;

struct catalog {
    std::map<std::string, object_ptr> objects; // lower "schema.name"
    std::map<std::string, int32_t> schemas;    // lower name -> id
    int32_t next_id = 1000001;
};

using catalog_ptr = std::shared_ptr<const catalog>;

struct database {
    int32_t id = 0;
    std::string name, file;
    catalog_ptr objects = std::make_shared<catalog>();
    int64_t created = 0;
    std::shared_ptr<sqlite3> open; // keeps the WAL, which is slow to make anew for each session that comes along
};

// Builds the columns and keys of a table. Throws 8111, 1911, 2705, ... Names of unnamed constraints are made up.
void object_from_def(cat_object &o, const table_def &def);
void object_add_key(cat_object &o, const key_def &key);
int object_column(const cat_object &o, std::string_view name);             // -1: none
std::string object_text(const cat_object &o);                              // CREATE TABLE with everything
std::string object_sqlite(const cat_object &o, const std::string &schema); // CREATE TABLE for SQLite
std::string key_sqlite(const cat_object &o, const cat_key &k, const std::string &schema); // CREATE INDEX, or empty
std::string storage_type(const type_info &t);
const char *collation_of(const type_info &t); // "TS", "TD", "TZ" or null

bool catalog_load(sqlite3 *db, const std::string &schema, catalog &out, std::string &error);
// Replaces or removes the row of an object; `type` "-" removes.
std::string catalog_save_sql(const std::string &schema);

} // namespace sqlserver
