// A request to the console, from its message to the tokens of its answer.
#include <ctime>

#include <strings.h>

#include "base/log.h"
#include "proxy/console.h"
#include "proxy/console_commands.h"
#include "proxy/console_session.h"
#include "proxy/proxy.h"
#include "tds/bytes.h"
#include "tds/envchange.h"
#include "tds/request_reader.h"
#include "tds/response.h"
#include "tds/result_build.h"
#include "tds/rpc_text.h"

enum console_sql_error : int32_t {
    syntax = 102,
    no_object = 208,
    denied = 229,
    no_database = 911,
    no_procedure = 2812,
    no_begin_for_commit = 3902,
    no_begin_for_rollback = 3903,
    rpc_malformed = 8009,
    no_prepared = 8179,
    not_prepared = 8180,
    no_cursor = 16937,
};

static constexpr uint16_t command_select = 0xc1, command_begin = 0xd4, command_commit = 0xd5, command_rollback = 0xd2;
static constexpr uint64_t descriptor_base = uint64_t{0x7463} << 48; // no server's: those count from 0x100000000 or so

console_facts console_facts_of(const client_session *s) {
    const console_session &c = *s->console;
    tds_product_version v = proxy_server_version(s->root, s->bucket);
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    console_facts f;
    f.user = c.user;
    f.host = c.host;
    f.application = c.application;
    f.server_name = s->root->instance_id;
    f.product_version = std::to_string(v.major) + "." + std::to_string(v.minor) + "." + std::to_string(v.build) + ".0";
    f.version =
        "tdsbouncer " TDSBOUNCER_VERSION " admin console, speaks as Microsoft SQL Server - " + f.product_version;
    f.product_major = v.major;
    f.spid = session_spid(s);
    f.transactions = c.transactions;
    f.last_error = c.last_error;
    f.unix_time = int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
    return f;
}

void console_put_error(const client_session *s, int32_t number, uint8_t severity, std::string_view text, uint32_t line,
                       std::vector<uint8_t> &tokens) {
    tds_notice notice;
    notice.number = number;
    notice.severity = severity;
    notice.text = text;
    notice.server_name = console_database;
    notice.line = line;
    tds_put_notice(tokens, s->console->version, notice);
}

// ---- answers ---------------------------------------------------------------------------------------------------

// The statements of one text, under way.
struct console_run {
    client_session *s;
    bool in_procedure;         // DONEINPROC instead of DONE
    std::vector<uint8_t> &out; // tokens
    size_t last_done = 0;      // where its status stands; 0: none yet
};

static void put_done(console_run &r, uint16_t status, uint16_t command = 0, uint64_t rows = 0) {
    r.last_done = r.out.size() + 1;
    tds_put_done(r.out, r.s->console->version, r.in_procedure ? tds_token_doneinproc : tds_token_done,
                 status | tds_done_more, command, rows);
}

static void fail(console_run &r, int32_t number, std::string_view text, uint8_t severity = 16, uint32_t line = 1) {
    console_put_error(r.s, number, severity, text, line, r.out);
    put_done(r, tds_done_error);
    r.s->console->last_error = number;
}

static void succeed(console_run &r, uint16_t command = 0) {
    r.s->console->last_error = 0;
    put_done(r, 0, command);
}

// Nothing follows.
static void last_one(console_run &r) {
    if (r.last_done == 0)
        succeed(r);
    set_u16le(r.out, r.last_done, get_u16le(r.out.data() + r.last_done) & ~unsigned{tds_done_more});
}

// ---- transactions ----------------------------------------------------------------------------------------------

// Nothing of the console's is in them; drivers keep count all the same.
static void put_transaction(console_run &r, uint8_t type) {
    if (tds_version_is_wide(r.s->console->version))
        tds_put_transaction(r.out, type, r.s->console->descriptor);
}

static void begin_transaction(console_run &r) {
    console_session &c = *r.s->console;
    if (c.transactions++ > 0)
        return;
    c.descriptor = descriptor_base + ++r.s->root->descriptors;
    put_transaction(r, tds_env_begin);
}

// False: there is none.
static bool end_transaction(console_run &r, bool commits) {
    console_session &c = *r.s->console;
    if (c.transactions == 0) {
        fail(r, commits ? no_begin_for_commit : no_begin_for_rollback,
             commits ? "The COMMIT TRANSACTION request has no corresponding BEGIN TRANSACTION."
                     : "The ROLLBACK TRANSACTION request has no corresponding BEGIN TRANSACTION.");
        return false;
    }
    c.transactions = commits ? c.transactions - 1 : 0;
    if (c.transactions == 0)
        put_transaction(r, commits ? tds_env_commit : tds_env_rollback);
    return true;
}

static void answer_manager(console_run &r, const tds_request_info &info) {
    switch (info.tm_type) {
    case tds_tm_begin: begin_transaction(r); return succeed(r, command_begin);
    case tds_tm_commit:
    case tds_tm_rollback: {
        bool commits = info.tm_type == tds_tm_commit;
        if (info.tm_savepoint && r.s->console->transactions > 0)
            return succeed(r, command_rollback);
        if (!end_transaction(r, commits))
            return;
        if (info.tm_begins)
            begin_transaction(r);
        return succeed(r, commits ? command_commit : command_rollback);
    }
    case tds_tm_save: return succeed(r);
    default: fail(r, static_cast<int32_t>(proxy_error::refused), "tdsbouncer: no distributed transactions here");
    }
}

// ---- statements ------------------------------------------------------------------------------------------------

static void put_columns(console_run &r, const console_command &command) {
    std::vector<tds_result_column> columns;
    for (const console_column &c : command.columns)
        columns.push_back(c.column);
    if (!columns.empty())
        tds_put_columns(r.out, r.s->console->version, columns);
}

static void run_command(console_run &r, const console_statement &st) {
    const console_command &command = *st.command;
    if (command.admin_only && !r.s->console->admin)
        return fail(r, denied, std::string("The ") + command.words + " permission was denied: this user may only look.",
                    14);
    bool names_bucket = command.argument == console_argument::optional && !st.argument.empty();
    proxy_bucket *bucket = names_bucket ? console_bucket(r.s->root, st.argument) : nullptr;
    if (names_bucket && bucket == nullptr)
        return fail(r, no_database, "Bucket '" + st.argument + "' does not exist.");
    if (command.admin_only)
        log_info("console: command", {{"session", r.s->id}, {"command", command.words}, {"argument", st.argument}});
    put_columns(r, command);
    console_call call{r.s->root, r.s, &command, st.argument, bucket, r.out};
    command.run(call);
    if (call.error != 0)
        return fail(r, call.error, call.error_text);
    r.s->console->last_error = 0;
    if (command.columns.empty())
        put_done(r, 0);
    else
        put_done(r, tds_done_count, command_select, call.rows);
}

static void run_use(console_run &r, const console_statement &st) {
    if (strcasecmp(st.name.c_str(), std::string(console_database).c_str()) != 0)
        return fail(r, no_database,
                    "Database '" + st.name + "' does not exist. Make sure that the name is entered correctly.");
    tds_put_envchange(r.out, tds_env_database, console_database, console_database);
    tds_notice notice;
    notice.number = 5701;
    notice.text = "Changed database context to 'tdsbouncer'.";
    notice.server_name = console_database;
    notice.line = 1;
    tds_put_notice(r.out, r.s->console->version, notice);
    succeed(r);
}

static void run_select(console_run &r, const console_statement &st) {
    console_problem problem;
    console_put_select(st, console_facts_of(r.s), r.s->console->version, problem, r.out);
    if (problem.number != 0)
        return fail(r, problem.number, problem.text);
    r.s->console->last_error = 0;
    put_done(r, tds_done_count, command_select, 1);
}

static void run_statements(console_run &r, const std::vector<console_statement> &);

static void run_if(console_run &r, const console_statement &st) {
    console_problem problem;
    bool holds = console_holds(st, console_facts_of(r.s), problem);
    if (problem.number != 0)
        return fail(r, problem.number, problem.text);
    run_statements(r, holds ? st.body : st.otherwise);
}

static void run_statement(console_run &r, const console_statement &st) {
    switch (st.verb) {
    case console_verb::command: return run_command(r, st);
    case console_verb::nothing: return succeed(r);
    case console_verb::use: return run_use(r, st);
    case console_verb::select: return run_select(r, st);
    case console_verb::from: return fail(r, no_object, "Invalid object name '" + st.name + "'.");
    case console_verb::begin: begin_transaction(r); return succeed(r, command_begin);
    case console_verb::commit:
        if (end_transaction(r, true))
            succeed(r, command_commit);
        return;
    case console_verb::rollback_named:
        if (r.s->console->transactions > 0)
            return succeed(r, command_rollback);
        [[fallthrough]];
    case console_verb::rollback:
        if (end_transaction(r, false))
            succeed(r, command_rollback);
        return;
    case console_verb::call: return fail(r, no_procedure, "Could not find stored procedure '" + st.name + "'.");
    case console_verb::if_: return run_if(r, st);
    case console_verb::block: return run_statements(r, st.body);
    }
}

static void run_statements(console_run &r, const std::vector<console_statement> &all) {
    for (const console_statement &st : all)
        run_statement(r, st);
}

static void fail_syntax(console_run &r, const console_batch &batch) {
    std::string text =
        batch.near.empty() ? "Incorrect syntax at the end of the text." : "Incorrect syntax near '" + batch.near + "'.";
    fail(r, syntax, text, 15, batch.line);
}

static void run_text(console_run &r, std::span<const uint8_t> text) {
    console_batch batch = console_parse(text);
    if (batch.good)
        run_statements(r, batch.statements);
    else
        fail_syntax(r, batch);
}

// ---- procedures ------------------------------------------------------------------------------------------------

static std::vector<uint8_t> call_text(const console_run &r, const tds_rpc_call &call) {
    int16_t at = tds_proc_kind_of(call.proc)->text;
    std::vector<uint8_t> text;
    bool there =
        at >= 0 && !call.swapped && call.parameters > static_cast<uint32_t>(at) &&
        tds_rpc_text(r.s->console->message, call.parameter_at[at], r.s->console->version, console_message_max, text);
    if (!there)
        text.clear();
    return text;
}

static int32_t keep_prepared(console_session &c, std::vector<uint8_t> &&text) {
    if (c.prepared.size() >= console_prepared_max)
        c.prepared.erase(c.prepared.begin());
    c.prepared[++c.last_handle] = std::move(text);
    return c.last_handle;
}

// A handle, or 0.
static int32_t prepare(console_run &r, const tds_rpc_call &call, bool runs) {
    std::vector<uint8_t> text = call_text(r, call);
    console_batch batch = console_parse(text);
    if (!batch.good) {
        fail_syntax(r, batch);
        fail(r, not_prepared, "Statement(s) could not be prepared.");
        return 0;
    }
    if (runs)
        run_statements(r, batch.statements);
    return keep_prepared(*r.s->console, std::move(text));
}

static void execute_prepared(console_run &r, const tds_rpc_call &call) {
    auto &all = r.s->console->prepared;
    auto found = call.has_first ? all.find(call.first) : all.end();
    if (found == all.end())
        return fail(r, no_prepared,
                    "Could not find prepared statement with handle " + std::to_string(call.first) + ".");
    run_text(r, found->second);
}

static void reset(console_session &c, bool keeps_transaction) {
    c.prepared.clear();
    if (!keeps_transaction)
        c.transactions = 0;
}

static void run_call(console_run &r, const tds_rpc_call &call, int32_t &handle) {
    switch (call.proc) {
    case tds_proc::execute_sql: return run_text(r, call_text(r, call));
    case tds_proc::prepare: handle = prepare(r, call, false); return;
    case tds_proc::prepexec: handle = prepare(r, call, true); return;
    case tds_proc::execute: return execute_prepared(r, call);
    case tds_proc::unprepare: r.s->console->prepared.erase(call.first); return;
    case tds_proc::reset_connection: return reset(*r.s->console, false);
    case tds_proc::other: return fail(r, no_procedure, "Could not find stored procedure '" + call.name + "'.");
    default: return fail(r, no_cursor, "A server cursor cannot be opened here. Use a default result set.");
    }
}

static void answer_call(console_run &r, const tds_rpc_call &call) {
    const console_session &c = *r.s->console;
    int32_t handle = 0;
    r.s->console->last_error = 0;
    run_call(r, call, handle);
    tds_put_return_status(r.out, c.last_error);
    if (handle != 0)
        tds_put_return_int(r.out, c.version, 0, handle);
    r.last_done = r.out.size() + 1;
    uint16_t status = static_cast<uint16_t>(tds_done_more | (c.last_error != 0 ? tds_done_error : 0));
    tds_put_done(r.out, c.version, tds_token_doneproc, status, 0, 0);
}

static void answer_calls(console_run &r, const tds_request_info &info) {
    r.in_procedure = true;
    for (const tds_rpc_call &call : info.calls)
        if (!call.skipped)
            answer_call(r, call);
}

// ---- messages --------------------------------------------------------------------------------------------------

static bool read_request(client_session *s, uint8_t type, tds_request_info &info) {
    tds_request_reader *reader = s->root->request_reader;
    tds_request_begin(reader, type, s->console->version, false, info);
    tds_request_feed(reader, s->console->message);
    tds_request_end(reader);
    return !info.broken && info.calls.size() == info.calls_count;
}

static void answer_batch(console_run &r, const tds_request_info &info) {
    std::span<const uint8_t> message = r.s->console->message;
    if (info.place.kind == tds_text_place::kind_t::batch)
        run_text(r, message.subspan(info.place.at, info.place.bytes));
}

std::vector<uint8_t> console_answer(client_session *s, uint8_t type) {
    std::vector<uint8_t> tokens;
    console_run r{s, false, tokens};
    uint8_t reset_bits = s->console->status & (tds_status_reset | tds_status_reset_skip_tran);
    if (reset_bits != 0) {
        reset(*s->console, (reset_bits & tds_status_reset_skip_tran) != 0);
        tds_put_reset_done(tokens);
    }
    tds_request_info info;
    if (!read_request(s, type, info))
        fail(r, rpc_malformed, "The incoming tabular data stream (TDS) protocol stream is incorrect.");
    else if (type == tds_type_transaction)
        answer_manager(r, info);
    else if (type == tds_type_rpc)
        answer_calls(r, info);
    else
        answer_batch(r, info);
    last_one(r);
    return tokens;
}
