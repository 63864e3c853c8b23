#include "proxy/exchange.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <vector>

#include "base/log.h"
#include "proxy/attach.h"
#include "proxy/link.h"
#include "proxy/proxy.h"
#include "proxy/refusal.h"
#include "proxy/server_task.h"
#include "proxy/slots.h"
#include "tds/login_answer.h"
#include "tds/request.h"
#include "tds/request_build.h"
#include "tds/response.h"

static constexpr size_t attach_after = 64 * 1024; // bytes of a request that are enough to attach
static constexpr uint8_t attentions_max = 100;
static constexpr uint8_t smp_packet = 0x53; // MC-SMP 2.2.1
static constexpr uint8_t reset_bits = tds_status_reset | tds_status_reset_skip_tran;

// Packets on their way out are put together in one buffer of the loop's. Whoever does so takes it for that time: what
// is called meanwhile may put together others.
struct out_buffer {
    proxy *root;
    std::vector<uint8_t> bytes;

    explicit out_buffer(proxy *p) : root(p) {
        bytes.swap(p->scratch.out);
        bytes.clear();
    }
    ~out_buffer() { root->scratch.out.swap(bytes); }
    out_buffer(const out_buffer &) = delete;
    out_buffer &operator=(const out_buffer &) = delete;
};

static bool alive(const client_session *s) {
    return s->state == session_state::active || s->state == session_state::waiting ||
           s->state == session_state::connecting;
}

static bool serving(const client_session *s) {
    return s->state == session_state::active && s->server != nullptr;
}

// ---- both sockets ----------------------------------------------------------------------------------------------

void exchange_watch(client_session *s) {
    if (!alive(s))
        return;
    const proxy_config &conf = s->root->conf->proxy;
    size_t to_client = stream_unsent(&s->client);
    size_t to_server = serving(s) ? stream_unsent(&s->server->conn) : 0;
    unsigned events = to_client > 0 ? net_writable : 0;
    if (iobuf_size(s->in) < std::max<size_t>(conf.buffer_high, attach_after) && to_server <= conf.buffer_low)
        events |= net_readable;
    else
        events |= net_hangup; // it leaves the queue, or its request is cancelled, however much of it waits to be read
    net_conn_watch(&s->client.conn, events);
    if (!serving(s))
        return;
    events = to_server > 0 ? net_writable : 0;
    if (to_client <= conf.buffer_low)
        events |= net_readable;
    net_conn_watch(&s->server->conn.conn, events);
}

void exchange_finish(client_session *s, const char *reason) {
    s->reason = reason;
    session_move(s, session_state::refusing);
    s->deadline = proxy_now(s->root) + s->root->conf->proxy.login_timeout;
    refusal_flush_stream(s);
}

bool exchange_send_client(client_session *s, std::span<const uint8_t> packets) {
    int error = stream_send(&s->client, packets);
    if (error == 0)
        return true;
    session_client_ended(s, error);
    return false;
}

// ---- answers of the proxy's own --------------------------------------------------------------------------------

static void count_packets_out(client_session *s, packet_direction direction, tds_packet_writer &w) {
    if (w.packets > 0)
        counter_add(packet_counter(s->bucket, direction, w.type), w.packets);
    w.packets = 0;
}

static void count_packet_in(client_session *s, packet_direction direction, const tds_packet_cursor &c) {
    if (tds_cursor_packet_over(c))
        counter_add(packet_counter(s->bucket, direction, c.type));
}

// One message of the tokens given.
static bool send_tokens(client_session *s, std::span<const uint8_t> tokens) {
    dialogue &d = *s->talk;
    out_buffer out(s->root);
    tds_writer_begin(d.to_client, tds_type_response, 0);
    tds_writer_put(d.to_client, tokens, tds_write::end, out.bytes);
    count_packets_out(s, packet_direction::proxy_to_client, d.to_client);
    return exchange_send_client(s, out.bytes);
}

static bool send_done(client_session *s, uint16_t status) {
    std::vector<uint8_t> tokens;
    tds_put_done(tokens, s->talk->who->version, tds_token_done, status, 0, 0);
    return send_tokens(s, tokens);
}

static std::vector<uint8_t> error_tokens(const client_session *s, proxy_error error, const char *detail) {
    const error_info &info = error_find(error);
    std::string text = info.text;
    if (*detail != '\0')
        text.append(": ").append(detail);
    tds_notice notice;
    notice.number = static_cast<int32_t>(error);
    notice.severity = info.severity;
    notice.text = text;
    notice.server_name = "tdsbouncer";
    notice.line = 1;
    std::vector<uint8_t> tokens;
    tds_put_notice(tokens, s->talk->who->version, notice);
    tds_put_done(tokens, s->talk->who->version, tds_token_done, tds_done_error, 0, 0);
    return tokens;
}

// ---- a request that fails before a server had it ---------------------------------------------------------------

static bool take(client_session *s, std::span<const uint8_t> &in);

// The request at the head of `in` has been read to its end and dropped: now its answer.
static bool answer_late(client_session *s) {
    dialogue &d = *s->talk;
    d.swallowing = false;
    std::vector<uint8_t> tokens = std::move(d.late_answer);
    if (!send_tokens(s, tokens))
        return false;
    if (!d.ends_after)
        return true;
    exchange_finish(s, "server lost");
    return false;
}

// Not from inside take: that goes on by itself.
static void go_on(client_session *s) {
    if (s->talk->taking)
        return;
    auto pending = iobuf_pending(s->in);
    size_t before = pending.size();
    if (before > 0 && take(s, pending) && alive(s))
        iobuf_consume(s->in, before - pending.size());
    exchange_watch(s);
}

static void swallow_request(client_session *s, std::vector<uint8_t> &&tokens, bool ends_after) {
    dialogue &d = *s->talk;
    if (s->state != session_state::active)
        session_move(s, session_state::active);
    s->deadline = 0;
    d.late_answer = std::move(tokens);
    d.ends_after = ends_after;
    d.swallowing = true;
    d.reset_done = false;
    d.reset_ack = false;
    go_on(s);
}

void exchange_fail_request(client_session *s, proxy_error error, const char *error_type, const char *detail) {
    slots_count_error(s->root, s->bucket, error_type);
    log_warn("request answered with error", {{"session", s->id},
                                             {"bucket", session_bucket_id(s)},
                                             {"number", static_cast<unsigned>(error)},
                                             {"error_type", error_type},
                                             {"detail", detail}});
    swallow_request(s, error_tokens(s, error, detail), error_find(error).severity >= 20);
}

void exchange_refuse_request(client_session *s, const tds_login_answer &answer) {
    std::vector<uint8_t> tokens;
    for (const tds_login_notice &n : answer.notices)
        tds_put_notice(tokens, s->talk->who->version,
                       {n.number, n.state, n.severity, n.text, n.server_name, n.procedure, n.line});
    tds_put_done(tokens, s->talk->who->version, tds_token_done, tds_done_error, 0, 0);
    swallow_request(s, std::move(tokens), true);
}

// ---- attention -------------------------------------------------------------------------------------------------

// The client takes its request back before a server had it: that is answered, then the attention.
static void cancel_waiting_request(client_session *s) {
    size_t size = 0;
    // A reset that the request asked for cannot be taken back: the attention follows the request.
    bool resetting = s->server != nullptr && s->server->task == server_task::client_reset;
    if (resetting || !tds_find_attention(iobuf_pending(s->in), size))
        return;
    log_debug("request cancelled before it was sent", {{"session", s->id}});
    if (s->state == session_state::waiting)
        slots_cancel(s->root, s->bucket, s->wait);
    if (s->server != nullptr)
        attach_give_back(s, "request cancelled");
    session_move(s, session_state::active);
    iobuf_consume(s->in, size);
    s->talk->reset_done = false;
    if (send_done(s, tds_done_error) && send_done(s, tds_done_attention))
        go_on(s);
}

// An attention at the border of two messages. False when the session has ended.
static bool take_attention(client_session *s, std::vector<uint8_t> &out) {
    counter_add(packet_counter(s->bucket, packet_direction::client_to_proxy, tds_type_attention));
    if (s->server == nullptr)
        return send_done(s, tds_done_attention);
    if (s->talk->attentions == attentions_max) {
        session_protocol_error(s, "too many attentions");
        return false;
    }
    tds_put_attention(out);
    ++s->talk->attentions;
    counter_add(packet_counter(s->bucket, packet_direction::proxy_to_server, tds_type_attention));
    return true;
}

// ---- client to server ------------------------------------------------------------------------------------------

enum class step : uint8_t { go_on, wait, ended };

static bool is_request(uint8_t type) {
    return type == tds_type_sql_batch || type == tds_type_rpc || type == tds_type_transaction || type == tds_type_bulk;
}

static step protocol_error(client_session *s, const char *what) {
    session_protocol_error(s, what);
    return step::ended;
}

static void swallow_ignored_request(client_session *s) {
    std::vector<uint8_t> tokens;
    tds_put_done(tokens, s->talk->who->version, tds_token_done, tds_done_error, 0, 0);
    swallow_request(s, std::move(tokens), false);
}

// What the request's reset bit asks for (MS-TDS 2.2.3.1.2) is done without the server seeing it, unless a reset takes
// it to the very state that this client must see. `forward`: bits for the server. step::wait: a batch runs first.
static step apply_reset(client_session *s, uint8_t bits, uint8_t &forward) {
    dialogue &d = *s->talk;
    server_conn *c = s->server;
    // Babelfish leaves the database where it is.
    bool same_baseline =
        c->database == d.database && c->language == d.language && c->walker.session.database == d.database;
    if (c->pristine || d.reset_done) {
        d.reset_ack = true;
        d.reset_done = false;
        return step::go_on;
    }
    if (same_baseline) {
        forward = bits;
        return step::go_on;
    }
    d.reset_done = true;
    session_move(s, session_state::connecting);
    server_task_start(c, server_task::client_reset, bits);
    return step::wait;
}

// Behind a reset by name the server is where the connection's own login was, not where this client's was. step::wait:
// it is taken there first.
static step settle_reset_by_name(client_session *s) {
    dialogue &d = *s->talk;
    server_conn *c = s->server;
    if (!d.reset_named)
        return step::go_on;
    d.reset_named = false;
    if (c->database == d.database && c->language == d.language && c->walker.session.database == d.database)
        return step::go_on;
    session_move(s, session_state::connecting);
    server_task_start(c, server_task::client_reset);
    return step::wait;
}

static void begin_request(client_session *s, uint8_t type, uint8_t bits) {
    dialogue &d = *s->talk;
    server_conn *c = s->server;
    tds_writer_begin(c->to_server, type, bits);
    d.sending = d.awaiting = true;
    d.answer_begun = false;
    c->pristine = false;
    if (bits & tds_status_reset)
        c->walker.session.in_transaction = false; // the server ends it without saying so
}

// MARS was declined, and the client multiplexes all the same.
static step refuse_smp(client_session *s) {
    if (s->state != session_state::active)
        return step::wait;
    if (s->talk->awaiting || s->talk->attentions > 0)
        return protocol_error(s, "SMP without MARS");
    slots_count_error(s->root, s->bucket, "protocol");
    log_warn("protocol error: SMP without MARS", {{"session", s->id}, {"bucket", session_bucket_id(s)}});
    if (s->server != nullptr)
        attach_give_back(s, "SMP without MARS");
    if (send_tokens(s, error_tokens(s, proxy_error::refused, "SMP without MARS")))
        exchange_finish(s, "protocol error");
    return step::ended;
}

// The header at the border of two messages says whether the next one may pass now.
static step admit(client_session *s, std::span<const uint8_t> &in, std::vector<uint8_t> &out) {
    dialogue &d = *s->talk;
    tds_header h;
    if (in.front() == smp_packet)
        return refuse_smp(s);
    switch (tds_header_parse(in, d.packet_size, h)) {
    case tds_header_result::more: return step::wait;
    case tds_header_result::ok: break;
    default: return protocol_error(s, "packet of a wrong length");
    }
    if (h.type == tds_type_attention) {
        if (h.length != tds_header_size)
            return protocol_error(s, "attention with a payload");
        in = in.subspan(tds_header_size);
        return take_attention(s, out) ? step::go_on : step::ended;
    }
    if (!is_request(h.type))
        return protocol_error(s, "not a request");
    if ((h.status & reset_bits) == reset_bits)
        return protocol_error(s, "both reset bits");
    if (d.awaiting || d.attentions > 0 || s->state != session_state::active)
        return step::wait;
    const char *why = "";
    tds_arrival arrived = tds_request_arrived(in, d.packet_size, attach_after, why);
    if (arrived == tds_arrival::broken)
        return protocol_error(s, why);
    if (arrived == tds_arrival::ignored) {
        swallow_ignored_request(s);
        return step::go_on;
    }
    if (s->server == nullptr) {
        if (arrived == tds_arrival::more)
            return step::wait;
        if (!attach_request(s) && !serving(s))
            return !alive(s) ? step::ended : d.swallowing ? step::go_on : step::wait;
    }
    if (h.type == tds_type_rpc && in.size() < h.length)
        return step::wait; // for its name
    uint8_t bits = h.type == tds_type_bulk ? uint8_t{0} : static_cast<uint8_t>(h.status & reset_bits);
    uint8_t forward = 0;
    if (step next = bits != 0 ? apply_reset(s, bits, forward) : settle_reset_by_name(s); next != step::go_on)
        return next;
    d.reset_named = h.type == tds_type_rpc &&
                    tds_rpc_calls(in.first(h.length).subspan(tds_header_size), d.who->version, "sp_reset_connection");
    begin_request(s, h.type, forward);
    return step::go_on;
}

static bool send_server(client_session *s, std::span<const uint8_t> packets);

// Takes the next piece of the message that is under way.
static step pass_piece(client_session *s, std::span<const uint8_t> &in, std::vector<uint8_t> &out) {
    dialogue &d = *s->talk;
    tds_piece piece;
    const char *why = "";
    switch (tds_next_piece(d.up, in, d.packet_size, piece, why)) {
    case tds_piece_result::more: return step::wait;
    case tds_piece_result::error: return protocol_error(s, why);
    case tds_piece_result::piece: break;
    }
    count_packet_in(s, packet_direction::client_to_proxy, d.up);
    if (d.swallowing)
        return !piece.ends || answer_late(s) ? step::go_on : step::ended;
    tds_writer_put(s->server->to_server, piece.payload, piece.ends ? tds_write::end : tds_write::hold, out,
                   piece.status & tds_status_ignore);
    count_packets_out(s, packet_direction::proxy_to_server, s->server->to_server);
    if (piece.ends) {
        d.sending = false;
        d.request_sent = uv_hrtime();
    }
    return step::go_on;
}

// Takes what may pass off the front of `in`. False when the session has ended.
static bool take(client_session *s, std::span<const uint8_t> &in) {
    out_buffer out(s->root);
    step next = step::go_on;
    s->talk->taking = true;
    while (!in.empty() && next == step::go_on) {
        if (tds_cursor_idle(s->talk->up) && !s->talk->swallowing)
            next = admit(s, in, out.bytes);
        if (next == step::go_on && !in.empty() && (s->talk->sending || s->talk->swallowing))
            next = pass_piece(s, in, out.bytes);
    }
    s->talk->taking = false;
    if (next == step::ended)
        return false;
    return out.bytes.empty() || send_server(s, out.bytes);
}

static bool keep(client_session *s, std::span<const uint8_t> rest) {
    if (iobuf_append(s->in, rest, SIZE_MAX))
        return true;
    session_close(s, "out of memory");
    return false;
}

static void client_read(client_session *s) {
    ssize_t n = stream_recv(&s->client, s->root->scratch.in, s->root->scratch.cipher);
    if (n == net_again)
        return;
    if (n == -EPROTO)
        return session_protocol_error(s, stream_error(&s->client));
    if (n <= 0)
        return session_client_ended(s, n);
    s->last_activity = proxy_now(s->root);
    s->up.bytes += static_cast<uint64_t>(n);
    std::span<const uint8_t> got(s->root->scratch.in.data(), static_cast<size_t>(n));
    if (iobuf_size(s->in) > 0) {
        if (!keep(s, got))
            return;
        if (s->state == session_state::active)
            return go_on(s);
    } else if (!take(s, got) || (alive(s) && !keep(s, got))) {
        return;
    }
    if (s->state == session_state::waiting || s->state == session_state::connecting)
        cancel_waiting_request(s);
}

void exchange_client_event(client_session *s, unsigned events) {
    if (events & net_writable) {
        if (int error = stream_flush(&s->client); error != 0)
            return session_client_ended(s, error);
    }
    if (events & net_hangup && !(events & net_readable))
        return session_client_ended(s, 0);
    if (events & net_readable)
        client_read(s);
    exchange_watch(s);
}

void exchange_attached(client_session *s) {
    s->last_activity = proxy_now(s->root);
    go_on(s);
}

// ---- server to client ------------------------------------------------------------------------------------------

// The server is gone, or no good any more (`gone` false: we close). A request that it had is never tried again.
static void server_lost(client_session *s, const char *why, bool gone) {
    server_conn *c = s->server;
    dialogue &d = *s->talk;
    bool between_tokens = !d.answer_begun || tds_walk_between_tokens(c->walker);
    slots_count_error(s->root, s->bucket, "server_lost");
    log_warn("server connection lost", {{"session", s->id},
                                        {"bucket", session_bucket_id(s)},
                                        {"server", c->id},
                                        {"reason", why},
                                        {"in_request", d.awaiting}});
    s->bucket->core.last_ok = s->bucket->core.probe_at = 0; // look at once whether it is down
    link_detach(s, c);
    if (gone)
        server_gone(c, why);
    else
        server_close(c, why);
    if (!d.awaiting || !between_tokens) {
        session_close(s, "server lost", why);
        return;
    }
    std::vector<uint8_t> tokens = error_tokens(s, proxy_error::server_lost, "");
    if (!d.answer_begun)
        tds_writer_begin(d.to_client, tds_type_response, 0);
    out_buffer out(s->root);
    tds_writer_put(d.to_client, tokens, tds_write::end, out.bytes);
    count_packets_out(s, packet_direction::proxy_to_client, d.to_client);
    if (exchange_send_client(s, out.bytes))
        exchange_finish(s, "server lost");
}

static bool send_server(client_session *s, std::span<const uint8_t> packets) {
    int error = stream_send(&s->server->conn, packets);
    if (error == 0)
        return true;
    server_lost(s, strerror(-error), true);
    return false;
}

static void answer_over(client_session *s) {
    dialogue &d = *s->talk;
    const tds_walk_message &m = s->server->walker.message;
    if (d.awaiting && d.request_sent != 0)
        histogram_observe(s->bucket->metrics.query_duration, static_cast<double>(uv_hrtime() - d.request_sent) / 1e9);
    d.request_sent = 0;
    d.awaiting = false;
    d.reset_named = d.reset_named && m.errors == 0;
    if (s->server->walker.session.enlisted) // in a distributed transaction: nobody can say what a reset leaves of it
        s->server->unpoolable = true;
    d.attentions = static_cast<uint8_t>(d.attentions - std::min<uint32_t>(m.attentions, d.attentions));
    s->bucket->core.last_ok = proxy_now(s->root); // traffic that succeeds is the health probe
}

// Walks a piece of the answer and puts it into packets for the client. nullptr, or why it must not go on.
static const char *pass_tokens(client_session *s, const tds_piece &piece, bool more_here, std::vector<uint8_t> &out) {
    dialogue &d = *s->talk;
    server_conn *c = s->server;
    std::span<const uint8_t> payload = piece.payload, forward, pending;
    while (!payload.empty()) {
        tds_walk_result result = tds_walk(c->walker, payload, forward);
        tds_writer_put(d.to_client, pending, tds_write::hold, out);
        pending = forward;
        if (result != tds_walk_result::ok) {
            tds_writer_put(d.to_client, pending, tds_write::hold, out); // what precedes the bad token
            return tds_walk_error_text(c->walker.error);
        }
    }
    tds_write mode = piece.ends ? tds_write::end : more_here ? tds_write::hold : tds_write::flush;
    tds_writer_put(d.to_client, pending, mode, out);
    if (piece.ends && tds_walk_end(c->walker) != tds_walk_result::ok)
        return tds_walk_error_text(c->walker.error);
    return nullptr;
}

static void begin_answer(client_session *s, std::vector<uint8_t> &out) {
    static constexpr uint8_t reset_acknowledged[] = {tds_token_envchange, 3, 0, tds_env_reset, 0, 0};
    dialogue &d = *s->talk;
    tds_writer_begin(d.to_client, tds_type_response, 0);
    d.answer_begun = true;
    if (d.awaiting && d.reset_ack)
        tds_writer_put(d.to_client, reset_acknowledged, tds_write::hold, out);
    d.reset_ack = false;
}

// nullptr, or why the server connection is no good any more.
static const char *give(client_session *s, std::span<const uint8_t> in, std::vector<uint8_t> &out) {
    dialogue &d = *s->talk;
    server_conn *c = s->server;
    while (!in.empty()) {
        tds_piece piece;
        const char *why = "";
        switch (tds_next_piece(c->down, in, c->packet_size, piece, why)) {
        case tds_piece_result::more: return nullptr;
        case tds_piece_result::error: return why;
        case tds_piece_result::piece: break;
        }
        if (piece.type != tds_type_response)
            return "not a response";
        count_packet_in(s, packet_direction::server_to_proxy, c->down);
        if (!d.awaiting && d.attentions == 0)
            return "an answer that nobody asked for";
        if (piece.begins)
            begin_answer(s, out);
        why = pass_tokens(s, piece, !in.empty(), out);
        count_packets_out(s, packet_direction::proxy_to_client, d.to_client);
        if (why != nullptr)
            return why;
        if (piece.ends)
            answer_over(s);
    }
    return nullptr;
}

static void server_read(client_session *s) {
    server_conn *c = s->server;
    ssize_t n = stream_recv(&c->conn, s->root->scratch.in, s->root->scratch.cipher);
    if (n == net_again)
        return;
    if (n <= 0)
        return server_lost(s,
                           n == 0         ? "closed by the server"
                           : n == -EPROTO ? "TLS failed"
                                          : strerror(static_cast<int>(-n)),
                           n != -EPROTO);
    s->last_activity = proxy_now(s->root);
    s->down.bytes += static_cast<uint64_t>(n);
    const char *why = nullptr;
    {
        out_buffer out(s->root);
        why = give(s, {s->root->scratch.in.data(), static_cast<size_t>(n)}, out.bytes);
        if (!out.bytes.empty() && !exchange_send_client(s, out.bytes))
            return;
    }
    if (why != nullptr)
        return server_lost(s, why, false);
    if (!s->talk->awaiting && iobuf_size(s->in) > 0)
        go_on(s);
}

void exchange_server_event(server_conn *c, unsigned events) {
    client_session *s = c->client;
    if (events & net_writable) {
        if (int error = stream_flush(&c->conn); error != 0)
            return server_lost(s, strerror(-error), true);
    }
    if (events & net_readable)
        server_read(s);
    exchange_watch(s);
}
