#include "proxy/refusal.h"

#include <cstring>

#include "base/log.h"
#include "proxy/client_login.h"
#include "proxy/client_session.h"
#include "proxy/proxy.h"
#include "proxy/slots.h"

static tds_tls_policy policy_of(client_tls tls) {
    switch (tls) {
    case client_tls::disable: return tds_tls_policy::disable;
    case client_tls::require: return tds_tls_policy::require;
    case client_tls::allow: break;
    }
    return tds_tls_policy::allow;
}

static client_login_options options_of(const client_session *s) {
    const proxy *root = s->root;
    client_login_options options;
    options.tls = root->tls;
    options.policy = policy_of(root->conf->proxy.tls);
    options.server_version = root->server_version;
    options.spid = static_cast<uint16_t>(s->id % 32767 + 1);
    return options;
}

// Sends what can be sent. False when the session has ended or lingers.
static bool refusal_flush(client_session *s) {
    for (;;) {
        auto output = client_login_output(s->login);
        if (output.empty())
            return true;
        ssize_t n = net_send(&s->client, output);
        if (n == net_again)
            return true;
        if (n < 0) {
            session_client_ended(s, n);
            return false;
        }
        client_login_sent(s->login, static_cast<size_t>(n));
    }
}

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
    net_conn_shutdown(&s->client);
    session_linger(s, "refused");
}

// Some clients lose an answer that comes at once: the deadline becomes the time to answer.
static bool refusal_delayed(client_session *s) {
    unsigned delay = s->answering ? 0 : client_login_answer_delay(s->login);
    if (delay == 0)
        return false;
    s->answering = true;
    s->deadline = proxy_now(s->root) + delay;
    net_conn_watch(&s->client, 0);
    return true;
}

// After any input: answer a login that is ready, send, and go on as far as it has come.
static void refusal_step(client_session *s, client_login_result result) {
    if (result == client_login_result::ready) {
        if (refusal_delayed(s))
            return;
        client_login_answer_error(s->login, s->error, s->detail);
    }
    if (!refusal_flush(s))
        return;
    bool unsent = !client_login_output(s->login).empty();
    if (result != client_login_result::more && !unsent) {
        refusal_finish(s);
        return;
    }
    net_conn_watch(&s->client, unsent ? net_writable : net_readable);
}

static client_login_result feed_all(client_session *s, std::span<const uint8_t> in) {
    client_login_result result = client_login_result::more;
    do {
        size_t consumed = 0;
        result = client_login_feed(s->login, in, &consumed);
        in = in.subspan(consumed);
        if (consumed == 0)
            break;
    } while (result == client_login_result::more && !in.empty());
    return result;
}

void refusal_begin(client_session *s) {
    s->login = client_login_create(options_of(s));
    if (s->login == nullptr) {
        session_close(s, "out of memory");
        return;
    }
    client_login_result result = feed_all(s, iobuf_pending(s->greeting));
    iobuf_wipe(s->greeting);
    refusal_step(s, result);
}

void refusal_event(client_session *s, unsigned events) {
    client_login_result result = client_login_feed(s->login, {}, nullptr);
    // While an answer waits to be sent nothing is read; a broken connection then shows when it is sent.
    if (events & net_readable && client_login_output(s->login).empty()) {
        ssize_t n = net_recv(&s->client, s->root->relays.scratch);
        if (n == net_again)
            return;
        if (n <= 0) {
            session_client_ended(s, n);
            return;
        }
        auto got = std::span(s->root->relays.scratch).first(static_cast<size_t>(n));
        result = feed_all(s, got);
        explicit_bzero(got.data(), got.size()); // it may have held a password
    }
    refusal_step(s, result);
}

bool refusal_deadline(client_session *s) {
    if (!s->answering)
        return false;
    s->answering = false;
    s->deadline = proxy_now(s->root) + s->root->conf->proxy.login_timeout;
    client_login_answer_error(s->login, s->error, s->detail);
    refusal_step(s, client_login_result::closed);
    return true;
}

void refusal_end(client_session *s) {
    client_login_destroy(s->login);
    s->login = nullptr;
}
