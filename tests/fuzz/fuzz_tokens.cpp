// Fuzz target: the walker of a server's tokens. The input is packets; the first one's SPID holds the options, the last
// byte of the input the size of the pieces. A walk in pieces has to find what a walk over whole packets finds, and to
// forward the same bytes.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "tds/login7.h"
#include "tds/packet.h"
#include "tds/token_walk.h"

static void require(bool condition) {
    if (!condition)
        abort();
}

struct walk {
    tds_walker w;
    std::vector<uint8_t> forwarded;
};

static tds_walk_options options_of(uint16_t bits) {
    static constexpr uint32_t versions[] = {tds_7_4, tds_8_0, tds_7_3b, tds_7_2, tds_7_1, tds_7_0};
    tds_walk_options o;
    o.version = versions[(bits >> 8) % 6];
    o.column_encryption = (bits & 1) != 0;
    o.data_classification = static_cast<uint8_t>((bits >> 1) % 4 % 3);
    o.drop_reset = (bits & 8) != 0;
    o.drop_session_state = (bits & 16) != 0;
    return o;
}

// An exact heap copy, so that AddressSanitizer sees any read behind a piece.
static void feed(walk &k, std::span<const uint8_t> piece) {
    auto copy = std::make_unique<uint8_t[]>(piece.size());
    memcpy(copy.get(), piece.data(), piece.size());
    std::span<const uint8_t> in(copy.get(), piece.size()), forward;
    while (!in.empty() && k.w.error == tds_walk_error::none) {
        size_t before = in.size();
        auto result = tds_walk(k.w, in, forward);
        require((result == tds_walk_result::ok) == (k.w.error == tds_walk_error::none));
        require(in.size() < before || !forward.empty() || result == tds_walk_result::error);
        require(forward.size() <= before + 3);
        k.forwarded.insert(k.forwarded.end(), forward.begin(), forward.end());
    }
}

static void feed_packets(walk &k, std::span<const uint8_t> in, size_t piece) {
    tds_header h{};
    while (tds_header_parse(in, tds_packet_size_max, h) == tds_header_result::ok) {
        auto payload = in.subspan(tds_header_size);
        payload = payload.first(std::min<size_t>(payload.size(), h.length - tds_header_size));
        in = in.subspan(tds_header_size + payload.size());
        while (!payload.empty()) {
            auto part = payload.first(std::min(piece, payload.size()));
            feed(k, part);
            payload = payload.subspan(part.size());
        }
        if ((h.status & tds_status_eom) != 0 && tds_walk_end(k.w) != tds_walk_result::ok)
            return;
    }
}

static void same_message(const tds_walk_message &a, const tds_walk_message &b) {
    require(a.errors == b.errors && a.infos == b.infos && a.first_error == b.first_error);
    require(a.worst_error == b.worst_error && a.worst_error_class == b.worst_error_class);
    require(a.has_done == b.has_done && a.done_status == b.done_status && a.done_rows == b.done_rows);
    require(a.attentions == b.attentions && a.reset_seen == b.reset_seen &&
            a.session_state_seen == b.session_state_seen);
    require(a.transaction_seen == b.transaction_seen && a.return_status == b.return_status);
    require(a.dones_with_count == b.dones_with_count && a.last_count == b.last_count && a.calls_done == b.calls_done);
    require(a.returns_count == b.returns_count);
    for (size_t i = 0; i < tds_walk_returns_kept; ++i)
        require(a.returns[i].call == b.returns[i].call && a.returns[i].ordinal == b.returns[i].ordinal &&
                a.returns[i].is_int == b.returns[i].is_int && a.returns[i].value == b.returns[i].value);
}

static void same_session(const tds_walk_session &a, const tds_walk_session &b) {
    require(a.in_transaction == b.in_transaction && a.enlisted == b.enlisted && a.version == b.version);
    require(memcmp(a.descriptor, b.descriptor, sizeof a.descriptor) == 0 && a.packet_size == b.packet_size);
    require(a.database == b.database && a.language == b.language && a.collation_size == b.collation_size);
    require(a.routing.server == b.routing.server && a.features == b.features);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint16_t bits = size < tds_header_size ? uint16_t{0} : static_cast<uint16_t>(data[4] << 8 | data[5]);
    walk whole, pieces;
    tds_walk_init(whole.w, options_of(bits));
    tds_walk_init(pieces.w, options_of(bits));
    feed_packets(whole, {data, size}, SIZE_MAX);
    feed_packets(pieces, {data, size}, 1 + (size == 0 ? 0U : data[size - 1] % 64U));
    require(whole.w.error == pieces.w.error && whole.w.bad_byte == pieces.w.bad_byte);
    same_message(whole.w.message, pieces.w.message);
    same_session(whole.w.session, pieces.w.session);
    size_t n = std::min(whole.forwarded.size(), pieces.forwarded.size());
    require(n == 0 || memcmp(whole.forwarded.data(), pieces.forwarded.data(), n) == 0);
    if (whole.w.error == tds_walk_error::none)
        require(whole.forwarded.size() == pieces.forwarded.size());
    require(whole.w.layout.capacity <= 2 * size + 64 && whole.w.gathered_capacity <= 2 * size + 64);
    return 0;
}
