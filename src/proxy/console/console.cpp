#include "proxy/console/console.h"

#include <ctime>

#include "base/log.h"
#include "proxy/authenticate.h"
#include "proxy/console/session.h"
#include "proxy/exchange.h"
#include "proxy/login_io.h"
#include "proxy/proxy.h"
#include "proxy/slots.h"
#include "tds/login_answer.h"
#include "tds/response.h"
#include "tds/result_build.h"
#include "tls/tls_engine.h"

#include <strings.h>

static constexpr int32_t login_failed = 18456;
static constexpr uint8_t login_failed_severity = 14;

// ---- login -----------------------------------------------------------------------------------------------------

static bool same_name(const std::string &name, std::string_view other) {
    return name.size() == other.size() && strncasecmp(name.c_str(), other.data(), other.size()) == 0;
}

// Looks at both in any case, so that time says nothing of either.
static bool is_login(const tds_login7 &l, const std::string &user, const std::string &password) {
    bool same_user = constant_time_equal(l.user_name, user);
    bool same_password = constant_time_equal(tds_secret_view(l.password), password);
    return same_user && same_password && !user.empty() && !password.empty();
}

// GUI tools list the databases on another connection, to master. One with a user and password of the console is meant
// for it, unless a bucket has a user of this name.
static bool is_for_master(const client_session *s, const tds_login7 &l) {
    const proxy_config &conf = s->root->conf->proxy;
    if (!same_name(l.database, "master"))
        return false;
    for (const auto &pb : s->root->buckets)
        if (!pb->gone && same_name(pb->conf->username, l.user_name))
            return false;
    bool admin = is_login(l, conf.admin_user, conf.admin_password);
    return is_login(l, conf.monitor_user, conf.monitor_password) || admin;
}

bool console_asked_for(const client_session *s) {
    const proxy_config &conf = s->root->conf->proxy;
    bool on = !conf.admin_user.empty() || !conf.monitor_user.empty();
    const tds_login7 &l = client_login_message(s->login);
    return on && (same_name(l.database, console_database) || is_for_master(s, l));
}

static void refuse(client_session *s, std::string_view user) {
    slots_count_error(s->root, nullptr, "login");
    log_warn("console: login failed",
             {{"session", s->id}, {"client", net_address_text(reinterpret_cast<sockaddr *>(&s->peer))}});
    std::string text = "Login failed for user '" + std::string(user) + "'.";
    tds_notice notice;
    notice.number = login_failed;
    notice.severity = login_failed_severity;
    notice.text = text;
    notice.server_name = console_database;
    notice.line = 1;
    s->talk = std::make_unique<dialogue>();
    tds_build_login_error(client_login_message(s->login).tds_version, notice, session_spid(s), s->talk->late_answer);
    session_move(s, session_state::refusing);
    s->deadline = proxy_now(s->root) + s->root->conf->proxy.login_timeout;
    session_answer_refusal(s);
}

static tds_login_notice told(int32_t number, uint8_t about, std::string text) {
    tds_login_notice n;
    n.number = number;
    n.state = 1;
    n.line = 1;
    n.about = about;
    n.text = std::move(text);
    n.server_name = console_database;
    return n;
}

// As SQL Server would say it: FreeTDS goes by the program's name.
static tds_login_answer own_answer(const client_session *s) {
    static constexpr uint8_t collation[] = {0x09, 0x04, 0xd0, 0x00, 0x34};
    tds_login_answer a;
    a.outcome = tds_login_outcome::accepted;
    a.tds_version = tds_7_4;
    a.program.assign("Microsoft SQL Server\0\0", 22);
    a.program_version = proxy_server_version(s->root, s->bucket);
    a.database = s->console->database;
    a.old_database = "master";
    a.language = "us_english";
    a.has_collation = true;
    std::copy(std::begin(collation), std::end(collation), a.collation);
    a.notices.push_back(told(tds_info_database, tds_env_database, "Changed database context to '" + a.database + "'."));
    a.notices.push_back(told(tds_info_language, tds_env_language, "Changed language setting to us_english."));
    return a;
}

static void accept(client_session *s, bool admin) {
    const tds_login7 &l = client_login_message(s->login);
    auto *c = s->console = new console_session;
    c->admin = admin;
    c->user = l.user_name;
    c->host = l.host_name;
    c->application = l.app_name;
    c->database = same_name(l.database, "master") ? std::string("master") : std::string(console_database);
    c->login_database = c->database;
    c->version = tds_version_known(l.tds_version);
    c->packet_size = authenticate_packet_size(s);
    tds_login_reply reply;
    reply.client_version = l.tds_version;
    reply.packet_size = c->packet_size;
    reply.packet_size_asked = l.packet_size;
    reply.features = l.features;
    reply.spid = session_spid(s);
    tds_login_answer_build(own_answer(s), reply, c->login_answer);
    session_choose(s, nullptr); // not the one of the port that it came to
    log_info("console: login", {{"session", s->id},
                                {"client", net_address_text(reinterpret_cast<sockaddr *>(&s->peer))},
                                {"may", admin ? "everything" : "look"}});
}

void console_login(client_session *s) {
    const proxy_config &conf = s->root->conf->proxy;
    const tds_login7 &l = client_login_message(s->login);
    bool admin = is_login(l, conf.admin_user, conf.admin_password);
    bool monitor = is_login(l, conf.monitor_user, conf.monitor_password);
    if (!admin && !monitor)
        return refuse(s, l.user_name);
    if (client_login_mars(s->login))
        return session_refuse(s, proxy_error::refused, "protocol", "the console takes one request at a time");
    accept(s, admin);
    unsigned delay = client_login_answer_delay(s->login);
    if (delay == 0)
        return console_answer_login(s);
    s->answering = true;
    s->deadline = proxy_now(s->root) + delay;
    net_conn_watch(&s->client.conn, 0);
}

// ---- the socket ------------------------------------------------------------------------------------------------

static void watch(client_session *s) {
    if (s->state != session_state::console)
        return;
    const proxy_config &conf = s->root->conf->proxy;
    size_t unsent = stream_unsent(&s->client);
    unsigned events = unsent > 0 ? net_writable : 0;
    // Who does not read its answers gets no others.
    events |= unsent <= conf.buffer_low && iobuf_size(s->in) < conf.buffer_high ? net_readable : net_hangup;
    net_conn_watch(&s->client.conn, events);
}

static bool send(client_session *s, std::span<const uint8_t> packets) {
    s->down.bytes += packets.size();
    return exchange_send_client(s, packets);
}

static bool send_tokens(client_session *s, std::span<const uint8_t> tokens) {
    std::vector<uint8_t> packets;
    tds_put_message(packets, tds_type_response, tokens, s->console->packet_size, session_spid(s));
    return send(s, packets);
}

void console_answer_login(client_session *s) {
    stream_set_tls(&s->client, client_login_take_engine(s->login));
    login_io_end(s);
    s->deadline = 0;
    s->last_activity = proxy_now(s->root);
    session_move(s, session_state::console);
    std::vector<uint8_t> packets = std::move(s->console->login_answer);
    if (send(s, packets))
        watch(s);
}

// ---- messages --------------------------------------------------------------------------------------------------

static bool send_done(client_session *s, uint16_t status) {
    std::vector<uint8_t> tokens;
    tds_put_done(tokens, s->console->version, tds_token_done, status, 0, 0);
    return send_tokens(s, tokens);
}

// A request that waits is taken back: an answer to it, then the acknowledgement.
static bool take_attention(client_session *s) {
    console_session &c = *s->console;
    if (!c.waits_for.empty()) {
        console_undo_pause(s);
        c.late_answer.clear();
        log_info("console: PAUSE cancelled", {{"session", s->id}});
        if (!send_done(s, tds_done_error))
            return false;
    }
    return send_done(s, tds_done_attention);
}

static bool refuse_long(client_session *s) {
    std::vector<uint8_t> tokens;
    console_put_error(s, static_cast<int32_t>(proxy_error::refused), 16, "tdsbouncer: the request is too long", 1,
                      tokens);
    tds_put_done(tokens, s->console->version, tds_token_done, tds_done_error, 0, 0);
    return send_tokens(s, tokens);
}

static bool protocol_error(client_session *s, const char *what) {
    session_protocol_error(s, what);
    return false;
}

// False: the session has ended.
static bool take_message(client_session *s, uint8_t type, uint8_t last_status) {
    console_session &c = *s->console;
    if (type == tds_type_attention)
        return take_attention(s);
    if (!c.waits_for.empty())
        return protocol_error(s, "a request before the last one was answered");
    if (type != tds_type_sql_batch && type != tds_type_rpc && type != tds_type_transaction)
        return protocol_error(s, "not a request");
    if ((c.status & tds_status_resets) == tds_status_resets)
        return protocol_error(s, "both reset bits");
    if (last_status & tds_status_ignore)
        return send_done(s, tds_done_error);
    if (c.too_long)
        return refuse_long(s);
    std::vector<uint8_t> tokens = console_answer(s, type);
    if (c.waits_for.empty())
        return send_tokens(s, tokens);
    c.late_answer = std::move(tokens);
    return true;
}

static bool take_piece(client_session *s, const tds_piece &piece) {
    console_session &c = *s->console;
    if (piece.begins) {
        c.message.clear();
        c.status = piece.status;
        c.too_long = false;
    }
    c.too_long = c.too_long || c.message.size() + piece.payload.size() > console_message_max;
    if (!c.too_long)
        c.message.insert(c.message.end(), piece.payload.begin(), piece.payload.end());
    return !piece.ends || take_message(s, piece.type, piece.status);
}

// One request after another, as long as their answers are taken.
static void serve(client_session *s) {
    bool alive = true;
    while (alive && iobuf_size(s->in) > 0 && stream_unsent(&s->client) <= s->root->conf->proxy.buffer_low) {
        auto in = iobuf_pending(s->in);
        size_t before = in.size();
        tds_piece piece;
        const char *why = "";
        tds_piece_result result = tds_next_piece(s->console->up, in, s->console->packet_size, piece, why);
        if (result == tds_piece_result::error)
            return session_protocol_error(s, why);
        alive = result != tds_piece_result::piece || take_piece(s, piece);
        if (alive)
            iobuf_consume(s->in, before - in.size());
    }
}

void console_event(client_session *s, unsigned events) {
    if (events & net_writable) {
        if (int error = stream_flush(&s->client); error != 0)
            return session_client_ended(s, error);
    }
    if (events & net_hangup && !(events & net_readable))
        return session_client_ended(s, 0);
    if (events & net_readable) {
        std::span<const uint8_t> got = exchange_receive(s);
        if (!iobuf_append(s->in, got, SIZE_MAX))
            return session_close(s, "out of memory");
    }
    if (s->state == session_state::console)
        serve(s);
    watch(s);
}

void console_end(client_session *s) {
    if (s->console == nullptr)
        return;
    console_undo_pause(s);
    delete s->console;
    s->console = nullptr;
}

// ---- time ------------------------------------------------------------------------------------------------------

static void answer_late(client_session *s) {
    console_session &c = *s->console;
    c.waits_for.clear();
    c.paused_by_it.clear();
    std::vector<uint8_t> tokens = std::move(c.late_answer);
    if (send_tokens(s, tokens)) {
        serve(s);
        watch(s);
    }
}

// One request may end other sessions: nothing is kept of the list meanwhile.
static client_session *first_due(proxy *root) {
    session_list &all = root->sessions[static_cast<size_t>(session_state::console)];
    for (client_session *s = list_front(all); s != nullptr; s = list_next(all, *s))
        if (root->draining || (!s->console->waits_for.empty() && console_pause_done(s)))
            return s;
    return nullptr;
}

void console_tick(proxy *root) {
    while (client_session *s = first_due(root))
        root->draining ? exchange_finish(s, "shutdown") : answer_late(s);
}
