#include "proxy/refusal.h"

#include "base/log.h"
#include "proxy/client_session.h"
#include "proxy/login_io.h"
#include "proxy/proxy.h"
#include "proxy/slots.h"
#include "tds/packet.h"

// Why a login that the proxy meant to answer ended otherwise.
static void log_end(client_session *s) {
    client_login_error kind = client_login_error_kind(s->login);
    if (kind == client_login_error::answered)
        return;
    slots_count_error(s->root, s->bucket, kind == client_login_error::tls ? "tls" : "protocol");
    log_warn("login ended before its own error could be told",
             {{"session", s->id}, {"error", client_login_error_text(s->login)}});
}

static void refusal_finish(client_session *s) {
    log_end(s);
    net_conn_shutdown(&s->client.conn);
    session_linger(s, "refused");
}

static void answer(client_session *s) {
    if (s->bucket != nullptr && s->bucket->conf->mode != pool_mode::passthrough)
        count_packets(s->bucket, packet_direction::proxy_to_client, tds_type_login7);
    if (s->talk && !s->talk->late_answer.empty())
        client_login_answer_packets(s->login, s->talk->late_answer);
    else
        client_login_answer_error(s->login, s->error, s->detail);
}

// Some clients lose an answer that comes at once: the deadline becomes the time to answer.
static bool refusal_delayed(client_session *s) {
    unsigned delay = s->answering ? 0 : client_login_answer_delay(s->login);
    if (delay == 0)
        return false;
    s->answering = true;
    s->deadline = proxy_now(s->root) + delay;
    net_conn_watch(&s->client.conn, 0);
    return true;
}

// After any input: answer a login that is ready, send, and go on as far as it has come.
static void refusal_step(client_session *s, client_login_result result) {
    if (result == client_login_result::ready) {
        if (refusal_delayed(s))
            return;
        answer(s);
    }
    if (!login_io_flush(s))
        return;
    bool unsent = !client_login_output(s->login).empty();
    if (result != client_login_result::more && !unsent) {
        refusal_finish(s);
        return;
    }
    net_conn_watch(&s->client.conn, unsent ? net_writable : net_readable);
}

void refusal_begin(client_session *s) {
    if (s->login == nullptr && !login_io_begin(s))
        return;
    refusal_step(s, login_io_feed_held(s));
}

void refusal_flush_stream(client_session *s) {
    if (int error = stream_flush(&s->client); error != 0)
        return session_client_ended(s, error);
    if (stream_unsent(&s->client) > 0)
        return net_conn_watch(&s->client.conn, net_writable);
    net_conn_shutdown(&s->client.conn);
    session_linger(s, s->reason);
}

void refusal_event(client_session *s, unsigned events) {
    if (s->login == nullptr)
        return refusal_flush_stream(s);
    client_login_result result = client_login_feed(s->login, {}, nullptr);
    // While an answer waits to be sent nothing is read; a broken connection then shows when it is sent.
    if (events & net_readable && client_login_output(s->login).empty())
        if (!login_io_read(s, result))
            return;
    refusal_step(s, result);
}

bool refusal_deadline(client_session *s) {
    if (!s->answering)
        return false;
    s->answering = false;
    s->deadline = proxy_now(s->root) + s->root->conf->proxy.login_timeout;
    answer(s);
    refusal_step(s, client_login_result::closed);
    return true;
}
