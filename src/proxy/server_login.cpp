#include "proxy/server_login.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <utility>

#include "base/iobuf.h"
#include "proxy/login_wire.h"
#include "tds/bytes.h"
#include "tds/login7_build.h"
#include "tds/packet.h"
#include "tds/request_build.h"
#include "tds/response.h"

static constexpr size_t output_limit = 256 * 1024; // the longest LOGIN7, in the smallest records there may be
static constexpr size_t prelogin_limit = tds_initial_packet_size - tds_header_size;
static constexpr size_t smallest_login7 = 86;
static constexpr size_t payload_per_packet = tds_initial_packet_size - tds_header_size;

enum class stage : uint8_t {
    clear,     // a TDS message in clear
    wrapped,   // TLS handshake in PRELOGIN packets
    handshake, // TLS handshake in the open (strict)
    records,   // a TDS message inside TLS records
    settled,   // the answer is there: done, refused or token
    failed,
};

struct server_login {
    server_login_options options; // `host` points to the string below
    std::string host;
    std::vector<uint8_t> login7;
    uint32_t asked_version = 0;
    uint32_t asked_packet_size = 0;
    stage now = stage::clear;
    server_encryption encryption = server_encryption::none;
    bool prelogin_done = false; // the server's PRELOGIN has come
    bool fedauth_echo = false;
    bool secret_in_output = false;
    tds_product_version version;
    uint16_t spid = 0;
    server_login_error error = server_login_error::none;
    std::string error_text;
    tls_engine_ptr engine;
    tds_message_reader reader;
    login_unit current;
    iobuf out;
    tds_login_answer answer;
    server_login_packets packets;
    const char *tls_version = nullptr;
    bool tls_resumed = false;
};

static void wipe(std::vector<uint8_t> &bytes) {
    if (!bytes.empty())
        explicit_bzero(bytes.data(), bytes.size());
    bytes.clear();
}

static void fail(server_login *c, server_login_error error, std::string_view text) {
    if (c->now == stage::failed)
        return;
    c->now = stage::failed;
    c->error = error;
    c->error_text = text;
    wipe(c->login7);
}

static void tls_failed(server_login *c, const char *what) {
    const std::string &why = tls_engine_error(c->engine.get());
    fail(c, server_login_error::tls, why.empty() ? std::string(what) : std::string(what) + ": " + why);
}

static void expect_answer(server_login *c) {
    if (c->now == stage::failed)
        return;
    if (c->prelogin_done)
        // MS-TDS 2.2.7.9 keeps to 4096 until this message's end; a server that has changed sooner does no harm.
        tds_message_start(c->reader, tds_type_response, tds_packet_size_max, tds_login_answer_max);
    else
        tds_message_start(c->reader, tds_type_response, tds_initial_packet_size, prelogin_limit);
}

// ---- output

static void put_output(server_login *c, std::span<const uint8_t> bytes) {
    if (!iobuf_append(c->out, bytes, output_limit))
        fail(c, server_login_error::memory, "output buffer is full");
}

static void drain_engine(server_login *c) {
    if (!login_flight_bare(c->engine.get(), c->out, output_limit))
        fail(c, server_login_error::memory, "output buffer is full");
}

static void drain_engine_wrapped(server_login *c) {
    if (!login_flight_wrapped(c->engine.get(), 0, c->out, output_limit))
        fail(c, server_login_error::memory, "output buffer is full");
}

// One packet is one TLS record: a server may want that during login (go-mssqldb issue 166).
static void put_packet(server_login *c, std::span<const uint8_t> packet) {
    if (c->encryption == server_encryption::none)
        return put_output(c, packet);
    if (!tls_engine_write(c->engine.get(), packet))
        return tls_failed(c, "TLS write");
    drain_engine(c);
}

static void put_message(server_login *c, uint8_t type, std::span<const uint8_t> payload) {
    uint8_t packet[tds_initial_packet_size];
    uint8_t id = 0;
    do {
        auto part = payload.first(std::min(payload.size(), payload_per_packet));
        payload = payload.subspan(part.size());
        auto length = static_cast<uint16_t>(tds_header_size + part.size());
        tds_header_write({type, payload.empty() ? tds_status_eom : uint8_t{0}, length, 0, ++id, 0}, packet);
        std::copy(part.begin(), part.end(), packet + tds_header_size);
        put_packet(c, {packet, length});
        ++(type == tds_type_login7 ? c->packets.login_sent : c->packets.token_sent);
    } while (!payload.empty() && c->now != stage::failed);
    explicit_bzero(packet, sizeof packet);
}

static void send_prelogin(server_login *c) {
    bool clear = c->options.tls_policy == server_tls::disable || c->options.tls_policy == server_tls::strict;
    std::vector<uint8_t> packet;
    tds_prelogin_request_build(c->options.version, clear ? tds_encrypt_not_supported : tds_encrypt_on, packet,
                               c->options.fedauth_required, c->options.mars);
    put_packet(c, packet);
    ++c->packets.prelogin_sent;
    expect_answer(c);
}

static void send_login7(server_login *c) {
    if (c->now == stage::failed)
        return;
    if (c->options.fedauth_required)
        tds_login7_set_fedauth_echo(c->login7, c->fedauth_echo);
    c->secret_in_output = c->encryption == server_encryption::none;
    put_message(c, tds_type_login7, c->login7);
    wipe(c->login7);
    expect_answer(c);
}

// ---- TLS

static void handshake_done(server_login *c) {
    bool wrapped = c->now == stage::wrapped;
    if (wrapped && tls_engine_unread(c->engine.get()) > 0)
        return fail(c, server_login_error::protocol, "bytes after the TLS handshake in its last packet");
    c->tls_version = tls_engine_version(c->engine.get());
    c->tls_resumed = tls_engine_resumed(c->engine.get());
    c->current = {};
    c->now = stage::records;
    if (wrapped)
        send_login7(c);
    else
        send_prelogin(c);
}

static void handshake_step(server_login *c) {
    auto result = tls_engine_handshake(c->engine.get());
    // All that belongs to the handshake, our last flight of a resumed one too, goes out before what follows it.
    if (c->now == stage::wrapped)
        drain_engine_wrapped(c);
    else
        drain_engine(c);
    if (result == tls_result::ok && c->now != stage::failed)
        handshake_done(c);
    else if (result == tls_result::error || result == tls_result::closed)
        tls_failed(c, "TLS handshake");
}

static void start_tls(server_login *c, tls_mode mode) {
    if (c->options.tls == nullptr)
        return fail(c, server_login_error::tls, "no TLS settings for this server");
    c->engine.reset(tls_engine_create_client(c->options.tls, mode, c->host, c->options.port));
    if (!c->engine)
        return fail(c, server_login_error::memory, "no memory for TLS, or no usable host name");
    c->encryption = mode == tls_mode::strict ? server_encryption::strict : server_encryption::full;
    c->now = mode == tls_mode::strict ? stage::handshake : stage::wrapped;
    handshake_step(c);
}

// ---- messages

static void refuse_encryption(server_login *c, std::string_view text) {
    fail(c, server_login_error::refused_encryption, text);
}

// The table of 2.4 for a client that sent NOT_SUP (disable) or ON. Every other answer leaves the two sides with
// different ideas of what comes next.
static void negotiate(server_login *c, uint8_t answer) {
    bool disabled = c->options.tls_policy == server_tls::disable;
    bool encrypt = answer == tds_encrypt_on || answer == tds_encrypt_required;
    if (disabled && encrypt)
        return refuse_encryption(c, "server requires encryption, server_tls is disable");
    if (encrypt)
        return start_tls(c, tls_mode::wrapped);
    if (answer == tds_encrypt_not_supported && (disabled || c->options.tls_policy == server_tls::prefer))
        return send_login7(c);
    if (answer == tds_encrypt_not_supported)
        return refuse_encryption(c, "server does not encrypt, server_tls demands it");
    if (answer == tds_encrypt_off)
        return refuse_encryption(c, disabled ? "server encrypts the login, server_tls is disable"
                                             : "server encrypts only the login, server_tls asks for all");
    fail(c, server_login_error::protocol, "unknown ENCRYPTION in the server's PRELOGIN");
}

static void take_prelogin(server_login *c) {
    tds_prelogin answer;
    auto error = tds_prelogin_parse(tds_message_payload(c->reader), answer);
    if (error != tds_prelogin_error::none)
        return fail(c, server_login_error::protocol, tds_prelogin_error_text(error));
    c->prelogin_done = true;
    c->packets.prelogin_received = c->reader.packets;
    c->version = answer.version;
    if (c->options.mars && !tds_prelogin_mars_on(answer))
        return fail(c, server_login_error::declined_mars, "server does not grant MARS");
    c->fedauth_echo = answer.has_fedauth && answer.fedauth == 1;
    if (c->encryption == server_encryption::strict) // the option is ignored inside strict TLS
        return send_login7(c);
    constexpr uint8_t flags = tds_encrypt_extended | tds_encrypt_client_cert;
    negotiate(c, answer.has_encryption ? answer.encryption & static_cast<uint8_t>(~flags) : tds_encrypt_not_supported);
}

static void take_login_answer(server_login *c) {
    c->spid = get_u16be(c->reader.header + 4);
    c->packets.answer_received += c->reader.packets;
    c->answer = {};
    auto error = tds_login_answer_parse(tds_message_payload(c->reader), c->asked_version, c->answer);
    if (error != tds_answer_error::none)
        return fail(c, server_login_error::protocol, tds_answer_error_text(error));
    c->now = stage::settled;
}

// Gives bytes in clear to the reader.
static size_t take_clear(server_login *c, std::span<const uint8_t> in) {
    size_t consumed = 0;
    auto result = tds_message_read(c->reader, in, consumed);
    if (result == tds_read_result::error)
        fail(c, server_login_error::protocol, tds_read_error_text(c->reader.error));
    if (result == tds_read_result::complete && !c->prelogin_done)
        take_prelogin(c);
    else if (result == tds_read_result::complete)
        take_login_answer(c);
    return consumed;
}

// ---- TLS input

// True when a unit has come to its end; what is wrong with one closes the login.
static bool unit_complete(server_login *c, login_unit_result result, const char *malformed) {
    if (result == login_unit_result::malformed)
        fail(c, server_login_error::protocol, malformed);
    if (result == login_unit_result::overflow)
        fail(c, server_login_error::tls, "too many TLS bytes wait");
    return result == login_unit_result::complete;
}

static size_t take_wrapped(server_login *c, std::span<const uint8_t> in) {
    // Servers wrap in either type; drivers take both.
    if (c->current.have == 0 && in[0] != tds_type_prelogin && in[0] != tds_type_response) {
        fail(c, server_login_error::protocol, "TLS handshake expected");
        return 0;
    }
    size_t consumed = 0;
    auto result = login_unit_packet(c->current, c->engine.get(), tds_packet_size_max, in, consumed);
    if (unit_complete(c, result, "TLS handshake in a packet of illegal length"))
        handshake_step(c);
    return consumed;
}

// A record is read to its end although the answer is complete: nothing of it may stay behind in the engine unseen.
static void read_engine(server_login *c) {
    uint8_t plain[4096];
    tls_result result = tls_result::ok;
    while (c->now != stage::failed && result == tls_result::ok) {
        size_t got = 0;
        result = tls_engine_read(c->engine.get(), plain, got);
        size_t used = 0;
        while (used < got && c->now == stage::records)
            used += take_clear(c, {plain + used, got - used});
        if (used < got && c->now == stage::settled)
            fail(c, server_login_error::protocol, "bytes behind the login response");
    }
    if (c->now == stage::failed)
        return;
    drain_engine(c); // a key update's answer
    if (result == tls_result::closed)
        fail(c, server_login_error::tls, "server ended TLS during the login");
    else if (result == tls_result::error)
        tls_failed(c, "TLS record");
}

static size_t take_record(server_login *c, std::span<const uint8_t> in) {
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

// ---- the whole

// Returns the bytes consumed; 0 also when only the stage has changed.
static size_t step(server_login *c, std::span<const uint8_t> in) {
    switch (c->now) {
    case stage::clear: return take_clear(c, in);
    case stage::wrapped: return take_wrapped(c, in);
    case stage::handshake:
    case stage::records: return take_record(c, in);
    case stage::settled: return 0;
    case stage::failed: return in.size();
    }
    return 0;
}

static server_login_result result_of(const server_login *c) {
    if (c->now == stage::failed)
        return server_login_result::failed;
    if (c->now != stage::settled)
        return server_login_result::more;
    switch (c->answer.outcome) {
    case tds_login_outcome::accepted: return server_login_result::done;
    case tds_login_outcome::refused: return server_login_result::refused;
    case tds_login_outcome::token: return server_login_result::token;
    }
    return server_login_result::failed;
}

server_login_result server_login_feed(server_login *c, std::span<const uint8_t> in, size_t *consumed) {
    size_t used = 0;
    while (used < in.size() && c->now != stage::settled)
        used += step(c, in.subspan(used));
    if (consumed != nullptr)
        *consumed = used;
    return result_of(c);
}

server_login *server_login_create(const server_login_options &options, std::vector<uint8_t> &&login7) {
    std::vector<uint8_t> payload = std::move(login7);
    auto *c = new (std::nothrow) server_login;
    if (c == nullptr) {
        wipe(payload);
        return nullptr;
    }
    c->options = options;
    c->host = options.host;
    c->options.host = c->host;
    c->login7 = std::move(payload);
    if (c->login7.size() < smallest_login7 || c->login7.size() > tds_login7_max) {
        fail(c, server_login_error::protocol, "LOGIN7 of illegal length");
        return c;
    }
    c->asked_version = get_u32le(&c->login7[4]);
    c->asked_packet_size = get_u32le(&c->login7[8]);
    if (options.tls_policy == server_tls::strict)
        start_tls(c, tls_mode::strict);
    else
        send_prelogin(c);
    return c;
}

void server_login_destroy(server_login *c) {
    if (c == nullptr)
        return;
    iobuf_wipe(c->out);
    wipe(c->login7);
    delete c;
}

std::span<const uint8_t> server_login_output(const server_login *c) {
    return iobuf_pending(c->out);
}

void server_login_sent(server_login *c, size_t n) {
    if (n < iobuf_size(c->out) || !c->secret_in_output)
        return iobuf_consume(c->out, n);
    iobuf_wipe(c->out);
    c->secret_in_output = false;
}

void server_login_send(server_login *c, uint8_t type, std::span<const uint8_t> payload) {
    assert(c->now == stage::settled && c->answer.outcome == tds_login_outcome::token);
    c->now = c->engine ? stage::records : stage::clear;
    c->secret_in_output = c->encryption == server_encryption::none;
    c->packets.token_type = type;
    put_message(c, type, payload);
    expect_answer(c);
}

// ---- what is known

const server_login_packets &server_login_counts(const server_login *c) {
    return c->packets;
}
const char *server_login_tls_version(const server_login *c) {
    return c->tls_version;
}
bool server_login_tls_resumed(const server_login *c) {
    return c->tls_resumed;
}

const tds_login_answer &server_login_answer(const server_login *c) {
    assert(c->now == stage::settled);
    return c->answer;
}

tds_login_answer server_login_take_answer(server_login *c) {
    assert(c->now == stage::settled);
    return std::move(c->answer);
}

std::span<const uint8_t> server_login_payload(const server_login *c) {
    return tds_message_payload(c->reader);
}

uint32_t server_login_packet_size(const server_login *c) {
    uint32_t asked = c->asked_packet_size;
    if (c->answer.packet_size != 0)
        return c->answer.packet_size;
    return asked >= 512 && asked <= tds_packet_size_max ? asked : tds_initial_packet_size;
}

tls_engine *server_login_take_engine(server_login *c) {
    assert(c->now == stage::settled);
    return c->engine.release();
}

server_encryption server_login_encryption(const server_login *c) {
    return c->encryption;
}
const tds_product_version &server_login_version(const server_login *c) {
    return c->version;
}
uint16_t server_login_spid(const server_login *c) {
    return c->spid;
}
bool server_login_fedauth_echo(const server_login *c) {
    return c->fedauth_echo;
}
server_login_error server_login_error_kind(const server_login *c) {
    return c->error;
}
std::string_view server_login_error_text(const server_login *c) {
    return c->error_text;
}

bool server_login_retry(const server_login *c) {
    if (c->now == stage::settled)
        return tds_login_answer_transient(c->answer);
    return c->error == server_login_error::memory;
}
