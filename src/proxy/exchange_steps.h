// The inside of exchange: what its files have in common. Nobody else includes this.
//
//      exchange.cpp         both sockets; requests, from the client to the server
//      exchange_answer.cpp  answers, from the server to the client
//      exchange_reply.cpp   what the proxy answers itself: errors, attentions, requests that fail before a server had
//      them
//      exchange_rate.cpp    requests of a tenant that has sent too many
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/error_table.h"
#include "proxy/proxy.h"

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

inline bool exchange_alive(const client_session *s) {
    return s->state == session_state::active || s->state == session_state::waiting ||
           s->state == session_state::connecting || s->state == session_state::settling;
}

inline bool exchange_serving(const client_session *s) {
    return s->state == session_state::active && s->server != nullptr;
}

void exchange_count_out(client_session *, packet_direction, tds_packet_writer &);
void exchange_count_in(client_session *, packet_direction, const tds_packet_cursor &);

// Begins a message to the client, or goes on with the one that has told it that its request waits.
void exchange_begin_message(client_session *);
// One message of the tokens given, or of one DONE. False: the session has ended.
[[nodiscard]] bool exchange_send_tokens(client_session *, std::span<const uint8_t> tokens);
[[nodiscard]] bool exchange_send_done(client_session *, uint16_t status);
std::vector<uint8_t> exchange_error_tokens(const client_session *, proxy_error, const char *detail);

// The session has nothing that a request refused in the middle of it would spoil: no transaction, no pin.
[[nodiscard]] bool exchange_nothing_held(const client_session *);
// The request whose first packet has these (MS-TDS 2.2.3.1) is counted for its tenant, once. True: it is refused and
// being swallowed.
[[nodiscard]] bool exchange_over_rate(client_session *, uint8_t type, uint8_t status_bits);
// The request at the head of `in` is read to its end and dropped, then answered with these tokens.
void exchange_swallow(client_session *, std::vector<uint8_t> &&tokens, bool ends_after);
// It has been: the answer. False: the session has ended.
[[nodiscard]] bool exchange_answer_late(client_session *);
// The client takes a request back before a server had it, if that is what stands in `in`.
void exchange_cancel_waiting(client_session *);
// Goes on with what is in `in`. Not from inside the taking of it: that goes on by itself.
void exchange_go_on(client_session *);
