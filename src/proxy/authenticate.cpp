#include "proxy/authenticate.h"

#include <algorithm>
#include <cstring>

#include "base/log.h"
#include "proxy/console/console.h"
#include "proxy/exchange.h"
#include "proxy/link.h"
#include "proxy/login_io.h"
#include "proxy/login_record.h"
#include "proxy/pools.h"
#include "proxy/proxy.h"
#include "proxy/router.h"
#include "proxy/server_auth.h"
#include "proxy/sharing.h"
#include "proxy/slots.h"
#include "tds/login7_build.h"
#include "tds/login_answer.h"
#include "tls/tls_engine.h"

static constexpr uint64_t login_time_per_turn = 5'000'000; // ns: an RSA handshake takes a good part of a millisecond
static constexpr size_t token_max = 128 * 1024;            // a client's SSPI or federated token

std::string_view authenticate_password(const client_session *s) {
    return tds_secret_view(client_login_message(s->login).password);
}

// ---- who it is -------------------------------------------------------------------------------------------------

static std::shared_ptr<const login_identity> identity_of(const tds_login7 &l, std::string &&user) {
    auto who = std::make_shared<login_identity>();
    static_cast<tds_login7_fixed &>(*who) = l;
    who->version = tds_version_known(l.tds_version);
    who->packet_size = l.packet_size;
    who->host_name = l.host_name;
    who->user = std::move(user);
    who->app_name = l.app_name;
    who->library_name = l.library_name;
    who->language = l.language;
    who->database = l.database;
    who->features.assign(l.features.begin(), l.features.end());
    return who;
}

// MARS aside: logins that nobody else can use, or that change something: relayed, and the connection is the session's
// alone.
static bool is_dedicated(const tds_login7 &l) {
    tds_feature f;
    return (l.flags2 & tds_flags2_integrated) || !l.sspi.empty() || (l.flags3 & tds_flags3_change_password) ||
           (l.flags3 & tds_flags3_user_instance) || !l.attach_file.empty() ||
           tds_feature_find(l.features, tds_feature_fedauth, f);
}

// ---- the answer ------------------------------------------------------------------------------------------------

uint16_t authenticate_packet_size(const client_session *s) {
    uint32_t limit = s->root->conf->proxy.client_packet_size_max;
    bool tls = client_login_encryption(s->login) == client_encryption::full ||
               client_login_encryption(s->login) == client_encryption::strict;
    uint32_t legal = tls ? 16383 : tds_packet_size_max;
    limit = limit == 0 ? legal : std::min(limit, legal);
    uint32_t asked = client_login_message(s->login).packet_size;
    uint32_t size = asked == 0 ? uint32_t{tds_initial_packet_size} : asked;
    return static_cast<uint16_t>(std::clamp<uint32_t>(size, 512, limit));
}

// With MARS the server's packets pass as they are.
static uint16_t granted_packet_size(const client_session *s) {
    return s->talk->mars ? s->server->packet_size : authenticate_packet_size(s);
}

// From here on bytes go through the session's stream.
static void to_stream(client_session *s) {
    dialogue &d = *s->talk;
    if (d.stream)
        return;
    d.stream = true;
    d.to_client.spid = session_spid(s);
    stream_set_tls(&s->client, client_login_take_engine(s->login));
}

static void give_answer(client_session *s) {
    dialogue &d = *s->talk;
    std::vector<uint8_t> packets = std::move(d.late_answer);
    to_stream(s);
    d.packet_size = d.to_client.packet_size = granted_packet_size(s);
    login_io_end(s);
    s->deadline = 0;
    s->last_activity = proxy_now(s->root);
    ++s->root->logins;
    session_move(s, session_state::active);
    count_packets(s->bucket, packet_direction::proxy_to_client, tds_type_login7);
    if (exchange_send_client(s, packets))
        exchange_watch(s);
}

void authenticate_answer_now(client_session *s) {
    s->answering = false;
    s->console != nullptr ? console_answer_login(s) : give_answer(s);
}

// Always Encrypted with enclaves: version 2 and later.
static bool wants_enclave(const tds_login_answer &a, const tds_login7 &l) {
    tds_feature asked, acked;
    return tds_feature_find(l.features, tds_feature_column_encryption, asked) &&
           tds_feature_find(a.feature_acks, tds_feature_column_encryption, acked) && !acked.data.empty() &&
           acked.data[0] >= 2;
}

// jTDS loses an answer that comes at once.
static void answer(client_session *s, const tds_login_answer &a) {
    dialogue &d = *s->talk;
    const tds_login7 &l = client_login_message(s->login);
    tds_login_reply reply;
    reply.client_version = l.tds_version;
    reply.packet_size = granted_packet_size(s);
    reply.packet_size_asked = l.packet_size;
    reply.features = l.features;
    reply.spid = session_spid(s);
    tds_login_answer_build(a, reply, d.late_answer);
    tds_session_state state;
    state.database = a.database;
    state.language = a.language;
    d.login_settings = d.settings = settings_intern(s->root->settings, std::move(state));
    d.enclave = wants_enclave(a, l);
    sharing_start(s);
    unsigned delay = client_login_answer_delay(s->login);
    if (delay == 0)
        return give_answer(s);
    s->answering = true;
    s->deadline = proxy_now(s->root) + delay;
    session_move(s, session_state::login);
    net_conn_watch(&s->client.conn, 0);
}

static void log_login(const client_session *s, const char *how) {
    log_debug("session logged in", {{"session", s->id},
                                    {"bucket", session_bucket_id(s)},
                                    {"user", s->talk->who->user},
                                    {"database", s->talk->settings->database},
                                    {"pool", pools_label(s->talk->pool)},
                                    {"by", how}});
}

static void note_login(client_session *s, login_result result) {
    static constexpr const char *names[] = {"record", "real login", "dedicated login"};
    count_login(s->root, s->bucket, result);
    log_login(s, names[static_cast<size_t>(result)]);
}

// ---- dedicated connections -------------------------------------------------------------------------------------

static pin_reason dedicated_for(const client_session *s) {
    return s->talk->mars ? pin_reason::mars : pin_reason::auth;
}

static void pin_dedicated(client_session *s) {
    s->talk->dedicated_since = proxy_now(s->root);
    s->talk->dedicated_pin = true;
    count_pin(s->bucket, dedicated_for(s));
}

void authenticate_unpin(client_session *s) {
    if (!s->talk || !s->talk->dedicated_pin)
        return;
    s->talk->dedicated_pin = false;
    count_unpin(s->bucket, dedicated_for(s), proxy_now(s->root) - s->talk->dedicated_since);
}

// ---- a real login ----------------------------------------------------------------------------------------------

static bool answered_from_record(client_session *s) {
    proxy *root = s->root;
    dialogue &d = *s->talk;
    login_record_key key{s->bucket->core.index, d.who->user, d.who->database, d.who->language, d.pool_key};
    auto a =
        login_record_find(root->records, key, d.password_digest, proxy_now(root), root->conf->proxy.auth_cache_ttl);
    if (!a)
        return false;
    server_pool *pool = pools_obtain(root, s->bucket, d.pool_key, d.who, authenticate_password(s), d.password_digest);
    if (pool == nullptr)
        return false;
    pools_hold(s, pool);
    answer(s, *a);
    note_login(s, login_result::record);
    return true;
}

static void start_real_login(client_session *s) {
    ++s->bucket->logins_running;
    s->talk->checking_password = true;
    s->need = session_need::login;
    session_request_slot(s);
}

// Those whose turn it is: from a record that has been made meanwhile, or by a login of their own. One that ends at once
// comes back here, which must not nest: any number may wait.
static void admit_next(proxy_bucket *pb) {
    if (pb->admitting)
        return;
    pb->admitting = true;
    while (client_session *s = list_front(pb->admission)) {
        if (pb->logins_running >= pb->conf->max_concurrent_logins)
            break;
        list_remove(pb->admission, *s);
        if (s->talk->dedicated || !answered_from_record(s))
            start_real_login(s);
    }
    pb->admitting = false;
}

void authenticate_hand_over(client_session *s, server_conn *c) {
    c->checks_password = s->talk->checking_password;
    s->talk->checking_password = false;
}

void authenticate_connection_done(server_conn *c) {
    if (!c->checks_password)
        return;
    c->checks_password = false;
    --c->bucket->logins_running;
    admit_next(c->bucket);
}

void authenticate_end(client_session *s) {
    if (s->turn.owner == &s->root->deferred)
        list_remove(s->root->deferred, *s);
    if (s->bucket == nullptr)
        return;
    if (s->turn.owner == &s->bucket->admission)
        list_remove(s->bucket->admission, *s);
    if (!s->talk || !s->talk->checking_password)
        return;
    s->talk->checking_password = false;
    --s->bucket->logins_running;
    admit_next(s->bucket);
}

static void queue_for_admission(client_session *s) {
    proxy_bucket *pb = s->bucket;
    uint32_t limit = pb->conf->max_queue_size;
    if (pb->logins_running < pb->conf->max_concurrent_logins && list_empty(pb->admission))
        return start_real_login(s);
    if (limit != 0 && pb->admission.count >= limit)
        return session_slot_denied(s, proxy_error::queue_full, "logins");
    session_move(s, session_state::admission);
    s->deadline = proxy_now(s->root) + pb->conf->queue_timeout;
    list_push_back(pb->admission, *s);
}

void authenticate_server_ready(client_session *s, const std::shared_ptr<const tds_login_answer> &a) {
    server_conn *c = s->server;
    if (s->talk->mars && c->packet_size > authenticate_packet_size(s))
        return authenticate_without_mars(s, "the server's packets are larger than the client's");
    s->talk->dedicated = c->purpose == server_purpose::dedicated;
    server_move(c, server_state::serving);
    if (s->talk->dedicated)
        pin_dedicated(s);
    answer(s, *a);
    note_login(s, s->talk->dedicated ? login_result::dedicated : login_result::server);
    authenticate_connection_done(c);
    sharing_give_back(s);
}

// The server's own errors go to the client as they came.
void authenticate_refused(client_session *s, const tds_login_answer &a) {
    server_conn *c = s->server;
    link_detach(s, c);
    server_close(c, "login refused");
    tds_login_refusal_build(a, client_login_message(s->login).tds_version, session_spid(s), s->talk->late_answer);
    count_login(s->root, s->bucket, login_result::refused);
    session_move(s, session_state::refusing);
    s->deadline = proxy_now(s->root) + s->root->conf->proxy.login_timeout;
    session_answer_refusal(s);
}

void authenticate_server_failed(client_session *s, const char *) {
    session_slot_denied(s, proxy_error::server_lost, "");
}

void authenticate_without_mars(client_session *s, const char *detail) {
    server_conn *c = s->server;
    link_detach(s, c);
    server_close(c, detail);
    session_refuse(s, proxy_error::refused, "protocol", detail);
}

// ---- tokens of a dedicated login -------------------------------------------------------------------------------

void authenticate_token(client_session *s, std::span<const uint8_t> payload) {
    dialogue &d = *s->talk;
    to_stream(s);
    std::vector<uint8_t> packets;
    tds_put_message(packets, tds_type_response, payload, tds_initial_packet_size, session_spid(s));
    count_packets(s->bucket, packet_direction::proxy_to_client, tds_type_login7);
    if (!exchange_send_client(s, packets))
        return;
    if (int error = stream_flush(&s->client); error != 0)
        return session_client_ended(s, error);
    d.token = std::make_unique<tds_message_reader>();
    tds_message_start(*d.token, 0, tds_initial_packet_size, token_max);
    s->deadline = proxy_now(s->root) + s->root->conf->proxy.login_timeout;
    net_conn_watch(&s->client.conn, net_readable | (stream_unsent(&s->client) > 0 ? net_writable : 0));
}

static void token_arrived(client_session *s) {
    auto message = std::move(s->talk->token);
    uint8_t type = message->type;
    if (type != tds_type_sspi && type != tds_type_fedauth)
        return session_protocol_error(s, "a token of the login was expected");
    s->deadline = 0;
    count_packets(s->bucket, packet_direction::client_to_proxy, type, message->packets);
    net_conn_watch(&s->client.conn, net_readable);
    server_auth_send_token(s->server, type, tds_message_payload(*message));
}

static void token_read(client_session *s) {
    ssize_t n = stream_recv(&s->client, s->root->scratch.in, s->root->scratch.cipher);
    if (n == net_again)
        return;
    if (n <= 0)
        return session_client_ended(s, n);
    auto got = std::span(s->root->scratch.in).first(static_cast<size_t>(n));
    size_t consumed = 0;
    tds_read_result result = tds_read_result::error;
    if (s->talk->token)
        result = tds_message_read(*s->talk->token, got, consumed);
    explicit_bzero(got.data(), got.size());
    if (result == tds_read_result::error || consumed != got.size())
        session_protocol_error(s, "bytes that the login does not expect");
    else if (result == tds_read_result::complete)
        token_arrived(s);
}

// ---- the client's side -----------------------------------------------------------------------------------------

static bool too_many_clients(const proxy *root) {
    uint32_t limit = root->conf->proxy.max_client_connections;
    return limit != 0 && proxy_admitted(root) >= limit;
}

// Where it goes and who it is.
static bool choose_bucket(client_session *s) {
    const tds_login7 &l = client_login_message(s->login);
    route_request request;
    request.listener_bucket = s->bucket != nullptr ? proxy_routed_index(s->root, s->bucket) : -1;
    if (s->bucket != nullptr && request.listener_bucket < 0) { // by a reload, while it logged in
        session_refuse(s, proxy_error::no_bucket, "no_bucket", "the bucket has been removed");
        return false;
    }
    request.sni = client_login_server_name(s->login);
    request.login = &l;
    route r = router_route(*s->root->conf, request);
    if (r.bucket < 0) {
        session_refuse(s, r.error, r.error == proxy_error::no_bucket ? "no_bucket" : "protocol", r.reason);
        return false;
    }
    session_choose(s, s->root->routed[static_cast<size_t>(r.bucket)]);
    s->talk = std::make_unique<dialogue>();
    s->talk->who = identity_of(l, std::move(r.user_name));
    if (client_login_mars(s->login))
        s->talk->mars = std::make_unique<mars_streams>();
    s->talk->dedicated = s->talk->mars || is_dedicated(l);
    log_debug("session routed", {{"session", s->id},
                                 {"bucket", session_bucket_id(s)},
                                 {"user", s->talk->who->user},
                                 {"rule", route_rule_name(r.rule)},
                                 {"read_only", r.read_only}});
    return true;
}

static void login_complete(client_session *s) {
    proxy *root = s->root;
    if (root->draining)
        return session_refuse(s, proxy_error::shutdown, "shutdown", "");
    if (console_asked_for(s))
        return console_login(s);
    if (too_many_clients(root))
        return session_refuse(s, proxy_error::queue_full, "queue_full", "max_client_connections");
    if (!choose_bucket(s))
        return;
    login_io_count(s);
    dialogue &d = *s->talk;
    if (!digest_make(root->secret_key, authenticate_password(s), d.password_digest))
        return session_refuse(s, proxy_error::internal, "internal", "out of memory");
    d.pool_key = pools_key(s->bucket, *d.who, d.password_digest);
    net_conn_watch(&s->client.conn, net_readable);
    if (d.dedicated || !answered_from_record(s))
        queue_for_admission(s);
}

static void login_closed(client_session *s) {
    client_login_error kind = client_login_error_kind(s->login);
    slots_count_error(s->root, s->bucket,
                      kind == client_login_error::tls || kind == client_login_error::refused ? "tls" : "protocol");
    count_login(s->root, s->bucket, login_result::failed);
    std::string why(client_login_error_text(s->login));
    if (!client_login_output(s->login).empty()) // an alert or an answer that the socket did not take: best effort
        log_debug("login closed with bytes unsent", {{"session", s->id}});
    log_info("login failed", {{"session", s->id}, {"bucket", session_bucket_id(s)}, {"reason", why}});
    net_conn_shutdown(&s->client.conn);
    session_linger(s, "login failed");
}

static void login_step(client_session *s, client_login_result result) {
    if (!login_io_flush(s))
        return;
    if (result == client_login_result::ready)
        return login_complete(s);
    if (result == client_login_result::closed)
        return login_closed(s);
    bool unsent = !client_login_output(s->login).empty();
    net_conn_watch(&s->client.conn, net_readable | (unsent ? net_writable : 0));
}

// A crowd that logs in at once must not stop the loop: what does not fit into this turn's time waits for the next.
static bool put_off(client_session *s) {
    proxy *root = s->root;
    if (root->login_time < login_time_per_turn)
        return false;
    net_conn_watch(&s->client.conn, 0);
    list_push_back(root->deferred, *s);
    proxy_stay_awake(root);
    return true;
}

static void login_event(client_session *s, unsigned events) {
    if (s->answering || put_off(s))
        return;
    uint64_t begun = uv_hrtime();
    client_login_result result = client_login_result::more;
    if (s->login == nullptr && !login_io_begin(s))
        return;
    if (events & net_readable && !login_io_read(s, result))
        return;
    s->root->login_time += uv_hrtime() - begun;
    login_step(s, result);
}

void authenticate_deferred(proxy *root) {
    root->login_time = 0;
    while (root->login_time < login_time_per_turn) {
        client_session *s = list_pop_front(root->deferred);
        if (s == nullptr)
            return;
        login_event(s, net_readable);
    }
}

// Nothing may come before the login has been answered, but its end; and the alert that jTDS sends when it drops TLS.
static void read_too_early(client_session *s) {
    uint8_t bytes[64];
    ssize_t n = net_recv(&s->client.conn, bytes);
    if (n == net_again)
        return;
    if (n <= 0)
        return session_client_ended(s, n);
    bool alert = bytes[0] == 0x15 && client_login_encryption(s->login) == client_encryption::login_only;
    if (!alert)
        session_protocol_error(s, "bytes before the login was answered");
}

void authenticate_event(client_session *s, unsigned events) {
    if (s->state == session_state::login)
        return login_event(s, events);
    if (!s->talk->stream)
        return read_too_early(s);
    if (events & net_writable && stream_flush(&s->client) != 0)
        return session_client_ended(s, -EPIPE);
    if (events & net_readable)
        token_read(s);
}
