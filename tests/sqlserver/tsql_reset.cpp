// RESETCONNECTION: the session back to the state after its own login. MS-TDS 2.2.3.1.2.
//
// The server does the login again, without the password: a login that is gone or disabled by now, or a database that
// is, ends the connection, and so does a session under EXECUTE AS. The isolation level stays, as on every current
// version.
#include "tsql_session.h"
#include "tsql_text.h"

namespace sqlserver {

namespace {

bool refuse(session *s, host &h, int32_t number, const std::string &text) {
    s->eng->counters.resets_failed++;
    h.message(number, 1, 20, text, "", 1);
    h.done(done_kind::done, done_error, 0, 0);
    h.close_connection();
    return false;
}

bool login_again(session *s, host &h) {
    if (!s->impersonation.empty())
        return refuse(s, h, 18059,
                      "The connection has been dropped because the principal that opened it subsequently assumed a new "
                      "security context, and then tried to reset the connection under its impersonated security "
                      "context. This scenario is not supported. See \"Impersonation Overview\" in Books Online.");
    const sql_login *l = login_find(s->eng, s->login.user);
    bool good = l == nullptr ? s->login.proven : !l->disabled;
    if (good && find_database(s, s->login.database) != nullptr && !s->eng->options.fail_reset)
        return true;
    return refuse(s, h, 18056,
                  text_printf("The client was unable to reuse a session with SPID %d, which had been reset for "
                              "connection pooling. The failure ID is 1. This error may have been caused by an earlier "
                              "operation failing. Check the error logs for failed operations immediately before this "
                              "error message.",
                              static_cast<int>(s->spid)));
}

void drop_temps(session *s, host &h) {
    std::vector<std::string> names;
    for (const auto &[name, o] : s->temps)
        names.push_back(name);
    for (const auto &[name, owner] : s->eng->global_owners)
        if (owner == s->spid)
            names.push_back(name);
    for (const std::string &name : names)
        drop_temp(s, name, &h);
}

// Silent: ENVCHANGE 18 says it all.
void roll_back(session *s, host &h) {
    frame f;
    f.s = s;
    f.h = &h;
    bool &announce = s->eng->options.announce_text_transactions;
    bool before = announce;
    announce = false;
    bool open = s->trancount > 0;
    tran_rollback_all(f, true);
    announce = before;
    if (open && s->eng->options.reset_keeps_count) {
        s->trancount = 1;
        s->hollow = true;
    }
}

} // namespace

bool session_reset(session *s, bool keep_tran, host &h) {
    if (!login_again(s, h))
        return false;
    if (!keep_tran)
        roll_back(s, h);
    drop_temps(s, h);
    app_locks_release(s, true, !keep_tran);
    cursors_forget(s);
    s->bulk.reset();
    s->handles.clear();
    s->next_handle = 1;
    bool keeps_context = s->eng->options.reset_keeps_context;
    std::string context_info = keeps_context ? s->options.context_info : s->login_options.context_info;
    s->options = s->login_options;
    s->options.context_info = context_info;
    if (!s->eng->options.reset_keeps_database)
        s->db = s->login.database;
    if (!keeps_context) {
        s->context.clear();
        s->read_only_context.clear();
    }
    s->last_identity.reset();
    s->batch_identity.reset();
    s->identity_insert.clear();
    s->trace_flags.clear();
    s->open_keys.clear();
    s->documents.clear();
    s->next_document = 1;
    s->rowcount = s->last_error = 0;
    h.env_text(env::reset_ack, "", "");
    return true;
}

} // namespace sqlserver
