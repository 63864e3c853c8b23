#include "proxy/exchange.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <vector>

#include "base/log.h"
#include "proxy/attach.h"
#include "proxy/ended_transaction.h"
#include "proxy/exchange_steps.h"
#include "proxy/link.h"
#include "proxy/prepared_calls.h"
#include "proxy/proxy.h"
#include "proxy/refusal.h"
#include "proxy/server_task.h"
#include "proxy/sharing.h"
#include "proxy/sharing_values.h"
#include "proxy/slots.h"
#include "tds/login_answer.h"
#include "tds/request.h"
#include "tds/request_build.h"
#include "tds/response.h"

static constexpr size_t attach_after = 64 * 1024; // bytes of a request that are enough to attach
static constexpr uint8_t attentions_max = 100;
// ---- both sockets ----------------------------------------------------------------------------------------------

void exchange_watch(client_session *s) {
    if (!exchange_alive(s))
        return;
    const proxy_config &conf = s->root->conf->proxy;
    size_t to_client = stream_unsent(&s->client);
    size_t to_server = exchange_serving(s) ? stream_unsent(&s->server->conn) : 0;
    unsigned events = to_client > 0 ? net_writable : 0;
    if (iobuf_size(s->in) < std::max<size_t>(conf.buffer_high, attach_after) && to_server <= conf.buffer_low)
        events |= net_readable;
    else
        events |= net_hangup; // it leaves the queue, or its request is cancelled, however much of it waits to be read
    net_conn_watch(&s->client.conn, events);
    if (!exchange_serving(s))
        return;
    events = to_server > 0 ? net_writable : 0;
    if (to_client <= conf.buffer_low)
        events |= net_readable;
    net_conn_watch(&s->server->conn.conn, events);
}

// In session mode the server connection stays attached between requests; on one that is silent about transactions
// nobody knows whether there is one.
bool exchange_nothing_held(const client_session *s) {
    if (sharing(s))
        return s->server == nullptr && s->talk->shared->pins == 0;
    return s->server == nullptr ||
           (!s->talk->dedicated && server_task_announces(s->server) && !s->server->walker.session.in_transaction);
}

bool exchange_at_rest(const client_session *s) {
    if (s->state != session_state::active || !s->talk || s->talk->mars)
        return false;
    const dialogue &d = *s->talk;
    bool quiet = iobuf_size(s->in) == 0 && stream_unsent(&s->client) == 0 && !d.sending && !d.awaiting &&
                 !d.swallowing && !d.taking && d.attentions == 0;
    return quiet && exchange_nothing_held(s);
}

void exchange_finish(client_session *s, const char *reason) {
    s->reason = reason;
    session_move(s, session_state::refusing);
    s->deadline = proxy_now(s->root) + s->root->conf->proxy.login_timeout;
    refusal_flush_stream(s);
}

bool exchange_send_client(client_session *s, std::span<const uint8_t> packets) {
    int error = stream_send(&s->client, packets);
    if (s->bucket != nullptr) // the console has none
        count_bytes(s->bucket->tallies, packet_direction::proxy_to_client, packets.size());
    if (error == 0)
        return true;
    session_client_ended(s, error);
    return false;
}
// ---- client to server ------------------------------------------------------------------------------------------

// Whether the server has something to cancel. Between two requests that wait for nothing the proxy answers itself.
static bool server_cancels(const client_session *s) {
    if (!exchange_serving(s))
        return false;
    return !sharing(s) || s->talk->awaiting || s->talk->attentions > 0 || s->talk->shared->track.bulk_load;
}

// An attention at the border of two messages. False when the session has ended.
static bool take_attention(client_session *s, std::vector<uint8_t> &out) {
    count_packets(s->bucket, packet_direction::client_to_proxy, tds_type_attention);
    if (!server_cancels(s))
        return exchange_send_done(s, tds_done_attention);
    if (s->talk->attentions == attentions_max) {
        session_protocol_error(s, "too many attentions");
        return false;
    }
    tds_put_attention(out);
    ++s->talk->attentions;
    count_packets(s->bucket, packet_direction::proxy_to_server, tds_type_attention);
    return true;
}

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
    exchange_swallow(s, std::move(tokens), false);
}

// The connection's baseline is where this client's reset leads to. Babelfish leaves the database where it is.
static bool same_baseline(const client_session *s) {
    const tds_session_state &login = *s->talk->login_settings, &base = *s->server->baseline;
    return base.database == login.database && base.language == login.language &&
           s->server->walker.session.database == login.database;
}

static void reset_session(client_session *s, uint8_t bits) {
    sharing_client_reset(s);
    if (sharing(s) && !(bits & tds_status_reset_skip_tran))
        s->talk->shared->begun = {};
}

// A session without a server connection: what the bit asks for is in its settings then.
static void apply_reset_detached(client_session *s, uint8_t bits) {
    if (bits == 0 || s->talk->reset_done || s->server != nullptr || !sharing(s))
        return;
    count_reset(s->bucket->tallies, reset_how::client);
    if (bits & tds_status_reset)
        ended_by_reset(s);
    reset_session(s, bits);
    s->talk->reset_done = true;
}

// Its pins end with the reset.
static void forget_pins(client_session *s, uint8_t bits) {
    if (!sharing(s))
        return;
    track_reset(s->talk->shared->track, bits & tds_status_reset_skip_tran);
}

// Babelfish's reset ends a transaction but not its count: what is written from then on is never committed, and ROLLBACK
// is an error. In session mode nobody knows whether there is one, where the server does not tell.
static bool transaction_may_be_open(const client_session *s) {
    return sharing(s) ? s->talk->shared->track.transaction : server_task_silent(s->server);
}

// Such a transaction is rolled back by a statement first.
static step start_client_reset(client_session *s, uint8_t bits, bool transaction) {
    server_conn *c = s->server;
    s->need = session_need::request; // on the connection of its own login it has asked for none before
    session_move(s, session_state::connecting);
    c->client_resets = true;
    c->client_reset_bits = bits;
    server_task_start(c, transaction ? server_task::roll_back : server_task::client_reset,
                      transaction ? uint8_t{0} : bits);
    return step::wait;
}

// What the request's reset bit asks for (MS-TDS 2.2.3.1.2) is done without the server seeing it, unless a reset takes
// it to the very state that this client must see. `forward`: bits for the server. step::wait: a batch runs first.
static step apply_reset(client_session *s, uint8_t bits, uint8_t &forward) {
    dialogue &d = *s->talk;
    if (!d.reset_done)
        count_reset(s->bucket->tallies, reset_how::client);
    if (s->server->pristine || d.reset_done) {
        d.reset_ack = d.reset_done = true;
        return step::go_on;
    }
    bool transaction = (bits & tds_status_reset) && transaction_may_be_open(s);
    bool passes = same_baseline(s) && !transaction;
    if (!passes && (bits & tds_status_reset))
        ended_by_reset(s);
    reset_session(s, bits);
    forget_pins(s, bits);
    if (passes) {
        forward = bits;
        return step::go_on;
    }
    d.reset_done = true;
    return start_client_reset(s, bits, transaction);
}

// Behind a reset by name the server is where the connection's own login was, not where this client's was. step::wait:
// it is taken there first.
static step settle_reset_by_name(client_session *s) {
    if (!s->talk->reset_named)
        return step::go_on;
    s->talk->reset_named = false;
    return same_baseline(s) ? step::go_on : start_client_reset(s, 0, false);
}

static void begin_request(client_session *s, uint8_t type, uint8_t bits) {
    dialogue &d = *s->talk;
    server_conn *c = s->server;
    bool rides = c->reset_rides; // of the proxy's own: the client does not see it
    c->reset_rides = false;
    if (rides)
        count_reset(c->bucket->tallies, reset_how::request);
    tds_writer_begin(c->to_server, type, rides ? tds_status_reset : bits);
    d.sending = d.awaiting = true;
    d.answer_begun = d.taken_back = false;
    d.reset_done = d.rated = false;
    c->walker.options.drop_reset = rides;
    c->walker.options.mark_returns = type == tds_type_rpc && sharing(s);
    c->walker.options.mark_changes = !rides && sharing(s) && begin_watches(s);
    if (rides || (bits & tds_status_reset))
        c->walker.session.in_transaction = false; // the server ends it without saying so
    d.ended_due = d.ended != 0;
    d.reset_sent = rides || bits != 0;
    if (d.reset_sent) {
        sharing_server_reset(c);
        c->settings = d.settings;
    }
    c->pristine = false;
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
    if (exchange_send_tokens(s, exchange_error_tokens(s, proxy_error::refused, "SMP without MARS")))
        exchange_finish(s, "protocol error");
    return step::ended;
}

// Reads the request at the head of `in`. Whether the proxy answers it by itself: it is dropped then.
static bool answered_here(client_session *s, std::span<const uint8_t> in, uint8_t bits) {
    if (!sharing(s))
        return false;
    bool known = s->talk->shared->request != nullptr;
    sharing_begin(s, in);
    std::vector<uint8_t> tokens;
    bool whole = !s->talk->shared->reader;
    bool idle = s->server == nullptr || sharing_only_held(s);
    bool begins = !known && whole && bits == 0 && idle && begin_take(s, in, tokens);
    if (!begins && (known || !whole || !prepared_look(s, bits != 0, tokens)))
        return false;
    exchange_swallow(s, std::move(tokens), false);
    return true;
}

// What must be so on its server connection when the request runs there. step::wait: a batch sees to it first.
static step settle_before(client_session *s, std::span<const uint8_t> in) {
    if (!sharing(s))
        return step::go_on;
    server_conn *c = s->server;
    prepared_need need = prepared_needs(s, in);
    bool begins = begin_due(s);
    if (need == prepared_need::nothing && !begins)
        return step::go_on;
    session_move(s, session_state::connecting);
    c->midway = true;
    c->reset_rides = false;
    if (begins) { // in the isolation level that was asked for
        server_task_start(c, c->settings == s->talk->settings ? server_task::begin : server_task::prepare);
        return step::wait;
    }
    switch (need) {
    case prepared_need::reset_first: server_task_start(c, server_task::prepare, tds_status_reset); break;
    case prepared_need::prepare: server_task_start(c, server_task::make); break;
    default: server_task_start(c, server_task::unprepare); break;
    }
    return step::wait;
}

// The request gets a server connection, if the session has none that it can run on. step::wait: later.
static step find_server(client_session *s, std::span<const uint8_t> in, uint8_t type, uint8_t bits) {
    if ((bits & tds_status_reset) && s->server != nullptr && sharing(s) && sharing_resets_elsewhere(s)) {
        ended_by_reset(s);
        sharing_unpin(s);
        attach_give_back(s, "state that no reset takes back");
    }
    apply_reset_detached(s, bits);
    if (exchange_over_rate(s, type, bits) || s->server != nullptr)
        return step::go_on;
    if (answered_here(s, in, bits))
        return step::go_on;
    if (attach_request(s) || exchange_serving(s))
        return step::go_on;
    return !exchange_alive(s) ? step::ended : s->talk->swallowing ? step::go_on : step::wait;
}

// The header at the border of two messages says whether the next one may pass now.
static step admit(client_session *s, std::span<const uint8_t> &in, std::vector<uint8_t> &out) {
    dialogue &d = *s->talk;
    tds_header h;
    if (in.front() == smp_id)
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
    if ((h.status & tds_status_resets) == tds_status_resets)
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
    uint8_t bits = h.type == tds_type_bulk ? uint8_t{0} : static_cast<uint8_t>(h.status & tds_status_resets);
    if (arrived == tds_arrival::more && (s->server == nullptr || sharing(s)))
        return step::wait;
    if (step next = find_server(s, in, h.type, bits); next != step::go_on || d.swallowing)
        return next;
    if ((h.type == tds_type_rpc || d.ended != 0) && in.size() < h.length)
        return step::wait; // for its name, or what it says of a transaction
    if (answered_here(s, in, bits))
        return step::go_on;
    uint8_t forward = 0;
    if (step next = bits != 0 ? apply_reset(s, bits, forward) : settle_reset_by_name(s); next != step::go_on)
        return next;
    if (step next = forward == 0 ? settle_before(s, in) : step::go_on; next != step::go_on)
        return next;
    d.reset_named = h.type == tds_type_rpc &&
                    tds_rpc_calls(in.first(h.length).subspan(tds_header_size), d.who->version, "sp_reset_connection");
    if (d.reset_named)
        count_reset(s->bucket->tallies, reset_how::client);
    sharing_place(s, in, forward != 0);
    begin_request(s, h.type, forward);
    return step::go_on;
}

static bool send_server(client_session *s, std::span<const uint8_t> packets) {
    int error = stream_send(&s->server->conn, packets);
    count_bytes(s->bucket->tallies, packet_direction::proxy_to_server, packets.size());
    if (error == 0)
        return true;
    exchange_server_lost(s, strerror(-error), true);
    return false;
}

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
    exchange_count_in(s, packet_direction::client_to_proxy, d.up);
    if (d.swallowing)
        return !piece.ends || exchange_answer_late(s) ? step::go_on : step::ended;
    std::vector<uint8_t> changed;
    std::span<const uint8_t> payload = ended_place(s, sharing_pass(s, piece), changed);
    tds_writer_put(s->server->to_server, payload, piece.ends ? tds_write::end : tds_write::hold, out,
                   piece.status & tds_status_ignore);
    exchange_count_out(s, packet_direction::proxy_to_server, s->server->to_server);
    if (piece.ends) {
        d.taken_back = (piece.status & tds_status_ignore) != 0;
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

void exchange_go_on(client_session *s) {
    if (s->talk->taking)
        return;
    auto pending = iobuf_pending(s->in);
    size_t before = pending.size();
    if (before > 0 && take(s, pending) && exchange_alive(s))
        iobuf_consume(s->in, before - pending.size());
    exchange_watch(s);
}

static bool keep(client_session *s, std::span<const uint8_t> rest) {
    if (iobuf_append(s->in, rest, SIZE_MAX))
        return true;
    session_close(s, "out of memory");
    return false;
}

std::span<const uint8_t> exchange_receive(client_session *s) {
    ssize_t n = stream_recv(&s->client, s->root->scratch.in, s->root->scratch.cipher);
    if (n > 0) {
        s->last_activity = proxy_now(s->root);
        s->up.bytes += static_cast<uint64_t>(n);
        if (s->bucket != nullptr)
            count_bytes(s->bucket->tallies, packet_direction::client_to_proxy, static_cast<size_t>(n));
        return {s->root->scratch.in.data(), static_cast<size_t>(n)};
    }
    if (n == -EPROTO)
        session_protocol_error(s, stream_error(&s->client));
    else if (n != net_again)
        session_client_ended(s, n);
    return {};
}

static void client_read(client_session *s) {
    std::span<const uint8_t> got = exchange_receive(s);
    if (got.empty())
        return;
    if (iobuf_size(s->in) > 0) {
        if (!keep(s, got))
            return;
        if (s->state == session_state::active)
            return exchange_go_on(s);
    } else if (!take(s, got) || (exchange_alive(s) && !keep(s, got))) {
        return;
    }
    if (s->state == session_state::waiting || s->state == session_state::connecting ||
        s->state == session_state::settling)
        exchange_cancel_waiting(s);
}

void exchange_client_event(client_session *s, unsigned events) {
    if (events & net_writable) {
        if (int error = stream_flush(&s->client); error != 0)
            return session_client_ended(s, error);
    }
    if (events & net_hangup && !(events & net_readable))
        return session_client_ended(s, 0);
    if (events & net_readable)
        s->talk->mars ? mars_client_read(s) : client_read(s);
    exchange_watch(s);
}

void exchange_attached(client_session *s) {
    s->last_activity = proxy_now(s->root);
    exchange_go_on(s);
}

void exchange_settled(client_session *s) {
    if (s->state == session_state::active)
        exchange_go_on(s);
}
