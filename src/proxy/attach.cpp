#include "proxy/attach.h"

#include <algorithm>

#include "base/log.h"
#include "proxy/authenticate.h"
#include "proxy/deferred_begin.h"
#include "proxy/exchange.h"
#include "proxy/link.h"
#include "proxy/pools.h"
#include "proxy/proxy.h"
#include "proxy/server_task.h"
#include "proxy/sharing.h"
#include "proxy/sharing_values.h"
#include "proxy/slots.h"
#include "tds/login7.h"
#include "tds/packet.h"

static constexpr uint8_t replays_max = 3; // server connections on which a session's settings are tried

// ---- what it needs before the request --------------------------------------------------------------------------

enum class attach_step : uint8_t { serve, check, keep, clean, prepare, begin };

// What a reset leaves: known only where the database is the same before and after it, since Babelfish leaves it alone.
static tds_session_state after_reset(const server_conn *c) {
    tds_session_state state = *c->settings;
    tds_state_reset(state, c->baseline->database, c->baseline->language);
    if (c->walker.session.database != c->baseline->database)
        state.database.clear();
    return state;
}

// An option must go back to a default that nobody knows. Of a connection as it was when it logged in a reset makes no
// other: Babelfish does not tell every login its language, and a client without one would wait for ever.
static bool goes_back(const client_session *s, const server_conn *c) {
    const tds_session_state &from = *c->settings, &to = *s->talk->settings;
    if (c->settings == s->talk->settings || c->settings == c->baseline)
        return false;
    return !tds_state_reachable(from, to) || (server_task_inner_outlives(c) && tds_state_takes_back_order(from, to));
}

// Another client's doings that nobody can name, or an option that goes back.
static bool reset_due(const client_session *s, const server_conn *c) {
    bool another = c->last_client != s->id;
    bool always = s->bucket->conf->server_reset_always && !c->pristine;
    return (another && (c->dirty || (always && sharing(s)))) || (sharing(s) && values_need_reset(s, c)) ||
           goes_back(s, c);
}

static attach_step next_step(const client_session *s, server_conn *c) {
    const dialogue &d = *s->talk;
    bool wide = tds_version_is_wide(c->version);
    bool reset = reset_due(s, c);
    bool begin = begin_due(s); // behind a reset
    c->reset_rides =
        reset && wide && !begin && after_reset(c) == *d.settings && !(sharing(s) && values_lost_by_reset(s));
    bool clean = reset && !wide;
    bool prepare = !clean && !c->reset_rides && (reset || c->settings != d.settings);
    bool ours = c->check_due || clean || prepare || begin;
    bool foreign = !reset && sharing(s) && values_foreign(s, c);
    if (foreign || (values_unread(c) && (c->home != s || ours)))
        return attach_step::keep;
    if (c->check_due)
        return attach_step::check;
    return clean     ? attach_step::clean
           : prepare ? attach_step::prepare
           : begin   ? attach_step::begin
                     : attach_step::serve;
}

std::string attach_prepare_batch(const server_conn *c, bool reset) {
    std::string sql = tds_state_batch(reset ? after_reset(c) : *c->settings, *c->client->talk->settings);
    return sql.empty() ? "DECLARE @tdsbouncer int"
                       : sql; // nothing but a reset, or what the client's login was not told
}

// How it was found, if it was looked for; `to`: it was made ready so.
static void note_found(server_conn *c, attach_how to) {
    if (c->found < attach_how::reset)
        c->found = to;
}

static void count_found(server_conn *c) {
    if (c->reset_rides)
        note_found(c, attach_how::reset);
    if (c->found != attach_how::count_)
        count_attached(c->bucket->tallies, c->found);
    c->found = attach_how::count_;
}

static void serve(client_session *s) {
    server_conn *c = s->server;
    count_found(c);
    c->deadline = 0;
    c->midway = false;
    server_move(c, server_state::serving);
    sharing_take_home(s, c);
    session_move(s, session_state::active);
    s->deadline = 0;
}

static void log_step(const client_session *s, const char *step) {
    log_debug("server connection is made ready", {{"session", s->id}, {"server", s->server->id}, {"step", step}});
}

static bool advance(client_session *s) {
    static constexpr const char *names[] = {"serve", "check", "keep", "clean", "prepare", "begin"};
    server_conn *c = s->server;
    attach_step next = next_step(s, c);
    log_step(s, names[static_cast<size_t>(next)]);
    switch (next) {
    case attach_step::serve: serve(s); return true;
    case attach_step::check: server_task_start(c, server_task::check); break;
    case attach_step::keep: server_task_start(c, server_task::keep); break;
    case attach_step::clean:
        note_found(c, attach_how::reset);
        server_task_start(c, server_task::roll_back);
        break;
    case attach_step::begin: server_task_start(c, server_task::begin); break;
    case attach_step::prepare:
        note_found(c, reset_due(s, c) ? attach_how::reset : attach_how::replayed);
        server_task_start(c, server_task::prepare, reset_due(s, c) ? tds_status_reset : uint8_t{0});
        break;
    }
    return false;
}

bool attach_with(client_session *s, server_conn *c) {
    uint64_t now = proxy_now(s->root);
    c->check_due =
        c->state == server_state::idle && now - c->member.idle_since >= s->root->conf->proxy.health_check_interval;
    link_attach(s, c);
    c->counted = true;
    c->found = attach_how::exact;
    session_move(s, session_state::connecting);
    s->deadline = 0;
    return advance(s);
}

static bool try_attach(client_session *s) {
    proxy *root = s->root;
    s->need = session_need::request;
    if (sharing_home_busy(s)) {
        s->talk->shared->awaits_home = true;
        session_move(s, session_state::connecting);
        s->deadline = 0;
        return false;
    }
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

void attach_again(client_session *s) {
    if (try_attach(s))
        exchange_attached(s);
}

void attach_go_on(client_session *s) {
    if (advance(s))
        exchange_attached(s);
}

void attach_reset_done(client_session *s) {
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
    attach_again(s);
}

void attach_server_busy(client_session *s) {
    server_conn *c = s->server;
    link_detach(s, c);
    server_close(c, "server has too many sessions");
    try_another(s);
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

static bool refuses_database(int32_t number) {
    static constexpr int32_t numbers[] = {911, 916, 40508, 4060, 4063, 922, 927, 942, 945, 2520};
    return std::find(std::begin(numbers), std::end(numbers), number) != std::end(numbers);
}

// Its settings could not be put back there. Elsewhere they may be, but not for ever.
static void replay_elsewhere(client_session *s, int32_t number) {
    shared_session *sh = s->talk->shared;
    if (sh == nullptr || refuses_database(number))
        return stop_sharing(s, number);
    if (++sh->replays_failed < replays_max)
        return try_another(s);
    exchange_fail_request(s, proxy_error::internal, "internal", "the session's settings cannot be put back");
}

void attach_task_failed(client_session *s, server_task task, const char *why, int32_t number, bool gone) {
    server_conn *c = s->server;
    bool refused = task == server_task::prepare && number != 0 && !gone;
    if (s->state == session_state::settling || c->midway)
        return exchange_server_lost(s, why, gone);
    link_detach(s, c);
    if (refused) {
        count_replay(c->bucket->tallies, replay_outcome::refused);
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
        replay_elsewhere(s, number);
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
