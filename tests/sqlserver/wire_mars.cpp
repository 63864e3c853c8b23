#include "wire_mars.h"
#include "server.h"

#include <algorithm>

namespace sqlserver {

namespace {

constexpr size_t smp_header = 16;
constexpr uint8_t smp_syn = 1, smp_ack = 2, smp_fin = 4, smp_data = 8;

struct smp_packet {
    uint8_t flags = 0;
    uint16_t sid = 0;
    uint32_t length = 0, sequence = 0, window = 0;
};

smp_packet parse(std::string_view in) {
    reader r = reader_of(in.substr(1));
    smp_packet p;
    p.flags = rd_u8(r);
    p.sid = rd_u16(r);
    p.length = rd_u32(r);
    p.sequence = rd_u32(r);
    p.window = rd_u32(r);
    return p;
}

bool legal(const smp_packet &p) {
    bool control = p.flags == smp_syn || p.flags == smp_ack || p.flags == smp_fin;
    return control ? p.length == smp_header
                   : p.flags == smp_data && p.length >= smp_header && p.length <= smp_header + packet_max;
}

void put_packet(mars_stream &s, uint8_t flags, std::string_view payload) {
    s.granted = s.c.in.empty() ? s.received + smp_window : s.granted;
    std::string bytes;
    put_u8(bytes, s.c.srv->sw.garbage != 0 ? 0xAC : 0x53);
    put_u8(bytes, flags);
    put_u16(bytes, s.sid);
    put_u32(bytes, static_cast<uint32_t>(smp_header + payload.size()));
    put_u32(bytes, s.sent);
    put_u32(bytes, s.granted);
    bytes += payload;
    out_smp(s.c.carrier, bytes);
}

bool window_open(const mars_stream &s) {
    return static_cast<int32_t>(s.may_send - s.sent) > 0;
}

void pump(mars_stream &s) {
    while (!s.queue.empty() && window_open(s) && !s.c.carrier->closing) {
        std::string packet = std::move(s.queue.front());
        s.queue.pop_front();
        ++s.sent;
        put_packet(s, smp_data, packet);
    }
}

void close_stream(mars_stream &s) {
    if (s.c.closing)
        return;
    s.c.closing = s.c.cancelled = true;
    uv_close(reinterpret_cast<uv_handle_t *>(&s.c.timer), [](uv_handle_t *h) {
        auto *c = static_cast<conn *>(h->data);
        c->handles_open--;
        mars_reap(c);
    });
}

// Both have ended it, and nothing of it runs.
void end_stream(mars_stream &s) {
    put_packet(s, smp_fin, {});
    close_stream(s);
}

void open_stream(conn *carrier, const smp_packet &p) {
    auto *s = new mars_stream;
    conn &c = s->c;
    s->sid = p.sid;
    s->may_send = p.window;
    c.srv = carrier->srv;
    c.carrier = carrier;
    c.stream = s;
    c.id = carrier->id;
    c.ph = phase::ready;
    c.packet_size = carrier->packet_size;
    c.version = carrier->version;
    c.features = carrier->features;
    c.sess = carrier->sess;
    c.spid = carrier->spid;
    uv_timer_init(&c.srv->loop, &c.timer);
    c.timer.data = &c;
    c.handles_open = 1;
    carrier->streams[p.sid] = s;
}

void take_fin(mars_stream &s) {
    s.client_fin = true;
    s.queue.clear();
    if (s.c.fib != nullptr) {
        s.c.cancelled = true;
        session_continue(&s.c);
    }
    mars_idle(&s.c);
}

void take_data(mars_stream &s, std::string_view payload) {
    ++s.received;
    s.c.in.append(payload);
    conn_process(&s.c);
}

// Nullptr, or what is wrong with it.
const char *take(conn *carrier, const smp_packet &p, std::string_view payload) {
    auto found = carrier->streams.find(p.sid);
    if (p.flags == smp_syn && found != carrier->streams.end())
        return "SMP SYN for a session that there is";
    if (p.flags == smp_syn)
        return open_stream(carrier, p), nullptr;
    if (found == carrier->streams.end() || found->second->client_fin)
        return "SMP packet for a session that there is not";
    mars_stream &s = *found->second;
    bool data = p.flags == smp_data;
    if (p.sequence != s.received + (data ? 1 : 0))
        return "SMP sequence number";
    if (data && static_cast<int32_t>(s.granted - p.sequence) < 0)
        return "SMP data beyond the window";
    if (static_cast<int32_t>(p.window - s.may_send) < 0)
        return "SMP window goes back";
    s.may_send = p.window;
    if (p.flags == smp_fin)
        return take_fin(s), nullptr;
    pump(s);
    if (data)
        take_data(s, payload);
    return nullptr;
}

} // namespace

bool mars_take(conn *carrier) {
    std::string &in = carrier->in;
    if (in.empty())
        return false;
    if (in[0] != 0x53) {
        conn_close(carrier, "not an SMP packet");
        return false;
    }
    if (in.size() < smp_header)
        return false;
    smp_packet p = parse(in);
    if (!legal(p)) {
        conn_close(carrier, "illegal SMP packet");
        return false;
    }
    if (in.size() < p.length)
        return false;
    std::string payload = in.substr(smp_header, p.length - smp_header);
    in.erase(0, p.length);
    if (const char *why = take(carrier, p, payload); why != nullptr)
        conn_close(carrier, why);
    return !carrier->closing;
}

void mars_send(conn *c, std::string_view packets) {
    while (!packets.empty()) {
        size_t n = static_cast<size_t>(static_cast<uint8_t>(packets[2]) << 8 | static_cast<uint8_t>(packets[3]));
        c->stream->queue.emplace_back(packets.substr(0, n));
        packets.remove_prefix(n);
    }
    pump(*c->stream);
}

bool mars_running(const conn *carrier) {
    return std::any_of(carrier->streams.begin(), carrier->streams.end(),
                       [](const auto &one) { return one.second->c.fib != nullptr; });
}

bool mars_busy(const conn *c) {
    return c->fib == nullptr && mars_running(c->carrier);
}

void mars_idle(conn *c) {
    mars_stream &s = *c->stream;
    if (c->closing || c->carrier->closing)
        return;
    // The window moves with every answer; by itself when several packets of one request have come.
    if (s.client_fin && c->fib == nullptr)
        end_stream(s);
    else if (c->in.empty() && s.received + smp_window - s.granted >= 2)
        put_packet(s, smp_ack, {});
    if (c->fib != nullptr)
        return;
    for (const auto &[sid, other] : c->carrier->streams)
        if (&other->c != c && !other->c.in.empty() && !other->c.closing) {
            turn_forget(&other->c);
            turn_wait(&other->c);
        }
}

void mars_close(conn *carrier) {
    for (const auto &[sid, s] : carrier->streams)
        close_stream(*s);
}

void mars_reap(conn *c) {
    if (c->handles_open > 0)
        return;
    if (c->fib != nullptr) // cancelled: every wait fails now, so it runs to its end
        session_continue(c);
    if (c->fib != nullptr)
        return;
    conn *carrier = c->carrier;
    turn_forget(c);
    carrier->streams.erase(c->stream->sid);
    delete c->stream;
    if (carrier->closing)
        conn_reap(carrier);
}

} // namespace sqlserver
