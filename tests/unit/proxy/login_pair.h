// The proxy's two sides of a login, facing each other in memory: server_login as the client, client_login as the server
// (or a server whose bytes a test writes itself).
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "cmocka_cpp.h"

#include "proxy/client_login.h"
#include "proxy/server_login.h"
#include "tds/captures.h"
#include "tds/login7_build.h"
#include "tds/packet.h"
#include "tds/response.h"
#include "tls/tls_engine.h"

inline bytes login7_payload(size_t sspi = 0, uint32_t version = tds_7_4, uint32_t packet_size = 8000,
                            std::span<const uint8_t> features = {}) {
    bytes blob(sspi, 0x5a), payload;
    tds_login7_request request;
    request.version = version;
    request.packet_size = packet_size;
    request.user_name = "tenant1";
    request.password = "s3cret";
    request.database = "shop";
    request.sspi = blob;
    request.features = features;
    assert_true(tds_login7_build(request, payload));
    return payload;
}

inline bytes message(uint8_t type, const bytes &payload, size_t packet_size = 4096, uint16_t spid = 51) {
    bytes out;
    tds_put_message(out, type, payload, packet_size, spid);
    return out;
}

// server_login, fed `piece` bytes at a time.
struct outgoing {
    server_login *s;
    size_t piece;
    server_login_result result = server_login_result::more;
    size_t left_over = 0; // bytes of the last delivery that were not consumed

    explicit outgoing(const server_login_options &options, bytes login7 = login7_payload(), size_t p = SIZE_MAX)
        : s(server_login_create(options, std::move(login7))), piece(p) {
        assert_non_null(s);
        assert_true(login7.empty());
        result = server_login_feed(s, {}, nullptr);
    }
    ~outgoing() { server_login_destroy(s); }
    outgoing(const outgoing &) = delete;
    outgoing &operator=(const outgoing &) = delete;
};

inline bytes take_output(outgoing &o) {
    bytes got;
    while (!server_login_output(o.s).empty()) { // a slow socket: at most 700 bytes at a time
        auto out = server_login_output(o.s);
        size_t n = std::min<size_t>(out.size(), 700);
        got.insert(got.end(), out.begin(), out.begin() + static_cast<long>(n));
        server_login_sent(o.s, n);
    }
    return got;
}

// Hands `in` over and returns what the login sends because of it.
inline bytes deliver(outgoing &o, std::span<const uint8_t> in) {
    bytes got = take_output(o);
    while (!in.empty()) {
        size_t n = std::min(o.piece, in.size()), consumed = 0;
        bytes part(in.begin(), in.begin() + static_cast<long>(n)); // exact size on the heap
        o.result = server_login_feed(o.s, part, &consumed);
        bytes more = take_output(o);
        got.insert(got.end(), more.begin(), more.end());
        in = in.subspan(consumed);
        if (consumed < n)
            break;
    }
    o.left_over = in.size();
    return got;
}

struct incoming {
    client_login *c;
    size_t piece;
    client_login_result result = client_login_result::more;

    incoming(const tls_context *tls, tds_tls_policy policy, size_t p = SIZE_MAX) : piece(p) {
        client_login_options options;
        options.tls = tls;
        options.policy = policy;
        options.server_version = {15, 0, 4000, 0};
        options.spid = 77;
        c = client_login_create(options);
        assert_non_null(c);
    }
    ~incoming() { client_login_destroy(c); }
    incoming(const incoming &) = delete;
    incoming &operator=(const incoming &) = delete;
};

inline bytes deliver(incoming &i, std::span<const uint8_t> in) {
    bytes got;
    while (!in.empty()) {
        size_t n = std::min(i.piece, in.size()), consumed = 0;
        i.result = client_login_feed(i.c, in.first(n), &consumed);
        auto out = client_login_output(i.c);
        got.insert(got.end(), out.begin(), out.end());
        client_login_sent(i.c, out.size());
        assert_int_equal(consumed, n);
        in = in.subspan(consumed);
    }
    return got;
}

// Lets both talk until neither has anything to say.
inline void talk(outgoing &o, incoming &i) {
    for (bytes up = take_output(o), down; !up.empty(); up = deliver(o, down))
        down = deliver(i, up);
}

// Answers through client_login's own encryption.
inline void answer(outgoing &o, incoming &i, const bytes &packets) {
    assert_int_equal(i.result, client_login_result::ready);
    client_login_answer_packets(i.c, packets);
    auto out = client_login_output(i.c);
    bytes down(out.begin(), out.end());
    assert_true(deliver(o, down).empty());
}

inline bytes engine_output(tls_engine *e) {
    auto out = tls_engine_output(e);
    bytes got(out.begin(), out.end());
    tls_engine_sent(e, out.size());
    return got;
}

inline std::string engine_decrypt(tls_engine *e, const bytes &cipher) {
    assert_true(tls_engine_feed(e, cipher));
    uint8_t plain[16384];
    size_t got = 0;
    std::string all;
    while (tls_engine_read(e, plain, got) == tls_result::ok)
        all.append(reinterpret_cast<const char *>(plain), got);
    return all;
}
