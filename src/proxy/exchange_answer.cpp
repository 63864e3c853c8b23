// Answers, from the server to the client. Contract in exchange.h.
#include "proxy/exchange.h"

#include <algorithm>
#include <cstring>

#include "base/log.h"
#include "proxy/ended_transaction.h"
#include "proxy/exchange_steps.h"
#include "proxy/link.h"
#include "proxy/pools.h"
#include "proxy/prepared_calls.h"
#include "proxy/sharing.h"
#include "proxy/slots.h"
#include "tds/error_number.h"
#include "tds/response.h"

// The server is gone, or no good any more (`gone` false: we close). A request that it had is never tried again.
void exchange_server_lost(client_session *s, const char *why, bool gone) {
    server_conn *c = s->server;
    dialogue &d = *s->talk;
    bool before_request = c->midway; // which is there, and has no answer yet
    d.answer_begun &= !before_request;
    bool between_tokens = !d.answer_begun || tds_walk_between_tokens(c->walker);
    slots_count_error(s->root, s->bucket, "server_lost");
    log_warn("server connection lost", {{"session", s->id},
                                        {"bucket", session_bucket_id(s)},
                                        {"server", c->id},
                                        {"reason", why},
                                        {"in_request", d.awaiting}});
    s->bucket->core.last_ok = s->bucket->core.probe_at = 0; // look at once whether it is down
    sharing_unpin(s);
    link_detach(s, c);
    if (gone)
        server_gone(c, why);
    else
        server_close(c, why);
    if ((!d.awaiting && !before_request) || !between_tokens) {
        session_close(s, "server lost", why);
        return;
    }
    std::vector<uint8_t> tokens = exchange_error_tokens(s, proxy_error::server_lost, "");
    if (!d.answer_begun)
        exchange_begin_message(s);
    out_buffer out(s->root);
    tds_writer_put(d.to_client, tokens, tds_write::end, out.bytes);
    exchange_count_out(s, packet_direction::proxy_to_client, d.to_client);
    if (exchange_send_client(s, out.bytes))
        exchange_finish(s, "server lost");
}

// The reset that went with the request has not been done, so the request has not run either, but for a server that says
// nothing of resets.
static bool reset_unseen(const client_session *s) {
    const server_conn *c = s->server;
    return s->talk->awaiting && s->talk->reset_sent && !c->walker.message.reset_seen && tds_version_is_wide(c->version);
}

// The connection still has what the reset was to take away. nullptr, or why it cannot be gone on with.
static const char *leave_unreset(client_session *s) {
    dialogue &d = *s->talk;
    server_conn *c = s->server;
    bool ours = c->walker.options.drop_reset;
    bool stopped = d.taken_back || d.attentions > 0 || c->walker.message.attentions > 0 || c->walker.message.errors > 0;
    c->unpoolable = true;
    if (!stopped)
        return ours ? "a reset that was not acknowledged" : nullptr;
    if (sharing(s)) // the next one runs elsewhere
        sharing_drop_request(s);
    return nullptr;
}

static void heed_error(client_session *s, int32_t number) {
    switch (tds_error_kind_of(number)) {
    case tds_error_kind::busy: return slots_server_busy(s->root, s->bucket, number);
    case tds_error_kind::in_use: return pools_retire_idle(s->bucket, "a database is to be had alone");
    default: return;
    }
}

static const char *answer_over(client_session *s) {
    dialogue &d = *s->talk;
    const tds_walk_message &m = s->server->walker.message;
    const char *why = reset_unseen(s) ? leave_unreset(s) : nullptr;
    if (d.awaiting && d.request_sent != 0)
        count_request(s->bucket, uv_hrtime() - d.request_sent);
    if (d.awaiting && sharing(s) && d.shared->request)
        sharing_answered(s);
    d.request_sent = 0;
    d.awaiting = false;
    d.reset_named = d.reset_named && m.errors == 0 && !sharing(s);
    if (s->server->walker.session.enlisted) // in a distributed transaction: nobody can say what a reset leaves of it
        s->server->unpoolable = true;
    d.attentions = static_cast<uint8_t>(d.attentions - std::min<uint32_t>(m.attentions, d.attentions));
    if (m.errors > 0)
        heed_error(s, m.worst_error);
    s->bucket->core.last_ok = proxy_now(s->root); // traffic that succeeds is the health probe
    return why;
}

// Walks a piece of the answer and puts it into packets for the client. nullptr, or why it must not go on.
static const char *pass_tokens(client_session *s, const tds_piece &piece, std::vector<uint8_t> &out) {
    dialogue &d = *s->talk;
    server_conn *c = s->server;
    std::span<const uint8_t> payload = piece.payload, forward, pending;
    while (!payload.empty()) {
        tds_walk_result result = tds_walk(c->walker, payload, forward);
        tds_writer_put(d.to_client, pending, tds_write::hold, out);
        pending = forward;
        if (c->walker.in_marked && result == tds_walk_result::ok) {
            std::vector<uint8_t> changed;
            bool ends = tds_walk_between_tokens(c->walker);
            if (c->walker.token == tds_token_envchange)
                begin_returned(s, forward, ends, changed);
            else
                prepared_returned(s, forward, ends, changed);
            tds_writer_put(d.to_client, changed, tds_write::hold, out);
            pending = {};
        }
        if (result != tds_walk_result::ok) {
            tds_writer_put(d.to_client, pending, tds_write::hold, out); // what precedes the bad token
            return tds_walk_error_text(c->walker.error);
        }
    }
    bool flushed = tds_cursor_flushed(c->down, c->packet_size);
    tds_write mode = piece.ends ? tds_write::end : flushed ? tds_write::flush : tds_write::hold;
    tds_writer_put(d.to_client, pending, mode, out);
    if (piece.ends && tds_walk_end(c->walker) != tds_walk_result::ok)
        return tds_walk_error_text(c->walker.error);
    return nullptr;
}

static void begin_answer(client_session *s, std::vector<uint8_t> &out) {
    static constexpr uint8_t reset_acknowledged[] = {tds_token_envchange, 3, 0, tds_env_reset, 0, 0};
    dialogue &d = *s->talk;
    exchange_begin_message(s);
    d.answer_begun = true;
    if (d.awaiting && d.reset_ack)
        tds_writer_put(d.to_client, reset_acknowledged, tds_write::hold, out);
    d.reset_ack = false;
    if (!d.ended_named)
        return;
    std::vector<uint8_t> over;
    ended_tell(s, over);
    tds_writer_put(d.to_client, over, tds_write::hold, out);
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
        exchange_count_in(s, packet_direction::server_to_proxy, c->down);
        if (!d.awaiting && d.attentions == 0)
            return "an answer that nobody asked for";
        if (piece.begins)
            begin_answer(s, out);
        why = pass_tokens(s, piece, out);
        exchange_count_out(s, packet_direction::proxy_to_client, d.to_client);
        if (why != nullptr)
            return why;
        if (piece.ends)
            why = answer_over(s);
        if (why != nullptr)
            return why;
    }
    return nullptr;
}

static void server_read(client_session *s) {
    server_conn *c = s->server;
    ssize_t n = stream_recv(&c->conn, s->root->scratch.in, s->root->scratch.cipher);
    if (n == net_again)
        return;
    if (n <= 0)
        return exchange_server_lost(s,
                                    n == 0         ? "closed by the server"
                                    : n == -EPROTO ? "TLS failed"
                                                   : strerror(static_cast<int>(-n)),
                                    n != -EPROTO);
    s->last_activity = proxy_now(s->root);
    s->down.bytes += static_cast<uint64_t>(n);
    count_bytes(s->bucket->tallies, packet_direction::server_to_proxy, static_cast<size_t>(n));
    const char *why = nullptr;
    {
        out_buffer out(s->root);
        why = give(s, {s->root->scratch.in.data(), static_cast<size_t>(n)}, out.bytes);
        if (!out.bytes.empty() && !exchange_send_client(s, out.bytes))
            return;
    }
    if (why != nullptr)
        return exchange_server_lost(s, why, false);
    if (s->talk->awaiting || s->talk->attentions > 0)
        return;
    if (sharing(s))
        sharing_settle(s);
    if (s->state == session_state::active && s->server != nullptr)
        session_check_idle(s, proxy_now(s->root)); // one that always has a request under way is found here only
    if (s->state == session_state::active && iobuf_size(s->in) > 0)
        exchange_go_on(s);
    else if (s->root->draining && exchange_at_rest(s)) // before its client asks again
        session_close(s, "shutdown");
}

void exchange_server_event(server_conn *c, unsigned events) {
    client_session *s = c->client;
    if (events & net_writable) {
        if (int error = stream_flush(&c->conn); error != 0)
            return exchange_server_lost(s, strerror(-error), true);
    }
    if (events & net_readable)
        s->talk->mars ? mars_server_read(s) : server_read(s);
    exchange_watch(s);
}
