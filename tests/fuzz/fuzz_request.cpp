// Fuzz target: the reader of requests. The input is the packets of one message; the first one's SPID holds the version
// and the enclave bit, the last byte of the input the size of the pieces. A reading in pieces has to find what a
// reading of the whole finds and to give the scanner the same texts; so has one with a memo of all texts before it;
// other text has to fit into the place that it names.
#include <cstdint>
#include <cstdlib>

#include "tds/prepared_call.h"
#include "tds/request_stream.h"

static void require(bool condition) {
    if (!condition)
        abort();
}

static request_kind kind_of(const tds_header &h) {
    static constexpr uint32_t versions[] = {tds_7_4, tds_8_0, tds_7_3b, tds_7_2, tds_7_1, tds_7_0};
    return {h.type, versions[(h.spid >> 8) % 6], (h.spid & 1) != 0};
}

static void inside(const tds_request_info &info, size_t size) {
    require(info.calls.size() <= tds_rpc_calls_max && info.descriptor_at <= size);
    for (const tds_rpc_call &c : info.calls)
        require(c.at < size && c.options_at < size && c.end <= size && c.first_at + c.first_size <= size &&
                c.name.size() <= 1046 / 2 * tds_utf8_per_unit);
}

// What is put into the place is what is read from there afterwards.
static void put_text(const request_kind &kind, const bytes &payload, const reading &k, size_t size) {
    bytes text, out;
    for (size_t i = 0; i < size; ++i)
        put_u16le(text, 'a');
    if (!tds_request_put_text(payload, k.info, text, out)) {
        require(k.info.place.kind == tds_text_place::kind_t::none || size > 4000);
        return;
    }
    reading again = read_only(kind, out, {out.size()});
    require(!again.info.broken && again.texts.size() == 1 && again.texts[0].utf16 == text);
    require(again.info.calls.size() == k.info.calls.size() && again.calls == k.calls);
}

// Heads of prepared statements lie in the message one behind the other, and each can be put together anew.
static void put_heads(const request_kind &kind, const bytes &payload, const reading &k) {
    uint64_t from = 0;
    for (const tds_rpc_call &c : k.info.heads) {
        require(c.at >= from && c.end <= payload.size() && c.options_at > c.at && c.end > c.options_at);
        from = c.end;
        auto head = std::span(payload).subspan(c.at, c.end - c.at);
        tds_prepared_text text;
        bytes out;
        if (tds_prepared_text_read(c, head, text)) {
            bytes run = tds_prepared_payload(text.statement, kind.version);
            (void)read_only(kind, run, {run.size()});
        }
        if (c.has_first && c.first_size >= 4)
            tds_put_handle(c, head, 7, out);
        tds_put_no_handle(c, head, out);
        if (c.parameters > 0) {
            tds_put_prepexec(c, head, text, out);
            tds_put_nothing(c, head, out);
        }
        tds_put_no_procedure(c, head, out);
    }
}

static void same(const reading &a, const reading &b) {
    const auto &i = a.info, &k = b.info;
    require(i.broken == k.broken && i.descriptor == k.descriptor && i.descriptor_at == k.descriptor_at);
    require(i.calls_count == k.calls_count && i.calls == k.calls && i.heads == k.heads && i.place == k.place);
    require(i.tm_type == k.tm_type && i.tm_isolation == k.tm_isolation && i.tm_begins == k.tm_begins);
    require(i.tm_savepoint == k.tm_savepoint);
    const auto &e = i.effect, &f = k.effect;
    require(e.turned_on == f.turned_on && e.calls == f.calls && e.transactions == f.transactions);
    require(e.writes == f.writes && e.empty == f.empty && e.lone_select == f.lone_select);
    require(e.last_uses.size() == f.last_uses.size() && e.last_unclear == f.last_unclear);
    require(a.texts == b.texts && a.calls == b.calls);
}

static void read_message(const request_kind &kind, const bytes &payload, size_t piece) {
    reading whole = read_only(kind, payload, {payload.size()});
    // Long ones not byte by byte: each piece is a copy.
    same(whole, read_only(kind, payload, pieces_of(payload.size(), std::max(piece, payload.size() / 200))));
    static tsql_memo memo;
    for (int times = 0; times < 3; ++times)
        same(whole, read_with_memo(kind, payload, memo, whole));
    inside(whole.info, payload.size());
    size_t units = 0;
    for (const fake_text &t : whole.texts) {
        require(t.ended);
        units += t.utf16.size();
    }
    require(units <= 2 * payload.size());
    put_heads(kind, payload, whole);
    put_text(kind, payload, whole, piece);
    if (piece == 1)
        put_text(kind, payload, whole, 4001);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    std::span<const uint8_t> in(data, size);
    tds_header h{};
    if (size < tds_header_size || tds_header_parse(in, tds_packet_size_max, h) != tds_header_result::ok)
        return 0;
    request_kind kind = kind_of(h);
    bytes payload;
    do {
        auto part = in.subspan(tds_header_size);
        part = part.first(std::min<size_t>(part.size(), h.length - tds_header_size));
        in = in.subspan(tds_header_size + part.size());
        payload.insert(payload.end(), part.begin(), part.end());
    } while ((h.status & tds_status_eom) == 0 && tds_header_parse(in, tds_packet_size_max, h) == tds_header_result::ok);
    read_message(kind, payload, 1 + data[size - 1] % 64U);
    return 0;
}
