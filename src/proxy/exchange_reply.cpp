// What the proxy answers itself. Contract in exchange.h.
#include "proxy/exchange.h"

#include <utility>

#include "base/log.h"
#include "proxy/attach.h"
#include "proxy/exchange_steps.h"
#include "proxy/sharing.h"
#include "proxy/slots.h"
#include "tds/login_answer.h"
#include "tds/request.h"
#include "tds/response.h"

void exchange_count_out(client_session *s, packet_direction direction, tds_packet_writer &w) {
    if (w.packets > 0)
        count_packets(s->bucket, direction, w.type, w.packets);
    w.packets = 0;
}

void exchange_count_in(client_session *s, packet_direction direction, const tds_packet_cursor &c) {
    if (tds_cursor_packet_over(c))
        count_packets(s->bucket, direction, c.type);
}

void exchange_begin_message(client_session *s) {
    dialogue &d = *s->talk;
    if (!d.told)
        tds_writer_begin(d.to_client, tds_type_response, 0);
    d.told = false;
}

static bool send_tokens(client_session *s, std::span<const uint8_t> tokens, tds_write mode) {
    out_buffer out(s->root);
    exchange_begin_message(s);
    tds_writer_put(s->talk->to_client, tokens, mode, out.bytes);
    exchange_count_out(s, packet_direction::proxy_to_client, s->talk->to_client);
    return exchange_send_client(s, out.bytes);
}

// One message of the tokens given.
bool exchange_send_tokens(client_session *s, std::span<const uint8_t> tokens) {
    return send_tokens(s, tokens, tds_write::end);
}

bool exchange_send_done(client_session *s, uint16_t status) {
    std::vector<uint8_t> tokens;
    tds_put_done(tokens, s->talk->who->version, tds_token_done, status, 0, 0);
    return exchange_send_tokens(s, tokens);
}

static void put_notice(std::vector<uint8_t> &tokens, const client_session *s, proxy_error error, const char *detail) {
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
    tds_put_notice(tokens, s->talk->who->version, notice);
}

std::vector<uint8_t> exchange_error_tokens(const client_session *s, proxy_error error, const char *detail) {
    std::vector<uint8_t> tokens;
    put_notice(tokens, s, error, detail);
    tds_put_done(tokens, s->talk->who->version, tds_token_done, tds_done_error, 0, 0);
    return tokens;
}
// ---- a request that waits ---------------------------------------------------------------------------------------

// Only behind the end of a request: while they still send it, drivers do not expect to read.
void exchange_tell_waiting(client_session *s) {
    dialogue &d = *s->talk;
    const char *why = "";
    bool complete = tds_request_arrived(iobuf_pending(s->in), d.packet_size, SIZE_MAX, why) == tds_arrival::enough;
    if (d.told || !complete)
        return;
    log_debug("client is told that it waits", {{"session", s->id}, {"bucket", session_bucket_id(s)}});
    std::vector<uint8_t> tokens;
    put_notice(tokens, s, proxy_error::still_waiting, "");
    if (!send_tokens(s, tokens, tds_write::flush))
        return;
    d.told = true;
    exchange_watch(s);
}
// ---- a request that fails before a server had it ---------------------------------------------------------------

// The request at the head of `in` has been read to its end and dropped: now its answer.
bool exchange_answer_late(client_session *s) {
    dialogue &d = *s->talk;
    d.swallowing = false;
    std::vector<uint8_t> tokens = std::move(d.late_answer);
    if (!exchange_send_tokens(s, tokens))
        return false;
    if (!d.ends_after)
        return true;
    exchange_finish(s, "server lost");
    return false;
}

void exchange_swallow(client_session *s, std::vector<uint8_t> &&tokens, bool ends_after) {
    dialogue &d = *s->talk;
    if (s->state != session_state::active)
        session_move(s, session_state::active);
    s->deadline = 0;
    d.late_answer = std::move(tokens);
    d.ends_after = ends_after;
    d.swallowing = true;
    d.reset_done = d.rated = false;
    d.reset_ack = false;
    sharing_drop_request(s);
    exchange_go_on(s);
}

void exchange_fail_request(client_session *s, proxy_error error, const char *error_type, const char *detail) {
    slots_count_error(s->root, s->bucket, error_type);
    log_warn("request answered with error", {{"session", s->id},
                                             {"bucket", session_bucket_id(s)},
                                             {"number", static_cast<unsigned>(error)},
                                             {"error_type", error_type},
                                             {"detail", detail}});
    exchange_swallow(s, exchange_error_tokens(s, error, detail), error_find(error).severity >= 20);
}

void exchange_refuse_request(client_session *s, const tds_login_answer &answer) {
    std::vector<uint8_t> tokens;
    for (const tds_login_notice &n : answer.notices)
        tds_put_notice(tokens, s->talk->who->version,
                       {n.number, n.state, n.severity, n.text, n.server_name, n.procedure, n.line});
    tds_put_done(tokens, s->talk->who->version, tds_token_done, tds_done_error, 0, 0);
    exchange_swallow(s, std::move(tokens), true);
}
// ---- attention -------------------------------------------------------------------------------------------------

// Whole packets, the last an attention.
static void count_taken_back(client_session *s, std::span<const uint8_t> packets) {
    tds_header h;
    while (tds_header_parse(packets, s->talk->packet_size, h) == tds_header_result::ok && h.length <= packets.size()) {
        count_known_packets(s->bucket, packet_direction::client_to_proxy, h.type);
        packets = packets.subspan(h.length);
    }
}

// The client takes its request back before a server had it: that is answered, then the attention.
void exchange_cancel_waiting(client_session *s) {
    size_t size = 0;
    // A reset that the request asked for cannot be taken back; one in a transaction may end that when it is cancelled
    // (XACT_ABORT): the attention follows the request.
    bool resetting = s->server != nullptr && (s->server->client_resets || s->server->midway);
    bool in_transaction = s->state == session_state::settling && s->talk->shared->track.transaction;
    if (resetting || in_transaction || !tds_find_attention(iobuf_pending(s->in), size))
        return;
    log_debug("request cancelled before it was sent", {{"session", s->id}});
    sharing_drop_request(s);
    if (s->state == session_state::waiting)
        slots_cancel(s->root, s->bucket, s->wait);
    if (s->state != session_state::settling) { // there the questions are about the request before it
        if (s->server != nullptr)
            attach_give_back(s, "request cancelled");
        session_move(s, session_state::active);
    }
    count_taken_back(s, iobuf_pending(s->in).first(size));
    iobuf_consume(s->in, size);
    s->talk->reset_done = s->talk->rated = false;
    if (exchange_send_done(s, tds_done_error) && exchange_send_done(s, tds_done_attention))
        exchange_go_on(s);
}
