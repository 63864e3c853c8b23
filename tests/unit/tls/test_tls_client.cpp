// The client's side against the server's in memory: whom it trusts, what it offers, how it resumes.
#include <cstring>
#include <ctime>
#include <memory>
#include <string>

#include <openssl/err.h>

#include "tls/client_hello.h"
#include "tls/session_store.h"
#include "tls/tls_client_context.h"
#include "tls/tls_record.h"

#include "tls/engine_pair.h"
#include "tls/engine_take.h"
#include "tls/test_pki.h"

using server_ptr = std::unique_ptr<tls_context, decltype(&tls_context_destroy)>;
using client_ptr = std::unique_ptr<tls_client_context, decltype(&tls_client_context_destroy)>;

// Made once: an authority, one that nobody asked for, and a server's certificate of the first.
static struct {
    pki_cert ca, stranger, good;
    std::unique_ptr<pki_file> ca_file, stranger_file;
    server_ptr server{nullptr, tls_context_destroy};
} world;

static server_ptr make_server(const pki_cert &c, std::initializer_list<X509 *> chain = {}) {
    pki_file file("server.pem");
    pki_write(file, {c.cert.get()}, c.key.get());
    if (chain.size() > 0) {
        FILE *f = fopen(file.path.c_str(), "a");
        for (X509 *cert : chain)
            PEM_write_X509(f, cert);
        fclose(f);
    }
    std::string error;
    server_ptr server(tls_context_create({.cert_file = file.path}, error), tls_context_destroy);
    assert_string_equal(error.c_str(), "");
    assert_non_null(server.get());
    return server;
}

static client_ptr make_client(tls_verify verify, const std::string &ca_file = world.ca_file->path) {
    std::string error;
    client_ptr client(tls_client_context_create({.verify = verify, .ca_file = ca_file}, error),
                      tls_client_context_destroy);
    assert_string_equal(error.c_str(), "");
    assert_non_null(client.get());
    return client;
}

// Takes the place of libc's, for OpenSSL too.
static time_t clock_offset;
extern "C" time_t time(time_t *out) noexcept {
    timespec now = {};
    clock_gettime(CLOCK_REALTIME, &now);
    now.tv_sec += clock_offset;
    if (out != nullptr)
        *out = now.tv_sec;
    return now.tv_sec;
}

static int set_up(void **) {
    static constexpr long day = 24 * 3600;
    world.ca = pki_make({.name = "test CA", .ca = true, .until = day});
    world.stranger = pki_make({.name = "another CA", .ca = true});
    world.good = pki_make({.name = "server",
                           .alternative = "DNS:db.example,DNS:*.pool.example,IP:127.0.0.1,IP:::1",
                           .until = day,
                           .by = &world.ca});
    world.ca_file = std::make_unique<pki_file>("ca.pem");
    world.stranger_file = std::make_unique<pki_file>("stranger.pem");
    pki_write(*world.ca_file, {world.ca.cert.get()});
    pki_write(*world.stranger_file, {world.stranger.cert.get()});
    world.server = make_server(world.good);
    return 0;
}

static int tear_down(void **) {
    world = {};
    return 0;
}

// Connects and says how it ended: "" or the client's error. The server must learn of a failure too.
static std::string outcome(const tls_client_context *client, const tls_context *server, const pair_wishes &w = {}) {
    engine_pair p;
    bool done = pair_connect(p, client, server, w);
    std::string error = tls_engine_error(p.client);
    assert_true(done == error.empty());
    if (done)
        pair_talk(p, 1000);
    else
        assert_int_equal(pair_cross(p.client, p.server, SIZE_MAX), tls_result::error); // the alert
    assert_int_equal(ERR_peek_error(), 0);
    return error;
}

#define assert_outcome(expected, ...) assert_string_equal(outcome(__VA_ARGS__).c_str(), expected)

static constexpr char verify_failed[] = "certificate verify failed: ";
static constexpr pair_wishes strict{.mode = tls_mode::strict};

static void test_modes_and_versions(void **) {
    auto client = make_client(tls_verify::full);
    for (auto mode : {tls_mode::wrapped, tls_mode::strict}) {
        engine_pair p;
        assert_true(pair_connect(p, client.get(), world.server.get(), {.mode = mode}));
        assert_string_equal(tls_engine_version(p.client), mode == tls_mode::strict ? "TLSv1.3" : "TLSv1.2");
        assert_string_equal(tls_engine_server_name(p.server).c_str(), "db.example");
        assert_false(tls_engine_resumed(p.client));
        for (size_t size : {1, 100, 16383, 16384, 16385, 40000})
            pair_talk(p, size);
    }
}

// Whatever the server could do: TLS 1.3 inside PRELOGIN packets breaks (its tickets come too late to be wrapped).
static void test_wrapped_offers_tls12_only(void **) {
    auto client = make_client(tls_verify::full);
    engine_pair p;
    p.client = tls_engine_create_client(client.get(), tls_mode::wrapped, "db.example", 1433);
    p.server = tls_engine_create(world.server.get(), tls_mode::strict);
    assert_true(pair_shake(p));
    assert_string_equal(tls_engine_version(p.server), "TLSv1.2");
}

static void test_unverified(void **) {
    auto client = make_client(tls_verify::none, "");
    pki_cert expired = pki_make({.from = -7200, .until = -3600});
    for (const pki_cert *c : {&world.good, &world.stranger, &expired})
        assert_outcome("", client.get(), make_server(*c).get(), {.host = "whatever.example"});
}

static void test_chain_only(void **) {
    auto client = make_client(tls_verify::ca);
    assert_outcome("", client.get(), world.server.get(), {.host = "whatever.example"});
    pki_cert alone = pki_make({.alternative = "DNS:db.example"});
    assert_outcome("certificate verify failed: self-signed certificate", client.get(), make_server(alone).get());
    pki_cert other = pki_make({.alternative = "DNS:db.example", .by = &world.stranger});
    assert_outcome("certificate verify failed: unable to get local issuer certificate", client.get(),
                   make_server(other).get());
}

static void test_names(void **) {
    auto client = make_client(tls_verify::full);
    for (const char *host : {"db.example", "DB.Example", "db.example.", "x.pool.example", "127.0.0.1", "::1"})
        assert_outcome("", client.get(), world.server.get(), {.host = host});
    for (const char *host : {"other.example", "db.example.org", "pool.example", "a.b.pool.example"})
        assert_outcome("certificate verify failed: hostname mismatch", client.get(), world.server.get(),
                       {.host = host});
    for (const char *host : {"127.0.0.2", "::2", "fe80::1%eth0"})
        assert_outcome("certificate verify failed: IP address mismatch", client.get(), world.server.get(),
                       {.host = host});
}

static void test_time(void **) {
    auto client = make_client(tls_verify::full);
    pki_cert expired = pki_make({.alternative = "DNS:db.example", .from = -7200, .until = -60, .by = &world.ca});
    assert_outcome("certificate verify failed: certificate has expired", client.get(), make_server(expired).get());
    pki_cert early = pki_make({.alternative = "DNS:db.example", .from = 60, .by = &world.ca});
    assert_outcome("certificate verify failed: certificate is not yet valid", client.get(), make_server(early).get());
}

// Strict is TDS 8.0's promise: the name is looked at even where the options ask for nothing.
static void test_strict_is_always_verified(void **) {
    for (auto verify : {tls_verify::none, tls_verify::ca, tls_verify::full}) {
        auto client = make_client(verify);
        assert_outcome("", client.get(), world.server.get(), strict);
        assert_outcome("certificate verify failed: hostname mismatch", client.get(), world.server.get(),
                       {.mode = tls_mode::strict, .host = "other.example"});
        pki_cert alone = pki_make({.alternative = "DNS:db.example"});
        auto server = make_server(alone);
        assert_memory_equal(outcome(client.get(), server.get(), strict).c_str(), verify_failed, 27);
    }
}

// A context that verifies nothing loads no CAs: strict then trusts nobody rather than everybody.
static void test_strict_without_trust(void **) {
    auto client = make_client(tls_verify::none, "");
    assert_outcome("", client.get(), world.server.get());
    assert_memory_equal(outcome(client.get(), world.server.get(), strict).c_str(), verify_failed, 27);
}

// The file may hold the server's own certificate, as it is the custom with SQL Server's self-signed ones, or an
// intermediate CA only.
static void test_trusting_less_than_a_root(void **) {
    pki_file pinned("pinned.pem"), middle_file("middle.pem");
    pki_cert alone = pki_make({.alternative = "DNS:db.example"});
    pki_write(pinned, {alone.cert.get()});
    auto client = make_client(tls_verify::full, pinned.path);
    assert_outcome("", client.get(), make_server(alone).get());
    assert_memory_equal(outcome(client.get(), world.server.get()).c_str(), verify_failed, 27);

    pki_cert middle = pki_make({.name = "middle", .ca = true, .by = &world.ca});
    pki_cert leaf = pki_make({.alternative = "DNS:db.example", .by = &middle});
    pki_write(middle_file, {middle.cert.get()});
    assert_outcome("", make_client(tls_verify::full, middle_file.path).get(), make_server(leaf).get());
    auto root_only = make_client(tls_verify::full);
    assert_outcome("", root_only.get(), make_server(leaf, {middle.cert.get()}).get());
    assert_memory_equal(outcome(root_only.get(), make_server(leaf).get()).c_str(), verify_failed, 27);
}

// The system's store is consulted without a file; OpenSSL lets the environment name it.
static void test_default_store(void **) {
    setenv("SSL_CERT_FILE", world.ca_file->path.c_str(), 1);
    auto client = make_client(tls_verify::full, "");
    assert_outcome("", client.get(), world.server.get());
    setenv("SSL_CERT_FILE", world.stranger_file->path.c_str(), 1);
    client = make_client(tls_verify::full, "");
    assert_memory_equal(outcome(client.get(), world.server.get()).c_str(), verify_failed, 27);
    unsetenv("SSL_CERT_FILE");
}

static std::string create_error(const std::string &ca_file) {
    std::string error;
    assert_null(tls_client_context_create({.ca_file = ca_file}, error));
    assert_int_equal(ERR_peek_error(), 0);
    return error;
}

static void test_bad_ca_file(void **) {
    assert_string_equal(create_error("/nonexistent/ca.pem").c_str(),
                        "CA file /nonexistent/ca.pem: No such file or directory");
    pki_file empty("empty.pem");
    pki_write(empty, {});
    assert_int_equal(create_error(empty.path).find("CA file " + empty.path + ": "), 0);
    pki_file key("key-only.pem");
    pki_write(key, {}, world.ca.key.get());
    assert_int_equal(create_error(key.path).find("CA file " + key.path + ": "), 0);
}

static void test_bad_hosts(void **) {
    auto client = make_client(tls_verify::full);
    using namespace std::string_view_literals;
    for (std::string_view host : {""sv, "."sv, "db.example\0.evil"sv, "%eth0:"sv})
        assert_null(tls_engine_create_client(client.get(), tls_mode::wrapped, host, 1433));
    assert_null(tls_engine_create_client(client.get(), tls_mode::wrapped, std::string(256, 'a'), 1433));
}

// No SNI for addresses (RFC 6066); strict offers tds/8.0, wrapped offers nothing.
static void test_client_hello(void **) {
    auto client = make_client(tls_verify::none);
    for (auto mode : {tls_mode::wrapped, tls_mode::strict}) {
        for (const char *host : {"db.example", "127.0.0.1", "::1", "fe80::1%lo"}) {
            engine_pair p;
            p.client = tls_engine_create_client(client.get(), mode, host, 1);
            assert_int_equal(tls_engine_handshake(p.client), tls_result::more);
            tls_client_hello hello;
            assert_int_equal(tls_client_hello_parse(tls_engine_output(p.client), hello), tls_hello_result::ok);
            assert_true(hello.has_alpn == (mode == tls_mode::strict));
            assert_true(hello.offers_tds8 == (mode == tls_mode::strict));
            assert_string_equal(hello.server_name.c_str(), host[0] == 'd' ? host : "");
        }
    }
}

// SQL Server 2012 to 2016 make themselves a certificate with SHA-1, some with 1024 bits.
static void test_old_servers_certificate(void **) {
    pki_cert old = pki_make({.rsa_bits = 1024, .digest = "SHA1"});
    openssl_owned<SSL_CTX> ctx(SSL_CTX_new(TLS_server_method()));
    SSL_CTX_set_security_level(ctx.get(), 0);
    SSL_CTX_set_max_proto_version(ctx.get(), TLS1_2_VERSION);
    SSL_CTX_set_cipher_list(ctx.get(), "DHE-RSA-AES256-SHA:@SECLEVEL=0");
    SSL_CTX_set_dh_auto(ctx.get(), 1); // 1024 bits for such a key, as Windows 2012 had for all
    assert_int_equal(SSL_CTX_use_certificate(ctx.get(), old.cert.get()), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(ctx.get(), old.key.get()), 1);
    auto client = make_client(tls_verify::none);
    tls_engine *e = tls_engine_create_client(client.get(), tls_mode::wrapped, "db.example", 1433);
    openssl_owned<SSL> server(SSL_new(ctx.get()));
    SSL_set_bio(server.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_accept_state(server.get());
    auto result = tls_engine_handshake(e);
    for (int round = 0; round < 4; ++round) {
        auto out = tls_engine_output(e);
        if (!out.empty())
            BIO_write(SSL_get_rbio(server.get()), out.data(), static_cast<int>(out.size()));
        tls_engine_sent(e, out.size());
        SSL_do_handshake(server.get());
        uint8_t flight[8192];
        int n = BIO_read(SSL_get_wbio(server.get()), flight, sizeof flight);
        assert_true(n <= 0 || tls_engine_feed(e, {flight, static_cast<size_t>(n)}));
        result = tls_engine_handshake(e);
    }
    assert_string_equal(tls_engine_error(e).c_str(), "");
    assert_int_equal(result, tls_result::ok);
    ERR_clear_error();
    tls_engine_destroy(e);
}

// ---- the wire

// Nothing depends on how the network cuts the stream, in any kind of handshake.
static void test_every_split(void **) {
    for (auto mode : {tls_mode::wrapped, tls_mode::strict}) {
        auto client = make_client(tls_verify::full);
        for (size_t piece : {1, 1, 2, 3, 7, 100}) {
            engine_pair p;
            assert_true(pair_connect(p, client.get(), world.server.get(), {.mode = mode, .piece = piece}));
            for (size_t size : {1, 300, 16384, 20000})
                pair_talk(p, size, piece);
        }
    }
}

// Cuts the whole of a handshake's flights in two, at each place.
static void test_each_border(void **) {
    auto client = make_client(tls_verify::none);
    size_t longest = 1;
    for (size_t cut = 1; cut <= longest; ++cut) {
        engine_pair p;
        p.client = tls_engine_create_client(client.get(), tls_mode::wrapped, "db.example", static_cast<uint16_t>(cut));
        p.server = tls_engine_create(world.server.get(), tls_mode::wrapped);
        for (int round = 0; round < 3; ++round) {
            for (bool up : {true, false}) {
                tls_engine *from = up ? p.client : p.server, *to = up ? p.server : p.client;
                (void)tls_engine_handshake(from);
                longest = std::max(longest, tls_engine_waiting(from));
                for (size_t n : {cut, SIZE_MAX}) {
                    auto part = tls_engine_output(from);
                    part = part.first(std::min(part.size(), n));
                    assert_true(tls_engine_feed(to, part));
                    tls_engine_sent(from, part.size());
                    assert_int_not_equal(tls_engine_handshake(to), tls_result::error);
                }
            }
        }
        assert_int_equal(tls_engine_handshake(p.client), tls_result::ok);
        pair_talk(p, 1);
    }
    assert_in_range(longest, 500, 4000); // the server's flight with its certificate
}

// One write of up to 16384 bytes is one record: SQL Server and some drivers expect a TDS packet in each.
static void test_one_write_is_one_record(void **) {
    for (auto mode : {tls_mode::wrapped, tls_mode::strict}) {
        auto client = make_client(tls_verify::full);
        engine_pair p;
        assert_true(pair_connect(p, client.get(), world.server.get(), {.mode = mode}));
        pair_talk(p, 1);
        std::vector<uint8_t> plain(16385, 'x');
        for (size_t size : {1, 8000, 16383, 16384, 16385}) {
            assert_true(tls_engine_write(p.client, std::span(plain).first(size)));
            size_t record = 0;
            assert_int_equal(tls_record_parse(tls_engine_output(p.client), record), tls_record_result::ok);
            assert_true((record == tls_engine_waiting(p.client)) == (size <= 16384));
            tls_engine_sent(p.client, tls_engine_waiting(p.client));
        }
    }
}

static void test_output_in_place_and_by_copy(void **) {
    auto client = make_client(tls_verify::none);
    engine_pair p;
    assert_true(pair_connect(p, client.get(), world.server.get()));
    uint8_t plain[500] = {1, 2, 3};
    assert_true(tls_engine_write(p.client, plain));
    std::vector<uint8_t> whole(tls_engine_output(p.client).begin(), tls_engine_output(p.client).end());
    assert_int_equal(whole.size(), tls_engine_waiting(p.client));
    tls_engine_sent(p.client, 0);
    tls_engine_sent(p.client, 7);
    assert_memory_equal(tls_engine_output(p.client).data(), whole.data() + 7, whole.size() - 7);
    uint8_t copy[1000];
    assert_int_equal(tls_engine_take(p.client, std::span(copy).first(10)), 10);
    assert_memory_equal(copy, whole.data() + 7, 10);
    assert_int_equal(tls_engine_take(p.client, copy), whole.size() - 17);
    assert_memory_equal(copy, whole.data() + 17, whole.size() - 17);
    assert_int_equal(tls_engine_take(p.client, copy), 0);
    assert_true(tls_engine_output(p.client).empty());
}

static void test_no_write_before_the_handshake(void **) {
    auto client = make_client(tls_verify::none);
    engine_pair p;
    p.client = tls_engine_create_client(client.get(), tls_mode::wrapped, "db.example", 1);
    p.server = tls_engine_create(world.server.get(), tls_mode::wrapped);
    uint8_t secret[] = "secret";
    assert_false(tls_engine_write(p.client, secret));
    assert_int_equal(tls_engine_waiting(p.client), 0);
    assert_string_equal(tls_engine_error(p.client).c_str(), ""); // too early, not broken
    assert_true(pair_shake(p));
    assert_true(tls_engine_write(p.client, secret));
}

// ---- resumption

static bool resumes(const client_ptr &client, const tls_context *server, const pair_wishes &w) {
    engine_pair p;
    pair_connect(p, client.get(), server, w);
    assert_string_equal(tls_engine_error(p.client).c_str(), "");
    assert_string_equal(tls_engine_error(p.server).c_str(), "");
    pair_talk(p, 100); // TLS 1.3's tickets come with the first data
    assert_true(tls_engine_resumed(p.client) == tls_engine_resumed(p.server));
    return tls_engine_resumed(p.client);
}

static void test_resumption(void **) {
    for (auto mode : {tls_mode::wrapped, tls_mode::strict}) {
        auto client = make_client(tls_verify::full);
        assert_false(resumes(client, world.server.get(), {.mode = mode}));
        assert_int_equal(tls_client_context_sessions(client.get()), 1);
        for (int i = 0; i < 5; ++i)
            assert_true(resumes(client, world.server.get(), {.mode = mode}));
        // Other targets have no session; nor has another context, however alike.
        assert_false(resumes(client, world.server.get(), {.mode = mode, .port = 1434}));
        assert_false(resumes(client, world.server.get(), {.mode = mode, .host = "x.pool.example"}));
        auto other_mode = mode == tls_mode::strict ? tls_mode::wrapped : tls_mode::strict;
        assert_false(resumes(client, world.server.get(), {.mode = other_mode}));
        assert_int_equal(tls_client_context_sessions(client.get()), 4);
        assert_false(resumes(make_client(tls_verify::full), world.server.get(), {.mode = mode}));
    }
}

// The client that resumes TLS 1.2 is done while its Finished still waits: the reader of the header was warned.
static void test_last_flight_waits(void **) {
    auto client = make_client(tls_verify::full);
    for (bool resumed : {false, true}) {
        engine_pair p;
        p.client = tls_engine_create_client(client.get(), tls_mode::wrapped, "db.example", 1);
        p.server = tls_engine_create(world.server.get(), tls_mode::wrapped);
        bool waited = false;
        for (auto result = tls_engine_handshake(p.client); result == tls_result::more;) {
            pair_cross(p.client, p.server, SIZE_MAX);
            result = pair_cross(p.server, p.client, SIZE_MAX);
            waited = result == tls_result::ok && tls_engine_waiting(p.client) > 0;
        }
        assert_true(waited == resumed);
        assert_true(tls_engine_resumed(p.client) == resumed);
        assert_int_equal(pair_cross(p.client, p.server, SIZE_MAX), tls_result::ok);
        pair_talk(p, 10);
    }
}

// A server that has forgotten its ticket keys makes a full handshake of the attempt, and is remembered anew.
static void test_server_forgot(void **) {
    for (auto mode : {tls_mode::wrapped, tls_mode::strict}) {
        auto client = make_client(tls_verify::full);
        assert_false(resumes(client, world.server.get(), {.mode = mode}));
        auto restarted = make_server(world.good);
        assert_false(resumes(client, restarted.get(), {.mode = mode}));
        assert_true(resumes(client, restarted.get(), {.mode = mode}));
    }
}

// Silence or an alert in answer to an old session: it must not be offered for ever.
static void test_session_is_dropped_after_a_failure(void **) {
    auto client = make_client(tls_verify::full);
    assert_false(resumes(client, world.server.get(), {}));
    tls_engine_destroy(tls_engine_create_client(client.get(), tls_mode::wrapped, "db.example", 1433));
    assert_int_equal(tls_client_context_sessions(client.get()), 0);
    assert_false(resumes(client, world.server.get(), {}));
    tls_engine *e = tls_engine_create_client(client.get(), tls_mode::wrapped, "db.example", 1433);
    assert_int_equal(tls_engine_handshake(e), tls_result::more);
    static constexpr uint8_t alert[] = {0x15, 3, 3, 0, 2, 2, 40};
    assert_true(tls_engine_feed(e, alert));
    assert_int_equal(tls_engine_handshake(e), tls_result::error);
    assert_non_null(strstr(tls_engine_error(e).c_str(), "handshake failure"));
    assert_int_equal(tls_client_context_sessions(client.get()), 0);
    tls_engine_destroy(e);
}

// A connection that breaks takes its session with it only if it is the one still kept.
static void test_newer_session_survives(void **) {
    auto client = make_client(tls_verify::full);
    assert_false(resumes(client, world.server.get(), strict));
    tls_engine *slow = tls_engine_create_client(client.get(), tls_mode::strict, "db.example", 1433);
    assert_true(resumes(client, world.server.get(), strict)); // brings new tickets
    tls_engine_destroy(slow);
    assert_true(resumes(client, world.server.get(), strict));
}

static void test_refused_certificate_leaves_no_session(void **) {
    auto client = make_client(tls_verify::full);
    for (auto mode : {tls_mode::wrapped, tls_mode::strict})
        assert_memory_equal(outcome(client.get(), world.server.get(), {.mode = mode, .host = "other.example"}).c_str(),
                            verify_failed, 27);
    assert_int_equal(tls_client_context_sessions(client.get()), 0);
}

// Engines may outlive the context that they were made from, and keep a session after it.
static void test_engine_outlives_context(void **) {
    auto client = make_client(tls_verify::full);
    engine_pair p;
    p.client = tls_engine_create_client(client.get(), tls_mode::strict, "db.example", 1433);
    p.server = tls_engine_create(world.server.get(), tls_mode::strict);
    client.reset();
    assert_true(pair_shake(p));
    pair_talk(p, 100);
}

static openssl_owned<SSL_SESSION> session() {
    openssl_owned<SSL_SESSION> s(SSL_SESSION_new());
    static constexpr unsigned char id[] = "id";
    SSL_SESSION_set1_id(s.get(), id, sizeof id); // with an id it counts as resumable
    return s;
}

static void test_store_is_bounded(void **) {
    tls_session_store store;
    tls_session_put(store, "first", session(), 1000);
    tls_session_put(store, "second", session(), 1000);
    for (size_t i = 2; i < tls_client_sessions_max; ++i)
        tls_session_put(store, std::to_string(i), session(), 1000);
    assert_non_null(tls_session_find(store, "first", 1000)); // used: "second" is the oldest now
    tls_session_put(store, "first", session(), 1000);        // replaces, makes no room
    assert_non_null(tls_session_find(store, "second", 1000));
    assert_non_null(tls_session_find(store, "first", 1000));
    tls_session_put(store, "one more", session(), 1000);
    assert_int_equal(store.entries.size(), tls_client_sessions_max);
    assert_null(tls_session_find(store, "2", 1000));
    assert_non_null(tls_session_find(store, "first", 1000));
}

static void test_store_forgets_after_its_lifetime(void **) {
    tls_session_store store;
    tls_session_put(store, "a", session(), 1000);
    assert_non_null(tls_session_find(store, "a", 1000 + tls_session_lifetime - 1));
    assert_null(tls_session_find(store, "a", 1000 + tls_session_lifetime));
    assert_int_equal(store.entries.size(), 0);
    tls_session_put(store, "a", session(), 1000);
    assert_null(tls_session_find(store, "a", 999)); // the clock went back: do not guess
}

// However often tickets renew each other, it is the last look at the certificate that counts.
static void test_renewal_is_no_verification(void **) {
    auto client = make_client(tls_verify::full);
    assert_false(resumes(client, world.server.get(), strict));
    clock_offset = tls_session_lifetime / 2;
    assert_true(resumes(client, world.server.get(), strict));
    clock_offset = tls_session_lifetime - 60;
    assert_true(resumes(client, world.server.get(), strict));
    clock_offset = tls_session_lifetime + 60;
    bool resumed = resumes(client, world.server.get(), strict);
    clock_offset = 0;
    assert_false(resumed);
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_modes_and_versions),
        cmocka_unit_test(test_wrapped_offers_tls12_only),
        cmocka_unit_test(test_unverified),
        cmocka_unit_test(test_chain_only),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_time),
        cmocka_unit_test(test_strict_is_always_verified),
        cmocka_unit_test(test_strict_without_trust),
        cmocka_unit_test(test_trusting_less_than_a_root),
        cmocka_unit_test(test_default_store),
        cmocka_unit_test(test_bad_ca_file),
        cmocka_unit_test(test_bad_hosts),
        cmocka_unit_test(test_client_hello),
        cmocka_unit_test(test_old_servers_certificate),
        cmocka_unit_test(test_every_split),
        cmocka_unit_test(test_each_border),
        cmocka_unit_test(test_one_write_is_one_record),
        cmocka_unit_test(test_output_in_place_and_by_copy),
        cmocka_unit_test(test_no_write_before_the_handshake),
        cmocka_unit_test(test_resumption),
        cmocka_unit_test(test_last_flight_waits),
        cmocka_unit_test(test_server_forgot),
        cmocka_unit_test(test_session_is_dropped_after_a_failure),
        cmocka_unit_test(test_newer_session_survives),
        cmocka_unit_test(test_refused_certificate_leaves_no_session),
        cmocka_unit_test(test_engine_outlives_context),
        cmocka_unit_test(test_store_is_bounded),
        cmocka_unit_test(test_store_forgets_after_its_lifetime),
        cmocka_unit_test(test_renewal_is_no_verification),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
