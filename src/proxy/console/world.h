// What the statements of the admin console see: the session, its variables and #tables, the catalog; and how much work
// one request may make. Pure: what SHOW says comes by a callback.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/console/ast.h"
#include "proxy/console/value.h"

// A step is a value looked at, or 32 bytes of text made: all that a request takes of time and memory is so many.
inline constexpr uint64_t console_steps_max = 400'000;
inline constexpr size_t console_tables_max = 50; // #tables of a session
inline constexpr size_t console_table_rows_max = 1'000;
inline constexpr size_t console_table_columns_max = 256;
inline constexpr size_t console_tables_bytes_max = size_t{16} * 1024 * 1024; // of all #tables of a session
inline constexpr size_t console_variables_max = 500;

// What is known of the session and the proxy.
struct console_facts {
    std::string user, host, application, address;
    std::string database;        // DB_NAME()
    std::string server_name;     // @@SERVERNAME
    std::string version;         // @@VERSION
    std::string product_version; // 16.0.1000.0
    uint8_t product_major = 16;
    bool admin = false;
    uint16_t spid = 0;
    uint32_t transactions = 0; // @@TRANCOUNT
    int32_t last_error = 0;    // @@ERROR
    int64_t last_rows = 0;     // @@ROWCOUNT
    int64_t unix_time = 0;     // ms
    int64_t started = 0;       // likewise
};

struct console_field {
    std::string name;
    console_type type;
};

using console_tuple = std::vector<console_value>;

// Rows with the names and types of their columns.
struct console_relation {
    std::vector<console_field> fields;
    std::vector<console_tuple> rows;
    bool open = false;     // it has columns of any name, all of them NULL
    int32_t identity = -1; // of a #table: the field that counts
};

struct console_variable {
    console_type type;
    console_value value;
};

using console_variables = std::map<std::string, console_variable>; // by their names in upper case, with the @
using console_tables = std::map<std::string, console_relation>;    // by their names in lower case; table variables too

struct console_world {
    console_facts facts;
    console_variables variables;
    console_tables *tables = nullptr;
    // The rows of SHOW `what` ("POOLS"). False: there is no such thing.
    bool (*show)(void *who, std::string_view what, console_relation &) = nullptr;
    void *who = nullptr;
    uint64_t steps = console_steps_max; // that are left
    console_problem problem;
    // Of the last error that a TRY has caught.
    console_problem caught;
    std::map<std::string, std::shared_ptr<const console_relation>> seen; // the catalog, as one statement sees it
    int depth = 0;                                                       // of texts inside one another
    int views = 0;                                                       // likewise
};

// Takes steps; false, and a problem, when none is left, or there was a problem before.
bool console_step(console_world &, uint64_t steps = 1);
// Those that a value's text takes.
bool console_step_text(console_world &, const console_value &);
// The first problem stays. Gives NULL.
console_value console_fail_with(console_world &, int32_t number, std::string text);
