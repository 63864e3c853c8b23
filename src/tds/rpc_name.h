// The procedures that an RPC may call by number, and by their names as well (MS-TDS 2.2.6.6).
#pragma once

#include <cstdint>
#include <string_view>

// Special procedures, numbered as in an RPC; by name too ("sp_execute", "sys.sp_execute", "[master]..sp_executesql").
enum class tds_proc : uint8_t {
    other = 0,
    cursor = 1,
    cursor_open = 2,
    cursor_prepare = 3,
    cursor_execute = 4,
    cursor_prepexec = 5,
    cursor_unprepare = 6,
    cursor_fetch = 7,
    cursor_option = 8,
    cursor_close = 9,
    execute_sql = 10,
    prepare = 11,
    execute = 12,
    prepexec = 13,
    prepexec_rpc = 14,
    unprepare = 15,
    reset_connection = 100, // by name only: python-tds's pool
    datatype_info = 101,    // likewise: what types the server has; ODBC's first request on each connection
};

inline constexpr uint16_t tds_proc_number_max = 15;

// What is known of a procedure's parameters. Positions count from 0; -1: there is none.
struct tds_proc_kind {
    tds_proc proc;
    const char *name;
    int16_t text;     // the statement
    bool runs;        // runs the statement; else it only prepares it
    bool hidden;      // runs what is not in the request: the statement of a handle, a procedure named in the text
    bool writes;      // changes data by itself
    bool handles;     // makes or ends a cursor, or a handle that nobody can follow
    int16_t scroll;   // SCROLLOPT, behind which is CCOPT
    uint8_t head = 0; // of prepared statements: how many of its first parameters say which one
};

// Never null.
const tds_proc_kind *tds_proc_kind_of(tds_proc proc);

// By name: alone or behind those of a database and of the schema sys or dbo, in letters of any case, with or without
// brackets or quotes, with or without a number (";1"). UTF-8. Everything else is `other`.
tds_proc tds_proc_find(std::string_view name);
