// The state of the engine and of one session; frames are the scopes of batches, procedures and sp_executesql.
#pragma once

#include "engine.h"
#include "tsql_ast.h"
#include "tsql_catalog.h"
#include "tsql_text.h"

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

struct sqlite3;
struct sqlite3_stmt;

namespace sqlserver {

struct plan;
using plan_ptr = std::shared_ptr<plan>;

struct set_options {
    bool ansi_nulls = true, ansi_null_dflt_on = true, ansi_null_dflt_off = false, ansi_padding = true,
         ansi_warnings = true, arithabort = false, arithignore = false, concat_null_yields_null = true,
         cursor_close_on_commit = false, implicit_transactions = false, nocount = false, numeric_roundabort = false,
         quoted_identifier = true, xact_abort = false, fmtonly = false, noexec = false, parseonly = false,
         no_browsetable = false, forceplan = false, remote_proc_transactions = false, disable_def_cnst_chk = false,
         showplan_all = false, showplan_text = false, showplan_xml = false, statistics_io = false,
         statistics_time = false, statistics_profile = false, statistics_xml = false;
    int32_t text_size = 4096, date_first = 7, lock_timeout = -1, query_governor = 0, deadlock_priority = 0;
    int16_t language_id = 0;
    int64_t rowcount = 0;
    std::string language = "us_english", date_format = "mdy", context_info;
};

struct prepared {
    std::string text;
    std::string parameters;
    bool call = false; // `text` names a procedure: sp_prepexecrpc
    std::string db;    // where it was prepared: it runs there, wherever the session is meanwhile
};

// INSERT BULK whose data is due.
struct bulk_load {
    std::string table; // database.schema.table
    std::vector<std::string> columns;
    bool keep_nulls = false;
};

struct savepoint {
    std::string name;
    bool real = false; // SQLite has it; otherwise nothing had been written yet
    std::map<std::string, object_ptr> temps;
};

struct app_lock {
    uint16_t owner = 0;
    bool exclusive = true, transaction = true;
    int count = 0;
};

struct engine {
    engine_options options;
    engine_counters counters;
    std::map<std::string, sql_login> logins;                    // lower name
    std::map<std::string, std::shared_ptr<database>> databases; // lower name
    std::map<uint16_t, session *> sessions;
    std::unordered_map<std::string, std::shared_ptr<const batch>> parsed;
    std::map<std::string, object_ptr> global_temps; // lower ##name
    std::map<std::string, uint16_t> global_owners;
    std::multimap<std::string, app_lock> app_locks; // resource
    std::map<std::string, std::string> app_roles;   // lower database, name: password
    std::set<std::string> symmetric_keys;           // lower "database\nname"
    std::set<int32_t> trace_flags;                  // DBCC TRACEON (n, -1)
    uint64_t schema_version = 1, next_tran = 0x3300000001, next_temp = 1;
    uint16_t next_spid = 51;
    int64_t started = 0, last_change = 0; // as datetime_number
    sqlite3 *setup = nullptr;
};

enum class principal : uint8_t { login, user, role };

// EXECUTE AS and sp_setapprole, innermost last.
struct impersonated {
    std::string name;
    principal kind = principal::login;
    bool no_revert = false;
    std::string cookie; // REVERT or sp_unsetapprole must show it; empty: none
    int nest = 0;       // the level it was done at: a module's end reverts its own
};

struct statement_stats {
    std::string command;
    bool running = false;
};

struct frame;
struct session {
    engine *eng = nullptr;
    uint16_t spid = 0;
    login_request login;
    std::string db; // as the database writes its name
    set_options options, login_options;
    int32_t isolation = 2;
    int trancount = 0;
    uint64_t tran_id = 0;
    std::string tran_name;
    bool write_open = false;  // SQLite has a transaction
    bool doomed = false;      // XACT_STATE() = -1
    bool silent_tran = false; // begun by text while text transactions are not announced
    bool hollow = false;      // reset_keeps_count: nothing is behind it until something is written
    std::vector<savepoint> savepoints;
    std::map<std::string, object_ptr> temps, temps_at_begin; // lower #name
    std::map<std::string, catalog_ptr> dirty;                // databases whose objects this transaction changed
    uint64_t temp_version = 1;
    sqlite3 *conn = nullptr;
    std::map<std::string, std::string> attached; // lower database -> SQLite schema
    struct cached {
        plan_ptr p;
        sqlite3_stmt *st = nullptr;
        std::shared_ptr<const void> keep;
    };
    std::unordered_map<uint64_t, cached> plans;
    std::unordered_map<std::string, sqlite3_stmt *> statements; // by SQL text: inserts, updates, deletes
    // what runs now: read by the user functions and the progress handler
    frame *active_frame = nullptr;
    const plan *active_plan = nullptr;
    std::optional<sql_error> function_error;
    std::map<int32_t, prepared> handles, cursor_handles;
    int32_t next_handle = 1, next_cursor_handle = 0x40000001, next_api_cursor = 0x0ABCDEF1;
    std::map<std::string, std::shared_ptr<struct cursor>> cursors; // global ones, lower name
    std::map<int32_t, std::shared_ptr<struct cursor>> api_cursors;
    std::optional<bulk_load> bulk;
    int fetch_status = 0;
    int64_t cursor_rows = 0;
    std::map<std::string, value> context;
    std::vector<std::string> read_only_context;
    std::vector<impersonated> impersonation;
    std::set<int32_t> trace_flags;            // of this session
    std::set<std::string> open_keys;          // symmetric keys, lower "database\nname"
    std::map<int32_t, std::string> documents; // sp_xml_preparedocument
    int32_t next_document = 1;
    std::optional<int64_t> last_identity, batch_identity; // @@IDENTITY; SCOPE_IDENTITY() of batches
    std::string identity_insert;                          // lower db.schema.table
    int64_t rowcount = 0;
    int32_t last_error = 0;
    int try_depth = 0, nest = 0;
    bool done_sent = false;
    bool result_open = false;               // columns were sent and no DONE yet
    std::optional<sql_error> pending_error; // on its way to a CATCH block
    int64_t login_time = 0, batch_time = 0, end_time = 0;
    statement_stats stats;
};

struct variable {
    type_info type;
    value val;
};

struct frame {
    session *s = nullptr;
    host *h = nullptr;
    frame *parent = nullptr;
    std::shared_ptr<const batch> tree;
    std::unordered_map<std::string, variable> variables;
    std::map<std::string, object_ptr> tables;                      // table variables
    std::map<std::string, std::shared_ptr<struct cursor>> cursors; // local ones, lower name
    std::map<std::string, std::shared_ptr<struct cursor>> cursor_variables;
    std::vector<std::string> own_temps;
    std::string procedure;
    int32_t procedure_id = 0;
    bool in_proc = false; // DONEINPROC
    bool keeps_temps = false;
    bool has_read = false; // a query of this text has run
    std::optional<int64_t> scope_identity;
    int32_t return_status = 0;
    std::optional<sql_error> caught; // in a CATCH block
    std::string goto_label;
    struct row_set *capture = nullptr; // INSERT ... EXEC
    bool quoted_identifier = true;
};

// --- tsql_login.cpp
void logins_create(engine *e); // of the options
// Checks the credentials, and changes the password where that is asked. False: the errors have been sent.
bool login_admit(engine *e, const login_request &r, host &h);

// --- tsql_session.cpp
frame *frame_root(frame *f);
database *find_database(session *s, std::string_view name); // null: unknown
catalog_ptr session_catalog(session *s, const database &db);
void send_done(frame &f, uint16_t status, uint16_t command, uint64_t rows);
void send_message(frame &f, const sql_error &e);
void change_database(session *s, host &h, std::string_view name, bool announce);
std::shared_ptr<const batch> cached_parse(session *s, std::string_view text, const std::vector<declaration> &known,
                                          std::string_view parameters);
void drop_temp(session *s, const std::string &lower_name, host *h);
void session_defaults(session *s);
// Sets the language and the date settings that come with it, by name or English name. False: unknown.
bool language_apply(set_options &o, std::string_view name);

void cursors_forget(session *s); // tsql_cursor.cpp: those of the session and their handles

// --- tsql_tran.cpp: transactions
void tran_begin(frame &f, const std::string &name, bool by_text);
void tran_commit(frame &f, bool by_text);
void tran_rollback(frame &f, const std::string &name, bool by_text);
void tran_rollback_all(frame &f, bool by_text); // also by an error; silent when nothing is open
void tran_save(frame &f, const std::string &name);
void tran_implicit(frame &f); // SET IMPLICIT_TRANSACTIONS ON
void app_locks_release(session *s, bool of_session, bool of_transaction);

// A statement that writes: begins or joins the SQLite transaction, undoes only itself when it fails.
struct write_scope {
    frame &f;
    bool own = false, done = false;
    explicit write_scope(frame &frame_);
    void commit();
    ~write_scope();
};

// --- store_sqlite.cpp
sqlite3 *store_open(session *s); // the session's connection, opened when first used
void store_close(session *s);
const std::string &store_attach(session *s, const database &db);   // the SQLite schema of the database
void store_make_room(session *s);                                  // between requests: for databases to come
void store_exec(frame &f, const std::string &sql);                 // waits for locks
sqlite3_stmt *store_statement(session *s, const std::string &sql); // cached by text, reset and unbound
bool store_step(frame &f, sqlite3_stmt *st, const plan *p);        // true: a row. Waits for locks, throws sql_error
void store_bind(sqlite3_stmt *st, int index, const value &v, const type_info &t);
value store_column(sqlite3_stmt *st, int index, const type_info &t);
void store_forget_plans(session *s);
bool store_create_file(engine *e, database &db, std::string &error);

// --- tsql_exec.cpp: statements and control flow
enum class flow : uint8_t { next, break_, continue_, return_, goto_, error, abort };
flow run_block(frame &f, const std::vector<stmt_ptr> &body);
flow run_stmt(frame &f, const stmt &s);
flow run_frame(frame &f, const std::vector<stmt_ptr> &body); // temp tables made here are dropped at the end
// Sends the error, or hands it to the TRY block around; what goes on after it.
flow report_error(frame &f, sql_error e, const stmt *s);

// --- tsql_exec_query.cpp, tsql_exec_dml.cpp, tsql_exec_ddl.cpp, tsql_exec_set.cpp
void exec_select(frame &f, const stmt &s);
void exec_insert(frame &f, const stmt &s);
void exec_update(frame &f, const stmt &s);
void exec_delete(frame &f, const stmt &s);
void exec_ddl(frame &f, const stmt &s);
void create_table_variable(frame &f, const declaration &d);
void exec_set(frame &f, const stmt &s);
// What SET can set, by its name there in upper case: ON, OFF, numbers and words as SET takes them.
std::vector<std::pair<std::string, std::string>> options_listed(const set_options &o);
const char *isolation_name(int32_t level);
void exec_use(frame &f, const stmt &s);
void exec_insert_bulk(frame &f, const stmt &s);
void run_bulk_load(frame &f, const bulk_load &load, bulk_source &source);
// tsql_statistics.cpp: SET STATISTICS and SHOWPLAN
bool showplan_instead(frame &f, const stmt &s); // true: the statement must not run
void statistics_after(frame &f, const stmt &s);
void statistics_of_compilation(frame &f);
void exec_dbcc(frame &f, const stmt &s);
void exec_trace_flags(frame &f, const stmt &s);
void exec_execute_as(frame &f, const stmt &s);
void exec_revert(frame &f, const stmt &s);
void exec_symmetric_key(frame &f, const stmt &s); // CREATE, OPEN, CLOSE
std::string current_login(const session *s);      // under EXECUTE AS
std::string current_user(const session *s);
std::string new_cookie();
bool app_lock_free(const session *s, const std::string &resource, bool exclusive); // of locks of other sessions
void exec_truncate(frame &f, const stmt &s);

// Rows of an intermediate result, with the types they have.
struct row_set {
    std::vector<column> columns;
    std::vector<std::vector<value>> rows;
};
void query_rows(frame &f, const query &q, const void *key, row_set &out);
void send_rows(frame &f, const row_set &set, uint16_t command, bool count);
object_ptr create_table(frame &f, const object_path &path, const table_def &def);
struct resolved;
// One row inside a write_scope; `have`: the columns with a value, the others get their default.
void insert_row(frame &f, const resolved &r, std::vector<value> &row, const std::vector<bool> &have);
void insert_rows(frame &f, const resolved &r, const std::vector<size_t> &targets, const row_set &set,
                 std::vector<std::vector<value>> *inserted);

// --- tsql_procs.cpp: EXEC, RPC, system procedures
struct call_argument {
    std::string name; // lower case, or empty
    type_info type;
    value val;
    bool output = false, use_default = false;
    std::string variable; // EXEC: gets the output
};
flow call_procedure(frame &caller, const object_path &path, std::vector<call_argument> &arguments, int32_t &status);
flow exec_procedure(frame &f, const stmt &s);
flow exec_text(frame &f, std::string_view text, const std::vector<declaration> &parameters,
               std::string_view parameters_text, std::vector<call_argument> &arguments, size_t first, bool in_proc);

} // namespace sqlserver
