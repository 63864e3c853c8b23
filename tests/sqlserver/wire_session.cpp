// Messages by phase; requests and attention. Requests run in fibers.
#include "server.h"
#include "wire_bulk.h"
#include "wire_host.h"
#include "wire_request.h"

namespace sqlserver {

namespace {

// ---- requests -----------------------------------------------------------------------------------------------------

void send_error(wire_host &h, int32_t number, std::string_view text) {
    h.message(number, 1, 16, text, "", 1);
    h.done(done_kind::done, done_error, 0, 0);
}

// False: the login cannot be done again, the connection ends.
bool reset_session(conn *c, uint8_t bits, wire_host &h) {
    if ((bits & (status_reset | status_reset_skip_tran)) == 0)
        return true;
    c->state_reported = c->state_baseline; // ENVCHANGE 18 says so
    c->state_recoverable.assign(c->state_baseline.size(), true);
    bool skip_tran = (bits & status_reset_skip_tran) != 0;
    c->resets++;
    c->srv->stats.resets++;
    c->srv->stats.resets_skip_tran += skip_tran;
    return session_reset(c->sess, skip_tran, h);
}

// The reset, if there is one, then the look at the transaction: a reset has ended it, which a client that left it open
// does not know (SqlClient's pool). False: the request does not run.
bool prepare_session(conn *c, uint8_t bits, const request_headers &headers, wire_host &h) {
    uint64_t before = session_transaction(c->sess), named = headers.transaction;
    if (!reset_session(c, bits, h))
        return false;
    if (c->version < tds::v72)
        return true;
    bool ended = (bits & status_reset) != 0 && named != 0 && named == before;
    if (ended)
        session_tells_end(named, h);
    return ended || session_resumes(c->sess, named, h);
}

void run_batch(conn *c, std::string_view message, uint8_t bits, wire_host &h) {
    std::string sql, error;
    request_headers headers;
    if (!batch_parse(message, c->version, headers, sql, error)) {
        send_error(h, 4002, error);
        return;
    }
    if (prepare_session(c, bits, headers, h))
        session_batch(c->sess, sql, h);
}

void run_rpc(conn *c, std::string_view message, uint8_t bits, wire_host &h) {
    std::vector<rpc_call> calls;
    std::string error;
    request_headers headers;
    if (!rpc_parse(message, c->version, headers, calls, error)) {
        send_error(h, 8009, error);
        return;
    }
    if (!prepare_session(c, bits, headers, h))
        return;
    bool first = true;
    for (const rpc_call &call : calls) {
        if (call.skip)
            continue;
        if (c->cancelled || c->hang_up)
            break;
        if (!first)
            host_next_rpc(h);
        first = false;
        h.no_metadata = call.no_metadata && c->srv->sw.honour_no_metadata;
        session_rpc(c->sess, call.name, call.parameters, h);
    }
}

void run_tran(conn *c, std::string_view message, uint8_t bits, wire_host &h) {
    tran_request t;
    std::string error;
    request_headers headers;
    if (!tran_parse(message, c->version, headers, t, error)) {
        send_error(h, 4002, error);
        return;
    }
    if (prepare_session(c, bits, headers, h))
        session_tran(c->sess, t.type, t.isolation, t.name, t.begin_next, t.next_isolation, t.next_name, h);
}

void run_bulk(conn *c, std::string_view message, wire_host &h) {
    bulk_reader b(message, c->version);
    if (bulk_columns(b, c->features.column_encryption))
        session_bulk(c->sess, b, h);
    else
        send_error(h, 4022, "Bulk load data was expected but not sent. The batch will be terminated.");
    session_forget_bulk(c->sess);
}

void end_answer(conn *c) {
    out_end(c);
    for (; c->attentions > 0; c->attentions--) { // each in a message of its own
        std::string done;
        put_done(done, c->version, done_kind::done, done_attn, 0, 0);
        out_append(c, done);
        out_end(c);
    }
    out_flush(c);
}

void run_request(conn *c) {
    std::string message;
    message.swap(c->message);
    packet type = static_cast<packet>(c->message_type);
    uint8_t bits = c->message_status;
    wire_host h(c, false);
    if (c->srv->sw.delay_request > 0)
        h.wait(static_cast<uint64_t>(c->srv->sw.delay_request));
    if (type != packet::bulk)
        session_forget_bulk(c->sess);
    if (c->cancelled)
        h.dropped = true;
    else if (type == packet::bulk)
        run_bulk(c, message, h);
    else if (type == packet::batch)
        run_batch(c, message, bits, h);
    else if (type == packet::rpc)
        run_rpc(c, message, bits, h);
    else
        run_tran(c, message, bits, h);
    host_finish(h, type == packet::rpc);
    end_answer(c);
    if (c->message.empty()) {
        message.clear();
        c->message.swap(message); // keeps its memory for the next request
    }
}

void on_request(conn *c) {
    server *s = c->srv;
    auto type = static_cast<packet>(c->message_type);
    if (type == packet::bulk) // the second half of a request
        s->stats.bulk_loads++;
    else
        s->stats.requests++;
    if (type != packet::bulk)
        (type == packet::batch ? s->stats.batches : type == packet::rpc ? s->stats.rpcs : s->stats.tran_requests)++;
    conn *socket = c->carrier != nullptr ? c->carrier : c;
    socket->requests += type != packet::bulk;
    if (s->sw.drop_request > 0 && s->stats.requests % static_cast<uint64_t>(s->sw.drop_request) == 0)
        socket->cut_answer = true;
    c->cancelled = false;
    session_start_fiber(c, [](void *p) { run_request(static_cast<conn *>(p)); });
}

void send_done(conn *c, uint16_t status) {
    std::string done;
    put_done(done, c->version, done_kind::done, status, 0, 0);
    out_append(c, done);
    out_end(c);
    out_flush(c);
}

void refuse_bulk(conn *c) {
    std::string tokens;
    put_message(tokens, c->version, 4022, 1, 16,
                "Bulk load data was expected but not sent. The batch will be terminated.",
                c->srv->opt.engine.server_name, "", 1);
    out_append(c, tokens);
    send_done(c, done_error);
}

void on_ready(conn *c) {
    auto type = static_cast<packet>(c->message_type);
    bool request = type == packet::batch || type == packet::rpc || type == packet::tran;
    if (type == packet::attention) {
        c->srv->stats.attentions++;
        session_forget_bulk(c->sess);
        send_done(c, done_attn);
    } else if (!request && type != packet::bulk) {
        conn_close(c, "packet type not legal after login");
    } else if ((c->message_status & status_ignore) != 0) {
        session_forget_bulk(c->sess);
        send_done(c, done_error);
    } else if (type == packet::bulk && !session_awaits_bulk(c->sess)) {
        c->srv->stats.bulk_loads++;
        refuse_bulk(c);
    } else if (type == packet::bulk) {
        on_request(c);
    } else if ((c->message_status & status_reset) != 0 && (c->message_status & status_reset_skip_tran) != 0) {
        conn_close(c, "both reset bits");
    } else {
        on_request(c);
    }
}

// jTDS sends LOGIN7 at once; SQL Server accepts that where it does not insist on encryption.
bool may_skip_prelogin(const conn *c) {
    encrypt setting = c->srv->opt.encryption;
    return c->ph == phase::prelogin && !c->strict && (setting == encrypt::off || setting == encrypt::none);
}

// The fiber has returned: what is left to do on the loop.
void fiber_done(conn *c) {
    fiber_free(c->fib);
    c->fib = nullptr;
    if (!c->closing)
        c->cancelled = false;
    if (c->hang_up)
        conn_linger(c, c->sess == nullptr ? "login failed" : "severity 20");
}

} // namespace

void session_message(conn *c) {
    auto type = static_cast<packet>(c->message_type);
    if (c->ph == phase::ready)
        on_ready(c);
    else if (c->ph == phase::prelogin && type == packet::prelogin)
        session_prelogin(c);
    else if (type == packet::login7 && (c->ph == phase::login || may_skip_prelogin(c)))
        session_login(c);
    else if (type == packet::sspi && c->ph == phase::sspi)
        session_sspi(c);
    else if (type == packet::fedauth && c->ph == phase::fedauth)
        session_fedauth(c);
    else
        conn_close(c, "message not legal in this phase");
    if (c->fib != nullptr && fiber_finished(c->fib))
        fiber_done(c);
}

void session_attention(conn *c) {
    if (c->ph != phase::ready) {
        conn_close(c, "attention during login");
        return;
    }
    c->srv->stats.attentions++;
    c->attentions++;
    c->cancelled = true;
    session_continue(c);
}

void session_continue(conn *c) {
    if (c->fib == nullptr || c->waits == waiting::nothing)
        return;
    fiber_resume(c->fib);
    if (fiber_finished(c->fib))
        fiber_done(c);
}

} // namespace sqlserver
