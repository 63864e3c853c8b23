#include "proxy/server_conn.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "base/log.h"
#include "proxy/attach.h"
#include "proxy/deferred_begin.h"
#include "proxy/exchange.h"
#include "proxy/pools.h"
#include "proxy/prepared_calls.h"
#include "proxy/probe.h"
#include "proxy/proxy.h"
#include "proxy/server_auth.h"
#include "proxy/server_task.h"
#include "proxy/sharing.h"
#include "proxy/sharing_values.h"
#include "proxy/slots.h"
#include "tds/request_build.h"
#include "tds/small_result.h"

static constexpr uint64_t task_timeout = 10'000;         // a roll-back or a cancelled request may take its time
static constexpr size_t task_rows_max = 4 * 1024 * 1024; // of an answer that is read: a procedure's definition

static const char *task_name(server_task task) {
    static constexpr const char *names[] = {"none",         "capability", "identity",  "check",     "keep", "prepare",
                                            "client reset", "ask",        "procedure", "unprepare", "make", "begin",
                                            "put off",      "cancel",     "roll back", "reset"};
    return names[static_cast<size_t>(task)];
}

// ---- SQL -------------------------------------------------------------------------------------------------------

// Below TDS 7.2 a server does not acknowledge a reset: a temp table made just before shows whether there was one.
static constexpr char proof_of_reset[] = "#tdsbouncer_reset";

static std::string roll_back_batch(const server_conn *c) {
    std::string sql = "IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION";
    if (!tds_version_is_wide(c->version))
        sql.append(";SET IMPLICIT_TRANSACTIONS OFF;CREATE TABLE ").append(proof_of_reset).append(" (i int)");
    return sql;
}

// The bit takes the session back to its login's state, on SQL Server the database too; Babelfish leaves that alone. The
// isolation level survives everywhere; Babelfish sets it only ahead of what reads.
static std::string reset_batch(const server_conn *c) {
    std::string sql = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED";
    if (!tds_version_is_wide(c->version))
        sql.append(";IF OBJECT_ID('tempdb..")
            .append(proof_of_reset)
            .append("') IS NOT NULL RAISERROR('not reset', 16, 1)");
    if (c->walker.session.database != c->baseline->database)
        sql.append(";USE ").append(tds_quote_name(c->baseline->database));
    return sql;
}

static std::string client_reset_batch(const tds_session_state &to) {
    std::string sql = std::string("USE ").append(tds_quote_name(to.database));
    if (!to.language.empty()) // Babelfish tells some logins none
        sql.append(";SET LANGUAGE ").append(tds_quote_language(to.language));
    return sql;
}

// In session mode what follows SELECT 1 takes @@ROWCOUNT back to 0 and changes nothing: that is the level of every idle
// connection there.
static std::string check_batch(const server_conn *c) {
    return sharing_mode(c->bucket) ? "SELECT 1" : "SELECT 1;SET TRANSACTION ISOLATION LEVEL READ COMMITTED";
}

static std::string task_batch(const server_conn *c, server_task task, uint8_t status) {
    switch (task) {
    case server_task::capability: return "BEGIN TRANSACTION;ROLLBACK TRANSACTION";
    case server_task::identity: return values_try_batch();
    case server_task::check: return check_batch(c);
    case server_task::keep: return values_keep_batch(c, c->client);
    case server_task::prepare: return attach_prepare_batch(c, status & tds_status_reset);
    case server_task::client_reset: return client_reset_batch(*c->client->talk->login_settings);
    case server_task::ask:
    case server_task::procedure: return sharing_question(c->client);
    case server_task::unprepare: return track_values_select().append(";").append(prepared_end_batch(c->prepared));
    case server_task::make:
        return track_values_select().append(";").append(
            prepared_make_batch(*c->client->talk->shared->prepared->needed, c->settings->database));
    case server_task::begin: return begin_batch(c->client);
    case server_task::put_off: return "ROLLBACK TRANSACTION";
    case server_task::roll_back: return roll_back_batch(c);
    case server_task::reset: return reset_batch(c);
    case server_task::cancel:
    case server_task::none: break;
    }
    return {};
}

// Those whose answer is read.
static bool asks(server_task task) {
    return task == server_task::identity || task == server_task::keep || task == server_task::ask ||
           task == server_task::procedure || task == server_task::unprepare || task == server_task::make;
}

// ---- start -----------------------------------------------------------------------------------------------------

static uint64_t descriptor_of(const server_conn *c) {
    uint64_t descriptor = 0;
    if (c->walker.session.in_transaction)
        memcpy(&descriptor, c->walker.session.descriptor, sizeof descriptor);
    return descriptor;
}

static void task_failed(server_conn *c, const char *why, bool gone);

// A client that waits for it waits no longer than for a new connection. What is asked behind a request may take as
// long: without an answer the session is lost, and Babelfish is slow to tell a procedure's definition.
static uint64_t time_for(const server_conn *c, server_task task) {
    uint64_t as_connecting = c->bucket->conf->connection_timeout;
    if (task == server_task::ask || task == server_task::procedure)
        return std::max(task_timeout, as_connecting);
    bool before_a_client = task == server_task::check || task == server_task::keep || task == server_task::prepare ||
                           task == server_task::begin;
    return before_a_client ? std::min(task_timeout, as_connecting) : task_timeout;
}

static void count_task(server_conn *c, server_task task, size_t bytes) {
    bucket_tallies &t = c->bucket->tallies;
    count_bytes(t, packet_direction::proxy_to_server, bytes);
    if (task == server_task::cancel)
        return;
    auto packets = static_cast<uint32_t>((bytes + c->packet_size - 1) / c->packet_size); // all full but the last
    count_packets(c->bucket, packet_direction::proxy_to_server, tds_type_sql_batch, packets);
    if (task == server_task::reset)
        count_reset(t, reset_how::alone);
    else if (task == server_task::prepare && (c->task_status & tds_status_reset))
        count_reset(t, reset_how::replay);
}

void server_task_start(server_conn *c, server_task task, uint8_t status) {
    std::vector<uint8_t> out;
    if (status & tds_status_reset) // ends the transaction before the batch runs, which must not name it (3989)
        c->walker.session.in_transaction = false;
    if (task == server_task::cancel) {
        if (c->task_attentions == 0) {
            tds_put_attention(out);
            c->task_attentions = 1;
            count_packets(c->bucket, packet_direction::proxy_to_server, tds_type_attention);
        }
    } else {
        tds_put_batch(out, c->version, task_batch(c, task, status), descriptor_of(c), c->packet_size, status);
    }
    c->task = task;
    c->task_failed = false;
    c->task_error = 0;
    c->task_status = status;
    c->task_rows = asks(task) ? std::make_unique<std::vector<uint8_t>>() : nullptr;
    c->deadline = proxy_now(c->root) + time_for(c, task);
    if (c->state != server_state::working)
        server_move(c, server_state::working);
    count_task(c, task, out.size());
    // A connection that is already lost shows that when it is read.
    (void)stream_send(&c->conn, out);
    net_conn_watch(&c->conn.conn, net_readable | (stream_unsent(&c->conn) > 0 ? net_writable : 0));
}

static int announced_class(uint32_t version) {
    return version == tds_7_2 ? 0 : version == tds_7_3a || version == tds_7_3b ? 1 : 2;
}

bool server_task_capability_due(const server_conn *c) {
    return tds_version_is_wide(c->version) && c->purpose == server_purpose::pooled &&
           c->bucket->announces[announced_class(c->version)] == announcing::unknown;
}

announcing server_task_announcing(const proxy_bucket *pb, uint32_t version) {
    return pb->announces[announced_class(version)];
}

// Below TDS 7.2 no server does.
bool server_task_announces(const server_conn *c) {
    return tds_version_is_wide(c->version) && c->bucket->announces[announced_class(c->version)] == announcing::yes;
}

static bool any_version_is(const server_conn *c, announcing wanted) {
    const auto &known = c->bucket->announces;
    return std::find(std::begin(known), std::end(known), wanted) != std::end(known);
}

bool server_task_silent(const server_conn *c) {
    return any_version_is(c, announcing::no);
}

bool server_task_inner_outlives(const server_conn *c) {
    return !any_version_is(c, announcing::yes);
}

// ---- after a client --------------------------------------------------------------------------------------------

static void clean(server_conn *c) {
    c->midway = false;
    bool may_be_open = c->walker.session.in_transaction || !server_task_announces(c);
    server_task_start(c, may_be_open ? server_task::roll_back : server_task::reset,
                      may_be_open ? uint8_t{0} : tds_status_reset);
}

void server_task_recycle(server_conn *c, bool awaiting, uint8_t attentions) {
    if (awaiting || attentions > 0) {
        c->task_attentions = attentions;
        server_task_start(c, server_task::cancel);
        return;
    }
    if (c->pristine && c->settings == c->baseline)
        pools_put(c);
    else
        clean(c);
}

static void cleaned(server_conn *c) {
    c->pristine = true;
    c->settings = c->baseline; // the isolation level too: that was a part of the batch
    sharing_server_reset(c);
    // A reset ends a transaction without saying so.
    c->walker.session.in_transaction = false;
    if (c->client != nullptr)
        attach_go_on(c->client);
    else
        pools_put(c);
}

// ---- end -------------------------------------------------------------------------------------------------------

static void prepared(server_conn *c, server_task task) {
    client_session *s = c->client;
    c->client_resets = false;
    if (s == nullptr) { // it left meanwhile
        clean(c);
        return;
    }
    if (c->task_status & tds_status_resets) {
        sharing_server_reset(c);
        c->pristine = (c->task_status & tds_status_reset) != 0; // else there may be a transaction
    }
    if (task == server_task::prepare && c->settings != s->talk->settings)
        count_replay(c->bucket->tallies, replay_outcome::done);
    c->settings = s->talk->settings;
    c->walker.session.database = c->settings->database;
    c->walker.session.language = c->settings->language;
    c->status_token = 0;
    if (task == server_task::client_reset || c->midway)
        attach_reset_done(s);
    else
        attach_go_on(s);
}

static void read_rows(server_conn *c, tds_small_result &result, const tds_small_result *&read) {
    auto rows = std::move(c->task_rows);
    bool good = rows && tds_small_result_read(*rows, c->walker.options, c->version, task_rows_max, result);
    read = good ? &result : nullptr;
}

static void kept(server_conn *c) {
    tds_small_result result;
    const tds_small_result *read = nullptr;
    read_rows(c, result, read);
    c->check_due = false;
    values_kept(c, c->client, read);
    if (c->client != nullptr)
        return attach_go_on(c->client);
    if (const char *why = c->retire; why != nullptr)
        return server_close(c, why);
    pools_put(c);
}

static void tried(server_conn *c) {
    tds_small_result result;
    const tds_small_result *read = nullptr;
    read_rows(c, result, read);
    values_tried(c, c->task_failed ? nullptr : read);
    server_auth_ready(c);
}

static void asked(server_conn *c, server_task task) {
    tds_small_result result;
    const tds_small_result *read = nullptr;
    if (c->client == nullptr) { // it left meanwhile
        clean(c);
        return;
    }
    read_rows(c, result, read);
    client_session *s = c->client;
    if (task == server_task::unprepare || task == server_task::make)
        return sharing_tidied(s, task, c->task_failed ? nullptr : read);
    sharing_asked(s, c->task_failed ? nullptr : read);
    exchange_settled(s);
}

static void put_off(server_conn *c) {
    client_session *s = c->client;
    if (s == nullptr) // it left meanwhile
        return clean(c);
    if (!begin_put_off(s))
        return task_failed(c, "the transaction has not ended", false);
    server_move(c, server_state::serving);
    sharing_settle(s);
    exchange_settled(s);
}

static void ended_well(server_conn *c, server_task task) {
    switch (task) {
    case server_task::capability: {
        bool yes = c->walker.message.transaction_seen;
        c->bucket->announces[announced_class(c->version)] = yes ? announcing::yes : announcing::no;
        log_info(yes ? "server announces transactions" : "server does not announce transactions begun in SQL text",
                 {{"bucket", c->bucket->core.id}, {"server", c->id}});
        if (!yes && sharing_mode(c->bucket) && c->bucket->conf->keep_last_values)
            return server_task_start(c, server_task::identity);
        return server_auth_ready(c);
    }
    case server_task::identity: return tried(c);
    case server_task::check:
        if (c->purpose == server_purpose::probe)
            return probe_done(c);
        c->check_due = false;
        c->status_token = 0;
        if (c->client == nullptr)
            return pools_put(c);
        return attach_go_on(c->client);
    case server_task::keep: return kept(c);
    case server_task::ask:
    case server_task::procedure:
    case server_task::unprepare:
    case server_task::make: return asked(c, task);
    case server_task::prepare:
    case server_task::client_reset:
        if ((c->task_status & tds_status_resets) && !c->walker.message.reset_seen)
            return task_failed(c, "the server did not acknowledge the reset", false);
        return prepared(c, task);
    case server_task::begin:
        if (c->client == nullptr) // it left meanwhile
            return clean(c);
        c->status_token = 0;
        if (!begin_done(c->client))
            return task_failed(c, "no transaction has begun", false);
        return c->midway ? attach_reset_done(c->client) : attach_go_on(c->client);
    case server_task::put_off: return put_off(c);
    case server_task::cancel: return clean(c);
    case server_task::roll_back:
        if (c->client != nullptr && c->client_resets)
            return server_task_start(c, server_task::client_reset, c->client_reset_bits);
        return server_task_start(c, server_task::reset, tds_status_reset);
    case server_task::reset:
        if (!c->walker.message.reset_seen && tds_version_is_wide(c->version))
            return task_failed(c, "the server did not acknowledge the reset", false);
        return cleaned(c);
    case server_task::none: break;
    }
}

static void task_failed(server_conn *c, const char *why, bool gone) {
    log_warn("server connection given up", {{"bucket", c->bucket->core.id},
                                            {"server", c->id},
                                            {"pool", pools_label(c->member.pool)},
                                            {"task", task_name(c->task)},
                                            {"reason", why},
                                            {"number", c->task_error}});
    server_task task = c->task;
    c->task = server_task::none;
    c->deadline = 0;
    if (task == server_task::reset)
        pools_reset_failed(c);
    if (c->purpose == server_purpose::probe)
        return probe_failed(c, why);
    if (client_session *s = c->client; s != nullptr)
        return attach_task_failed(s, task, why, c->task_error, gone);
    if (gone)
        server_gone(c, why);
    else
        server_close(c, why);
}

void server_task_overdue(server_conn *c) {
    task_failed(c, "no answer in time", false);
}

// The transaction that the batch named is no more: a text has ended it, and the server has not said so.
static bool named_a_dead_transaction(const server_conn *c) {
    static constexpr int32_t cannot_resume = 3971, not_allowed_to_start = 3989;
    return c->task_failed && c->walker.session.in_transaction &&
           (c->task_error == cannot_resume || c->task_error == not_allowed_to_start);
}

static void task_ended(server_conn *c) {
    server_task task = c->task;
    if (named_a_dead_transaction(c)) {
        c->walker.session.in_transaction = false;
        if (c->client != nullptr || task == server_task::roll_back)
            return server_task_start(c, task, c->task_status);
    }
    if (c->task_failed && task == server_task::prepare && c->client != nullptr) {
        // The connection is sound, only that database or language is not for this login.
        c->task = server_task::none;
        attach_task_failed(c->client, task, "refused", c->task_error, false);
        return;
    }
    if (c->task_failed && asks(task)) { // the connection is sound, and what it was asked stays unknown
        c->task = server_task::none;
        c->deadline = 0;
        return ended_well(c, task);
    }
    if (c->task_failed && task != server_task::cancel) {
        task_failed(c, "the server answered with an error", false);
        return;
    }
    c->task = server_task::none;
    c->deadline = 0;
    ended_well(c, task);
}

// A message has come to its end: true when it was the task's last.
static bool message_over(server_conn *c) {
    const tds_walk_message &m = c->walker.message;
    if (c->task == server_task::cancel) {
        c->task_attentions =
            static_cast<uint8_t>(c->task_attentions - std::min<uint32_t>(m.attentions, c->task_attentions));
        return c->task_attentions == 0;
    }
    if (m.errors > 0) {
        c->task_failed = true;
        c->task_error = m.first_error;
    }
    return true;
}

// The answer is kept for tasks that ask. False: there is too much of it.
static bool keep_rows(server_conn *c, std::span<const uint8_t> tokens) {
    if (!c->task_rows)
        return true;
    if (c->task_rows->size() + tokens.size() > task_rows_max)
        return false;
    c->task_rows->insert(c->task_rows->end(), tokens.begin(), tokens.end());
    return true;
}

// Reads tokens and drops them. False when the task has failed by it; `ended` when its last message did.
static bool take_piece(server_conn *c, const tds_piece &piece, bool &ended) {
    std::span<const uint8_t> payload = piece.payload, dropped;
    while (!payload.empty()) {
        if (tds_walk(c->walker, payload, dropped) != tds_walk_result::ok) {
            task_failed(c, tds_walk_error_text(c->walker.error), false);
            return false;
        }
        if (!keep_rows(c, dropped))
            c->task_failed = true;
    }
    if (!piece.ends)
        return true;
    if (tds_walk_end(c->walker) != tds_walk_result::ok) {
        task_failed(c, tds_walk_error_text(c->walker.error), false);
        return false;
    }
    ended = message_over(c);
    return true;
}

static void task_read(server_conn *c) {
    ssize_t n = stream_recv(&c->conn, c->root->scratch.in, c->root->scratch.cipher);
    if (n == net_again)
        return;
    if (n <= 0)
        return task_failed(c, n == 0 ? "closed by the server" : strerror(static_cast<int>(-n)), n != -EPROTO);
    count_bytes(c->bucket->tallies, packet_direction::server_to_proxy, static_cast<size_t>(n));
    std::span<const uint8_t> in(c->root->scratch.in.data(), static_cast<size_t>(n));
    bool ended = false;
    while (!in.empty() && !ended) {
        tds_piece piece;
        const char *why = "";
        switch (tds_next_piece(c->down, in, c->packet_size, piece, why)) {
        case tds_piece_result::more: return;
        case tds_piece_result::error: return task_failed(c, why, false);
        case tds_piece_result::piece: break;
        }
        if (piece.type != tds_type_response)
            return task_failed(c, "not a response", false);
        if (tds_cursor_packet_over(c->down))
            count_packets(c->bucket, packet_direction::server_to_proxy, piece.type);
        if (!take_piece(c, piece, ended))
            return;
    }
    if (ended && !in.empty())
        return task_failed(c, "bytes behind the answer", false);
    if (ended)
        task_ended(c);
}

void server_task_event(server_conn *c, unsigned events) {
    if (events & net_writable) {
        if (int error = stream_flush(&c->conn); error != 0)
            return task_failed(c, strerror(-error), true);
        net_conn_watch(&c->conn.conn, net_readable | (stream_unsent(&c->conn) > 0 ? net_writable : 0));
    }
    if (events & net_readable)
        task_read(c);
}
