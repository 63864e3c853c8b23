// Output: tokens into packets, packets into TLS, bytes to the socket.
#include "server.h"
#include "wire_conn.h"
#include "wire_mars.h"

#include <algorithm>

namespace sqlserver {

namespace {

struct write_request {
    uv_write_t uv = {};
    conn *c = nullptr;
    std::string bytes;
};

void packet_begin(conn *c) {
    c->packet_at = c->out.size();
    c->out.append(header_size, '\0');
    c->packet_open = true;
}

void packet_finish(conn *c, bool last) {
    char *h = &c->out[c->packet_at];
    size_t length = c->out.size() - c->packet_at;
    c->packet_id++; // SQL Server counts from 1
    const uint8_t header[header_size] = {static_cast<uint8_t>(c->out_type),
                                         static_cast<uint8_t>(last ? status_eom : 0),
                                         static_cast<uint8_t>(length >> 8),
                                         static_cast<uint8_t>(length),
                                         static_cast<uint8_t>(c->spid >> 8),
                                         static_cast<uint8_t>(c->spid),
                                         c->packet_id,
                                         0};
    memcpy(h, header, header_size);
    c->packet_open = false;
    c->packet_at = c->out.size();
}

void on_written(uv_write_t *uv, int status) {
    auto *w = static_cast<write_request *>(uv->data);
    conn *c = w->c;
    c->in_flight -= w->bytes.size();
    delete w;
    if (c->closing)
        return;
    if (status < 0) {
        conn_close(c, uv_strerror(status));
        return;
    }
    if (c->waits == waiting::drain && c->in_flight < output_low) {
        session_continue(c);
        conn_process(c);
    }
}

void write_later(conn *c, std::string_view bytes) {
    auto *w = new write_request;
    w->c = c;
    w->bytes.assign(bytes);
    w->uv.data = w;
    uv_buf_t buffer = uv_buf_init(w->bytes.data(), static_cast<unsigned>(w->bytes.size()));
    c->in_flight += w->bytes.size();
    int rc = uv_write(&w->uv, reinterpret_cast<uv_stream_t *>(&c->tcp), &buffer, 1, on_written);
    if (rc < 0) {
        c->in_flight -= w->bytes.size();
        delete w;
        conn_close(c, uv_strerror(rc));
    }
}

// Writes what the socket takes at once and queues the rest.
void socket_write(conn *c, std::string_view bytes) {
    if (c->closing || bytes.empty())
        return;
    bool cut = c->cut_answer;
    if (cut)
        bytes = bytes.substr(0, bytes.size() / 2);
    if (c->in_flight == 0) {
        uv_buf_t buffer = uv_buf_init(const_cast<char *>(bytes.data()), static_cast<unsigned>(bytes.size()));
        int n = uv_try_write(reinterpret_cast<uv_stream_t *>(&c->tcp), &buffer, 1);
        if (n < 0 && n != UV_EAGAIN) {
            conn_close(c, uv_strerror(n));
            return;
        }
        bytes.remove_prefix(n > 0 ? static_cast<size_t>(n) : 0);
    }
    if (cut)
        conn_close(c, "drop-request");
    else if (!bytes.empty())
        write_later(c, bytes);
}

size_t packet_length(std::string_view packets) {
    return static_cast<size_t>(static_cast<uint8_t>(packets[2]) << 8 | static_cast<uint8_t>(packets[3]));
}

// One TDS packet is one TLS record, as SQL Server does it.
void write_encrypted(conn *c, std::string_view packets) {
    std::string wire;
    while (!packets.empty()) {
        size_t n = std::min(packet_length(packets), packets.size());
        if (!tls_write(c->tls, packets.substr(0, n))) {
            conn_close(c, "TLS write failed");
            return;
        }
        tls_drain(c->tls, wire);
        packets.remove_prefix(n);
    }
    socket_write(c, wire);
}

} // namespace

void out_append(conn *c, std::string_view tokens) {
    while (!tokens.empty()) {
        if (c->packet_open && c->out.size() - c->packet_at == c->packet_size)
            packet_finish(c, false);
        if (!c->packet_open)
            packet_begin(c);
        size_t room = c->packet_size - (c->out.size() - c->packet_at);
        size_t n = std::min(room, tokens.size());
        c->out.append(tokens.data(), n);
        tokens.remove_prefix(n);
    }
}

void out_end(conn *c) {
    if (!c->packet_open)
        packet_begin(c);
    packet_finish(c, true);
    c->packet_id = 0;
}

void out_smp(conn *c, std::string_view packet) {
    if (c->tr != transport::tls) {
        socket_write(c, packet);
        return;
    }
    std::string wire;
    if (!tls_write(c->tls, packet))
        conn_close(c, "TLS write failed");
    tls_drain(c->tls, wire);
    socket_write(c, wire);
}

void out_flush(conn *c) {
    size_t n = c->packet_open ? c->packet_at : c->out.size();
    std::string_view ready = std::string_view(c->out).substr(0, n);
    if (c->stream != nullptr)
        mars_send(c, ready);
    else if (c->tr == transport::tls)
        write_encrypted(c, ready);
    else
        socket_write(c, ready);
    c->out.erase(0, n);
    c->packet_at -= n;
    if (c->out.empty() && c->out.capacity() > 16384)
        c->out.shrink_to_fit(); // thousands of idle sessions should be cheap
}

void out_raw(conn *c, std::string_view bytes) {
    socket_write(c, bytes);
}

void out_wrapped(conn *c, std::string_view bytes) {
    if (bytes.empty())
        return;
    c->out_type = packet::prelogin;
    out_append(c, bytes);
    out_end(c);
    c->out_type = packet::result;
    out_flush(c);
}

} // namespace sqlserver
