#include "proxy/client_login.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "base/iobuf.h"
#include "proxy/login_wire.h"
#include "tds/packet.h"
#include "tds/response.h"
#include "tls/tls_engine.h"
#include "tls/tls_record.h"

static constexpr size_t output_limit = 128 * 1024; // a handshake flight with a long certificate chain fits
static constexpr size_t prelogin_limit = tds_initial_packet_size - tds_header_size;

enum class stage : uint8_t {
    first_byte,  // nothing has come
    plain,       // a TDS message in clear
    wrapped,     // TLS handshake in PRELOGIN packets
    handshake,   // TLS handshake in the open (strict)
    records,     // a TDS message inside TLS records
    after_first, // login-only: the first LOGIN7 packet has come, the next byte says whether TLS goes on
    ready,
    closed,
};

struct client_login {
    client_login_options options;
    stage now = stage::first_byte;
    client_encryption encryption = client_encryption::none;
    client_login_error error = client_login_error::none;
    bool mars = false;
    bool prelogin = false;
    bool tls_resumed = false;
    const char *tls_version = nullptr; // OpenSSL's constant
    bool clear_refused = false;        // policy `require` and LOGIN7 came in clear without PRELOGIN
    std::string error_text;
    std::string sni;
    tls_engine_ptr engine;
    tds_message_reader reader;
    login_unit current;
    iobuf out;
    std::unique_ptr<tds_login7> message;
};

client_login *client_login_create(const client_login_options &options) {
    auto *c = new (std::nothrow) client_login;
    if (c == nullptr)
        return nullptr;
    c->options = options;
    if (options.tls == nullptr)
        c->options.policy = tds_tls_policy::disable;
    c->options.server_version.major = std::max<uint8_t>(options.server_version.major, 9);
    return c;
}

void client_login_destroy(client_login *c) {
    delete c;
}

static void close_login(client_login *c, client_login_error error, std::string_view text) {
    if (c->now == stage::closed)
        return;
    c->now = stage::closed;
    c->error = error;
    c->error_text = text;
}

static void expect_message(client_login *c, uint8_t type) {
    bool login = type == tds_type_login7;
    tds_message_start(c->reader, type, tds_initial_packet_size, login ? tds_login7_max : prelogin_limit);
}

static void put_output(client_login *c, std::span<const uint8_t> bytes) {
    if (!iobuf_append(c->out, bytes, output_limit))
        close_login(c, client_login_error::memory, "output buffer is full");
}

static void drain_engine(client_login *c) {
    if (!login_flight_bare(c->engine.get(), c->out, output_limit))
        close_login(c, client_login_error::memory, "output buffer is full");
}

static void drain_engine_wrapped(client_login *c) {
    if (!login_flight_wrapped(c->engine.get(), c->options.spid, c->out, output_limit))
        close_login(c, client_login_error::memory, "output buffer is full");
}

// Sends TDS packets in the way that the stage of the login asks for; one packet is one TLS write.
static void send_packets(client_login *c, std::span<const uint8_t> packets) {
    bool encrypted = c->encryption == client_encryption::full || c->encryption == client_encryption::strict;
    if (!encrypted)
        return put_output(c, packets);
    while (!packets.empty()) {
        tds_header h;
        if (tds_header_parse(packets, tds_packet_size_max, h) != tds_header_result::ok ||
            !tls_engine_write(c->engine.get(), packets.first(h.length)))
            return close_login(c, client_login_error::tls, "TLS write failed");
        packets = packets.subspan(h.length);
        drain_engine(c);
    }
}

static bool start_engine(client_login *c, tls_mode mode, stage next) {
    c->engine.reset(tls_engine_create(c->options.tls, mode));
    c->current = {};
    c->now = next;
    if (!c->engine)
        close_login(c, client_login_error::memory, "no memory for TLS");
    return c->engine != nullptr;
}

static void tls_failed(client_login *c, const char *what) {
    close_login(c, client_login_error::tls, std::string(what) + ": " + tls_engine_error(c->engine.get()));
}

// ---- messages

static void answer_prelogin(client_login *c, const tds_prelogin &request, uint8_t encryption) {
    tds_prelogin_answer answer;
    answer.version = c->options.server_version;
    answer.encryption = encryption;
    answer.mars = request.has_mars;
    c->mars = c->options.grant_mars && tds_prelogin_mars_on(request);
    answer.mars_value = c->mars;
    answer.thread = request.has_thread;
    answer.spid = c->options.spid;
    std::vector<uint8_t> packet;
    tds_prelogin_answer_build(answer, packet);
    send_packets(c, packet);
}

static client_encryption encryption_of(tds_encryption outcome) {
    switch (outcome) {
    case tds_encryption::login_only: return client_encryption::login_only;
    case tds_encryption::full: return client_encryption::full;
    default: return client_encryption::none;
    }
}

static void negotiate(client_login *c, const tds_prelogin &request) {
    // A client that does not name the option is one that knows no encryption.
    uint8_t wish = request.has_encryption ? request.encryption : tds_encrypt_not_supported;
    tds_encryption_decision decision = tds_encryption_decide(wish, c->options.policy);
    answer_prelogin(c, request, decision.answer);
    if (decision.outcome == tds_encryption::refuse)
        return close_login(c, client_login_error::refused, "client and proxy do not agree on encryption");
    c->encryption = encryption_of(decision.outcome);
    if (c->encryption != client_encryption::none)
        start_engine(c, tls_mode::wrapped, stage::wrapped);
}

static void take_prelogin(client_login *c) {
    tds_prelogin request;
    auto error = tds_prelogin_parse(tds_message_payload(c->reader), request);
    if (error != tds_prelogin_error::none)
        return close_login(c, client_login_error::protocol, tds_prelogin_error_text(error));
    c->prelogin = true;
    if (c->encryption == client_encryption::strict)
        answer_prelogin(c, request, tds_encrypt_not_supported); // the option is ignored inside strict TLS
    else
        negotiate(c, request);
    expect_message(c, tds_type_login7);
}

static void take_login7(client_login *c) {
    c->message.reset(new (std::nothrow) tds_login7);
    if (!c->message)
        return close_login(c, client_login_error::memory, "no memory for LOGIN7");
    auto error = tds_login7_parse(tds_message_payload(c->reader), *c->message);
    if (error != tds_login7_error::none)
        return close_login(c, client_login_error::protocol, tds_login7_error_text(error));
    // The answer is in clear. Freed without close_notify.
    if (c->encryption == client_encryption::login_only)
        c->engine.reset();
    c->now = stage::ready;
    if (!c->clear_refused)
        return;
    client_login_answer_error(c, proxy_error::refused, "encryption is required");
    c->error = client_login_error::refused;
    c->error_text = "login in clear although encryption is required";
}

// Gives bytes in clear to the reader; a PRELOGIN may be followed by a LOGIN7.
static size_t take_clear(client_login *c, std::span<const uint8_t> in) {
    size_t consumed = 0;
    auto result = tds_message_read(c->reader, in, consumed);
    if (result == tds_read_result::error)
        close_login(c, client_login_error::protocol, tds_read_error_text(c->reader.error));
    if (result == tds_read_result::complete && c->reader.type == tds_type_prelogin)
        take_prelogin(c);
    else if (result == tds_read_result::complete)
        take_login7(c);
    return consumed;
}

// ---- TLS

static void handshake_step(client_login *c) {
    auto result = tls_engine_handshake(c->engine.get());
    bool strict = c->now == stage::handshake;
    if (strict)
        drain_engine(c);
    else
        drain_engine_wrapped(c); // also the alert of a failure, best effort
    if (result == tls_result::error || result == tls_result::closed)
        return tls_failed(c, "TLS handshake");
    if (result != tls_result::ok)
        return;
    if (!strict && tls_engine_unread(c->engine.get()) > 0)
        return close_login(c, client_login_error::protocol, "bytes after the TLS handshake in its last packet");
    c->sni = tls_engine_server_name(c->engine.get());
    c->tls_version = tls_engine_version(c->engine.get());
    c->tls_resumed = tls_engine_resumed(c->engine.get());
    c->current = {};
    c->now = stage::records;
    if (strict)
        expect_message(c, tds_type_prelogin);
}

// True when a unit has come to its end; what is wrong with one closes the login.
static bool unit_complete(client_login *c, login_unit_result result, const char *malformed) {
    if (result == login_unit_result::malformed)
        close_login(c, client_login_error::protocol, malformed);
    if (result == login_unit_result::overflow)
        close_login(c, client_login_error::tls, "too many TLS bytes wait");
    return result == login_unit_result::complete;
}

static size_t take_wrapped(client_login *c, std::span<const uint8_t> in) {
    if (c->current.have == 0 && in[0] != tds_type_prelogin) {
        close_login(c, client_login_error::protocol, "TLS handshake expected");
        return 0;
    }
    size_t consumed = 0;
    auto result = login_unit_packet(c->current, c->engine.get(), tds_initial_packet_size, in, consumed);
    if (unit_complete(c, result, "TLS handshake in a packet of illegal length"))
        handshake_step(c);
    return consumed;
}

// Whether the client goes on in TLS after its first encrypted LOGIN7 packet is for the next byte to say.
static bool first_packet_done(const client_login *c) {
    return c->encryption == client_encryption::login_only && c->now == stage::records &&
           tds_message_at_border(c->reader);
}

static void read_engine(client_login *c) {
    uint8_t plain[2048];
    tls_result result = tls_result::ok;
    while (c->now == stage::records && result == tls_result::ok) {
        size_t got = 0;
        result = tls_engine_read(c->engine.get(), plain, got);
        size_t used = 0;
        while (used < got && c->now == stage::records)
            used += take_clear(c, {plain + used, got - used});
        if (used < got && c->now == stage::ready)
            close_login(c, client_login_error::protocol, "bytes behind LOGIN7");
    }
    explicit_bzero(plain, sizeof plain);
    if (c->now != stage::records)
        return;
    if (result == tls_result::closed)
        close_login(c, client_login_error::tls, "client ended TLS before its login");
    else if (result == tls_result::error)
        tls_failed(c, "TLS record");
    else if (first_packet_done(c))
        c->now = stage::after_first;
}

static size_t take_record(client_login *c, std::span<const uint8_t> in) {
    size_t consumed = 0;
    auto result = login_unit_record(c->current, c->engine.get(), in, consumed);
    if (!unit_complete(c, result, "TLS record expected"))
        return consumed;
    if (c->now == stage::handshake)
        handshake_step(c);
    else
        read_engine(c);
    return consumed;
}

// ---- stages

static void take_first_byte(client_login *c, uint8_t byte) {
    switch (byte) {
    case tds_type_prelogin: c->now = stage::plain; return expect_message(c, tds_type_prelogin);
    case tds_type_login7:
        c->clear_refused = c->options.policy == tds_tls_policy::require;
        c->now = stage::plain;
        return expect_message(c, tds_type_login7);
    case tls_record_handshake:
        if (c->options.policy == tds_tls_policy::disable)
            return close_login(c, client_login_error::refused, "strict encryption asked for, TLS is disabled");
        c->encryption = client_encryption::strict;
        start_engine(c, tls_mode::strict, stage::handshake);
        return;
    case tds_type_old_login: return close_login(c, client_login_error::protocol, "TDS 4.2 or 5.0 login");
    default: return close_login(c, client_login_error::protocol, "first byte is not of TDS");
    }
}

static void take_byte_after_first(client_login *c, uint8_t byte) {
    if (byte == tds_type_login7)
        c->now = stage::plain;
    else if (byte == tls_record_data)
        c->now = stage::records;
    else
        close_login(c, client_login_error::protocol, "LOGIN7 is not continued");
}

// Returns the bytes consumed; 0 also when only the stage has changed.
static size_t step(client_login *c, std::span<const uint8_t> in) {
    switch (c->now) {
    case stage::first_byte: take_first_byte(c, in[0]); return 0;
    case stage::after_first: take_byte_after_first(c, in[0]); return 0;
    case stage::plain: return take_clear(c, in);
    case stage::wrapped: return take_wrapped(c, in);
    case stage::handshake:
    case stage::records: return take_record(c, in);
    case stage::ready: return 0;
    case stage::closed: return in.size();
    }
    return 0;
}

client_login_result client_login_feed(client_login *c, std::span<const uint8_t> in, size_t *consumed) {
    size_t used = 0;
    while (used < in.size() && c->now != stage::ready)
        used += step(c, in.subspan(used));
    if (consumed != nullptr)
        *consumed = used;
    switch (c->now) {
    case stage::ready: return client_login_result::ready;
    case stage::closed: return client_login_result::closed;
    default: return client_login_result::more;
    }
}

std::span<const uint8_t> client_login_output(const client_login *c) {
    return iobuf_pending(c->out);
}
void client_login_sent(client_login *c, size_t n) {
    iobuf_consume(c->out, n);
}

void client_login_answer_error(client_login *c, int32_t number, uint8_t severity, std::string_view text) {
    assert(c->now == stage::ready);
    tds_notice notice;
    notice.number = number;
    notice.severity = severity;
    notice.text = text;
    notice.server_name = c->options.server_name;
    notice.line = 1;
    std::vector<uint8_t> packets;
    tds_build_login_error(c->message->tds_version, notice, c->options.spid, packets);
    send_packets(c, packets);
    close_login(c, client_login_error::answered, "answered with an error");
}

void client_login_answer_error(client_login *c, proxy_error number, std::string_view detail) {
    const error_info &info = error_find(number);
    std::string text = info.text;
    if (!detail.empty())
        text.append(": ").append(detail);
    client_login_answer_error(c, static_cast<int32_t>(number), info.severity, text);
}

void client_login_answer_packets(client_login *c, std::span<const uint8_t> packets) {
    assert(c->now == stage::ready);
    send_packets(c, packets);
    close_login(c, client_login_error::answered, "answered with an error");
}

tls_engine *client_login_take_engine(client_login *c) {
    assert(c->now == stage::ready);
    return c->engine.release();
}

unsigned client_login_answer_delay(const client_login *c) {
    bool old = c->message && !tds_version_is_wide(c->message->tds_version);
    return old && c->encryption == client_encryption::login_only ? 50 : 0;
}

tds_login7 &client_login_message(client_login *c) {
    assert(c->message);
    return *c->message;
}

client_encryption client_login_encryption(const client_login *c) {
    return c->encryption;
}
bool client_login_prelogin(const client_login *c) {
    return c->prelogin;
}
uint32_t client_login_packets(const client_login *c) {
    return c->reader.packets;
}
const char *client_login_tls_version(const client_login *c) {
    return c->tls_version;
}
bool client_login_tls_resumed(const client_login *c) {
    return c->tls_resumed;
}
bool client_login_mars(const client_login *c) {
    return c->mars;
}
client_login_error client_login_error_kind(const client_login *c) {
    return c->error;
}
std::string_view client_login_error_text(const client_login *c) {
    return c->error_text;
}
std::string_view client_login_server_name(const client_login *c) {
    return c->sni;
}
