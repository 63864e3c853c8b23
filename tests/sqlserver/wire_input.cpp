// Input: bytes through TLS into packets, packets into messages.
#include "server.h"
#include "wire_conn.h"
#include "wire_mars.h"

namespace sqlserver {

namespace {

constexpr size_t login_max = 128 * 1024 - 1;
constexpr size_t message_max = 256 * 1024 * 1024;

uint8_t byte_at(const std::string &s, size_t i) {
    return static_cast<uint8_t>(s[i]);
}

size_t length_at(const std::string &s, size_t i) { // big-endian u16
    return static_cast<size_t>(byte_at(s, i) << 8 | byte_at(s, i + 1));
}

// ---- TLS ----------------------------------------------------------------------------------------------------------

void handshake_finished(conn *c) {
    server_stats &st = c->srv->stats;
    tls_facts facts = tls_facts_of(c->tls);
    (facts.resumed ? st.tls_resumed : st.tls_full)++;
    (facts.version == "TLSv1.3" ? st.tls_1_3 : st.tls_1_2)++;
    c->tls_resumed = facts.resumed;
    c->tls_version = std::move(facts.version);
    c->sni = std::move(facts.sni);
}

// One step of the handshake after new bytes were fed. False: over with this connection.
bool handshake_step(conn *c) {
    tls_result rc = tls_handshake(c->tls);
    std::string flight;
    tls_drain(c->tls, flight);
    if (c->tr == transport::wrapped)
        out_wrapped(c, flight);
    else
        out_raw(c, flight);
    if (rc == tls_result::failed) {
        conn_linger(c, "TLS handshake failed");
        return false;
    }
    c->handshake_done = rc == tls_result::ok;
    if (c->handshake_done)
        handshake_finished(c);
    return !c->closing;
}

// Payloads of PRELOGIN packets are handshake bytes until the handshake is done; what follows is raw TLS.
void decode_wrapped(conn *c) {
    while (c->raw.size() >= header_size) {
        size_t length = length_at(c->raw, 2);
        if (byte_at(c->raw, 0) != static_cast<uint8_t>(packet::prelogin) || length < header_size) {
            conn_close(c, "not a TLS handshake in a PRELOGIN packet");
            return;
        }
        if (c->raw.size() < length)
            return;
        tls_feed(c->tls, std::string_view(c->raw).substr(header_size, length - header_size));
        c->raw.erase(0, length);
        if (!handshake_step(c))
            return;
        if (c->handshake_done) {
            c->tr = c->after_handshake == prelogin_outcome::login_only ? transport::login_only : transport::tls;
            return;
        }
    }
}

bool packet_complete(const std::string &in) {
    return in.size() >= header_size && in.size() >= length_at(in, 2);
}

// Login-only TLS: one record at a time, and none after the LOGIN7 packet that ends it.
void decode_login_only(conn *c) {
    while (!packet_complete(c->in)) {
        if (c->message_open && c->in.empty() && !c->raw.empty() &&
            byte_at(c->raw, 0) == static_cast<uint8_t>(packet::login7)) {
            tls_end_login_only(c); // this client encrypts the first packet only
            return;
        }
        if (c->raw.size() < 5 || c->raw.size() < 5 + length_at(c->raw, 3))
            return;
        size_t length = 5 + length_at(c->raw, 3);
        tls_feed(c->tls, std::string_view(c->raw).substr(0, length));
        c->raw.erase(0, length);
        if (tls_read(c->tls, c->in) == tls_result::failed) {
            conn_close(c, "TLS read failed during login");
            return;
        }
    }
}

void decode_tls(conn *c) {
    if (c->raw.empty())
        return;
    tls_feed(c->tls, c->raw);
    c->raw.clear();
    if (!c->handshake_done && (!handshake_step(c) || !c->handshake_done))
        return;
    if (tls_read(c->tls, c->in) == tls_result::failed)
        conn_close(c, "TLS closed or broken");
}

void decode(conn *c) {
    switch (c->tr) {
    case transport::plain:
        if (!c->raw.empty()) {
            c->in.append(c->raw);
            c->raw.clear();
        }
        break;
    case transport::wrapped:
        decode_wrapped(c);
        if (c->tr != transport::wrapped && !c->closing)
            decode(c);
        break;
    case transport::login_only:
        decode_login_only(c);
        if (c->tr == transport::plain)
            decode(c);
        break;
    case transport::tls: decode_tls(c); break;
    }
}

// ---- packets ------------------------------------------------------------------------------------------------------

bool framing_legal(const conn *c, uint8_t status, size_t length) {
    size_t max = c->ph == phase::ready ? c->packet_size : packet_max;
    if (length < header_size || length > max)
        return false;
    // From 7.3 on a client's packet that is not the last has to be full.
    bool last = (status & status_eom) != 0;
    return last || c->ph != phase::ready || c->version < tds::v73a || length == max || !c->srv->sw.strict_framing;
}

// Takes one packet off `in`. False: none complete, or the connection is closed.
bool take_packet(conn *c) {
    if (c->in.size() < header_size)
        return false;
    uint8_t type = byte_at(c->in, 0), status = byte_at(c->in, 1);
    size_t length = length_at(c->in, 2);
    bool attention = type == static_cast<uint8_t>(packet::attention);
    if (attention && c->message_open && c->message_type == static_cast<uint8_t>(packet::bulk))
        c->message_open = false; // it ends a bulk load whose data is still coming
    if (!framing_legal(c, attention ? status_eom : status, length) || (c->message_open && type != c->message_type)) {
        conn_close(c, "illegal packet");
        return false;
    }
    if (c->in.size() < length)
        return false;
    if (!c->message_open) {
        c->message.clear();
        c->message_type = type;
        c->message_status = status;
        c->message_open = true;
    }
    c->message.append(c->in, header_size, length - header_size);
    c->in.erase(0, length);
    if (c->message.size() > (c->ph == phase::ready ? message_max : login_max)) {
        conn_close(c, "message too long");
        return false;
    }
    if ((status & status_eom) != 0 || attention) {
        c->message_open = false;
        c->message_status = static_cast<uint8_t>(c->message_status | (status & status_ignore));
    }
    return true;
}

// While a request runs only an attention is taken; a pipelined request waits.
bool take_attention(conn *c) {
    if (c->in.size() < header_size || byte_at(c->in, 0) != static_cast<uint8_t>(packet::attention))
        return false;
    size_t length = length_at(c->in, 2);
    if (length < header_size) {
        conn_close(c, "illegal packet");
        return false;
    }
    if (c->in.size() < length)
        return false;
    c->in.erase(0, length);
    return true;
}

void buffers_trim(conn *c) {
    for (std::string *s : {&c->in, &c->raw})
        if (s->empty() && s->capacity() > 4096)
            s->shrink_to_fit();
    if (c->fib == nullptr && !c->message_open && c->message.capacity() > 4096)
        std::string().swap(c->message);
}

// True when the first byte is one a TDS client may begin with.
bool first_byte(conn *c, char byte) {
    auto b = static_cast<uint8_t>(byte);
    c->ph = phase::prelogin;
    if (b == static_cast<uint8_t>(packet::prelogin) || b == static_cast<uint8_t>(packet::login7))
        return true;
    if (b != 0x16 || c->srv->opt.encryption == encrypt::none)
        return false;
    c->tls = tls_open(c->srv->tls.strict);
    c->tr = transport::tls;
    c->strict = true;
    return c->tls != nullptr;
}

} // namespace

void conn_received(conn *c, std::string_view bytes) {
    if (c->ph == phase::lingering)
        return;
    if (c->ph == phase::first_byte && !first_byte(c, bytes[0])) {
        conn_close(c, "not TDS");
        return;
    }
    (c->tr == transport::plain ? c->in : c->raw).append(bytes);
    conn_process(c);
}

void conn_process(conn *c) {
    while (!c->closing && c->ph != phase::lingering) {
        decode(c);
        if (c->closing || c->ph == phase::lingering)
            return;
        if (c->mars && c->ph == phase::ready && c->fib == nullptr) {
            if (!mars_take(c))
                break;
        } else if (c->stream != nullptr && mars_busy(c)) {
            break;
        } else if (c->fib != nullptr) {
            if (!take_attention(c))
                break;
            session_attention(c);
        } else if (!take_packet(c)) {
            break;
        } else if (!c->message_open) {
            session_message(c);
        }
    }
    if (c->stream != nullptr)
        mars_idle(c);
    else if (!c->closing && c->ph != phase::lingering)
        conn_reading(c);
    buffers_trim(c);
}

} // namespace sqlserver
