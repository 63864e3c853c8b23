// The statements of one request to the console, under way: what the parts that run them have in common. Nobody else
// includes this.
//
//      request.cpp     the message: a batch, calls, the transaction manager
//      statements.cpp  one statement after another: commands, SELECT, control flow, transactions
//      tables.cpp      #tables and variables
//      exec.cpp        EXEC: procedures, and texts inside of texts
//      run.cpp         tokens
#pragma once

#include <set>

#include "proxy/console/session.h"
#include "proxy/console/world.h"

enum class console_flow : uint8_t { on, breaks, continues, returns, caught };

struct console_run {
    client_session *s;
    std::vector<uint8_t> &out; // tokens
    bool in_procedure = false; // DONEINPROC instead of DONE
    size_t last_done = 0;      // where its status stands; 0: none yet
    console_world world{};
    console_flow flow = console_flow::on;
    int tries = 0;                        // TRY blocks around
    unsigned statements = 0;              // that were run
    console_relation *captured = nullptr; // INSERT ... EXEC: takes the rows instead of the client
};

console_run console_run_begin(client_session *, std::vector<uint8_t> &out);

void console_put_done(console_run &, uint16_t status, uint16_t command = 0, uint64_t rows = 0);
// An error that the client is told of, or a TRY.
void console_fail(console_run &, int32_t number, std::string_view text, uint8_t severity = 16, uint32_t line = 1);
void console_succeed(console_run &, uint16_t command = 0);
// It has changed or given so many rows.
void console_count(console_run &, uint16_t command, uint64_t rows);
// True, and the client is told: there was a problem.
bool console_failed(console_run &);
// A result set with its DONE.
void console_put_relation(console_run &, console_relation &&);
// Nothing follows.
void console_last_one(console_run &);
void console_put_info(console_run &, int32_t number, uint8_t severity, std::string_view text);

// A text, with the variables that are there.
void console_run_text(console_run &, std::span<const uint8_t> utf16);
void console_fail_syntax(console_run &, const console_batch &);
void console_run_statements(console_run &, const std::vector<console_statement> &);
// The rows of SHOW `what`, for world.show.
bool console_show_rows(void *client_session, std::string_view what, console_relation &);

// tables.cpp
void console_run_declare(console_run &, const console_statement &);
void console_run_assign(console_run &, const console_statement &);
void console_run_create(console_run &, const console_statement &);
void console_run_drop(console_run &, const console_statement &);
void console_run_insert(console_run &, const console_statement &);
void console_run_erase(console_run &, const console_statement &);
void console_run_update(console_run &, const console_statement &);
bool console_drop_table(console_session &, const std::string &lower); // false: there is none
// SELECT ... INTO #table
void console_run_into(console_run &, const std::string &name, console_relation &&);
// SELECT @x = ...
void console_run_select_assign(console_run &, const console_query &);
// NVARCHAR(10) of a parameter or variable that is not declared: after its value.
console_type console_type_of_value(const console_value &);

// exec.cpp
void console_run_call(console_run &, const console_statement &);
void console_run_inner(console_run &, std::string_view text, console_variables &&);
// A procedure by its name, as written, with arguments: their names, or "". False: there is none.
struct console_argument_value {
    std::string name; // in upper case
    console_value value;
};
bool console_run_procedure(console_run &, const std::string &name, std::vector<console_argument_value> &&);

// statements.cpp
void console_begin_transaction(console_run &);
bool console_end_transaction(console_run &, bool commits); // false: there is none
