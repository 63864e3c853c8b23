// What the console shows of sessions and server connections.
#include "proxy/console/commands.h"
#include "proxy/console/console.h"
#include "proxy/console/session.h"
#include "proxy/pools.h"
#include "proxy/proxy.h"
#include "proxy/sharing.h"
#include "proxy/slots.h"

static uint64_t since(const proxy *root, uint64_t then) {
    uint64_t now = proxy_now(root);
    return now > then ? now - then : 0;
}

// ---- pools -----------------------------------------------------------------------------------------------------

struct pool_wait {
    uint32_t count = 0;
    uint64_t first = 0; // loop ms
};

static pool_wait waiting_for(const proxy_bucket *pb, const server_pool *pool) {
    pool_wait found;
    for (waiter *w = waitq_head(pb->core.queue); w != nullptr; w = list_next(pb->core.queue.waiters, *w)) {
        client_session *s = slots_waiting_for_pool(w);
        if (s == nullptr || s->talk->pool != pool)
            continue;
        if (found.count++ == 0)
            found.first = w->since;
    }
    return found;
}

static void show_pool(console_call &call, const proxy_bucket *pb, const server_pool *pool) {
    pool_wait wait = waiting_for(pb, pool);
    const login_identity *who = pools_login(pool);
    console_row(call);
    console_text(call, pb->core.id);
    console_text(call, pools_label(pool));
    console_text_or_null(call, who != nullptr ? std::string_view(who->user) : std::string_view());
    console_number(call, pool->holders);
    console_number(call, wait.count);
    console_number(call, pool->busy);
    console_number(call, pool->idle.count);
    console_number(call, pool->warming);
    console_number(call, wait.count > 0 ? since(call.root, wait.first) : 0);
}

void console_show_pools(console_call &call) {
    for (proxy_bucket *pb : console_chosen(call))
        for (const server_pool *pool = list_front(pb->pools.by_use); pool != nullptr;
             pool = list_next(pb->pools.by_use, *pool))
            show_pool(call, pb, pool);
}

// ---- clients ---------------------------------------------------------------------------------------------------

static std::string pins_of(const client_session *s) {
    if (!s->talk || s->server == nullptr)
        return "";
    if (s->talk->mars)
        return pin_reason_name(pin_reason::mars);
    if (s->talk->dedicated)
        return pin_reason_name(pin_reason::auth);
    pin_set pins = sharing(s) ? s->talk->shared->pins : pin_set{0};
    std::string all;
    for (size_t i = 0; i < pin_reason_count; ++i)
        if (auto reason = static_cast<pin_reason>(i); pins & pin_bit(reason))
            all.append(all.empty() ? "" : ",").append(pin_reason_name(reason));
    return all;
}

static void show_login(console_call &call, const client_session *s) {
    const login_identity *who = s->talk ? s->talk->who.get() : nullptr;
    const console_session *c = s->console;
    std::string_view user, database, application, host;
    if (who != nullptr) {
        user = who->user;
        database = s->talk->settings ? s->talk->settings->database : who->database;
        application = who->app_name;
        host = who->host_name;
    } else if (c != nullptr) {
        user = c->user;
        database = console_database;
        application = c->application;
        host = c->host;
    }
    for (std::string_view value : {user, database, application, host})
        console_text_or_null(call, value);
}

static void show_times(console_call &call, const client_session *s) {
    const proxy *root = call.root;
    bool waits = s->state == session_state::waiting;
    bool runs = s->talk && s->talk->awaiting && s->talk->request_sent != 0;
    bool settled =
        s->state == session_state::active || s->state == session_state::relaying || s->state == session_state::console;
    console_number_or_null(call, waits, since(root, s->wait.since));
    console_number_or_null(call, runs, runs ? (uv_hrtime() - s->talk->request_sent) / 1'000'000 : 0);
    console_number(call, since(root, s->started));
    console_number_or_null(call, settled && !runs, since(root, s->last_activity));
}

static void show_client(console_call &call, const client_session *s) {
    console_row(call);
    console_number(call, s->id);
    console_number(call, session_spid(s));
    console_text(call, session_state_name(s->state));
    console_text_or_null(call, s->bucket != nullptr ? std::string_view(s->bucket->core.id) : std::string_view());
    show_login(call, s);
    console_text(call, net_address_text(reinterpret_cast<const sockaddr *>(&s->peer)));
    console_text_or_null(call, pins_of(s));
    console_number_or_null(call, s->server != nullptr, s->server != nullptr ? s->server->id : 0);
    show_times(call, s);
    console_number(call, s->up.bytes);
    console_number(call, s->down.bytes);
}

void console_show_clients(console_call &call) {
    for (size_t i = 0; i < static_cast<size_t>(session_state::closing); ++i) {
        const session_list &all = call.root->sessions[i];
        for (const client_session *s = list_front(all); s != nullptr; s = list_next(all, *s))
            if (call.bucket == nullptr || s->bucket == call.bucket)
                show_client(call, s);
    }
}

// ---- servers ---------------------------------------------------------------------------------------------------

static const char *state_name(server_state state) {
    static constexpr const char *names[] = {"connecting", "logging_in", "serving", "working",
                                            "idle",       "closing",    "released"};
    static_assert(std::size(names) == static_cast<size_t>(server_state::count_));
    return names[static_cast<size_t>(state)];
}

static const char *purpose_name(server_purpose purpose) {
    switch (purpose) {
    case server_purpose::passthrough: return "passthrough";
    case server_purpose::probe: return "probe";
    case server_purpose::pooled: return "pooled";
    case server_purpose::dedicated: return "dedicated";
    }
    return "";
}

static const char *version_name(uint32_t version) {
    switch (version) {
    case tds_7_0: return "7.0";
    case tds_7_1:
    case tds_7_1_sp1: return "7.1";
    case tds_7_2: return "7.2";
    case tds_7_3a:
    case tds_7_3b: return "7.3";
    case tds_7_4: return "7.4";
    case tds_8_0: return "8.0";
    default: return "";
    }
}

static void show_server(console_call &call, const server_conn *c) {
    const pool_member &m = c->member;
    bool idle = c->state == server_state::idle;
    console_row(call);
    console_number(call, c->id);
    console_text(call, c->bucket->core.id);
    console_text(call, state_name(c->state));
    console_text(call, purpose_name(c->purpose));
    console_text_or_null(call, c->who ? std::string_view(c->who->user) : std::string_view());
    console_text_or_null(call, c->walker.session.database);
    console_text_or_null(call, pools_label(m.pool));
    console_number_or_null(call, c->client != nullptr, c->client != nullptr ? c->client->id : 0);
    console_text_or_null(call, version_name(c->version));
    console_number_or_null(call, m.pool != nullptr, since(call.root, m.born));
    console_number_or_null(call, idle, since(call.root, m.idle_since));
    console_number(call, c->prepared.known.size());
}

void console_show_servers(console_call &call) {
    for (size_t i = 0; i < static_cast<size_t>(server_state::released); ++i) {
        const server_list &all = call.root->servers[i];
        for (const server_conn *c = list_front(all); c != nullptr; c = list_next(all, *c))
            if (call.bucket == nullptr || c->bucket == call.bucket)
                show_server(call, c);
    }
}

// ---- who waits -------------------------------------------------------------------------------------------------

static const client_session *session_of(const waiter *w) {
    return w->kind == waiter_kind::client
               ? container_of(const_cast<waiter *>(w), client_session, wait) // container_of knows no const
               : nullptr;
}

static const char *wish_of(const waiter *w) {
    if (w->kind != waiter_kind::client)
        return w->kind == waiter_kind::probe ? "probe" : "warm";
    switch (session_of(w)->need) {
    case session_need::passthrough: return "passthrough";
    case session_need::login: return "login";
    case session_need::request: return "request";
    }
    return "";
}

static void show_waiter(console_call &call, const proxy_bucket *pb, const waiter *w, uint64_t place) {
    const client_session *s = session_of(w);
    bool known = s != nullptr && s->talk && s->talk->who;
    uint64_t now = proxy_now(call.root);
    console_row(call);
    console_text(call, pb->core.id);
    console_number(call, place);
    console_number_or_null(call, s != nullptr, s != nullptr ? s->id : 0);
    console_text_or_null(call, known ? std::string_view(s->talk->who->user) : std::string_view());
    console_text(call, wish_of(w));
    console_number(call, since(call.root, w->since));
    console_number(call, w->deadline > now ? w->deadline - now : 0);
}

void console_show_queue(console_call &call) {
    for (const proxy_bucket *pb : console_chosen(call)) {
        uint64_t place = 0;
        for (const waiter *w = waitq_head(pb->core.queue); w != nullptr; w = list_next(pb->core.queue.waiters, *w))
            show_waiter(call, pb, w, ++place);
    }
}
