#include "proxy/attach.h"

#include "base/log.h"
#include "proxy/authenticate.h"
#include "proxy/exchange.h"
#include "proxy/link.h"
#include "proxy/pools.h"
#include "proxy/proxy.h"
#include "proxy/server_task.h"
#include "proxy/slots.h"

static bool in_right_state(const server_conn *c, const dialogue &d) {
    return c->member.database == d.database && c->member.language == d.language;
}

static void serve(client_session *s) {
    server_conn *c = s->server;
    c->deadline = 0;
    server_move(c, server_state::serving);
    session_move(s, session_state::active);
    s->deadline = 0;
}

// Checked: whatever else it needs before the request.
static bool prepare_or_serve(client_session *s) {
    if (!in_right_state(s->server, *s->talk)) {
        server_task_start(s->server, server_task::prepare);
        return false;
    }
    serve(s);
    return true;
}

bool attach_with(client_session *s, server_conn *c) {
    uint64_t now = proxy_now(s->root);
    bool paused =
        c->state == server_state::idle && now - c->member.idle_since >= s->root->conf->proxy.health_check_interval;
    link_attach(s, c);
    pools_show(c->bucket);
    c->counted = true;
    session_move(s, session_state::connecting);
    s->deadline = 0;
    if (paused) {
        server_task_start(c, server_task::check);
        return false;
    }
    return prepare_or_serve(s);
}

static bool try_attach(client_session *s) {
    proxy *root = s->root;
    s->need = session_need::request;
    bool full = s->bucket->core.full || s->bucket->core.used >= s->bucket->core.max;
    server_conn *c = nullptr;
    if (coord_allowed(root->coordinator) && slots_first_client(s->bucket) == nullptr)
        c = pools_take_idle(s, full ? pool_match::any : pool_match::equal);
    if (c != nullptr) {
        slots_count(s->bucket, slot_outcome::acquired);
        return attach_with(s, c);
    }
    session_request_slot(s);
    return false;
}

bool attach_request(client_session *s) {
    s->talk->attach_until = proxy_now(s->root) + s->bucket->conf->connection_timeout;
    return try_attach(s);
}

void attach_opened(client_session *s) {
    if (prepare_or_serve(s))
        exchange_attached(s);
}

void attach_checked(client_session *s) {
    if (prepare_or_serve(s))
        exchange_attached(s);
}

void attach_prepared(client_session *s) {
    serve(s);
    exchange_attached(s);
}

void attach_refused(client_session *s, const tds_login_answer &answer) {
    server_conn *c = s->server;
    link_detach(s, c);
    server_close(c, "login refused");
    exchange_refuse_request(s, answer);
}

// ---- failure ---------------------------------------------------------------------------------------------------

static void try_another(client_session *s) {
    if (proxy_now(s->root) >= s->talk->attach_until)
        return exchange_fail_request(s, proxy_error::server_lost, "timeout", "no server connection in time");
    if (try_attach(s))
        exchange_attached(s);
}

// The server does not let this login go from database to database: from now on it shares with its like only.
static void stop_sharing(client_session *s, int32_t number) {
    log_info("server refuses to change the database for this login: not shared across databases",
             {{"session", s->id}, {"bucket", s->bucket->core.id}, {"number", number}});
    if (!pools_unshare(s)) {
        exchange_fail_request(s, proxy_error::server_lost, "login",
                              "the database or language of the login was refused");
        return;
    }
    try_another(s);
}

void attach_task_failed(client_session *s, server_task task, const char *why, int32_t number, bool gone) {
    server_conn *c = s->server;
    bool refused = task == server_task::prepare && number != 0 && !gone;
    link_detach(s, c);
    if (refused) {
        if (c->counted)
            slots_count(c->bucket, slot_outcome::released);
        c->counted = false;
        c->pristine = false; // of the batch's two statements one may have had its effect
        server_task_recycle(c, false, 0);
    } else if (gone)
        server_gone(c, why);
    else
        server_close(c, why);
    if (s->need == session_need::login)
        authenticate_server_failed(s, why);
    else if (task == server_task::client_reset)
        exchange_fail_request(s, proxy_error::server_lost, "server_lost", "the session could not be reset");
    else if (refused)
        stop_sharing(s, number);
    else
        try_another(s);
}

void attach_give_back(client_session *s, const char *reason) {
    server_conn *c = s->server;
    link_detach(s, c);
    bool login_of_its_own = s->need == session_need::login && s->state == session_state::connecting;
    if (c->purpose != server_purpose::pooled || login_of_its_own) {
        server_close(c, reason);
        return;
    }
    if (c->counted)
        slots_count(c->bucket, slot_outcome::released);
    c->counted = false;
    if (c->state != server_state::serving)
        return; // it goes to the pool when it has come so far
    const dialogue &d = *s->talk;
    if (d.sending || c->unpoolable)
        server_close(c, reason);
    else
        server_task_recycle(c, d.awaiting, d.attentions);
}
