// A client engine and a server engine with a wire between them.
#pragma once

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "tls/tls_engine.h"

#include "cmocka_cpp.h"

struct engine_pair {
    tls_engine *client = nullptr;
    tls_engine *server = nullptr;

    ~engine_pair() {
        tls_engine_destroy(client);
        tls_engine_destroy(server);
    }
};

struct pair_wishes {
    tls_mode mode = tls_mode::wrapped;
    const char *host = "db.example";
    uint16_t port = 1433;
    size_t piece = SIZE_MAX; // bytes that cross the wire at once
};

// Whatever waits at `from` goes to `to` in pieces; after each `to` does its handshake. What it said last.
inline tls_result pair_cross(tls_engine *from, tls_engine *to, size_t piece) {
    auto result = tls_engine_handshake(to);
    while (tls_engine_waiting(from) > 0 && result != tls_result::error) {
        auto output = tls_engine_output(from);
        output = output.first(std::min(piece, output.size()));
        assert_true(tls_engine_feed(to, output));
        tls_engine_sent(from, output.size());
        result = tls_engine_handshake(to);
    }
    return result;
}

// True if both sides are done and agree. Ends as soon as one of them gives up.
inline bool pair_shake(engine_pair &p, size_t piece = SIZE_MAX) {
    auto client = tls_engine_handshake(p.client), server = tls_result::more;
    for (int round = 0; round < 4 && client != tls_result::error && server != tls_result::error; ++round) {
        server = pair_cross(p.client, p.server, piece);
        client = pair_cross(p.server, p.client, piece);
    }
    return client == tls_result::ok && server == tls_result::ok;
}

inline bool pair_connect(engine_pair &p, const tls_client_context *client, const tls_context *server,
                         const pair_wishes &w = {}) {
    tls_engine_destroy(p.client);
    tls_engine_destroy(p.server);
    p.client = tls_engine_create_client(client, w.mode, w.host, w.port);
    p.server = tls_engine_create(server, w.mode);
    assert_non_null(p.client);
    assert_non_null(p.server);
    return pair_shake(p, w.piece);
}

// Reads all that is there, at most `size` bytes, from an engine that is fed `piece` bytes at a time.
inline std::vector<uint8_t> pair_receive(tls_engine *from, tls_engine *to, size_t size, size_t piece) {
    std::vector<uint8_t> plain(size + 1);
    size_t have = 0;
    while (tls_engine_waiting(from) > 0) {
        auto output = tls_engine_output(from);
        output = output.first(std::min(piece, output.size()));
        assert_true(tls_engine_feed(to, output));
        tls_engine_sent(from, output.size());
        for (size_t n = 0; tls_engine_read(to, std::span(plain).subspan(have), n) == tls_result::ok;)
            have += n;
    }
    plain.resize(have);
    return plain;
}

inline void pair_send(tls_engine *from, tls_engine *to, size_t size, size_t piece = SIZE_MAX) {
    std::vector<uint8_t> plain(size);
    for (size_t i = 0; i < size; ++i)
        plain[i] = static_cast<uint8_t>(i * 31 + size);
    assert_true(tls_engine_write(from, plain));
    assert_true(pair_receive(from, to, size, piece) == plain);
}

inline void pair_talk(engine_pair &p, size_t size, size_t piece = SIZE_MAX) {
    pair_send(p.client, p.server, size, piece);
    pair_send(p.server, p.client, size, piece);
}
