#include "net/outbox.h"

static constexpr size_t at_once = 256;   // no more than the batch's depth
static constexpr size_t send_early = 64; // so many wait: others shall not wait for the end of a long turn

void net_outbox_init(net_outbox &o, net_batch *batch) {
    o.batch = batch;
    o.ops.reserve(at_once);
    o.sending.reserve(at_once);
}

static void send_some(net_outbox &o) {
    o.ops.clear();
    o.sending.clear();
    while (o.ops.size() < at_once && !list_empty(o.waiting)) {
        net_stream *s = list_pop_front(o.waiting);
        auto bytes = stream_posted(s);
        o.sending.push_back(s);
        o.ops.push_back(
            {s->conn.fd, true, const_cast<uint8_t *>(bytes.data()), static_cast<uint32_t>(bytes.size()), 0});
    }
    net_batch_run(o.batch, o.ops);
    for (size_t i = 0; i < o.ops.size(); ++i)
        if (!stream_posted_sent(o.sending[i], o.ops[i].result))
            list_push_back(o.stalled, *o.sending[i]);
}

static void send_all(net_outbox &o) {
    while (!list_empty(o.waiting))
        send_some(o);
}

void net_outbox_add(net_outbox &o, net_stream &s) {
    if (s.posted.owner != nullptr)
        return;
    s.goes_first ? list_push_front(o.waiting, s) : list_push_back(o.waiting, s);
    if (o.waiting.count >= send_early)
        send_all(o);
}

void net_outbox_remove(net_outbox &o, net_stream &s) {
    if (list_contains(o.waiting, s))
        list_remove(o.waiting, s);
    else if (list_contains(o.stalled, s))
        list_remove(o.stalled, s);
}

void net_outbox_turn(net_outbox &o) {
    while (!list_empty(o.waiting) || !list_empty(o.stalled)) {
        send_all(o);
        if (net_stream *s = list_pop_front(o.stalled); s != nullptr)
            s->conn.on_event(&s->conn, net_writable);
    }
}
