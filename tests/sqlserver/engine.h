// The border between the two halves of the stand-in SQL Server.
//
//      TDS bytes  <->  wire (server.cpp, wire_*.cpp)  <->  this header  <->  T-SQL (tsql_*.cpp) over SQLite
//
// The wire half owns sockets, TLS, packets, tokens and fibers. It runs every request in a fiber of its own
// (makecontext/swapcontext on the one libuv thread), so the T-SQL half is written as plain blocking code:
// it calls `host.wait` where SQL Server would sleep or wait for a lock and gets control back later.
// The T-SQL half owns parsing, databases, session state, types and errors; it never sees a byte of TDS.
//
// All text here is UTF-8 except value::text of n-types, which is UTF-8 too and is converted by the wire half.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sqlserver {

enum class type_id : uint8_t {
    bit_,
    tinyint_,
    smallint_,
    int_,
    bigint_,
    real_,
    float_,
    decimal_,
    numeric_,
    money_,
    smallmoney_,
    char_,
    varchar_,
    text_,
    nchar_,
    nvarchar_,
    ntext_,
    binary_,
    varbinary_,
    image_,
    date_,
    time_,
    datetime_,
    smalldatetime_,
    datetime2_,
    datetimeoffset_,
    uniqueidentifier_,
    xml_,
    sql_variant_,
};

constexpr uint32_t length_max = 0xFFFFFFFFu; // the MAX of varchar(max), nvarchar(max), varbinary(max)

struct type_info {
    type_id id = type_id::int_;
    uint32_t length = 0;   // characters for n-types, bytes for char, varchar, binary, varbinary; length_max for MAX
    uint8_t precision = 0; // decimal, numeric: 1..38
    uint8_t scale = 0;     // decimal, numeric; time, datetime2, datetimeoffset: 0..7
};

struct column {
    std::string name;
    type_info type;
    bool nullable = true;
    bool identity = false;
    bool updatable = false;
    bool hidden = false; // ROWSTAT of a cursor; a key that was not asked for
    // where it comes from, for browse_info
    bool key = false, expression = false;
    std::string base_name = {}; // of the table's column, where it is another
};

// One value. Which member holds it depends on the type it travels with:
//   bit..bigint              i64
//   real, float              f64
//   decimal, numeric         text: canonical decimal digits, "-12.340", exactly `scale` digits after the point
//   money, smallmoney        i64, in 1/10000
//   char types, xml          text (UTF-8)
//   binary types             text (raw bytes)
//   uniqueidentifier         text: the 16 bytes as they go on the wire
//   date, time, datetime...  days since 0001-01-01, ticks 100 ns since midnight; offset in minutes. datetimeoffset:
//   days and
//                            ticks are UTC (as on the wire), the offset is added for display
//   sql_variant              variant_type and the member of that type
struct value {
    bool null = true;
    int64_t i64 = 0;
    double f64 = 0;
    std::string text;
    int32_t days = 0;
    int64_t ticks = 0;
    int16_t offset_minutes = 0;
    type_info variant_type;
};

// A parameter of an RPC request, decoded by the wire half.
struct parameter {
    std::string name; // with the @, or empty
    type_info type;
    value val;
    bool output = false;
    bool use_default = false;
};

enum class done_kind : uint8_t { done, done_in_proc, done_proc };
constexpr uint16_t done_error = 0x0002;
constexpr uint16_t done_count = 0x0010; // the row count is valid

enum class env : uint8_t {
    database = 1,
    language = 2,
    packet_size = 4,
    collation = 7,
    begin_tran = 8,
    commit_tran = 9,
    rollback_tran = 10,
    ended_tran = 17,
    reset_ack = 18,
};

// What a running request may call. All calls happen inside the request's fiber. After `cancelled()` has become true
// (attention, or the connection is gone) further output is dropped and the T-SQL half should unwind soon.
struct host {
    virtual ~host() = default;
    virtual void columns(const std::vector<column> &columns) = 0;
    virtual void row(const std::vector<value> &values) = 0; // may switch fibers when the client is slow
    // TABNAME and COLINFO, after columns: all but expressions are of one table, whose name has these parts.
    virtual void browse_info(const std::vector<std::string> &table, const std::vector<column> &columns) = 0;
    virtual void order(const std::vector<uint16_t> &ordinals) = 0; // ORDER token, after columns
    virtual void done(done_kind kind, uint16_t status, uint16_t command,
                      uint64_t rows) = 0; // DONE_MORE is the wire half's
    virtual void message(int32_t number, uint8_t state, uint8_t severity, std::string_view text,
                         std::string_view procedure, int32_t line) = 0; // severity > 10: ERROR, else INFO
    virtual void env_text(env type, std::string_view now, std::string_view before) = 0;
    virtual void env_tran(env type, uint64_t now, uint64_t before) = 0; // 0: an empty value
    virtual void return_status(int32_t status) = 0;
    virtual void return_value(uint16_t ordinal, std::string_view name, const type_info &type, const value &val) = 0;
    virtual bool wait(uint64_t milliseconds) = 0; // false: cancelled meanwhile
    virtual bool cancelled() = 0;
    virtual void close_connection() = 0; // severity 20 and above: after the output so far, the server hangs up
};

struct login_request {
    std::string user, password, database, language, app_name, host_name, client_address, library_name;
    uint32_t tds_version = 0;         // 0x71000001, 0x72090002, 0x730B0003, 0x74000004
    bool odbc = false;                // fODBC or fOLEDB: other SET defaults
    bool database_must_exist = false; // fDatabase
    bool read_only_intent = false;
    uint32_t packet_size = 4096;
    bool encrypted = false;
    uint32_t client_pid = 0;
    bool proven = false; // the wire half knows who it is (SSPI, federated): no password, and maybe no SQL login
    bool change_password = false; // fChangePassword: `new_password` replaces `password`
    std::string new_password;
};

struct engine_options {
    std::string data_dir; // one SQLite file per database lives here
    std::string server_name = "STANDIN";
    std::string version = "16.0.4135";  // @@VERSION, SERVERPROPERTY
    std::vector<std::string> logins;    // "user:password"; empty: sa with any password
    std::vector<std::string> databases; // created at start beside master, tempdb, model, msdb
    int32_t default_isolation = 2;      // read committed
    // may change while the server runs: engine_settings
    bool announce_text_transactions = true; // false: as Babelfish and TDS 7.1, no ENVCHANGE 8/9/10 for T-SQL text
    bool reset_keeps_database = false;      // as Babelfish
    bool inner_outlives = false;    // as Babelfish: SETs of an RPC's text, USE and #tables of dynamic SQL, outlive it
    int64_t deadlocks = 0;          // so many INSERT, UPDATE, DELETE in a transaction end with 1205
    bool strict_descriptors = true; // a request must come with the descriptor of the open transaction
    bool reuse_handles = false;     // a prepared handle gets the smallest number that is free
    bool table_variable_identity = true; // false: as Babelfish, an INSERT into one leaves @@IDENTITY alone
    bool fail_reset = false;             // a reset ends with 18056 and the connection
    bool prepexec_wants_names = false;   // as Babelfish: of the values that it is called with
    bool prepare_tells_columns = false;  // as Babelfish: sp_prepare does so unasked
    bool no_useroptions = false;         // as Babelfish: DBCC USEROPTIONS is an error
    bool reset_keeps_context = false;    // as Babelfish: CONTEXT_INFO and SESSION_CONTEXT
    bool language_alone = false;         // as Babelfish: SET LANGUAGE leaves DATEFORMAT and DATEFIRST as they are
    bool isolation_first = false;        // as Babelfish: the level is not set behind a query of the same batch
    bool reset_keeps_count = false;      // as Babelfish: @@TRANCOUNT, of a transaction that a reset ends
};

// A login that authenticates with a password.
struct sql_login {
    std::string name, password;
    bool any_password = false;
    bool locked = false, disabled = false, expired = false, must_change = false;
};

struct engine_counters {
    uint64_t password_changes = 0;
    uint64_t reset_calls = 0;   // sp_reset_connection by name
    uint64_t resets_failed = 0; // 18056, 18059
};

struct engine;  // databases, logins, the list of sessions
struct session; // one TDS session: SPID, SET options, variables' scope is the batch, temp tables, handles, transaction

engine *engine_create(const engine_options &options, std::string &error); // null and `error` on failure
void engine_destroy(engine *);
engine_options &engine_settings(engine *);
engine_counters engine_counted(const engine *);

// SQL logins; names in any case. Sessions that are logged in live on, but a reset does their login again.
sql_login *login_find(engine *, std::string_view name);                     // null: unknown
void login_add(engine *, std::string_view name, std::string_view password); // or replaces it
bool login_drop(engine *, std::string_view name);                           // false: unknown

// Logs in: sends ENVCHANGE 1, INFO 5701, ENVCHANGE 2, INFO 5703 through `host`, or the ERROR tokens (18456, 18470,
// 18486..18488; 4060 + 18456). A database that cannot be opened and need not be is ERROR 4063 and no refusal: the
// session begins in master. The wire half adds ENVCHANGE 7 (collation), LOGINACK, ENVCHANGE 4, FEATUREEXTACK and DONE.
// Null: login refused.
session *engine_login(engine *, const login_request &, host &);
void session_close(session *); // rolls back, drops temp tables, frees
uint16_t session_spid(const session *);
const std::string &session_database(const session *);
// Everything a session carries from request to request: SET options by their names in upper case, the rest by @@name or
// a word. Equal states give equal lists.
std::vector<std::pair<std::string, std::string>> session_state(const session *);

// Whether a request with this transaction descriptor (ALL_HEADERS; 0: none) may run: it must be the one that the
// session was last told of. False: error 3989 or 3971 and a DONE have been sent. Sessions that are told of none may
// send any.
bool session_resumes(session *, uint64_t transaction, host &);
uint64_t session_transaction(const session *); // the descriptor of the one that is open; 0: none
// The request that a reset came with names the transaction that the reset has ended: the client is told so, and it
// runs.
void session_tells_end(uint64_t transaction, host &);

// Each runs in a fiber, sends everything through `host`, every statement's DONE included, and returns.
void session_batch(session *, std::string_view sql, host &);
// `name` as the client sent it, any case, schema or brackets; numbered procedures arrive with their names
// (sp_executesql, ...).
void session_rpc(session *, std::string_view name, const std::vector<parameter> &, host &);
// The rows of a bulk load, as they come.
struct bulk_source {
    std::vector<type_info> types; // as the client sent them
    bool broken = false;          // the data ended early or made no sense
    virtual ~bulk_source() = default;
    virtual bool next(std::vector<value> &row) = 0; // false: no more
};
// What SESSIONSTATE tokens report: state id and value, all of them, in the order of the ids. A made-up encoding, as
// opaque as SQL Server's. `recoverable`: no transaction, temporary object, cursor, lock or other identity is held.
std::vector<std::pair<uint8_t, std::string>> session_recovery_states(const session *, bool &recoverable);

// Between INSERT BULK and its data. Any other request forgets it.
bool session_awaits_bulk(const session *);
void session_forget_bulk(session *);
void session_bulk(session *, bulk_source &, host &);
// A TransMgr request: 5 begin, 7 commit, 8 rollback, 9 save. isolation 0 leaves it; begin_next: flag 1 of commit and
// rollback.
void session_tran(session *, uint16_t request, uint8_t isolation, std::string_view name, bool begin_next,
                  uint8_t next_isolation, std::string_view next_name, host &);
// RESETCONNECTION (keep_tran false) or RESETCONNECTIONSKIPTRAN: back to the state after login, isolation level kept,
// prepared handles and temp tables gone, transaction rolled back unless kept; sends ENVCHANGE 18 with empty values by
// env_text. False: the login cannot be done again; the error (18056, 18059, severity 20) is sent, the connection must
// end and nothing more may run.
bool session_reset(session *, bool keep_tran, host &);

} // namespace sqlserver
