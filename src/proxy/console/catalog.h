// The catalog of the admin console: the databases, schemas, types and views that GUI tools ask for. What SHOW says are
// the views of database tdsbouncer; nothing else is there, so all other system views exist and are empty. Pure.
#pragma once

#include <span>

#include "proxy/console/world.h"

// A system view. Those that are not in the table exist all the same, are empty, and have columns of any name.
struct console_view {
    const char *schema, *name;
    const char *columns; // "name type=constant, ...": catalog.cpp
    const char *rows;    // a query for the columns without a constant, in their order; nullptr: it is empty
};
std::span<const console_view> console_views();

// The view [database.][schema.]name; nullptr, and a problem, where there is none. Stays as long as the statement.
const console_relation *console_find_view(console_world &, const std::vector<std::string> &parts);
// A #table or a table variable; nullptr, and a problem, where there is none.
const console_relation *console_find_table(console_world &, const std::string &name);
// sys.name(), fn_name()
bool console_is_system_function(const std::vector<std::string> &parts);

// Whether there is a database of this name; `spelled` as it is written.
bool console_find_database(const std::string &name, std::string_view &spelled);
inline constexpr int32_t console_database_id = 5; // below are those of SQL Server itself
inline constexpr int32_t console_master_id = 1;

// What SHOW says as views: "pools" of SHOW POOLS.
struct console_shown {
    std::string name;
    std::string_view what; // POOLS
    const console_command *command;
    int32_t object_id;
};
std::vector<console_shown> console_shown_views();
console_type console_column_type(const tds_result_column &);
