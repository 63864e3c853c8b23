#include "net/stream.h"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstring>

#include "net/outbox.h"
#include "tls/tls_engine.h"

static constexpr size_t record_size = 16384;     // plaintext of one TLS record
static constexpr size_t unsent_max = 1ULL << 30; // the owner's marks are far below
static constexpr size_t posted_max = 8192;       // of a stream that wait for the end of the turn; more is sent at once

void stream_set_tls(net_stream *s, tls_engine *tls) {
    tls_engine_destroy(s->tls);
    s->tls = tls;
}

static bool is_posted(const net_stream *s) {
    return s->outbox != nullptr && list_contains(s->outbox->waiting, *s);
}

void stream_free(net_stream *s) {
    if (is_posted(s))
        (void)stream_flush(s);
    if (s->outbox != nullptr)
        net_outbox_remove(*s->outbox, *s);
    tls_engine_destroy(s->tls);
    s->tls = nullptr;
    iobuf_wipe(s->unsent);
}

static int send_engine(net_stream *s) {
    for (;;) {
        auto cipher = tls_engine_output(s->tls);
        if (cipher.empty())
            return 0;
        ssize_t n = net_send(&s->conn, cipher);
        if (n < 0)
            return static_cast<int>(n);
        tls_engine_sent(s->tls, static_cast<size_t>(n));
    }
}

// Decrypts all that the engine can.
static ssize_t read_engine(net_stream *s, std::span<uint8_t> room) {
    size_t total = 0;
    while (total < room.size()) {
        size_t got = 0;
        tls_result result = tls_engine_read(s->tls, room.subspan(total), got);
        total += got;
        if (result == tls_result::ok)
            continue;
        if (total > 0 || result == tls_result::more)
            break; // an end shows again at the next read
        return result == tls_result::closed ? 0 : -EPROTO;
    }
    return total > 0 ? static_cast<ssize_t>(total) : net_again;
}

ssize_t stream_recv(net_stream *s, std::span<uint8_t> room, std::span<uint8_t> cipher) {
    if (s->tls == nullptr)
        return net_recv(&s->conn, room);
    assert(room.size() >= cipher.size() + 2 * record_size);
    ssize_t n = net_recv(&s->conn, cipher);
    if (n <= 0 && n != net_again)
        return n;
    if (n > 0 && !tls_engine_feed(s->tls, cipher.first(static_cast<size_t>(n))))
        return -EPROTO;
    n = read_engine(s, room);
    if (!is_posted(s))
        (void)send_engine(s); // what TLS itself has to say (a key update); a broken connection shows when it is read
    return n;
}

// ---- sending

// Encrypts and sends record by record, so that little ciphertext waits. Takes what it could off the front of `bytes`.
static int send_encrypted(net_stream *s, std::span<const uint8_t> &bytes) {
    int error = send_engine(s);
    while (error == 0 && !bytes.empty()) {
        auto record = bytes.first(std::min(bytes.size(), record_size));
        if (!tls_engine_write(s->tls, record))
            return -EPROTO;
        bytes = bytes.subspan(record.size());
        error = send_engine(s);
    }
    return error;
}

static int send_clear(net_stream *s, std::span<const uint8_t> &bytes) {
    while (!bytes.empty()) {
        ssize_t n = net_send(&s->conn, bytes);
        if (n < 0)
            return static_cast<int>(n);
        bytes = bytes.subspan(static_cast<size_t>(n));
    }
    return 0;
}

static int send_now(net_stream *s, std::span<const uint8_t> &bytes) {
    int error = s->tls != nullptr ? send_encrypted(s, bytes) : send_clear(s, bytes);
    return error == net_again ? 0 : error;
}

static size_t waiting(const net_stream *s) {
    return iobuf_size(s->unsent) + (s->tls != nullptr ? tls_engine_waiting(s->tls) : 0);
}

// Nothing but what waits for the end of the turn already stands before them, and they are few.
static bool may_be_posted(const net_stream *s, size_t size) {
    return s->outbox != nullptr && size > 0 && size + waiting(s) <= posted_max && (is_posted(s) || waiting(s) == 0);
}

static int post(net_stream *s, std::span<const uint8_t> bytes) {
    if (s->tls != nullptr && !tls_engine_write(s->tls, bytes))
        return -EPROTO;
    if (s->tls == nullptr && !iobuf_append(s->unsent, bytes, unsent_max))
        return -ENOMEM;
    net_outbox_add(*s->outbox, *s);
    return 0;
}

int stream_send(net_stream *s, std::span<const uint8_t> bytes) {
    if (s->error != 0)
        return s->error;
    if (may_be_posted(s, bytes.size()))
        return post(s, bytes);
    if (is_posted(s))
        if (int error = stream_flush(s); error != 0)
            return error;
    if (iobuf_size(s->unsent) == 0)
        if (int error = send_now(s, bytes); error != 0)
            return error;
    return iobuf_append(s->unsent, bytes, unsent_max) ? 0 : -ENOMEM;
}

int stream_flush(net_stream *s) {
    if (s->outbox != nullptr)
        net_outbox_remove(*s->outbox, *s);
    if (s->error != 0)
        return s->error;
    auto bytes = iobuf_pending(s->unsent);
    size_t before = bytes.size();
    int error = send_now(s, bytes);
    if (before > 0)
        iobuf_consume(s->unsent, before - bytes.size());
    return error;
}

size_t stream_unsent(const net_stream *s) {
    return is_posted(s) ? 0 : waiting(s);
}

std::span<const uint8_t> stream_posted(const net_stream *s) {
    return s->tls != nullptr ? tls_engine_output(s->tls) : iobuf_pending(s->unsent);
}

bool stream_posted_sent(net_stream *s, ssize_t result) {
    if (result > 0 && s->tls != nullptr)
        tls_engine_sent(s->tls, static_cast<size_t>(result));
    else if (result > 0)
        iobuf_consume(s->unsent, static_cast<size_t>(result));
    if (result < 0 && result != net_again)
        s->error = static_cast<int>(result);
    return s->error == 0 && waiting(s) == 0;
}

const char *stream_error(const net_stream *s) {
    return s->tls != nullptr ? tls_engine_error(s->tls).c_str() : "";
}
