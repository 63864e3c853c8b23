// Server cursors: those of T-SQL (DECLARE c CURSOR) and those of the API (sp_cursoropen and its family). The rows are
// copied when the cursor is opened, whatever kind it was asked to be: every cursor behaves as a static one.
#pragma once

#include "tsql_bind.h"
#include "tsql_parser.h"

namespace sqlserver {

struct cursor {
    std::string name;
    bool scroll = false;  // may do more than NEXT
    bool keyed = false;   // neither static nor insensitive: a rollback closes it
    bool dynamic = false; // the number of rows is not told
    bool is_open = false;
    row_set set;
    // Where it stands: its buffer holds `held` rows from `at` on, counted from 0. Before the first row: at -1; behind
    // the last: at the number of rows. T-SQL cursors hold one row.
    int64_t at = -1, held = 0;
    // How it is opened.
    std::shared_ptr<const batch> tree; // keeps `q`
    query_ptr q;
    std::unordered_map<std::string, variable> variables; // as they were when it was declared
    std::map<std::string, object_ptr> tables;
    // Of the API.
    int32_t scroll_option = 0, concurrency = 0;
    bool auto_close = false;
};
using cursor_ptr = std::shared_ptr<cursor>;

enum class fetch : uint8_t { next, prior, first, last, absolute, relative, refresh };

// Moves, by the rules of sp_cursorfetch: `count` rows are wanted, `n` is the row for absolute and relative. False: no
// row is there.
bool cursor_move(cursor &c, fetch where, int64_t n, int64_t count);
void cursor_close(cursor &c);
// The end of a transaction closes cursors: all of them under CURSOR_CLOSE_ON_COMMIT, and a rollback those with keys.
void cursors_end_tran(frame &f, bool rolled_back);

// T-SQL
stmt_ptr parse_declare_cursor(parser &p);
stmt_ptr parse_set_cursor(parser &p); // SET @c = CURSOR ... FOR ..., SET @c = c
stmt_ptr parse_fetch(parser &p);
stmt_ptr parse_cursor_name(parser &p); // OPEN, CLOSE, DEALLOCATE
void exec_declare_cursor(frame &f, const stmt &s);
void exec_set_cursor(frame &f, const stmt &s);
void exec_open_cursor(frame &f, const stmt &s);
void exec_fetch(frame &f, const stmt &s);
void exec_close_cursor(frame &f, const stmt &s);
void exec_deallocate(frame &f, const stmt &s);
int cursor_status(frame &f, const std::string &scope, const std::string &name); // CURSOR_STATUS

// API
flow sp_cursoropen(frame &f, std::vector<call_argument> &all, int32_t &status);
flow sp_cursorfetch(frame &f, std::vector<call_argument> &all, int32_t &status);
flow sp_cursorclose(frame &f, std::vector<call_argument> &all, int32_t &status);
flow sp_cursorprepare(frame &f, std::vector<call_argument> &all, int32_t &status);
flow sp_cursorexecute(frame &f, std::vector<call_argument> &all, int32_t &status);
flow sp_cursorprepexec(frame &f, std::vector<call_argument> &all, int32_t &status);
flow sp_cursorunprepare(frame &f, std::vector<call_argument> &all, int32_t &status);
flow sp_cursoroption(frame &f, std::vector<call_argument> &all, int32_t &status);
flow sp_cursor(frame &f, std::vector<call_argument> &all, int32_t &status);

} // namespace sqlserver
