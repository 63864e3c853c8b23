#include "proxy/server_auth.h"

#include <cstring>

#include "base/log.h"
#include "proxy/attach.h"
#include "proxy/authenticate.h"
#include "proxy/client_login.h"
#include "proxy/pools.h"
#include "proxy/probe.h"
#include "proxy/proxy.h"
#include "proxy/server_login.h"
#include "proxy/server_task.h"
#include "proxy/sharing.h"
#include "proxy/slots.h"
#include "tds/error_number.h"
#include "tds/login7_build.h"

static constexpr uint8_t logins_lost_max = 3; // tries of a login that the server hangs up on

// ---- begin -----------------------------------------------------------------------------------------------------

static tds_login7_request pooled_request(const login_identity &who) {
    tds_login7_request r;
    static_cast<tds_login7_fixed &>(r) = who;
    r.version = who.version == tds_8_0 ? tds_7_4 : who.version;
    r.host_name = who.host_name;
    r.user_name = who.user;
    r.app_name = who.app_name;
    r.library_name = who.library_name;
    r.language = who.language;
    r.database = who.database;
    return r;
}

static std::string_view password_of(const server_conn *c) {
    if (c->member.pool != nullptr)
        return pools_password(c->member.pool);
    return c->client != nullptr ? authenticate_password(c->client) : std::string_view(c->bucket->conf->password);
}

static bool multiplexes(const server_conn *c) {
    return c->purpose == server_purpose::dedicated && c->client->talk->mars != nullptr;
}

// The server tells then of changes to the session's state, and of state that no session could be given elsewhere.
static void ask_for_session_state(const server_conn *c, std::vector<uint8_t> &features) {
    static constexpr uint8_t session_recovery[] = {tds_feature_session_recovery, 0, 0, 0, 0};
    if (sharing_mode(c->bucket) && c->bucket->conf->session_state)
        features.insert(features.end(), std::begin(session_recovery), std::end(session_recovery));
}

static bool build_login7(const server_conn *c, std::vector<uint8_t> &payload) {
    static constexpr uint8_t dedicated_features[] = {tds_feature_fedauth,
                                                     tds_feature_column_encryption,
                                                     tds_feature_data_classification,
                                                     tds_feature_utf8,
                                                     tds_feature_json,
                                                     tds_feature_vector};
    bool dedicated = c->purpose == server_purpose::dedicated;
    tds_login7_request r =
        dedicated ? tds_login7_request_of(client_login_message(c->client->login)) : pooled_request(*c->who);
    if (!dedicated)
        r.password = password_of(c);
    std::vector<uint8_t> features =
        tds_features_keep(c->who->features, dedicated ? std::span<const uint8_t>(dedicated_features)
                                                      : std::span<const uint8_t>(tds_stream_features));
    if (!dedicated)
        ask_for_session_state(c, features);
    bool strict = c->bucket->conf->tls == server_tls::strict;
    if (strict || r.version == tds_8_0)
        r.version = strict ? tds_8_0 : tds_7_4;
    r.user_name = c->who->user;
    r.server_name = server_target(const_cast<server_conn *>(c))->host;
    r.packet_size = multiplexes(c) ? authenticate_packet_size(c->client) : c->root->conf->proxy.server_packet_size;
    r.features = features;
    return tds_login7_build(r, payload);
}

// `prefer` and a server that has said that it has no TLS, and hung up: the next try does not ask for it.
static server_tls tls_policy(const server_conn *c) {
    server_tls policy = c->bucket->conf->tls;
    return policy == server_tls::prefer && c->bucket->without_tls ? server_tls::disable : policy;
}

static server_login_options options_of(server_conn *c) {
    server_login_options o;
    net_target *target = server_target(c);
    tds_feature fedauth;
    o.tls_policy = tls_policy(c);
    o.tls = c->bucket->server_tls;
    o.host = target->host;
    o.port = target->port;
    o.version = proxy_server_version(c->root, c->bucket);
    o.mars = multiplexes(c);
    o.fedauth_required =
        c->purpose == server_purpose::dedicated && tds_feature_find(c->who->features, tds_feature_fedauth, fedauth);
    return o;
}

static void auth_step(server_conn *c, server_login_result result);

void server_auth_begin(server_conn *c) {
    server_move(c, server_state::logging_in);
    std::vector<uint8_t> payload; // holds the password; server_login overwrites it
    if (build_login7(c, payload))
        c->login = server_login_create(options_of(c), std::move(payload));
    if (c->login == nullptr) {
        server_give_up(c, "internal", "LOGIN7 cannot be built");
        return;
    }
    c->auth_started = proxy_now(c->root);
    counter_add(packet_counter(c->bucket, packet_direction::proxy_to_server, tds_type_prelogin));
    auth_step(c, server_login_result::more);
}

void server_auth_end(server_conn *c) {
    server_login_destroy(c->login);
    c->login = nullptr;
    c->answer.reset();
}

// ---- outcome ---------------------------------------------------------------------------------------------------

static void accepted(server_conn *c);

static bool hung_up_for_want_of_tls(const server_conn *c) {
    return tls_policy(c) == server_tls::prefer && server_login_version(c->login).major != 0 &&
           server_login_encryption(c->login) == server_encryption::none;
}

// The client has had a part of this dialogue: nobody can begin it again.
static bool tokens_relayed(const server_conn *c) {
    return c->purpose == server_purpose::dedicated && c->client != nullptr && c->client->talk->stream;
}

// A server that has answered PRELOGIN is there: it may be this client's LOGIN7 that it hangs up on, which must not
// close the bucket to others.
static void login_lost(server_conn *c, const char *detail) {
    if (hung_up_for_want_of_tls(c)) {
        log_info("server has no TLS: going on without", {{"bucket", c->bucket->core.id}, {"server", c->id}});
        c->bucket->without_tls = true;
        server_try_again(c, true, detail);
        return;
    }
    bool answered = server_login_version(c->login).major != 0;
    if (!answered)
        slots_server_failed(c->root, c->bucket, detail);
    else
        ++c->logins_lost;
    if (c->bucket->core.health == server_health::down || c->logins_lost >= logins_lost_max || tokens_relayed(c)) {
        server_give_up(c, "login", detail);
        return;
    }
    server_try_again(c, false, detail);
}

static void failed(server_conn *c) {
    std::string text(server_login_error_text(c->login));
    server_login_error kind = server_login_error_kind(c->login);
    if (server_login_retry(c->login) && !tokens_relayed(c)) {
        server_try_again(c, false, "login failed");
        return;
    }
    if (c->bucket->without_tls && kind == server_login_error::refused_encryption) {
        c->bucket->without_tls = false; // it has learnt TLS
        server_try_again(c, true, "encryption");
        return;
    }
    if (kind == server_login_error::declined_mars) {
        proxy_learn_version(c->root, c->bucket, server_login_version(c->login));
        proxy_learn_mars(c->bucket, false);
        authenticate_without_mars(c->client, "the server does not grant MARS");
        return;
    }
    bool tls = kind == server_login_error::tls || kind == server_login_error::refused_encryption;
    c->bucket->core.last_error = text;
    server_give_up(c, tls ? "tls" : "protocol", text.c_str());
}

static void follow_route(server_conn *c) {
    const tds_login_routing &to = server_login_answer(c->login).routing;
    if (++c->hops > routing_hops_max || tokens_relayed(c)) {
        server_give_up(c, "login", tokens_relayed(c) ? "routed after its client's tokens" : "routed too often");
        return;
    }
    log_info("server routes to another", {{"bucket", c->bucket->core.id},
                                          {"server", c->id},
                                          {"host", to.host},
                                          {"port", to.port},
                                          {"hop", static_cast<unsigned>(c->hops)}});
    auto target = std::make_unique<net_target>();
    target->host = to.host.substr(0, to.host.find('\\')); // an instance's name says nothing the port does not
    target->port = to.port;
    target->ttl = c->root->conf->proxy.dns_ttl;
    target->on_resolved = c->bucket->target.on_resolved;
    target->user = c->root;
    server_set_route(c, std::move(target));
    server_try_again(c, true, "routed");
}

// Whether the server has said that it has too many workers or sessions, and this connection may be done without: its
// client gets one that is there already.
static bool too_many(server_conn *c, const tds_login_notice *error) {
    if (error == nullptr || tds_error_kind_of(error->number) != tds_error_kind::busy)
        return false;
    slots_server_busy(c->root, c->bucket, error->number);
    bool waits = c->client != nullptr && c->client->need == session_need::request;
    return c->purpose == server_purpose::pooled && (c->client == nullptr || (waits && c->bucket->core.used > 1));
}

static void refused(server_conn *c) {
    bool again = server_login_retry(c->login) && !tokens_relayed(c);
    const tds_login_notice *error = tds_login_answer_error(server_login_answer(c->login));
    log_warn("server refused the login",
             {{"bucket", c->bucket->core.id},
              {"server", c->id},
              {"session", c->client != nullptr ? c->client->id : 0},
              {"number", error != nullptr ? error->number : 0},
              {"error", error != nullptr ? std::string_view(error->text) : "no reason given"},
              {"again", again}});
    if (too_many(c, error)) {
        if (c->client == nullptr)
            pools_warm_failed(c, "server has too many sessions");
        else
            attach_server_busy(c->client);
        return;
    }
    if (again) {
        c->refusal = std::make_shared<const tds_login_answer>(server_login_take_answer(c->login));
        server_try_again(c, false, "transient refusal");
        return;
    }
    if (c->purpose == server_purpose::pooled)
        pools_login_refused(c);
    c->refusal = std::make_shared<const tds_login_answer>(server_login_take_answer(c->login));
    server_auth_refused_for_good(c);
}

void server_auth_refused_for_good(server_conn *c) {
    slots_count_error(c->root, c->bucket, "login");
    auto answer = c->refusal;
    if (c->purpose == server_purpose::probe)
        probe_refused(c);
    else if (c->client == nullptr)
        pools_warm_failed(c, "login refused");
    else if (c->client->need == session_need::login)
        authenticate_refused(c->client, *answer);
    else
        attach_refused(c->client, *answer);
}

// Sends what waits. False when the connection was lost by it.
static bool auth_flush(server_conn *c) {
    for (;;) {
        auto output = server_login_output(c->login);
        if (output.empty())
            return true;
        ssize_t n = net_send(&c->conn.conn, output);
        if (n == net_again)
            return true;
        if (n < 0) {
            login_lost(c, strerror(static_cast<int>(-n)));
            return false;
        }
        server_login_sent(c->login, static_cast<size_t>(n));
    }
}

static void auth_step(server_conn *c, server_login_result result) {
    if (!auth_flush(c))
        return;
    bool unsent = !server_login_output(c->login).empty();
    net_conn_watch(&c->conn.conn, net_readable | (unsent ? net_writable : 0));
    switch (result) {
    case server_login_result::more: return;
    case server_login_result::done:
        if (server_login_answer(c->login).routing.present)
            return follow_route(c);
        return accepted(c);
    case server_login_result::refused: return refused(c);
    case server_login_result::token:
        if (c->purpose != server_purpose::dedicated)
            return server_give_up(c, "login", "the server asks for a token that nobody has");
        c->deadline = 0; // it is the client's turn, which has a time of its own
        return authenticate_token(c->client, server_login_payload(c->login));
    case server_login_result::failed: return failed(c);
    }
}

void server_auth_event(server_conn *c, unsigned events) {
    server_login_result result = server_login_feed(c->login, {}, nullptr);
    if (events & net_readable) {
        ssize_t n = net_recv(&c->conn.conn, c->root->scratch.in);
        if (n == net_again)
            return;
        if (n <= 0) {
            login_lost(c, n == 0 ? "closed during login" : strerror(static_cast<int>(-n)));
            return;
        }
        std::span<const uint8_t> in(c->root->scratch.in.data(), static_cast<size_t>(n));
        size_t consumed = 0;
        do {
            result = server_login_feed(c->login, in, &consumed);
            in = in.subspan(consumed);
        } while (result == server_login_result::more && consumed > 0 && !in.empty());
    } else if (result != server_login_result::more) {
        result = server_login_result::more; // only sending: what came before has been told
    }
    auth_step(c, result);
}

void server_auth_send_token(server_conn *c, uint8_t type, std::span<const uint8_t> payload) {
    c->deadline = proxy_now(c->root) + c->bucket->conf->connection_timeout;
    server_login_send(c->login, type, payload);
    auth_step(c, server_login_feed(c->login, {}, nullptr));
}

// ---- accepted --------------------------------------------------------------------------------------------------

static void start_walker(server_conn *c, const tds_login_answer &answer) {
    tds_walk_options o;
    tds_feature ack;
    o.version = answer.tds_version;
    o.column_encryption = tds_feature_find(answer.feature_acks, tds_feature_column_encryption, ack);
    if (tds_feature_find(answer.feature_acks, tds_feature_data_classification, ack) && !ack.data.empty())
        o.data_classification = ack.data[0];
    o.drop_session_state = true;
    tds_walk_init(c->walker, o);
    c->walker.session.version = answer.tds_version;
    c->walker.session.database = answer.database;
    c->walker.session.language = answer.language;
    tds_session_state state;
    state.database = answer.database;
    state.language = answer.language;
    c->baseline = c->settings = settings_intern(c->root->settings, std::move(state));
    c->version = answer.tds_version;
}

static void accepted(server_conn *c) {
    slots_server_up(c->root, c->bucket, (uv_hrtime() - c->try_started) / 1000);
    proxy_learn_version(c->root, c->bucket, server_login_version(c->login));
    if (multiplexes(c))
        proxy_learn_mars(c->bucket, true);
    c->packet_size = static_cast<uint16_t>(server_login_packet_size(c->login));
    c->to_server.packet_size = c->packet_size;
    stream_set_tls(&c->conn, server_login_take_engine(c->login));
    c->answer = std::make_shared<const tds_login_answer>(server_login_take_answer(c->login));
    if (!c->answer->notices.empty())
        c->bucket->server_name = c->answer->notices.front().server_name;
    server_login_destroy(c->login);
    c->login = nullptr;
    start_walker(c, *c->answer);
    log_debug("server connection logged in", {{"bucket", c->bucket->core.id},
                                              {"server", c->id},
                                              {"database", c->baseline->database},
                                              {"packet_size", static_cast<unsigned>(c->packet_size)},
                                              {"tls", c->conn.tls != nullptr}});
    if (server_task_capability_due(c))
        server_task_start(c, server_task::capability);
    else
        server_auth_ready(c);
}

void server_auth_ready(server_conn *c) {
    c->deadline = 0;
    auto answer = std::move(c->answer);
    if (c->purpose == server_purpose::probe)
        return probe_logged_in(c);
    if (c->purpose == server_purpose::pooled)
        pools_logged_in(c, answer);
    if (c->client == nullptr)
        pools_put(c);
    else if (c->client->need == session_need::login)
        authenticate_server_ready(c->client, answer);
    else
        attach_go_on(c->client);
}
