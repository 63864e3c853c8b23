// The way to a session: PRELOGIN, LOGIN7, SSPI and federated tokens, the login's answer.
//
//      PRELOGIN -> [TLS] -> LOGIN7 -> [SSPI challenge -> 0x11 | FEDAUTHINFO -> 0x08] -> engine_login -> answer
//
// engine_login and all that may wait runs in a fiber.
#include "server.h"
#include "wire_auth.h"
#include "wire_host.h"
#include "wire_login_error.h"

#include <algorithm>
#include <random>

namespace sqlserver {

namespace {

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

} // namespace

void session_prelogin(conn *c) {
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
    s->stats.prelogins++;
    c->mars_asked = asked.wants_mars;
    c->mars = asked.wants_mars && s->sw.mars != 0;
    c->fedauth_required = asked.asks_fedauth && !s->sw.fedauth_token.empty();
    uint8_t byte = 0;
    prelogin_outcome outcome = prelogin_decide(asked, s->opt.encryption, c->strict, byte);
    out_append(c, prelogin_answer(s->opt.engine.version, byte, c->fedauth_required, c->mars));
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

namespace {

uint32_t agreed_packet_size(const conn *c, uint32_t asked) {
    uint32_t size = asked == 0 ? 4096 : std::clamp<uint32_t>(asked, 512, packet_max);
    uint32_t max = std::clamp<uint32_t>(c->srv->opt.packet_size_max, 512, packet_max);
    if (c->tr == transport::tls)
        max = std::min<uint32_t>(max, 16383);
    return std::min(size, max);
}

// The errors that the wire half knows without the engine. 0: none.
int64_t early_login_error(conn *c) {
    server_switches &sw = c->srv->sw;
    if (!c->admitted)
        return 17809;
    if (sw.login_error == 0)
        return c->login_error;
    int64_t error = sw.login_error;
    if (sw.login_error_count > 0 && --sw.login_error_count == 0)
        sw.login_error = 0;
    return error;
}

// SQL Server routes a client below TDS 7.4 only if it has said that it reads.
bool routed(const conn *c) {
    const server_switches &sw = c->srv->sw;
    bool reads = c->login->request.read_only_intent;
    return !sw.route_host.empty() && (reads || (sw.route_read_only == 0 && c->version >= tds::v74));
}

void send_login_ack(conn *c, uint32_t packet_size, bool route) {
    const login7 &l = *c->login;
    const server_switches &sw = c->srv->sw;
    std::string tokens;
    if (!c->auth_blob.empty())
        put_sspi(tokens, c->auth_blob);
    put_login_ack(tokens, l.version, c->srv->opt.engine.version);
    put_env_text(tokens, env::packet_size, std::to_string(packet_size), "4096");
    std::string states;
    put_state_set(states, c->state_baseline);
    tokens += feature_acks(l, sw.feature_acks, states);
    if (route)
        put_env_routing(tokens, sw.route_host, sw.route_port);
    put_done(tokens, c->version, done_kind::done, 0, 0, 0);
    out_append(c, tokens);
    out_end(c);
    out_flush(c);
}

// What the acknowledged features do to this connection from here on.
void take_features(conn *c) {
    const server_switches &sw = c->srv->sw;
    auto has = [&](uint8_t id) { return acks_feature(*c->login, sw.feature_acks, id); };
    stream_features &f = c->features;
    f.column_encryption = has(0x04);
    f.encrypted_column = sw.encrypt_column;
    f.classification = has(0x09) && !sw.classify_column.empty() ? classification_version(*c->login) : uint8_t{0};
    f.classified_column = sw.classify_column;
    f.utf8 = has(0x0A) && sw.utf8_columns != 0;
    c->session_recovery = has(0x01);
    if (!c->session_recovery)
        return;
    bool recoverable = true;
    c->state_reported = c->state_baseline = state_items(c->sess, recoverable);
    c->state_recoverable.assign(c->state_baseline.size(), recoverable);
}

void login_succeeded(conn *c) {
    uint32_t size = agreed_packet_size(c, c->login->packet_size);
    bool route = routed(c);
    c->spid = session_spid(c->sess);
    take_features(c);
    send_login_ack(c, size, route);
    c->auth_blob = {};
    c->packet_size = size; // from the next message on
    c->srv->stats.logins++;
    if (!route) {
        c->ph = phase::ready;
        c->srv->stats.sessions++;
        return;
    }
    c->ph = phase::routed;
    c->srv->stats.routed++;
    session_close(c->sess);
    c->sess = nullptr;
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
    login_request &q = c->login->request;
    int64_t error = early_login_error(c);
    if (error == 17809)
        c->srv->stats.refused++;
    if (error != 0)
        send_login_error(h, error, q);
    else if (!c->closing)
        c->sess = engine_login(c->srv->eng, q, h);
    q.password.clear();
    q.new_password.clear();
    if (c->sess != nullptr && !c->closing) {
        host_collation(h);
        login_succeeded(c);
    } else if (c->sess != nullptr) {
        c->srv->stats.sessions++; // conn_reap takes it off again
    } else {
        login_failed(c);
    }
}

void start_login(conn *c) {
    session_start_fiber(c, [](void *p) { run_login(static_cast<conn *>(p)); });
}

// A message that is one token: the login goes on when the client has answered.
void send_round(conn *c, const std::string &token, phase next) {
    out_append(c, token);
    out_end(c);
    out_flush(c);
    c->ph = next;
}

// ---- integrated security ------------------------------------------------------------------------------------------

void begin_sspi(conn *c) {
    login_request &q = c->login->request;
    if (!sspi_first(c->login->sspi, q.user)) {
        c->login_error = 18452;
        start_login(c);
        return;
    }
    c->auth_blob = sspi_challenge(static_cast<size_t>(c->srv->sw.sspi_nonce));
    c->srv->stats.sspi_rounds++;
    std::string token;
    put_sspi(token, c->auth_blob);
    send_round(c, token, phase::sspi);
}

// ---- federated authentication -------------------------------------------------------------------------------------

void judge_fedauth(conn *c, const std::string &token) {
    login_request &q = c->login->request;
    q.user = c->srv->sw.fedauth_user;
    q.proven = !token.empty() && token == c->srv->sw.fedauth_token;
    c->login_error = q.proven ? 0 : 18456;
    start_login(c);
}

void begin_fedauth(conn *c, const login_feature &feature) {
    fedauth_request asked;
    bool served = !c->srv->sw.fedauth_token.empty() && !c->login->integrated;
    if (!served || !fedauth_parse(feature.data, asked)) {
        conn_close(c, "federated authentication that is not served");
        return;
    }
    if (asked.echo != c->fedauth_required) {
        conn_close(c, "fFedAuthEcho is not what PRELOGIN answered");
        return;
    }
    c->srv->stats.fedauth_rounds++;
    if (asked.library == fedauth_security_token) {
        judge_fedauth(c, asked.token);
        return;
    }
    std::string token;
    put_fedauth_info(token, "https://login.standin.invalid/tenant", "https://database.standin.invalid/");
    send_round(c, token, phase::fedauth);
}

} // namespace

void session_start_fiber(conn *c, fiber_entry entry) {
    c->fib = fiber_start(entry, c);
    if (c->fib == nullptr)
        conn_close(c, "no memory for a stack");
}

void session_login(conn *c) {
    if (c->tr == transport::login_only)
        tls_end_login_only(c);
    auto l = std::make_unique<login7>();
    if (!login7_parse(c->message, *l)) {
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
    if (const login_feature *feature = login_feature_of(*c->login, 0x02); feature != nullptr)
        begin_fedauth(c, *feature);
    else if (c->login->integrated)
        begin_sspi(c);
    else
        start_login(c);
}

void session_sspi(conn *c) {
    login_request &q = c->login->request;
    const sql_login *account = login_find(c->srv->eng, q.user);
    bool keyed = account != nullptr && !account->any_password;
    q.proven = keyed && sspi_reply_fits(c->auth_blob, c->message, account->password);
    c->login_error = q.proven ? 0 : 18456;
    c->auth_blob = q.proven ? sspi_confirmation(c->message, account->password) : "";
    start_login(c);
}

void session_fedauth(conn *c) {
    std::string token;
    if (fedauth_token(c->message, token))
        judge_fedauth(c, token);
    else
        conn_close(c, "invalid federated authentication token message");
}

} // namespace sqlserver
