// A request to the console, from its message to the tokens of its answer.
#include <algorithm>

#include "proxy/console/console.h"
#include "proxy/console/evaluate.h"
#include "proxy/console/parse.h"
#include "proxy/console/run.h"
#include "proxy/proxy.h"
#include "tds/bytes.h"
#include "tds/request_reader.h"
#include "tds/response.h"
#include "tds/result_build.h"
#include "tds/rpc_text.h"
#include "tds/rpc_value.h"
#include "tds/utf16.h"

static constexpr int32_t no_procedure = 2812, rpc_malformed = 8009, no_prepared = 8179, not_prepared = 8180,
                         no_cursor = 16937;
static constexpr uint16_t command_begin = 0xd4, command_commit = 0xd5, command_rollback = 0xd2;

static void answer_manager(console_run &r, const tds_request_info &info) {
    switch (info.tm_type) {
    case tds_tm_begin: console_begin_transaction(r); return console_succeed(r, command_begin);
    case tds_tm_commit:
    case tds_tm_rollback: {
        bool commits = info.tm_type == tds_tm_commit;
        if (info.tm_savepoint && r.s->console->transactions > 0)
            return console_succeed(r, command_rollback);
        if (!console_end_transaction(r, commits))
            return;
        if (info.tm_begins)
            console_begin_transaction(r);
        return console_succeed(r, commits ? command_commit : command_rollback);
    }
    case tds_tm_save: return console_succeed(r);
    default:
        console_fail(r, static_cast<int32_t>(proxy_error::refused), "tdsbouncer: no distributed transactions here");
    }
}

// ---- procedures ------------------------------------------------------------------------------------------------

static console_value value_of(tds_rpc_value &&v) {
    console_value value;
    value.kind = static_cast<console_value::kind_t>(v.kind);
    value.number = v.number;
    value.real = v.real;
    value.text = std::move(v.text);
    return value;
}

// The values of a call's parameters. False, and the client is told: one of them is of a type that the console does not
// know.
static bool arguments_of(console_run &r, const tds_rpc_call &call, std::vector<console_argument_value> &given) {
    std::vector<tds_rpc_value> values;
    bool read = call.parameters == 0 ||
                tds_rpc_values(r.s->console->message, call.parameter_at[0], call.end, r.s->console->version, values);
    if (!read) {
        console_fail(r, static_cast<int32_t>(proxy_error::refused),
                     "tdsbouncer: the console does not know the type of a parameter");
        return false;
    }
    for (tds_rpc_value &v : values) {
        std::string name = v.name;
        for (char &c : name)
            c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
        given.push_back({std::move(name), value_of(std::move(v))});
    }
    return true;
}

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

static int32_t keep_prepared(console_session &c, console_prepared &&statement) {
    if (c.prepared.size() >= console_prepared_max)
        c.prepared.erase(c.prepared.begin());
    c.prepared[++c.last_handle] = std::move(statement);
    return c.last_handle;
}

// Its text and its values, as sp_executesql takes them: text, definition, values.
static void run_prepared(console_run &r, const console_prepared &statement,
                         std::vector<console_argument_value> &&values) {
    std::vector<console_argument_value> given;
    given.push_back({"", console_text_value(tds_utf8(statement.text))});
    given.push_back({"", console_text_value(statement.definition)});
    for (console_argument_value &v : values)
        given.push_back(std::move(v));
    console_run_procedure(r, "sp_executesql", std::move(given));
}

// A handle, or 0. Parameters: handle, definition, text, and then the values or an option.
static int32_t prepare(console_run &r, const tds_rpc_call &call, bool runs) {
    console_prepared statement{call_text(r, call), ""};
    console_batch batch = console_parse(statement.text);
    std::vector<console_argument_value> given;
    if (!batch.good) {
        console_fail_syntax(r, batch);
        console_fail(r, not_prepared, "Statement(s) could not be prepared.");
        return 0;
    }
    if (!arguments_of(r, call, given))
        return 0;
    if (given.size() > 1)
        statement.definition = given[1].value.text;
    if (runs) {
        given.erase(given.begin(), given.begin() + static_cast<ptrdiff_t>(std::min<size_t>(3, given.size())));
        run_prepared(r, statement, std::move(given));
    }
    return keep_prepared(*r.s->console, std::move(statement));
}

static void execute_prepared(console_run &r, const tds_rpc_call &call) {
    auto &all = r.s->console->prepared;
    auto found = call.has_first ? all.find(call.first) : all.end();
    std::vector<console_argument_value> given;
    if (found == all.end())
        return console_fail(r, no_prepared,
                            "Could not find prepared statement with handle " + std::to_string(call.first) + ".");
    if (!arguments_of(r, call, given))
        return;
    if (!given.empty())
        given.erase(given.begin());
    run_prepared(r, found->second, std::move(given));
}

static void reset(console_session &c, bool keeps_transaction) {
    c.prepared.clear();
    c.tables.clear();
    c.tables_bytes = 0;
    c.database = c.login_database;
    c.not_run = 0;
    c.no_rows = false;
    c.most_rows = 0;
    if (!keeps_transaction)
        c.transactions = 0;
}

static void run_procedure(console_run &r, const tds_rpc_call &call, const std::string &name) {
    std::vector<console_argument_value> given;
    if (arguments_of(r, call, given) && !console_run_procedure(r, name, std::move(given)))
        console_fail(r, no_procedure, "Could not find stored procedure '" + name + "'.");
}

static void run_call(console_run &r, const tds_rpc_call &call, int32_t &handle) {
    switch (call.proc) {
    case tds_proc::execute_sql: return run_procedure(r, call, "sp_executesql");
    case tds_proc::datatype_info: return run_procedure(r, call, "sp_datatype_info");
    case tds_proc::prepare: handle = prepare(r, call, false); return;
    case tds_proc::prepexec: handle = prepare(r, call, true); return;
    case tds_proc::execute: return execute_prepared(r, call);
    case tds_proc::unprepare: r.s->console->prepared.erase(call.first); return;
    case tds_proc::reset_connection: return reset(*r.s->console, false);
    case tds_proc::other: return run_procedure(r, call, call.name);
    default: return console_fail(r, no_cursor, "A server cursor cannot be opened here. Use a default result set.");
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
        console_run_text(r, message.subspan(info.place.at, info.place.bytes));
}

std::vector<uint8_t> console_answer(client_session *s, uint8_t type) {
    std::vector<uint8_t> tokens;
    console_run r = console_run_begin(s, tokens);
    uint8_t reset_bits = s->console->status & tds_status_resets;
    if (reset_bits != 0) {
        reset(*s->console, (reset_bits & tds_status_reset_skip_tran) != 0);
        tds_put_reset_done(tokens);
    }
    tds_request_info info;
    if (!read_request(s, type, info))
        console_fail(r, rpc_malformed, "The incoming tabular data stream (TDS) protocol stream is incorrect.");
    else if (type == tds_type_transaction)
        answer_manager(r, info);
    else if (type == tds_type_rpc)
        answer_calls(r, info);
    else
        answer_batch(r, info);
    console_last_one(r);
    return tokens;
}
