// A connection of FreeTDS's db-lib API, for the test client: connect, run a batch, send an RPC, read what comes back.
//
// Host, port and encryption come from the section [target] of the freetds.conf that run-client generates. Errors: the
// functions return false, error_line() says why.
#pragma once

#include <sybfront.h>

#include <sybdb.h> // after sybfront.h

#include <string>
#include <vector>

struct options {
    std::string user, password, database, scenario = "login", plan;
    int count = 1, hold_ms = 0, login_timeout = 60, timeout = 60, think_ms = 0;
};

// The first server error since it was last cleared. Handlers get no connection while dbopen runs, hence per thread.
struct last_error {
    int number = 0;
    std::string text;
    std::string library_text; // db-lib's own complaint, used when the server said nothing
};

extern thread_local last_error error_now;

struct cell {
    bool null = false;
    std::string text;
};

typedef std::vector<cell> row_cells;

struct client {
    options opt;
    DBPROCESS *db = nullptr;
    std::vector<row_cells> rows; // of all results of the last request
    int affected = -1;           // by its last statement that has no rows

    ~client();
};

// Sets db-lib's handlers and limits for `connections` at once. False when it cannot be initialised.
bool library_start(const options &opt, int connections);

// by_default: only what every application must say, the rest as db-lib has it.
bool client_connect(client &c, bool by_default = false);
bool client_run(client &c, const std::string &sql);

// An RPC: rpc_start, add_... in the order of the parameters, rpc_finish. What is added must live until rpc_finish.
void rpc_start(client &c, const char *procedure);
void add_text(client &c, const char *name, const std::string &text, int type);
void add_number(client &c, const char *name, const DBINT *number);
void add_null_text(client &c, const char *name);
void add_output(client &c, const char *name);
bool rpc_finish(client &c);
cell rpc_output(client &c); // the first output parameter of the last RPC
cell rpc_status(client &c);

std::string error_line();
void say(const std::string &line); // to stdout, one line at a time
