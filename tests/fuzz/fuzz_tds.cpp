// Fuzz target: packets, PRELOGIN and LOGIN7 in clear, as a stranger's first bytes.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "tds/login7.h"
#include "tds/packet.h"
#include "tds/prelogin.h"
#include "tds/smp.h"
#include "tds/utf16.h"

static void require(bool condition) {
    if (!condition)
        abort();
}

static void inside(std::span<const uint8_t> part, std::span<const uint8_t> whole) {
    require(part.empty() || (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size()));
}

static void prelogin(std::span<const uint8_t> payload) {
    tds_prelogin p;
    if (tds_prelogin_parse(payload, p) != tds_prelogin_error::none)
        return;
    inside(p.trace, payload);
    inside(p.nonce, payload);
    inside({reinterpret_cast<const uint8_t *>(p.instance.data()), p.instance.size()}, payload);
    for (auto policy : {tds_tls_policy::disable, tds_tls_policy::allow, tds_tls_policy::require})
        require(tds_encryption_decide(p.encryption, policy).answer <= 3);
    tds_prelogin_answer a;
    a.version = {16, 0, 0, 0};
    a.mars = p.has_mars;
    a.mars_value = tds_prelogin_mars_on(p);
    a.thread = p.has_thread;
    a.fedauth = p.has_fedauth;
    std::vector<uint8_t> answer;
    tds_prelogin_answer_build(a, answer);
    require(tds_prelogin_parse(std::span(answer).subspan(tds_header_size), p) == tds_prelogin_error::none);
}

static void login7(std::span<const uint8_t> payload) {
    tds_login7 l;
    if (tds_login7_parse(payload, l) != tds_login7_error::none) {
        require(l.password.size == 0 && l.new_password.size == 0);
        return;
    }
    inside(l.sspi, payload);
    inside(l.features, payload);
    require(l.user_name.size() <= tds_name_max * tds_utf8_per_unit && l.password.size <= sizeof l.password.text);
    auto rest = l.features;
    tds_feature f{};
    while (tds_feature_next(rest, f))
        inside(f.data, payload);
    require(rest.empty());
}

// The whole stream through the reader, in pieces whose size the input decides.
static void messages(std::span<const uint8_t> in, size_t piece) {
    tds_message_reader r;
    tds_message_start(r, 0, tds_initial_packet_size, 20000);
    for (size_t at = 0; at < in.size();) {
        size_t consumed = 0;
        auto part = in.subspan(at, std::min(piece, in.size() - at));
        auto result = tds_message_read(r, part, consumed);
        require(consumed <= part.size() && r.size <= r.message_limit && r.capacity <= 2 * 20000);
        at += consumed;
        if (result == tds_read_result::error)
            return;
        if (result == tds_read_result::more) {
            require(consumed == part.size());
            continue;
        }
        (r.type == tds_type_prelogin ? prelogin : login7)(tds_message_payload(r));
        tds_message_start(r, 0, tds_initial_packet_size, 20000);
    }
}

// Any split says the same of an SMP stream.
static void smp(std::span<const uint8_t> in, size_t piece) {
    smp_cursor whole, pieces;
    size_t packets = 0, of_pieces = 0;
    auto count = [](void *n, const smp_tds_packet &) { ++*static_cast<size_t *>(n); };
    const char *why = smp_walk(whole, smp_sender::client, in, count, &packets), *piecewise = nullptr;
    for (size_t at = 0; at < in.size() && piecewise == nullptr; at += piece)
        piecewise =
            smp_walk(pieces, smp_sender::client, in.subspan(at, std::min(piece, in.size() - at)), count, &of_pieces);
    require(why == piecewise && packets == of_pieces &&
            (why != nullptr || smp_cursor_idle(whole) == smp_cursor_idle(pieces)));
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    std::span<const uint8_t> in(data, size);
    prelogin(in);
    login7(in);
    messages(in, size == 0 ? 1 : 1 + data[size - 1]);
    smp(in, size == 0 ? 1 : 1 + data[size - 1] % 24);
    std::vector<uint8_t> back;
    tds_utf16_append(tds_utf8(in), SIZE_MAX, back);
    require(back.size() == size / 2 * 2);
    return 0;
}
