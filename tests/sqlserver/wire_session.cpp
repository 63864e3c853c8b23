// Messages by phase: PRELOGIN, LOGIN7, requests, attention. Logins and requests run in fibers.
#include "server.h"
#include "wire_host.h"
#include "wire_request.h"

#include <algorithm>
#include <random>

namespace sqlserver {

namespace {

void start_fiber(conn *c, fiber_entry entry) {
    c->fib = fiber_start(entry, c);
    if (c->fib == nullptr)
        conn_close(c, "no memory for a stack");
}

// ---- PRELOGIN -----------------------------------------------------------------------------------------------------

void send_garbage(conn *c) {
    std::random_device random;
    std::string bytes(64, '\0');
    for (char &b : bytes)
        b = static_cast<char>(random());
    out_raw(c, bytes);
    conn_linger(c, "garbage");
}

void begin_handshake(conn *c, prelogin_outcome outcome) {
    c->after_handshake = outcome;
    c->tls = tls_open(c->srv->tls.wrapped);
    c->tr = transport::wrapped;
    c->raw.swap(c->in); // a hasty client's ClientHello
    if (c->tls == nullptr)
        conn_close(c, "no memory for TLS");
}

void on_prelogin(conn *c) {
    server *s = c->srv;
    prelogin asked;
    if (!prelogin_parse(c->message, asked)) {
        conn_close(c, "invalid PRELOGIN");
        return;
    }
    if (s->sw.garbage != 0) {
        send_garbage(c);
        return;
    }
    uint8_t byte = 0;
    prelogin_outcome outcome = prelogin_decide(asked, s->opt.encryption, c->strict, byte);
    out_append(c, prelogin_answer(s->opt.engine.version, byte));
    out_end(c);
    out_flush(c);
    c->ph = phase::login;
    if (outcome == prelogin_outcome::refuse)
        conn_linger(c, "encryption settings do not match");
    else if (s->sw.drop_after_prelogin != 0)
        conn_close(c, "drop-after-prelogin");
    else if (outcome != prelogin_outcome::plain)
        begin_handshake(c, outcome);
}

// ---- login --------------------------------------------------------------------------------------------------------

uint32_t agreed_packet_size(const conn *c, uint32_t asked) {
    uint32_t size = asked == 0 ? 4096 : std::clamp<uint32_t>(asked, 512, packet_max);
    uint32_t max = std::clamp<uint32_t>(c->srv->opt.packet_size_max, 512, packet_max);
    if (c->tr == transport::tls)
        max = std::min<uint32_t>(max, 16383);
    return std::min(size, max);
}

const char *login_error_text(int64_t number) {
    switch (number) {
    case 18452:
        return "Login failed. The login is from an untrusted domain and cannot be used with Integrated authentication.";
    case 17809:
        return "Could not connect because the maximum number of user connections has already been reached. The system "
               "administrator can use sp_configure to increase the maximum value. The connection has been closed.";
    case 18486: return "Login failed because the account is currently locked out.";
    case 18487: return "Login failed. The password of the account has expired.";
    case 18488: return "Login failed. The password of the account must be changed.";
    case 18401: return "Login failed. Server is in script upgrade mode. Only administrator can connect at this time.";
    case 40613: return "Database is not currently available. Please retry the connection later.";
    case 40501: return "The service is currently busy. Retry the request after 10 seconds.";
    default: return "Login failed.";
    }
}

uint8_t login_error_severity(int64_t number) {
    return number == 17809 || number == 40501 ? 20 : number == 4060 ? 11 : number == 40613 ? 17 : 14;
}

// 4060 never comes alone.
void send_login_error(wire_host &h, int64_t error, const login_request &q) {
    auto send = [&](int64_t number, const std::string &text) {
        h.message(static_cast<int32_t>(number), 1, login_error_severity(number), text, "", 1);
    };
    std::string failed = "Login failed for user '" + q.user + "'.";
    if (error == 4060)
        send(4060, "Cannot open database \"" + q.database + "\" requested by the login. The login failed.");
    if (error == 4060 || error == 18456)
        send(18456, failed);
    else
        send(error, login_error_text(error));
}

// The errors that the wire half knows without the engine. 0: none.
int64_t early_login_error(const conn *c) {
    if (!c->admitted)
        return 17809;
    if (c->srv->sw.login_error != 0)
        return c->srv->sw.login_error;
    return c->login->integrated ? 18452 : 0;
}

void login_succeeded(conn *c) {
    const login7 &l = *c->login;
    uint32_t size = agreed_packet_size(c, l.packet_size);
    std::string tail;
    put_login_ack(tail, l.version, c->srv->opt.engine.version);
    put_env_text(tail, env::packet_size, std::to_string(size), "4096");
    if (l.wants_utf8)
        tail.append("\xAE\x0A\x01\x00\x00\x00\x01\xFF", 8); // FEATUREEXTACK: UTF8_SUPPORT
    put_done(tail, c->version, done_kind::done, 0, 0, 0);
    c->spid = session_spid(c->sess);
    out_append(c, tail);
    out_end(c);
    out_flush(c);
    c->packet_size = size; // from the next message on
    c->ph = phase::ready;
    c->srv->stats.logins++;
    c->srv->stats.sessions++;
}

void login_failed(conn *c) {
    std::string done;
    put_done(done, c->version, done_kind::done, done_error, 0, 0);
    out_append(c, done);
    out_end(c);
    out_flush(c);
    c->hang_up = true;
    c->srv->stats.login_failures++;
}

void run_login(conn *c) {
    wire_host h(c, true);
    if (c->srv->sw.delay_login > 0)
        h.wait(static_cast<uint64_t>(c->srv->sw.delay_login));
    int64_t error = early_login_error(c);
    if (error == 17809)
        c->srv->stats.refused++;
    if (error != 0)
        send_login_error(h, error, c->login->request);
    else if (!c->closing)
        c->sess = engine_login(c->srv->eng, c->login->request, h);
    c->login->request.password.clear();
    if (c->sess != nullptr && !c->closing) {
        host_collation(h);
        login_succeeded(c);
    } else if (c->sess != nullptr) {
        c->srv->stats.sessions++; // conn_reap takes it off again
    } else {
        login_failed(c);
    }
}

void on_login(conn *c) {
    if (c->tr == transport::login_only)
        tls_end_login_only(c);
    auto l = std::make_unique<login7>();
    if (!login7_parse(c->message, *l) || l->wants_fedauth) {
        conn_close(c, "invalid LOGIN7");
        return;
    }
    if (c->srv->sw.drop_at_login != 0) {
        conn_close(c, "drop-at-login");
        return;
    }
    c->version = l->tokens;
    l->request.client_address = c->client_address;
    l->request.encrypted = c->tr == transport::tls;
    l->request.packet_size = agreed_packet_size(c, l->packet_size);
    c->login = std::move(l);
    start_fiber(c, [](void *p) { run_login(static_cast<conn *>(p)); });
}

// ---- requests -----------------------------------------------------------------------------------------------------

void send_error(wire_host &h, int32_t number, std::string_view text) {
    h.message(number, 1, 16, text, "", 1);
    h.done(done_kind::done, done_error, 0, 0);
}

void reset_if_asked(conn *c, uint8_t bits, wire_host &h) {
    if ((bits & (status_reset | status_reset_skip_tran)) == 0)
        return;
    c->srv->stats.resets++;
    session_reset(c->sess, (bits & status_reset_skip_tran) != 0, h);
}

void run_batch(conn *c, std::string_view message, uint8_t bits, wire_host &h) {
    std::string sql, error;
    if (!batch_parse(message, c->version, sql, error)) {
        send_error(h, 4002, error);
        return;
    }
    reset_if_asked(c, bits, h);
    session_batch(c->sess, sql, h);
}

void run_rpc(conn *c, std::string_view message, uint8_t bits, wire_host &h) {
    std::vector<rpc_call> calls;
    std::string error;
    if (!rpc_parse(message, c->version, calls, error)) {
        send_error(h, 8009, error);
        return;
    }
    reset_if_asked(c, bits, h);
    bool first = true;
    for (const rpc_call &call : calls) {
        if (call.skip)
            continue;
        if (c->cancelled || c->hang_up)
            break;
        if (!first)
            host_next_rpc(h);
        first = false;
        session_rpc(c->sess, call.name, call.parameters, h);
    }
}

void run_tran(conn *c, std::string_view message, uint8_t bits, wire_host &h) {
    tran_request t;
    std::string error;
    if (!tran_parse(message, c->version, t, error)) {
        send_error(h, 4002, error);
        return;
    }
    reset_if_asked(c, bits, h);
    session_tran(c->sess, t.type, t.isolation, t.name, t.begin_next, t.next_isolation, t.next_name, h);
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
    if (c->cancelled)
        h.dropped = true;
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
    s->stats.requests++;
    c->requests++;
    if (s->sw.drop_request > 0 && s->stats.requests % static_cast<uint64_t>(s->sw.drop_request) == 0)
        c->cut_answer = true;
    c->cancelled = false;
    start_fiber(c, [](void *p) { run_request(static_cast<conn *>(p)); });
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
        send_done(c, done_attn);
    } else if (!request && type != packet::bulk) {
        conn_close(c, "packet type not legal after login");
    } else if ((c->message_status & status_ignore) != 0) {
        send_done(c, done_error);
    } else if (type == packet::bulk) {
        refuse_bulk(c);
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
        on_prelogin(c);
    else if (type == packet::login7 && (c->ph == phase::login || may_skip_prelogin(c)))
        on_login(c);
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
