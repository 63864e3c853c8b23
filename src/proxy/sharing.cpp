#include "proxy/sharing.h"

#include <algorithm>
#include <cstdlib>

#include "base/log.h"
#include "proxy/attach.h"
#include "proxy/exchange.h"
#include "proxy/link.h"
#include "proxy/pools.h"
#include "proxy/prepared_calls.h"
#include "proxy/procedures.h"
#include "proxy/proxy.h"
#include "proxy/router.h"
#include "proxy/server_task.h"
#include "proxy/sharing_values.h"
#include "proxy/slots.h"
#include "tds/packet.h"
#include "tds/tsql_scan.h"

void request_reader_deleter::operator()(tds_request_reader *r) const {
    tds_request_reader_destroy(r);
}
void scanner_deleter::operator()(tsql_scanner *s) const {
    tsql_scanner_destroy(s);
}

shared_session::~shared_session() = default;

bool sharing_mode(const proxy_bucket *pb) {
    return pb->conf->mode == pool_mode::transaction;
}

bool sharing(const client_session *s) {
    return s->talk->shared != nullptr;
}

void sharing_start(client_session *s) {
    if (sharing_mode(s->bucket) && !s->talk->dedicated)
        s->talk->shared = new shared_session;
}

// ---- pins ------------------------------------------------------------------------------------------------------

static const char *request_name(uint8_t type) {
    switch (type) {
    case tds_type_sql_batch: return "batch";
    case tds_type_rpc: return "rpc";
    case tds_type_transaction: return "transaction manager request";
    case tds_type_bulk: return "bulk load";
    default: return "none";
    }
}

static constexpr pin_set held = pin_bit(pin_reason::last_values);

static void pin(client_session *s, pin_reason reason, uint8_t request) {
    shared_session &sh = *s->talk->shared;
    auto n = static_cast<size_t>(reason);
    sh.pinned_at[n] = proxy_now(s->root);
    count_pin(s->bucket, reason);
    log_debug("session pinned", {{"session", s->id},
                                 {"bucket", session_bucket_id(s)},
                                 {"server", s->server->id},
                                 {"reason", pin_reason_name(reason)},
                                 {"request", request_name(request)}});
}

static void unpin(client_session *s, pin_reason reason) {
    shared_session &sh = *s->talk->shared;
    auto n = static_cast<size_t>(reason);
    uint64_t ms = proxy_now(s->root) - sh.pinned_at[n];
    count_unpin(s->bucket, reason, ms);
    log_debug("session unpinned",
              {{"session", s->id}, {"bucket", session_bucket_id(s)}, {"reason", pin_reason_name(reason)}, {"ms", ms}});
}

static void set_pins(client_session *s, pin_set now, uint8_t request) {
    shared_session &sh = *s->talk->shared;
    pin_set changed = sh.pins ^ now;
    for (size_t n = 0; changed != 0 && n < pin_reason_count; ++n) {
        auto reason = static_cast<pin_reason>(n);
        if (!(changed & pin_bit(reason)))
            continue;
        if (now & pin_bit(reason))
            pin(s, reason, request);
        else
            unpin(s, reason);
    }
    if ((sh.pins & ~held) == 0 && (now & ~held) != 0)
        sh.pinned_since = proxy_now(s->root);
    sh.pins = now;
}

static constexpr tsql_state beyond_any_reset = tsql_app_role | tsql_impersonation | tsql_bound_session;

// State that no reset takes back: the connection is not used again. On servers that are silent about transactions
// (Babelfish, at any version) a reset leaves more behind than elsewhere.
static bool beyond_reset(const server_conn *c, const session_track &t) {
    return (track_state(t) & beyond_any_reset) != 0 || (track_state(t) != 0 && server_task_inner_outlives(c));
}

bool sharing_resets_elsewhere(client_session *s) {
    const session_track &t = s->talk->shared->track;
    if (!beyond_reset(s->server, t))
        return false;
    s->server->unpoolable = true;
    return !t.level_unknown || (track_state(t) & beyond_any_reset) != 0;
}

void sharing_unpin(client_session *s) {
    shared_session *sh = s->talk->shared;
    if (sh == nullptr)
        return;
    if (s->server != nullptr && beyond_reset(s->server, sh->track))
        s->server->unpoolable = true;
    set_pins(s, 0, 0);
    sh->held_until = 0;
    sh->track = {};
}

void sharing_end(client_session *s) {
    shared_session *sh = s->talk->shared;
    if (sh == nullptr)
        return;
    sharing_unpin(s);
    sh->awaits_home = false;
    if (sh->home != nullptr)
        sharing_leave_home(sh->home);
    s->talk->shared = nullptr;
    delete sh;
}

// ---- homes ------------------------------------------------------------------------------------------------------

bool sharing_home_busy(const client_session *s) {
    const server_conn *home = sharing(s) ? s->talk->shared->home : nullptr;
    return home != nullptr && home->client != s && home->state == server_state::working && values_unread(home);
}

void sharing_home_free(server_conn *c) {
    client_session *s = c->home;
    if (s == nullptr || !s->talk->shared->awaits_home)
        return;
    s->talk->shared->awaits_home = false;
    if (s->state == session_state::connecting && s->server == nullptr)
        attach_again(s);
}

void sharing_leave_home(server_conn *c) {
    c->identity_unread = c->status_unread = false;
    sharing_home_free(c);
    if (c->home != nullptr)
        c->home->talk->shared->home = nullptr;
    c->home = nullptr;
}

void sharing_take_home(client_session *s, server_conn *c) {
    shared_session *sh = s->talk->shared;
    if (sh == nullptr || c->home == s)
        return;
    sharing_leave_home(c);
    if (sh->home != nullptr)
        sharing_leave_home(sh->home);
    c->home = s;
    sh->home = c;
}

// ---- the answer ------------------------------------------------------------------------------------------------

static void take_settings(client_session *s) {
    if (s->server->settings != s->talk->settings)
        s->server->settings = s->talk->settings;
}

static void set_settings(client_session *s, tds_session_state &&now) {
    dialogue &d = *s->talk;
    if (now != *d.settings)
        d.settings = settings_intern(s->root->settings, std::move(now));
    take_settings(s);
}

static bool implicit_maybe(const client_session *s, const tds_session_state &now, const session_track &t) {
    auto is_off = [&](const std::string &value) {
        // Never set: off where the login says that it is ODBC's, else as the server is configured.
        return value == "OFF" || (value.empty() && (s->talk->who->flags2 & tds_flags2_odbc));
    };
    return !is_off((*s->talk->settings)[tds_option::implicit_transactions]) ||
           !is_off(now[tds_option::implicit_transactions]) ||
           (t.doubtful & tds_option_bit(tds_option::implicit_transactions));
}

// The client has called sp_reset_connection, and the server has done it.
static void reset_named(client_session *s) {
    server_conn *c = s->server;
    s->talk->shared->track = {};
    s->talk->shared->begun = {};
    sharing_client_reset(s);
    sharing_server_reset(c);
    c->walker.session.in_transaction = false; // it ends without a word
    c->dirty = true;                          // nobody has said what it did
}

// A state is large: it is copied only where it may change.
static void track_answer(client_session *s, const tds_request_info &info, const tds_walk_message &m, track_outcome &o) {
    dialogue &d = *s->talk;
    session_track &track = d.shared->track;
    if (!track_sets(info, m)) {
        o.implicit = !o.announced && implicit_maybe(s, *d.settings, track);
        track_request(track, info, m, o, s->root->scratch.settings);
        return take_settings(s);
    }
    tds_session_state now = *d.settings;
    if (m.database_seen)
        now.database = s->server->walker.session.database;
    if (m.language_seen)
        now.language = s->server->walker.session.language;
    o.implicit = !o.announced && implicit_maybe(s, now, track);
    track_request(track, info, m, o, now);
    set_settings(s, std::move(now));
}

void sharing_answered(client_session *s) {
    dialogue &d = *s->talk;
    server_conn *c = s->server;
    shared_session &sh = *d.shared;
    const tds_walk_message &m = c->walker.message;
    auto info = std::move(sh.request);
    bool reset_by_name = d.reset_named && m.errors == 0;
    sharing_drop_request(s);
    track_outcome outcome;
    outcome.cancelled = d.attentions > 0 || m.attentions > 0 || d.taken_back;
    outcome.announced = server_task_announces(c);
    outcome.in_transaction = c->walker.session.in_transaction;
    outcome.inner_outlives = server_task_inner_outlives(c);
    outcome.unrecoverable = tds_walk_unrecoverable(c->walker.session);
    track_answer(s, *info, m, outcome);
    begin_answered(s, m.errors == 0 && !outcome.cancelled);
    if (c->walker.session.enlisted)
        sh.track.state |= tsql_handle;
    values_note(s, *info, m.errors == 0 && !outcome.cancelled);
    pin_set left = track_pins(sh.track) & static_cast<pin_set>(~pin_bit(pin_reason::transaction));
    c->dirty |= info->broken || info->effect.calls || left != 0;
    sh.request_type = info->type;
    sharing_keep_spare(s, std::move(info));
    if (reset_by_name)
        reset_named(s);
}

// ---- procedures

static bool pinned_by_name(const proxy_bucket *pb, const procedure_name &name) {
    for (const std::string &pattern : pb->conf->pin_procedures)
        if (router_fits_pattern(name.name, pattern) || router_fits_pattern(name.schema + "." + name.name, pattern))
            return true;
    return false;
}

// Takes the procedures that are known off the list. False: the first one must be read.
static bool procedures_known(client_session *s) {
    shared_session &sh = *s->talk->shared;
    session_track &t = sh.track;
    proxy_bucket *pb = s->bucket;
    for (size_t i = 0; i < t.procedures.size() && i < procedures_of_one_call; ++i) {
        procedure_name name;
        if (!procedure_name_parse(t.procedures[i], name)) {
            t.state |= tsql_unknown;
            continue;
        }
        if (pinned_by_name(pb, name))
            t.state |= tsql_session_context;
        bool elsewhere = !name.database.empty() && name.database != s->talk->settings->database;
        if (!name.server.empty() || pb->conf->procedures == opaque_procedures::share)
            continue; // on a linked server nothing of this session's
        if (elsewhere || pb->conf->procedures == opaque_procedures::pin) {
            t.state |= tsql_dynamic;
            continue;
        }
        std::string key = procedure_key(s->talk->who->user, s->talk->settings->database, name);
        const procedure_known *known = procedure_find(pb->procedures, key, proxy_now(s->root));
        if (known == nullptr) {
            sh.procedure = std::move(name);
            return false;
        }
        track_procedure(t, known->body);
        for (const std::string &called : known->body.procedures)
            if (std::find(t.procedures.begin(), t.procedures.end(), called) == t.procedures.end())
                t.procedures.push_back(called);
    }
    if (t.procedures.size() > procedures_of_one_call)
        t.state |= tsql_dynamic;
    t.procedures.clear();
    return true;
}

static void read_procedure(client_session *s, const tds_small_result &result) {
    shared_session &sh = *s->talk->shared;
    tsql_effect body;
    std::string schema, definition;
    bool readable = result.rows.size() > 1 && !result.cut && procedure_read(result.rows[1], schema, definition);
    if (readable)
        body = procedure_effect(s->root->scanner, schema, definition);
    else
        body.turned_on = tsql_dynamic; // it may do anything
    log_debug("procedure read", {{"session", s->id},
                                 {"bucket", session_bucket_id(s)},
                                 {"procedure", sh.procedure.name},
                                 {"readable", readable},
                                 {"pins", body.turned_on != 0}});
    std::string key = procedure_key(s->talk->who->user, s->talk->settings->database, sh.procedure);
    procedure_store(s->bucket->procedures, key, std::move(body), proxy_now(s->root));
}

// ---- keep, ask or give back ------------------------------------------------------------------------------------

static void detach(client_session *s) {
    server_conn *c = s->server;
    c->last_client = s->id;
    if (sharing(s))
        begin_over(s);
    link_detach(s, c);
    if (c->counted)
        slots_count(c->bucket, slot_outcome::released);
    c->counted = false;
    pools_put(c);
}

void sharing_give_back(client_session *s) {
    if (sharing(s) && s->server != nullptr)
        detach(s);
}

static bool may_ask(const session_track &t) {
    return !t.bulk_load && !(track_state(t) & tsql_no_execution);
}

void sharing_settle(client_session *s) {
    shared_session &sh = *s->talk->shared;
    session_track &t = sh.track;
    // Babelfish has no DBCC USEROPTIONS either: the error would end the client's transaction where XACT_ABORT is on.
    if (s->bucket->identity_unplaceable)
        (void)track_ask_less(t);
    bool read = !t.procedures.empty() && may_ask(t) && !procedures_known(s);
    if (s->bucket->conf->procedures == opaque_procedures::share)
        t.state &= ~tsql_dynamic;
    if (read || track_asks(t) || (values_doubtful(s->server) && may_ask(t))) {
        sh.asking_procedure = read;
        session_move(s, session_state::settling);
        server_task_start(s->server, read ? server_task::procedure : server_task::ask);
        return;
    }
    pin_set pins = track_pins(t) | (proxy_now(s->root) < sh.held_until ? held : pin_set{0});
    bool put_off = begin_may_be_put_off(s);
    if (put_off || (pins == 0 && prepared_untidy(s->server))) {
        session_move(s, session_state::settling);
        server_task_start(s->server, put_off ? server_task::put_off : server_task::unprepare);
        return;
    }
    if (s->state == session_state::settling)
        session_move(s, session_state::active);
    set_pins(s, pins, sh.request_type);
    if (sh.pins == 0)
        detach(s);
}

bool sharing_only_held(const client_session *s) {
    return sharing(s) && s->state == session_state::active && s->talk->shared->pins == held && !s->talk->awaiting &&
           s->talk->attentions == 0;
}

void sharing_check_hold(client_session *s, uint64_t now) {
    if (sharing_only_held(s) && now >= s->talk->shared->held_until)
        sharing_settle(s);
}

std::string sharing_question(const client_session *s) {
    const shared_session &sh = *s->talk->shared;
    if (!sh.asking_procedure)
        return track_question(sh.track);
    return track_values_select().append(";").append(procedure_question(sh.procedure));
}

void sharing_asked(client_session *s, const tds_small_result *result) {
    shared_session &sh = *s->talk->shared;
    server_conn *c = s->server;
    last_values read;
    tds_session_state now = *s->talk->settings;
    bool good = result != nullptr && !result->rows.empty();
    if (good && sh.asking_procedure) {
        good = track_read_values(result->rows.front(), 0, read);
        read_procedure(s, *result);
    } else if (good) {
        good = track_answers(sh.track, *result, now, read);
        c->walker.session.in_transaction &= sh.track.transaction;
        c->walker.session.database = now.database;
        c->walker.session.language = now.language;
    }
    bool again = !good && result == nullptr && !sh.asking_procedure && track_ask_less(sh.track);
    if (good && s->bucket->conf->keep_last_values) {
        values_store(c, read);
    } else if (!again && values_unread(c)) {
        sh.kept.reset();
        if (values_doubtful(c))
            values_disown(c);
    }
    if (!good && !again) {
        log_warn("the session's state cannot be read: it keeps its server connection",
                 {{"session", s->id}, {"bucket", session_bucket_id(s)}, {"server", c->id}, {"number", c->task_error}});
        track_give_up(sh.track);
    }
    if (good)
        c->identity_unread = c->status_unread = false;
    c->status_token = 0;
    set_settings(s, std::move(now));
    server_move(c, server_state::serving);
    sharing_settle(s);
}

void sharing_tidied(client_session *s, server_task task, const tds_small_result *result) {
    server_conn *c = s->server;
    bool good = values_taken(c, result);
    if (task == server_task::unprepare) {
        prepared_ended(s, good);
    } else {
        bool made = good && result->rows.size() > 1 && result->rows.back().size() == 1 && result->rows.back()[0];
        prepared_made(s, made ? atoi(result->rows.back()[0]->c_str()) : 0);
    }
    if (s->state != session_state::settling)
        return attach_reset_done(s);
    server_move(c, server_state::serving);
    sharing_settle(s);
    exchange_settled(s);
}

// ---- resets ----------------------------------------------------------------------------------------------------

void sharing_client_reset(client_session *s) {
    dialogue &d = *s->talk;
    tds_session_state now = *d.settings;
    tds_state_reset(now, d.login_settings->database, d.login_settings->language);
    d.settings = settings_intern(s->root->settings, std::move(now));
    if (d.shared == nullptr)
        return;
    prepared_reset(s);
    d.shared->kept.reset();
    d.shared->held_until = 0;
    d.shared->identity_token = d.shared->status_token = 0;
    if (server_conn *home = d.shared->home; home != nullptr) {
        home->last_client = 0; // what is left there of it goes, as if it were another client's
        home->identity_unread = home->status_unread = false;
    }
}

void sharing_server_reset(server_conn *c) {
    tds_session_state now = *c->settings;
    tds_state_reset(now, c->baseline->database, c->baseline->language);
    c->settings = settings_intern(c->root->settings, std::move(now));
    c->dirty = false;
    c->pristine = true;
    prepared_clear(c->prepared);
    c->identity_token = c->status_token = 0;
    c->identity_unread = c->status_unread = false;
    c->identity_before.reset();
}
