#include "proxy/console/commands.h"

#include <cassert>

#include <strings.h>

#include "proxy/console/world.h"
#include "proxy/proxy.h"

// ---- the table -------------------------------------------------------------------------------------------------

static constexpr auto text = tds_result_type::text;
static constexpr auto integer = tds_result_type::integer;
static constexpr auto bigint = tds_result_type::bigint;

// clang-format off
static constexpr console_column pools[] = {
    {{"bucket", text, 64}, "Id of the bucket."},
    {{"pool", text, 8}, "What the log calls the pool: the same for all who may share its server connections."},
    {{"user", text, 64}, "Whose login opens them."},
    {{"clients", integer}, "Sessions of the pool, at work or not."},
    {{"clients_waiting", integer}, "Those of them that wait for a server connection."},
    {{"servers_active", integer}, "Server connections in use, or being opened for a client."},
    {{"servers_idle", integer}, "Server connections that nobody uses."},
    {{"servers_warming", integer}, "Server connections being opened ahead (`min_idle`)."},
    {{"max_wait_ms", bigint}, "How long the first of those who wait has waited."},
};
static constexpr console_column clients[] = {
    {{"session", bigint}, "Number of the session, for `KILL`; the log names it so."},
    {{"spid", integer}, "What the client was told as its `@@SPID`."},
    {{"state", text, 12}, "`active`: between two requests or in one; `waiting`: in its bucket's queue; `console`: here; `relaying`: passthrough; else on its way in or out."},
    {{"bucket", text, 64}, "Its bucket; NULL while that is not known, and for the console."},
    {{"user", text, 64}, "Its user; NULL in passthrough."},
    {{"database", text, 64}, "Its database."},
    {{"application", text, 64}, "Application name of its login."},
    {{"host", text, 64}, "Host name of its login."},
    {{"address", text, 56}, "Where it comes from."},
    {{"pinned", text, 64}, "Why it keeps its server connection between requests; NULL: it does not."},
    {{"server", bigint}, "Number of the server connection that it has."},
    {{"waiting_ms", bigint}, "How long it has been in the queue."},
    {{"running_ms", bigint}, "How long its request has been at the server."},
    {{"connected_ms", bigint}, "How long it has been there."},
    {{"idle_ms", bigint}, "How long it has been silent."},
    {{"bytes_in", bigint}, "What it has sent since its login."},
    {{"bytes_out", bigint}, "What servers have sent for it."},
};
static constexpr console_column servers[] = {
    {{"server", bigint}, "Number of the server connection; the log names it so."},
    {{"bucket", text, 64}, "Its bucket."},
    {{"state", text, 12}, "`serving` a client, `idle` in its pool, `working` on a batch of the proxy's own, `connecting`, `logging_in` or `closing`."},
    {{"purpose", text, 12}, "`pooled`; `dedicated` to one client; `passthrough`; `probe` of health."},
    {{"user", text, 64}, "Whose login opened it; NULL in passthrough."},
    {{"database", text, 64}, "The database that it is in."},
    {{"pool", text, 8}, "Its pool, as in `SHOW POOLS`."},
    {{"session", bigint}, "The client session that it serves."},
    {{"tds", text, 4}, "TDS version of its login."},
    {{"age_ms", bigint}, "How long it has been in its pool."},
    {{"idle_ms", bigint}, "How long nobody has used it."},
    {{"prepared", integer}, "Prepared statements that it keeps."},
};
static constexpr console_column buckets[] = {
    {{"bucket", text, 64}, "Its id."},
    {{"host", text, 64}, "Host of its server."},
    {{"port", integer}, "Port of its server."},
    {{"mode", text, 12}, "`pool_mode`."},
    {{"paused", integer}, "1 after `PAUSE`."},
    {{"health", text, 8}, "`up`, `down`: clients are told at once, `unknown`, or `removed` by a reload."},
    {{"clients", integer}, "Client sessions on this instance."},
    {{"waiting", integer}, "Those in the queue."},
    {{"used", integer}, "Slots that this instance holds: server connections, idle and closing ones too."},
    {{"idle", integer}, "Idle server connections among them."},
    {{"used_by_all", integer}, "Slots that all instances hold, as last told."},
    {{"max_connections", integer}, "The limit over all instances, as last told."},
    {{"server_version", text, 24}, "What the server says it is; NULL: not known yet."},
    {{"last_error", text, 256}, "Why the last try to reach it failed."},
};
static constexpr console_column queue[] = {
    {{"bucket", text, 64}, "Id of the bucket."},
    {{"place", integer}, "Place in its queue, from 1."},
    {{"session", bigint}, "The client session; NULL for one of the proxy's own."},
    {{"user", text, 64}, "Its user."},
    {{"wants", text, 12}, "`request`: any connection of its pool; `login`: a new one, to check its password; `passthrough`; `probe`; `warm`: one ahead."},
    {{"waited_ms", bigint}, "How long it has waited."},
    {{"left_ms", bigint}, "How long it will, at most."},
};
static constexpr console_column instances[] = {
    {{"instance", text, 64}, "Its `instance_id`, as registered."},
    {{"this", integer}, "1: the one that answers."},
    {{"mode", text, 10}, "Of this one: `normal`, `starting`, `settling`, `fallback` (without Redis) or `closed`."},
    {{"message", text, 256}, "Of this one: what is to be said of Redis."},
    {{"latency_us", bigint}, "Of this one: how long the last heartbeat took."},
    {{"last_beat", text, 24}, "Of this one: when that was, UTC; NULL without Redis."},
};
static constexpr console_column stats[] = {
    {{"bucket", text, 64}, "Id of the bucket. All figures are of this instance, since its start."},
    {{"requests", bigint}, "Requests that a server has answered; not seen in passthrough."},
    {{"request_us", bigint}, "Time that servers took for them, in all."},
    {{"attached", bigint}, "Times that a client got a server connection."},
    {{"attached_after_wait", bigint}, "Those that were in the queue before."},
    {{"wait_us", bigint}, "Time spent in the queue, in all."},
    {{"timeouts", bigint}, "Waits that ended by `queue_timeout`."},
    {{"rejected", bigint}, "Refused because the queue was full."},
    {{"cancelled", bigint}, "Waits that the client ended."},
    {{"errors", bigint}, "Connections that could not be had."},
    {{"packets_in", bigint}, "TDS packets from clients."},
    {{"packets_out", bigint}, "TDS packets to clients."},
    {{"server_packets_in", bigint}, "TDS packets from servers."},
    {{"server_packets_out", bigint}, "TDS packets to servers."},
};
static constexpr console_column config_columns[] = {
    {{"section", text, 20}, "`proxy`, `redis`, `fallback` or `buckets[]`."},
    {{"bucket", text, 64}, "Of `buckets[]`: which one."},
    {{"name", text, 32}, "The key, as in docs/configuration.md."},
    {{"value", text, 256}, "Its value; of a secret only whether there is one."},
    {{"default", text, 64}, "Its default; NULL: it must be given, or is proxy's."},
    {{"reload", integer}, "1: `RELOAD` takes a new value; 0: only a restart does."},
};
static constexpr console_column version_columns[] = {
    {{"version", text, 32}, "Version of tdsbouncer."},
    {{"instance", text, 64}, "`instance_id`."},
    {{"started", text, 24}, "When it was started, UTC."},
    {{"draining", integer}, "1 while it shuts down."},
};
static constexpr console_column help_columns[] = {
    {{"command", text, 32}, "What to write."},
    {{"who", text, 8}, "`admin`, or `all`: the monitor user too."},
    {{"help", text, 256}, "What it does."},
};

using A = console_argument;
static constexpr console_command table[] = {
    {"SHOW POOLS", "[bucket]", A::optional, false, "Pools of server connections, and who waits for them.", pools, console_show_pools},
    {"SHOW CLIENTS", "[bucket]", A::optional, false, "Client sessions.", clients, console_show_clients},
    {"SHOW SERVERS", "[bucket]", A::optional, false, "Server connections.", servers, console_show_servers},
    {"SHOW BUCKETS", "[bucket]", A::optional, false, "Buckets: health, limits, use.", buckets, console_show_buckets},
    {"SHOW QUEUE", "[bucket]", A::optional, false, "Who waits for a slot or a server connection, first things first.", queue, console_show_queue},
    {"SHOW INSTANCES", "", A::none, false, "Instances that share the limits.", instances, console_show_instances},
    {"SHOW STATS", "[bucket]", A::optional, false, "Totals of each bucket since the start.", stats, console_show_stats},
    {"SHOW CONFIG", "", A::none, false, "The configuration that is in effect.", config_columns, console_show_config},
    {"SHOW VERSION", "", A::none, false, "What answers here.", version_columns, console_show_version},
    {"SHOW HELP", "", A::none, false, "This list.", help_columns, console_show_help},
    {"PAUSE", "[bucket]", A::optional, true, "No new work goes to the server of the bucket, or to any: requests wait, idle server connections are closed. Answers when none is left.", {}, console_pause},
    {"RESUME", "[bucket]", A::optional, true, "Ends PAUSE.", {}, console_resume},
    {"RELOAD", "", A::none, true, "As SIGHUP.", {}, console_reload},
    {"KILL", "<session>", A::required, true, "Ends a client session of SHOW CLIENTS; its transaction is rolled back.", {}, console_kill},
    {"DRAIN", "", A::none, true, "As SIGTERM: no new sessions; ends when the last one has, or after shutdown_timeout.", {}, console_drain},
};
// clang-format on

std::span<const console_command> console_commands() {
    return table;
}

// ---- answers ---------------------------------------------------------------------------------------------------

static const tds_result_column &next_column(console_call &call) {
    assert(call.column < call.command->columns.size());
    return call.command->columns[call.column++].column;
}

void console_row(console_call &call) {
    assert(call.rows == 0 || call.column == call.command->columns.size());
    call.column = 0;
    ++call.rows;
    if (call.relation != nullptr)
        call.relation->rows.emplace_back();
    else
        tds_put_row(*call.tokens);
}

static void keep(console_call &call, console_value &&value) {
    call.relation->rows.back().push_back(std::move(value));
}

void console_text(console_call &call, std::string_view value) {
    const tds_result_column &column = next_column(call);
    call.relation != nullptr ? keep(call, console_text_value(value)) : tds_put_text(*call.tokens, column, value);
}

void console_text_or_null(console_call &call, std::string_view value) {
    value.empty() ? console_null(call) : console_text(call, value);
}

void console_number(console_call &call, uint64_t value) {
    const tds_result_column &column = next_column(call);
    auto number = static_cast<int64_t>(value);
    call.relation != nullptr ? keep(call, console_number_value(number)) : tds_put_int(*call.tokens, column, number);
}

void console_null(console_call &call) {
    const tds_result_column &column = next_column(call);
    call.relation != nullptr ? keep(call, {}) : tds_put_null(*call.tokens, column);
}

void console_number_or_null(console_call &call, bool there, uint64_t value) {
    there ? console_number(call, value) : console_null(call);
}

void console_fail(console_call &call, int32_t error, std::string what) {
    call.error = error;
    call.error_text = std::move(what);
}

// ---- buckets ---------------------------------------------------------------------------------------------------

proxy_bucket *console_bucket(proxy *root, std::string_view id) {
    for (auto &pb : root->buckets)
        if (!pb->gone && pb->core.id.size() == id.size() && strncasecmp(pb->core.id.data(), id.data(), id.size()) == 0)
            return pb.get();
    return nullptr;
}

std::vector<proxy_bucket *> console_chosen(const console_call &call) {
    std::vector<proxy_bucket *> all;
    for (auto &pb : call.root->buckets)
        if (!pb->gone && (call.bucket == nullptr || pb.get() == call.bucket))
            all.push_back(pb.get());
    return all;
}
