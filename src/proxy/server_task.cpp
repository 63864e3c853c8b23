#include "proxy/server_conn.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "base/log.h"
#include "proxy/attach.h"
#include "proxy/pools.h"
#include "proxy/probe.h"
#include "proxy/proxy.h"
#include "proxy/server_auth.h"
#include "proxy/server_task.h"
#include "proxy/slots.h"
#include "tds/request_build.h"

static constexpr uint64_t task_timeout = 10'000; // a roll-back or a cancelled request may take its time

static const char *task_name(server_task task) {
    static constexpr const char *names[] = {"none",         "capability", "check",     "prepare",
                                            "client reset", "cancel",     "roll back", "reset"};
    return names[static_cast<size_t>(task)];
}

// ---- SQL -------------------------------------------------------------------------------------------------------

// What takes the session from where it is to `database` and `language`. LANGUAGE changes DATEFORMAT and DATEFIRST, so
// that nothing may follow it that these matter to.
static std::string state_batch(const server_conn *c, const std::string &database, const std::string &language) {
    std::string sql;
    if (c->member.database != database && !database.empty())
        sql.append("USE ").append(tds_quote_name(database)).append(";");
    if (c->member.language != language && !language.empty())
        sql.append("SET LANGUAGE ").append(tds_quote_text(language)).append(";");
    return sql;
}

// Below TDS 7.2 a server does not acknowledge a reset: a temp table made just before shows whether there was one.
static constexpr char proof_of_reset[] = "#tdsbouncer_reset";

static std::string roll_back_batch(const server_conn *c) {
    std::string sql = "IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION";
    if (!tds_version_is_wide(c->version))
        sql.append(";SET IMPLICIT_TRANSACTIONS OFF;CREATE TABLE ").append(proof_of_reset).append(" (i int)");
    return sql;
}

// The bit takes the session back to its login's state, on SQL Server the database too; Babelfish leaves that alone. The
// isolation level survives everywhere.
static std::string reset_batch(const server_conn *c) {
    std::string sql;
    if (!tds_version_is_wide(c->version))
        sql.append("IF OBJECT_ID('tempdb..")
            .append(proof_of_reset)
            .append("') IS NOT NULL RAISERROR('not reset', 16, 1);");
    if (c->walker.session.database != c->database)
        sql.append("USE ").append(tds_quote_name(c->database)).append(";");
    return sql.append("SET TRANSACTION ISOLATION LEVEL READ COMMITTED");
}

static std::string task_batch(const server_conn *c, server_task task) {
    const dialogue *d = c->client != nullptr ? c->client->talk.get() : nullptr;
    switch (task) {
    case server_task::capability: return "BEGIN TRANSACTION;ROLLBACK TRANSACTION";
    // What follows takes @@ROWCOUNT back to 0 and changes nothing: that is the level of every idle connection.
    case server_task::check: return "SELECT 1;SET TRANSACTION ISOLATION LEVEL READ COMMITTED";
    case server_task::prepare: return state_batch(c, d->database, d->language);
    case server_task::client_reset:
        return std::string("USE ")
            .append(tds_quote_name(d->database))
            .append(";SET LANGUAGE ")
            .append(tds_quote_text(d->language));
    case server_task::roll_back: return roll_back_batch(c);
    case server_task::reset: return reset_batch(c);
    case server_task::cancel:
    case server_task::none: break;
    }
    return {};
}

// ---- start -----------------------------------------------------------------------------------------------------

static uint64_t descriptor_of(const server_conn *c) {
    uint64_t descriptor = 0;
    if (c->walker.session.in_transaction)
        memcpy(&descriptor, c->walker.session.descriptor, sizeof descriptor);
    return descriptor;
}

static void task_failed(server_conn *c, const char *why, bool gone);

// A client that waits for it waits no longer than for a new connection.
static uint64_t time_for(const server_conn *c, server_task task) {
    bool before_a_client = task == server_task::check || task == server_task::prepare;
    return before_a_client ? std::min(task_timeout, c->bucket->conf->connection_timeout) : task_timeout;
}

void server_task_start(server_conn *c, server_task task, uint8_t status) {
    std::vector<uint8_t> out;
    if (status & tds_status_reset) // ends the transaction before the batch runs, which must not name it (3989)
        c->walker.session.in_transaction = false;
    if (task == server_task::cancel) {
        if (c->task_attentions == 0) {
            tds_put_attention(out);
            c->task_attentions = 1;
            counter_add(packet_counter(c->bucket, packet_direction::proxy_to_server, tds_type_attention));
        }
    } else {
        tds_put_batch(out, c->version, task_batch(c, task), descriptor_of(c), c->packet_size, status);
    }
    c->task = task;
    c->task_failed = false;
    c->task_error = 0;
    c->deadline = proxy_now(c->root) + time_for(c, task);
    if (c->state != server_state::working)
        server_move(c, server_state::working);
    if (task != server_task::cancel)
        counter_add(packet_counter(c->bucket, packet_direction::proxy_to_server, tds_type_sql_batch));
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

// Below TDS 7.2 no server does.
static bool announces_transactions(const server_conn *c) {
    return tds_version_is_wide(c->version) && c->bucket->announces[announced_class(c->version)] == announcing::yes;
}

// ---- after a client --------------------------------------------------------------------------------------------

static void clean(server_conn *c) {
    bool may_be_open = c->walker.session.in_transaction || !announces_transactions(c);
    server_task_start(c, may_be_open ? server_task::roll_back : server_task::reset,
                      may_be_open ? uint8_t{0} : tds_status_reset);
}

void server_task_recycle(server_conn *c, bool awaiting, uint8_t attentions) {
    if (awaiting || attentions > 0) {
        c->task_attentions = attentions;
        server_task_start(c, server_task::cancel);
        return;
    }
    if (c->pristine && c->member.database == c->database && c->member.language == c->language)
        pools_put(c);
    else
        clean(c);
}

static void cleaned(server_conn *c) {
    c->pristine = true;
    c->member.database = c->database;
    c->member.language = c->language;
    // A reset ends a transaction without saying so.
    c->walker.session.in_transaction = false;
    pools_put(c);
}

// ---- end -------------------------------------------------------------------------------------------------------

static void prepared(server_conn *c) {
    if (c->client == nullptr) { // it left meanwhile
        clean(c);
        return;
    }
    c->member.database = c->client->talk->database;
    c->member.language = c->client->talk->language;
    attach_prepared(c->client);
}

static void ended_well(server_conn *c, server_task task) {
    switch (task) {
    case server_task::capability: {
        bool yes = c->walker.message.transaction_seen;
        c->bucket->announces[announced_class(c->version)] = yes ? announcing::yes : announcing::no;
        log_info(yes ? "server announces transactions" : "server does not announce transactions begun in SQL text",
                 {{"bucket", c->bucket->core.id}, {"server", c->id}});
        return server_auth_ready(c);
    }
    case server_task::check:
        if (c->purpose == server_purpose::probe)
            return probe_done(c);
        if (c->client == nullptr)
            return pools_put(c);
        return attach_checked(c->client);
    case server_task::prepare:
    case server_task::client_reset: return prepared(c);
    case server_task::cancel: return clean(c);
    case server_task::roll_back: return server_task_start(c, server_task::reset, tds_status_reset);
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

static void task_ended(server_conn *c) {
    server_task task = c->task;
    if (c->task_failed && task == server_task::prepare && c->client != nullptr) {
        // The connection is sound, only that database or language is not for this login.
        c->task = server_task::none;
        attach_task_failed(c->client, task, "refused", c->task_error, false);
        return;
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

// Reads tokens and drops them. False when the task has failed by it; `ended` when its last message did.
static bool take_piece(server_conn *c, const tds_piece &piece, bool &ended) {
    std::span<const uint8_t> payload = piece.payload, dropped;
    while (!payload.empty())
        if (tds_walk(c->walker, payload, dropped) != tds_walk_result::ok) {
            task_failed(c, tds_walk_error_text(c->walker.error), false);
            return false;
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
        if (stream_unsent(&c->conn) == 0)
            net_conn_watch(&c->conn.conn, net_readable);
    }
    if (events & net_readable)
        task_read(c);
}
