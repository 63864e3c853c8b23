#include "proxy/sharing_values.h"

#include "base/log.h"
#include "proxy/proxy.h"
#include "proxy/sharing.h"
#include "tds/packet.h"
#include "tds/utf16.h"

bool values_unread(const server_conn *c) {
    return c->home != nullptr && (c->identity_unread || c->status_unread);
}

static const std::optional<std::string> &none() {
    static const std::optional<std::string> nothing;
    return nothing;
}
static const std::optional<std::string> &kept_identity(const client_session *s) {
    const shared_session *sh = s != nullptr ? s->talk->shared : nullptr;
    return sh != nullptr && sh->kept ? sh->kept->identity : none();
}
static const std::optional<std::string> &kept_scope_identity(const client_session *s) {
    const shared_session *sh = s != nullptr ? s->talk->shared : nullptr;
    return sh != nullptr && sh->kept ? sh->kept->scope_identity : none();
}

// The connection's identity values are what this session must find.
static bool identity_fits(const client_session *s, const server_conn *c) {
    return c->identity_token == s->talk->shared->identity_token;
}

// Values that the text names and that no literal can be put in for.
static tsql_last unclear(const shared_session &sh) {
    if (!sh.request)
        return 0;
    tsql_last bits = sh.request->effect.last_unclear;
    if (sh.request->place.kind == tds_text_place::kind_t::none || sh.reader)
        for (const tsql_last_use &use : sh.request->effect.last_uses)
            bits |= use.which;
    return bits;
}

// The request may change the identity, name it where no literal can be put, or keep the connection for others that do,
// as a SELECT does that a transaction begins with; and it can be set on this server.
static bool wants_identity(const client_session *s) {
    const shared_session &sh = *s->talk->shared;
    if (!s->bucket->conf->keep_last_values || s->bucket->identity_unplaceable)
        return false;
    bool begins = (*s->talk->settings)[tds_option::implicit_transactions] == "ON" || begin_due(s);
    bool only_reads = sh.request && !sh.reader && sh.request->effect.lone_select && !begins;
    return !only_reads || (unclear(sh) & (tsql_last_identity | tsql_last_scope_identity));
}

// No SCOPE_IDENTITY() needs no setting where there is none: as in a new session, which a reset makes it.
static bool placeable(const client_session *s, const server_conn *c) {
    return !s->bucket->scope_unplaceable || kept_scope_identity(s) || c->identity_token == 0;
}

bool values_foreign(const client_session *s, const server_conn *c) {
    return !identity_fits(s, c) && wants_identity(s) && placeable(s, c);
}

bool values_lost_by_reset(const client_session *s) {
    return (kept_identity(s) || kept_scope_identity(s)) && wants_identity(s);
}

bool values_need_reset(const client_session *s, const server_conn *c) {
    return c->identity_token != 0 && !identity_fits(s, c) && wants_identity(s) && !placeable(s, c);
}

// An insert into a table variable, by this session, at the level of the batch or below it: that is where SCOPE_IDENTITY
// looks.
static std::string insert_of(const char *table, const std::optional<std::string> &identity) {
    std::string sql = std::string("DECLARE ") + table + " TABLE(i ";
    if (identity)
        return sql + "numeric(38,0) IDENTITY(" + *identity + ",1));INSERT " + table + " DEFAULT VALUES;";
    return sql + "int);INSERT " + table + " VALUES(0);";
}

// With IMPLICIT_TRANSACTIONS ON an insert would begin a transaction.
static std::string place_batch(const server_conn *c, const client_session *next) {
    const auto &identity = kept_identity(next), &scope = kept_scope_identity(next);
    bool implicit = (*c->settings)[tds_option::implicit_transactions] == "ON";
    std::string sql = implicit ? "SET IMPLICIT_TRANSACTIONS OFF;" : "";
    sql += insert_of("@tdsbouncer", scope);
    if (identity != scope)
        sql.append("EXEC('").append(insert_of("@tdsbouncer", identity)).append("');");
    if (implicit)
        sql += "SET IMPLICIT_TRANSACTIONS ON;";
    return sql;
}

static bool places(const server_conn *c, const client_session *next) {
    return next != nullptr && !identity_fits(next, c) && wants_identity(next);
}

std::string values_keep_batch(const server_conn *c, const client_session *next) {
    std::string sql = track_values_select();
    if (!places(c, next))
        return sql;
    sql.append(";").append(place_batch(c, next));
    return sql.append("SELECT CAST(@@IDENTITY AS nvarchar(40)),CAST(SCOPE_IDENTITY() AS nvarchar(40))");
}

// The connection had not its home's identity when that wrote, and has what it had then.
static bool identity_unchanged(const server_conn *c, const last_values &read) {
    return c->identity_blind && c->identity_before == read.identity;
}

bool values_doubtful(const server_conn *c) {
    return c->home != nullptr && c->identity_unread && c->identity_blind;
}

void values_disown(server_conn *c) {
    c->identity_unread = c->identity_blind = false;
    c->identity_token = ++c->root->values_token;
}

void values_store(server_conn *c, const last_values &read) {
    shared_session &sh = *c->home->talk->shared;
    if (!sh.kept)
        sh.kept = std::make_unique<last_values>();
    bool own = c->identity_unread && !identity_unchanged(c, read);
    if (own) {
        sh.kept->identity = read.identity;
        sh.kept->scope_identity = read.scope_identity;
        if (!read.identity && !read.scope_identity) // nothing was inserted that has one
            c->identity_token = sh.identity_token = 0;
    } else if (c->identity_unread &&
               (sh.kept->identity != read.identity || sh.kept->scope_identity != read.scope_identity)) {
        values_disown(c);
    }
    if (c->status_unread) {
        sh.kept->rowcount = read.rowcount;
        sh.kept->error = read.error;
    }
    c->identity_before = read.identity;
}

// Babelfish: then what a write has changed is told by comparing.
static void identity_kept(server_conn *c) {
    if (!c->bucket->identity_unplaceable)
        log_info("last identity values cannot be set on this server: they are told apart by their value",
                 {{"bucket", c->bucket->core.id}, {"server", c->id}});
    c->bucket->identity_unplaceable = true;
}

std::string values_try_batch() {
    return insert_of("@tdsbouncer", "7") +
           "SELECT CAST(@@IDENTITY AS nvarchar(40)),CAST(SCOPE_IDENTITY() AS nvarchar(40))";
}

void values_tried(server_conn *c, const tds_small_result *result) {
    bool read = result != nullptr && result->rows.size() == 1 && result->rows[0].size() == 2;
    if (!read || result->rows[0][0] != "7" || result->rows[0][1] != "7")
        identity_kept(c);
    values_disown(c);
}

static void check_placed(server_conn *c, const client_session *next,
                         const std::vector<std::optional<std::string>> &row) {
    bool identity = row.size() == 2 && row[0] == kept_identity(next);
    if (identity && row[1] == kept_scope_identity(next))
        c->identity_token = next->talk->shared->identity_token;
    else if (identity && !kept_scope_identity(next)) // NULL has left it as it was: for that only a reset is left
        c->bucket->scope_unplaceable = true;
    else
        identity_kept(c);
}

bool values_taken(server_conn *c, const tds_small_result *result) {
    last_values read;
    bool good = result != nullptr && !result->rows.empty() && track_read_values(result->rows.front(), 0, read);
    if (good && values_unread(c)) {
        values_store(c, read);
    } else if (values_unread(c)) {
        c->home->talk->shared->kept.reset();
        if (values_doubtful(c))
            values_disown(c);
    }
    c->identity_unread = c->status_unread = false;
    c->status_token = 0;
    c->identity_before = read.identity;
    return good;
}

void values_kept(server_conn *c, const client_session *next, const tds_small_result *result) {
    bool good = values_taken(c, result);
    sharing_home_free(c);
    bool placed = good && result->rows.size() > 1;
    if (placed || c->task_failed)
        values_disown(c);                  // if it comes to no more
    if (c->task_failed && places(c, next)) // setting them, that is
        identity_kept(c);
    else if (placed && next != nullptr) // nullptr: it has left meanwhile
        check_placed(c, next, result->rows[1]);
}

// ---- in a request's text ---------------------------------------------------------------------------------------

// Of the type that the function has, and nullable as that is: NULLIF of the value and NULL.
static std::string literal(std::string_view value, const char *type) {
    std::string sql = "NULLIF(CAST(";
    sql.append(value).append(" AS ").append(type).append("),CAST(NULL AS ").append(type).append("))");
    return sql;
}

// Babelfish calls a column that has no name after the function.
static std::string named(const tsql_last_use &use, const std::string &value) {
    const char *name = use.which == tsql_last_identity         ? "babelfish_get_last_identity_numeric"
                       : use.which == tsql_last_scope_identity ? "scope_identity"
                       : use.which == tsql_last_error          ? "error"
                       : use.big                               ? "rowcount_big"
                                                               : "rowcount";
    std::string sql = "(SELECT ";
    return sql.append(value).append(" AS [").append(name).append("])");
}

static std::string literal_of(const client_session *s, const tsql_last_use &use) {
    const shared_session &sh = *s->talk->shared;
    std::string_view none = "NULL", zero = "0";
    switch (use.which) {
    case tsql_last_identity: {
        const auto &kept = kept_identity(s);
        return literal(kept ? std::string_view(*kept) : none, "numeric(38,0)");
    }
    case tsql_last_scope_identity: {
        const auto &kept = kept_scope_identity(s);
        return literal(kept ? std::string_view(*kept) : none, "numeric(38,0)");
    }
    case tsql_last_rowcount: return literal(sh.kept ? sh.kept->rowcount : zero, use.big ? "bigint" : "int");
    default: return literal(sh.kept ? sh.kept->error : zero, "int");
    }
}

// A reset that rides on the request comes before it.
static bool value_fits(const client_session *s, const server_conn *c, tsql_last which) {
    if (c->reset_rides)
        return (which & (tsql_last_identity | tsql_last_scope_identity)) && s->talk->shared->identity_token == 0;
    if (which & (tsql_last_identity | tsql_last_scope_identity))
        return identity_fits(s, c);
    return c->status_token != 0 && c->status_token == s->talk->shared->status_token;
}

static std::vector<uint8_t> text_with_values(const client_session *s, std::span<const uint8_t> text) {
    std::vector<uint8_t> out;
    size_t from = 0;
    for (const tsql_last_use &use : s->talk->shared->request->effect.last_uses) {
        size_t at = 2 * static_cast<size_t>(use.at), size = 2 * static_cast<size_t>(use.units);
        if (value_fits(s, s->server, use.which) || at < from || at + size > text.size())
            continue;
        out.insert(out.end(), text.begin() + static_cast<ptrdiff_t>(from), text.begin() + static_cast<ptrdiff_t>(at));
        std::string value = literal_of(s, use);
        if (s->bucket->identity_unplaceable && s->talk->shared->request->effect.lone_select)
            value = named(use, value);
        tds_utf16_append(value, value.size(), out);
        from = at + size;
    }
    if (from > 0)
        out.insert(out.end(), text.begin() + static_cast<ptrdiff_t>(from), text.end());
    return out;
}

bool values_place(client_session *s, std::span<const uint8_t> payload, std::vector<uint8_t> &out) {
    const shared_session &sh = *s->talk->shared;
    const tds_request_info &info = *sh.request;
    if (!s->bucket->conf->keep_last_values || info.effect.last_uses.empty() ||
        info.place.at + info.place.bytes > payload.size())
        return false;
    auto text = text_with_values(s, payload.subspan(info.place.at, info.place.bytes));
    return !text.empty() && tds_request_put_text(payload, info, text, out);
}

// Nobody else gets the home meanwhile: the next request may ask where no literal can be put.
static void hold(client_session *s) {
    if (s->bucket->identity_unplaceable)
        s->talk->shared->held_until = proxy_now(s->root) + s->bucket->conf->last_values_hold;
}

// What the request has done to them.
void values_note(client_session *s, const tds_request_info &info, bool surely) {
    server_conn *c = s->server;
    shared_session &sh = *s->talk->shared;
    const tds_walk_message &m = c->walker.message;
    if (!s->bucket->conf->keep_last_values)
        return;
    if (info.effect.writes || info.broken || info.type == tds_type_bulk) {
        if (c->home != s || !c->identity_unread)
            c->identity_blind = !identity_fits(s, c);
        c->identity_token = sh.identity_token = ++s->root->values_token;
        c->identity_unread = true;
        hold(s);
    }
    bool no_count = info.type == tds_type_transaction || info.effect.no_count;
    bool known = surely && (no_count || (info.effect.lone_select && m.dones_with_count == 1));
    c->status_token = sh.status_token = ++s->root->values_token;
    c->status_unread = !known;
    if (!known)
        return;
    if (!sh.kept)
        sh.kept = std::make_unique<last_values>();
    sh.kept->rowcount = std::to_string(no_count ? 0 : m.last_count);
    sh.kept->error.assign(1, '0');
}
