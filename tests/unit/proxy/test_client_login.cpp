// The proxy's side of a login against clients in memory: every encryption, every habit, split at every byte, garbage at
// every stage.
#include <algorithm>
#include <cstdlib>
#include <unistd.h>
#include <utility>

#include <openssl/pem.h>

#include "tls/tls_client.h"

#include "cmocka_cpp.h"

#include "proxy/client_login.h"
#include "tds/captures.h"
#include "tds/packet.h"
#include "tds/response.h"
#include "tds/utf16.h"

static tls_context *context;

static int set_up(void **) {
    std::string error;
    tls_context_options options;
    options.self_signed = tls_self_signed::ecdsa;
    context = tls_context_create(options, error);
    return context == nullptr;
}

static int tear_down(void **) {
    tls_context_destroy(context);
    return 0;
}

// A connection whose bytes reach the proxy `piece` at a time.
struct line {
    client_login *c;
    size_t piece;
    client_login_result result = client_login_result::more;
    size_t left_over = 0; // bytes that were not consumed

    explicit line(tds_tls_policy policy = tds_tls_policy::allow, size_t p = SIZE_MAX) : piece(p) {
        client_login_options options;
        options.tls = context;
        options.policy = policy;
        options.spid = 0x0123;
        c = client_login_create(options);
        assert_non_null(c);
    }
    ~line() { client_login_destroy(c); }
    line(const line &) = delete;
    line &operator=(const line &) = delete;
};

static bytes receive(line &l) {
    bytes got;
    while (!client_login_output(l.c).empty()) { // a slow socket: at most 700 bytes at a time
        auto out = client_login_output(l.c);
        size_t n = std::min<size_t>(out.size(), 700);
        got.insert(got.end(), out.begin(), out.begin() + static_cast<long>(n));
        client_login_sent(l.c, n);
    }
    return got;
}

static bytes converse(line &l, const bytes &out) {
    bytes got;
    size_t at = 0;
    while (at < out.size()) {
        size_t n = std::min(l.piece, out.size() - at), consumed = 0;
        bytes part(out.begin() + static_cast<long>(at), out.begin() + static_cast<long>(at + n));
        l.result = client_login_feed(l.c, part, &consumed);
        bytes more = receive(l);
        got.insert(got.end(), more.begin(), more.end());
        at += consumed;
        if (consumed < n) {
            assert_int_equal(l.result, client_login_result::ready);
            break;
        }
    }
    l.left_over = out.size() - at;
    return got;
}

static bytes message(uint8_t type, const bytes &payload, size_t packet_size = 4096) {
    bytes out;
    tds_put_message(out, type, payload, packet_size, 0);
    return out;
}

static bytes prelogin(uint8_t encryption) {
    bytes out;
    tds_prelogin_request_build({1, 0, 0, 0}, encryption, out);
    return out;
}

// Payload of a real client's LOGIN7, and one made longer by an SSPI blob.
static bytes login7(size_t sspi = 0, const char *name = "freetds-tsql-login") {
    bytes wire = capture_read(name);
    tds_message_reader r;
    tds_message_start(r, 0, 4096, 100000);
    size_t used = 0;
    for (size_t at = 0; at < wire.size(); at += used) {
        tds_message_start(r, 0, 4096, 100000);
        assert_int_equal(tds_message_read(r, std::span(wire).subspan(at), used), tds_read_result::complete);
    }
    bytes payload(tds_message_payload(r).begin(), tds_message_payload(r).end());
    if (sspi > 0) {
        payload[78] = static_cast<uint8_t>(payload.size());
        payload[79] = static_cast<uint8_t>(payload.size() >> 8);
        payload[80] = static_cast<uint8_t>(sspi);
        payload[81] = static_cast<uint8_t>(sspi >> 8);
        payload.insert(payload.end(), sspi, 0x5a);
        for (int i = 0; i < 4; ++i)
            payload[static_cast<size_t>(i)] = static_cast<uint8_t>(payload.size() >> (8 * i));
    }
    return payload;
}

static bytes payload_of(const bytes &packets, uint8_t type) {
    tds_message_reader r;
    tds_message_start(r, type, 4096, 100000);
    size_t used = 0;
    assert_int_equal(tds_message_read(r, packets, used), tds_read_result::complete);
    assert_int_equal(used, packets.size()); // one message and nothing else
    return {tds_message_payload(r).begin(), tds_message_payload(r).end()};
}

static uint8_t answered_encryption(const bytes &packets) {
    assert_true(packets.size() < 4096 && packets[1] == 1);
    tds_prelogin p;
    bytes payload = payload_of(packets, tds_type_response);
    assert_int_equal(tds_prelogin_parse(payload, p), tds_prelogin_error::none);
    assert_int_equal(p.version.major, 16);
    assert_true(p.has_mars && p.mars == 0);
    return p.encryption;
}

// The handshake in PRELOGIN packets of at most `packet_size`; every flight of the proxy must be one message.
static void shake_wrapped(line &l, tls_client &tls, size_t packet_size = 4096) {
    for (int flight = 0; flight < 4; ++flight) {
        bool done = tls_client_handshake(tls);
        bytes out = tls_client_take(tls);
        bytes in = out.empty() ? bytes{} : converse(l, message(tds_type_prelogin, out, packet_size));
        if (!in.empty())
            tls_client_feed(tls, payload_of(in, tds_type_prelogin));
        if (done)
            return;
    }
    assert_true(false);
}

static void shake_strict(line &l, tls_client &tls) {
    for (int flight = 0; flight < 4; ++flight) {
        bool done = tls_client_handshake(tls);
        tls_client_feed(tls, converse(l, tls_client_take(tls)));
        if (done)
            return;
    }
    assert_true(false);
}

static void check_login(line &l, client_encryption encryption) {
    assert_int_equal(l.result, client_login_result::ready);
    assert_int_equal(client_login_encryption(l.c), encryption);
    tds_login7 &m = client_login_message(l.c);
    assert_string_equal(m.user_name.c_str(), "sa");
    assert_string_equal(m.database.c_str(), "labdb");
    assert_true(tds_secret_view(m.password) == "Lab_12345678");
    assert_int_equal(client_login_error_kind(l.c), client_login_error::none);
}

static void check_error_tokens(const bytes &packets, bool wide = true) {
    bytes p = payload_of(packets, tds_type_response);
    assert_int_equal(packets[4] << 8 | packets[5], 0x0123);
    assert_int_equal(p[0], tds_token_error);
    assert_int_equal(p[3] | p[4] << 8 | p[5] << 16 | p[6] << 24, 50004);
    assert_int_equal(p[8], 16);
    size_t units = static_cast<size_t>(p[9] | p[10] << 8);
    assert_string_equal(tds_utf8(std::span(p).subspan(11, 2 * units)).c_str(),
                        "tdsbouncer: timed out waiting for a server connection: detail");
    size_t length = static_cast<size_t>(p[1] | p[2] << 8) + 3;
    assert_int_equal(p.size(), length + (wide ? 13 : 9));
    assert_int_equal(p[length], tds_token_done);
    assert_int_equal(p[length + 1], tds_done_error);
}

static bytes answer(line &l) {
    client_login_answer_error(l.c, proxy_error::queue_timeout, "detail");
    bytes out = receive(l);
    size_t consumed = 0;
    bytes late(100, 0x77); // what comes after is ignored
    assert_int_equal(client_login_feed(l.c, late, &consumed), client_login_result::closed);
    assert_int_equal(consumed, late.size());
    assert_int_equal(client_login_error_kind(l.c), client_login_error::answered);
    return out;
}

static const size_t pieces[] = {SIZE_MAX, 1, 2, 3, 7, 100, 1000};

// ---- in clear

static void test_in_clear(void **) {
    for (const captured_client &client : captured_clients) {
        if (client.prelogin && client.encryption == 0)
            continue; // these go on with TLS
        bytes wire = capture_read(client.name);
        for (size_t piece : pieces) {
            line l(tds_tls_policy::allow, piece);
            bytes got = converse(l, wire);
            assert_int_equal(l.left_over, 0);
            check_login(l, client_encryption::none);
            if (client.prelogin)
                assert_int_equal(answered_encryption(got), tds_encrypt_not_supported);
            else
                assert_true(got.empty());
            check_error_tokens(answer(l), tds_version_is_wide(client.tds_version));
        }
    }
}

static void test_every_split_of_two(void **) {
    bytes wire = capture_read("tedious-login");
    for (size_t split = 1; split < wire.size(); ++split) {
        line l;
        converse(l, {wire.begin(), wire.begin() + static_cast<long>(split)});
        assert_int_equal(l.result, client_login_result::more);
        converse(l, {wire.begin() + static_cast<long>(split), wire.end()});
        check_login(l, client_encryption::none);
    }
}

static void test_tls_disabled(void **) {
    line l(tds_tls_policy::disable);
    bytes wire = capture_read("freetds-tsql-login"); // asks OFF
    bytes got = converse(l, wire);
    assert_int_equal(answered_encryption(got), tds_encrypt_not_supported);
    check_login(l, client_encryption::none);
}

static void test_bytes_behind_the_login_are_left(void **) {
    bytes wire = capture_read("tedious-login");
    wire.insert(wire.end(), {1, 2, 3});
    line l;
    converse(l, wire);
    check_login(l, client_encryption::none);
    assert_int_equal(l.left_over, 3);
    size_t consumed = 9;
    assert_int_equal(client_login_feed(l.c, std::span(wire).last(3), &consumed), client_login_result::ready);
    assert_int_equal(consumed, 0);
    assert_int_equal(client_login_feed(l.c, {}, nullptr), client_login_result::ready);
}

// jTDS with ssl=off where encryption is required: told so in clear, with the proxy's error.
static void test_clear_login_where_tls_is_required(void **) {
    line l(tds_tls_policy::require);
    bytes got = converse(l, capture_read("jtds-login-no_prelogin"));
    assert_int_equal(l.result, client_login_result::closed);
    assert_int_equal(client_login_error_kind(l.c), client_login_error::refused);
    bytes p = payload_of(got, tds_type_response);
    assert_int_equal(p[0], tds_token_error);
    assert_int_equal(p[3] | p[4] << 8, 50007);
}

// ---- TLS

static void test_login_only_one_packet(void **) {
    for (size_t piece : pieces) {
        line l(tds_tls_policy::allow, piece);
        assert_int_equal(answered_encryption(converse(l, prelogin(tds_encrypt_off))), tds_encrypt_off);
        tls_client tls({.server_name = "db.example"});
        shake_wrapped(l, tls);
        bytes last = tls_client_encrypt(tls, message(tds_type_login7, login7()));
        last.insert(last.end(), {0x11, 1, 0, 9}); // plaintext right behind: not read
        converse(l, last);
        check_login(l, client_encryption::login_only);
        assert_int_equal(l.left_over, 4);
        assert_string_equal(std::string(client_login_server_name(l.c)).c_str(), "db.example");
        assert_int_equal(client_login_answer_delay(l.c), 0); // only jTDS, of TDS 7.1, needs one
        check_error_tokens(answer(l));                       // in clear
    }
}

// First packet encrypted, the other two in clear (SqlClient, JDBC, FreeTDS, go-mssqldb), or all three encrypted, in one
// record or in three (jTDS, tiberius).
static void test_login_only_three_packets(void **) {
    bytes packets = message(tds_type_login7, login7(9000));
    bytes first(packets.begin(), packets.begin() + 4096), rest(packets.begin() + 4096, packets.end());
    for (size_t piece : pieces) {
        for (int habit = 0; habit < 3; ++habit) {
            line l(tds_tls_policy::allow, piece);
            converse(l, prelogin(tds_encrypt_off));
            tls_client tls;
            shake_wrapped(l, tls);
            bytes out = tls_client_encrypt(tls, habit == 2 ? packets : first);
            bytes more = habit == 0 ? rest : habit == 1 ? tls_client_encrypt(tls, rest) : bytes{};
            out.insert(out.end(), more.begin(), more.end());
            converse(l, out);
            assert_int_equal(l.left_over, 0);
            check_login(l, client_encryption::login_only);
            assert_int_equal(client_login_message(l.c).sspi.size(), 9000);
            check_error_tokens(answer(l));
        }
    }
}

static void test_full(void **) {
    struct {
        uint8_t wish;
        tds_tls_policy policy;
        uint8_t expected;
    } cases[] = {{tds_encrypt_on, tds_tls_policy::allow, tds_encrypt_on},
                 {tds_encrypt_required, tds_tls_policy::allow, tds_encrypt_on},
                 {tds_encrypt_on, tds_tls_policy::require, tds_encrypt_on},
                 {tds_encrypt_off, tds_tls_policy::require, tds_encrypt_required}};
    for (const auto &c : cases) {
        for (size_t piece : pieces) {
            line l(c.policy, piece);
            assert_int_equal(answered_encryption(converse(l, prelogin(c.wish))), c.expected);
            tls_client tls({.version = 0}); // may offer 1.3: gets 1.2
            shake_wrapped(l, tls, piece == 7 ? 100 : 4096);
            assert_string_equal(SSL_get_version(tls.ssl), "TLSv1.2");
            converse(l, tls_client_encrypt(tls, message(tds_type_login7, login7(9000))));
            check_login(l, client_encryption::full);
            check_error_tokens(tls_client_decrypt(tls, answer(l)));
        }
    }
}

// A chain of certificates over 4 KiB: the flight is still one message, of several packets.
static void test_flight_of_several_packets(void **) {
    const char *dir = getenv("TMPDIR");
    std::string path = std::string(dir ? dir : "/tmp") + "/tdsbouncer-" + std::to_string(getpid()) + "-chain.pem";
    SSL_CTX *source = tls_context_ssl(context, tls_mode::wrapped);
    FILE *f = fopen(path.c_str(), "w");
    assert_non_null(f);
    PEM_write_PrivateKey(f, SSL_CTX_get0_privatekey(source), nullptr, nullptr, 0, nullptr, nullptr);
    for (int i = 0; i < 40; ++i)
        PEM_write_X509(f, SSL_CTX_get0_certificate(source));
    fclose(f);
    tls_context_options options;
    options.cert_file = path;
    std::string error;
    tls_context *saved = std::exchange(context, tls_context_create(options, error));
    unlink(path.c_str());
    assert_non_null(context);
    line l;
    converse(l, prelogin(tds_encrypt_on));
    tls_client tls;
    tls_client_handshake(tls);
    bytes flight = converse(l, message(tds_type_prelogin, tls_client_take(tls)));
    assert_true(flight.size() > 8192);
    assert_int_equal(flight[2] << 8 | flight[3], 4096);
    tls_client_feed(tls, payload_of(flight, tds_type_prelogin));
    shake_wrapped(l, tls);
    converse(l, tls_client_encrypt(tls, message(tds_type_login7, login7())));
    check_login(l, client_encryption::full);
    tls_context_destroy(std::exchange(context, saved));
}

// With a ticket the client finishes last: its last flight comes without an answer.
static void test_resumption(void **) {
    line first;
    converse(first, prelogin(tds_encrypt_on));
    tls_client tls;
    shake_wrapped(first, tls);
    SSL_SESSION *session = SSL_get1_session(tls.ssl);
    for (uint8_t wish : {tds_encrypt_off, tds_encrypt_on}) {
        for (size_t piece : pieces) {
            line l(tds_tls_policy::allow, piece);
            converse(l, prelogin(wish));
            tls_client again({.session = session});
            shake_wrapped(l, again);
            assert_int_equal(SSL_session_reused(again.ssl), 1);
            converse(l, tls_client_encrypt(again, message(tds_type_login7, login7())));
            bool full = wish == tds_encrypt_on;
            check_login(l, full ? client_encryption::full : client_encryption::login_only);
            bytes out = answer(l);
            check_error_tokens(full ? tls_client_decrypt(again, out) : out);
        }
    }
    SSL_SESSION_free(session);
}

static void test_strict(void **) {
    for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        for (size_t piece : pieces) {
            line l(tds_tls_policy::require, piece);
            tls_client tls({.version = version, .alpn = true, .server_name = "db.example"});
            shake_strict(l, tls);
            assert_string_equal(tls_client_alpn(tls).c_str(), "tds/8.0");
            bytes plain = tls_client_decrypt(tls, converse(l, tls_client_encrypt(tls, prelogin(4)))); // as go-mssqldb
            assert_int_equal(answered_encryption(plain), tds_encrypt_not_supported);
            converse(l, tls_client_encrypt(tls, message(tds_type_login7, login7(9000))));
            check_login(l, client_encryption::strict);
            assert_string_equal(std::string(client_login_server_name(l.c)).c_str(), "db.example");
            assert_int_equal(client_login_answer_delay(l.c), 0);
            check_error_tokens(tls_client_decrypt(tls, answer(l)));
        }
    }
}

// A text of the greatest length needs more than one packet; each is at most 4096 bytes also through TLS.
static void test_long_error_through_tls(void **) {
    line l;
    converse(l, prelogin(tds_encrypt_on));
    tls_client tls;
    shake_wrapped(l, tls);
    converse(l, tls_client_encrypt(tls, message(tds_type_login7, login7())));
    client_login_answer_error(l.c, 50000, 20, std::string(5000, 'x'));
    bytes plain = tls_client_decrypt(tls, receive(l));
    bytes p = payload_of(plain, tds_type_response);
    assert_true(p.size() > 4096);
    assert_int_equal(p[8], 20);
}

// ---- what must be refused

static void expect_closed(line &l, client_login_error kind) {
    assert_int_equal(l.result, client_login_result::closed);
    assert_int_equal(client_login_error_kind(l.c), kind);
    assert_true(!client_login_error_text(l.c).empty());
}

static void test_refused_encryption_still_gets_its_answer(void **) {
    struct {
        uint8_t wish;
        tds_tls_policy policy;
        uint8_t expected;
    } cases[] = {{tds_encrypt_on, tds_tls_policy::disable, 2},
                 {tds_encrypt_required, tds_tls_policy::disable, 2},
                 {tds_encrypt_not_supported, tds_tls_policy::require, 3},
                 {0x82, tds_tls_policy::allow, 3}};
    for (const auto &c : cases) {
        line l(c.policy);
        assert_int_equal(answered_encryption(converse(l, prelogin(c.wish))), c.expected);
        expect_closed(l, client_login_error::refused);
    }
    line l(tds_tls_policy::disable);
    tls_client tls;
    tls_client_handshake(tls);
    converse(l, tls_client_take(tls));
    expect_closed(l, client_login_error::refused);
}

static void test_first_bytes(void **) {
    for (unsigned v = 0; v < 256; ++v) {
        if (v == tds_type_prelogin || v == tds_type_login7 || v == 0x16)
            continue;
        line l;
        converse(l, {static_cast<uint8_t>(v)});
        expect_closed(l, client_login_error::protocol);
    }
}

static void test_wrong_order(void **) {
    {
        line l; // two PRELOGINs
        bytes twice = prelogin(tds_encrypt_not_supported), copy = twice;
        twice.insert(twice.end(), copy.begin(), copy.end());
        converse(l, twice);
        expect_closed(l, client_login_error::protocol);
    }
    for (uint8_t wish : {tds_encrypt_off, tds_encrypt_on}) { // LOGIN7 in clear although TLS was agreed
        line l;
        converse(l, prelogin(wish));
        converse(l, message(tds_type_login7, login7()));
        expect_closed(l, client_login_error::protocol);
        line after;
        converse(after, prelogin(wish));
        tls_client tls;
        shake_wrapped(after, tls);
        converse(after, message(tds_type_login7, login7()));
        expect_closed(after, client_login_error::protocol);
    }
    line l; // a batch in place of the LOGIN7
    converse(l, prelogin(tds_encrypt_not_supported));
    converse(l, message(tds_type_sql_batch, login7()));
    expect_closed(l, client_login_error::protocol);
}

static void test_sizes(void **) {
    line big; // PRELOGIN over one packet
    converse(big, message(tds_type_prelogin, bytes(4089, 0), 512));
    expect_closed(big, client_login_error::protocol);
    assert_string_equal(std::string(client_login_error_text(big.c)).c_str(), "message longer than allowed");
    line packet;
    converse(packet, {tds_type_login7, 1, 0x10, 0x01, 0, 0, 0, 0}); // 4097 before the size is negotiated
    expect_closed(packet, client_login_error::protocol);
    bytes endless = message(tds_type_login7, bytes(tds_login7_max + 1, 0));
    line login;
    converse(login, endless);
    expect_closed(login, client_login_error::protocol);
    assert_string_equal(std::string(client_login_error_text(login.c)).c_str(), "message longer than allowed");
    line empty; // wrapped packets without payload are not free work
    converse(empty, prelogin(tds_encrypt_on));
    converse(empty, {tds_type_prelogin, 0, 0, 8, 0, 0, 0, 0});
    expect_closed(empty, client_login_error::protocol);
}

static void test_after_first_packet_only_login7_or_tls(void **) {
    for (uint8_t next : bytes{0x12, 0x15, 0x16, 0x01, 0x00}) {
        line l;
        converse(l, prelogin(tds_encrypt_off));
        tls_client tls;
        shake_wrapped(l, tls);
        bytes packets = message(tds_type_login7, login7(9000));
        bytes out = tls_client_encrypt(tls, std::span(packets).first(4096));
        out.push_back(next);
        converse(l, out);
        expect_closed(l, client_login_error::protocol);
    }
}

// A failed handshake is told by an alert, wrapped as the handshake was.
static void test_alert_is_wrapped(void **) {
    line l;
    converse(l, prelogin(tds_encrypt_on));
    tls_client tls({.version = TLS1_3_VERSION});
    tls_client_handshake(tls);
    bytes in = converse(l, message(tds_type_prelogin, tls_client_take(tls)));
    expect_closed(l, client_login_error::tls);
    assert_int_equal(payload_of(in, tds_type_prelogin)[0], 0x15);
}

static void test_data_in_the_last_handshake_packet(void **) {
    line l;
    converse(l, prelogin(tds_encrypt_on));
    tls_client tls;
    tls_client_handshake(tls);
    tls_client_feed(tls, payload_of(converse(l, message(tds_type_prelogin, tls_client_take(tls))), tds_type_prelogin));
    tls_client_handshake(tls);
    bytes flight = tls_client_take(tls);
    flight.insert(flight.end(), {0x17, 3, 3, 0, 5, 1, 2, 3, 4, 5});
    converse(l, message(tds_type_prelogin, flight));
    expect_closed(l, client_login_error::protocol);
}

static void test_close_notify_in_place_of_login(void **) {
    line l;
    tls_client tls({.version = TLS1_3_VERSION});
    shake_strict(l, tls);
    SSL_shutdown(tls.ssl);
    converse(l, tls_client_take(tls));
    expect_closed(l, client_login_error::tls);
}

static void test_renegotiation_is_refused(void **) {
    line l;
    tls_client tls({.version = TLS1_2_VERSION});
    shake_strict(l, tls);
    SSL_renegotiate(tls.ssl);
    tls_client_handshake(tls);
    bytes alert = converse(l, tls_client_take(tls));
    assert_int_not_equal(l.result, client_login_result::ready);
    tls_client_feed(tls, alert);
    assert_int_not_equal(SSL_do_handshake(tls.ssl), 1);
}

// ---- garbage: each stage's bytes with changes. Nothing to check but that it ends and that nothing is out of bounds.

static uint32_t next_random(uint32_t &state) {
    state = state * 1664525u + 1013904223u;
    return state >> 8;
}

static void test_garbage_at_every_stage(void **) {
    uint32_t seed = 1;
    for (int round = 0; round < 600; ++round) {
        line l(round % 2 ? tds_tls_policy::allow : tds_tls_policy::require, 1 + next_random(seed) % 600);
        int stop = round % 4; // 0: PRELOGIN, 1: handshake, 2: record, 3: plaintext inside TLS
        auto mangle = [&](bytes b) {
            for (unsigned k = 1 + next_random(seed) % 4; k-- > 0;)
                b[next_random(seed) % b.size()] = static_cast<uint8_t>(next_random(seed));
            return b;
        };
        bool strict = round % 3 == 0;
        tls_client tls({.version = TLS1_2_VERSION});
        if (!strict) {
            converse(l, stop == 0 ? mangle(prelogin(tds_encrypt_on)) : prelogin(tds_encrypt_on));
            if (stop == 0)
                continue;
        }
        if (stop <= 1) {
            tls_client_handshake(tls);
            bytes hello = tls_client_take(tls);
            converse(l, mangle(strict ? hello : message(tds_type_prelogin, hello)));
            continue;
        }
        strict ? shake_strict(l, tls) : shake_wrapped(l, tls);
        bytes next = strict ? prelogin(2) : message(tds_type_login7, login7());
        converse(l, stop == 2 ? mangle(tls_client_encrypt(tls, next)) : tls_client_encrypt(tls, mangle(next)));
        bytes zeros(64, 0);
        converse(l, zeros);
    }
}

static void test_destroyed_at_every_byte(void **) {
    bytes wire = capture_read("freetds-tsql-login");
    for (size_t n = 0; n < 64; ++n) {
        line l;
        converse(l, {wire.begin(), wire.begin() + static_cast<long>(n)});
    }
}

// Granted as asked, if at all; the option comes back in any case where it was sent.
static void test_mars(void **) {
    for (unsigned bits = 0; bits < 4; ++bits) {
        bool offered = bits & 1, asked = bits & 2;
        client_login_options options;
        options.grant_mars = offered;
        client_login *c = client_login_create(options);
        bytes out;
        tds_prelogin_request_build({1, 0, 0, 0}, tds_encrypt_not_supported, out, false, asked);
        assert_int_equal(client_login_feed(c, out, nullptr), client_login_result::more);
        auto answer = client_login_output(c);
        tds_prelogin p;
        assert_int_equal(tds_prelogin_parse(answer.subspan(tds_header_size), p), tds_prelogin_error::none);
        assert_true(p.has_mars);
        assert_int_equal(p.mars, offered && asked);
        assert_int_equal(client_login_mars(c), offered && asked);
        client_login_destroy(c);
    }
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_mars),
        cmocka_unit_test(test_in_clear),
        cmocka_unit_test(test_every_split_of_two),
        cmocka_unit_test(test_tls_disabled),
        cmocka_unit_test(test_bytes_behind_the_login_are_left),
        cmocka_unit_test(test_clear_login_where_tls_is_required),
        cmocka_unit_test(test_login_only_one_packet),
        cmocka_unit_test(test_login_only_three_packets),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_flight_of_several_packets),
        cmocka_unit_test(test_resumption),
        cmocka_unit_test(test_strict),
        cmocka_unit_test(test_long_error_through_tls),
        cmocka_unit_test(test_refused_encryption_still_gets_its_answer),
        cmocka_unit_test(test_first_bytes),
        cmocka_unit_test(test_wrong_order),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_after_first_packet_only_login7_or_tls),
        cmocka_unit_test(test_alert_is_wrapped),
        cmocka_unit_test(test_data_in_the_last_handshake_packet),
        cmocka_unit_test(test_close_notify_in_place_of_login),
        cmocka_unit_test(test_renegotiation_is_refused),
        cmocka_unit_test(test_garbage_at_every_stage),
        cmocka_unit_test(test_destroyed_at_every_byte),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
