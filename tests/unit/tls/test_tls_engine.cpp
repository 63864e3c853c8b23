// Contexts and engines against a real TLS client in memory.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "tls/engine_take.h"
#include "tls/tls_client.h"
#include "tls/tls_engine.h"

#include "cmocka_cpp.h" // last: its macros are lower-case words

using bytes = std::vector<uint8_t>;

static tls_context *context; // RSA, made once: it takes a while

static tls_context *make(const tls_context_options &options = {}) {
    std::string error;
    tls_context *c = tls_context_create(options, error);
    assert_non_null(c);
    assert_string_equal(error.c_str(), "");
    return c;
}

static int set_up(void **) {
    context = make();
    return 0;
}

static int tear_down(void **) {
    tls_context_destroy(context);
    return 0;
}

static bytes take(tls_engine *e) {
    bytes out(tls_engine_waiting(e));
    if (!out.empty())
        assert_int_equal(tls_engine_take(e, out), out.size());
    return out;
}

// Shakes hands; the result is the server's.
static tls_result shake(tls_engine *e, tls_client &c) {
    auto result = tls_result::more;
    bool client_done = false;
    for (int round = 0; round < 6 && (result == tls_result::more || !client_done); ++round) {
        client_done = tls_client_handshake(c);
        assert_true(tls_engine_feed(e, tls_client_take(c)));
        result = tls_engine_handshake(e);
        tls_client_feed(c, take(e));
    }
    return result;
}

static void echo(tls_engine *e, tls_client &c, size_t size) {
    bytes plain(size);
    for (size_t i = 0; i < size; ++i)
        plain[i] = static_cast<uint8_t>(i * 31);
    assert_true(tls_engine_feed(e, tls_client_encrypt(c, plain)));
    bytes got(size + 10);
    size_t have = 0;
    for (size_t n = 0; tls_engine_read(e, std::span(got).subspan(have), n) == tls_result::ok;)
        have += n;
    got.resize(have);
    assert_true(got == plain);
    assert_true(tls_engine_write(e, plain));
    assert_true(tls_client_decrypt(c, take(e)) == plain);
}

static void test_wrapped_is_tls12_only(void **) {
    tls_engine *e = tls_engine_create(context, tls_mode::wrapped);
    tls_client any({.version = 0});
    assert_int_equal(shake(e, any), tls_result::ok);
    assert_string_equal(tls_engine_version(e), "TLSv1.2");
    echo(e, any, 1);
    echo(e, any, 16384);
    echo(e, any, 40000);
    tls_engine_destroy(e);
    e = tls_engine_create(context, tls_mode::wrapped);
    tls_client only13({.version = TLS1_3_VERSION});
    assert_int_equal(shake(e, only13), tls_result::error);
    assert_string_not_equal(tls_engine_error(e).c_str(), "");
    tls_engine_destroy(e);
}

static void test_strict_versions_and_alpn(void **) {
    for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        for (int offer = 0; offer < 3; ++offer) {
            tls_engine *e = tls_engine_create(context, tls_mode::strict);
            tls_client c({.version = version,
                          .alpn = offer == 1,
                          .other_alpn = offer == 2 ? "http/1.1" : nullptr,
                          .server_name = "db.example"});
            assert_int_equal(shake(e, c), tls_result::ok);
            assert_string_equal(tls_client_alpn(c).c_str(), offer == 1 ? "tds/8.0" : "");
            assert_string_equal(tls_engine_server_name(e).c_str(), "db.example");
            assert_string_equal(tls_engine_version(e), version == TLS1_3_VERSION ? "TLSv1.3" : "TLSv1.2");
            echo(e, c, 5000);
            tls_engine_destroy(e);
        }
    }
}

static void test_min_version(void **) {
    tls_context *c13 = make({.self_signed = tls_self_signed::ecdsa, .min_version_13 = true});
    tls_engine *e = tls_engine_create(c13, tls_mode::strict);
    tls_client old({.version = TLS1_2_VERSION});
    assert_int_equal(shake(e, old), tls_result::error);
    tls_engine_destroy(e);
    e = tls_engine_create(c13, tls_mode::wrapped); // TDS 7.x can do nothing else
    tls_client wrapped({.version = TLS1_2_VERSION});
    assert_int_equal(shake(e, wrapped), tls_result::ok);
    tls_engine_destroy(e);
    e = tls_engine_create(context, tls_mode::strict);
    tls_client ancient({.version = TLS1_1_VERSION});
    SSL_set_security_level(ancient.ssl, 0);
    assert_int_equal(shake(e, ancient), tls_result::error);
    tls_engine_destroy(e);
    tls_context_destroy(c13);
}

static void test_resumption_by_ticket(void **) {
    tls_engine *e = tls_engine_create(context, tls_mode::wrapped);
    tls_client first;
    assert_int_equal(shake(e, first), tls_result::ok);
    assert_false(tls_engine_resumed(e));
    tls_engine_destroy(e);
    SSL_SESSION *session = SSL_get1_session(first.ssl);
    e = tls_engine_create(context, tls_mode::wrapped);
    tls_client second({.session = session});
    assert_int_equal(shake(e, second), tls_result::ok);
    assert_true(tls_engine_resumed(e));
    echo(e, second, 100);
    tls_engine_destroy(e);
    SSL_SESSION_free(session);
}

// An engine outlives the context it was made from (certificates may be replaced).
static void test_engine_outlives_context(void **) {
    tls_context *own = make({.self_signed = tls_self_signed::ecdsa});
    tls_engine *e = tls_engine_create(own, tls_mode::wrapped);
    tls_context_destroy(own);
    tls_client c;
    assert_int_equal(shake(e, c), tls_result::ok);
    tls_engine_destroy(e);
}

static void test_self_signed_certificate(void **) {
    for (auto kind : {tls_self_signed::rsa, tls_self_signed::ecdsa}) {
        tls_context *own = kind == tls_self_signed::rsa ? context : make({.self_signed = kind});
        X509 *cert = SSL_CTX_get0_certificate(tls_context_ssl(own, tls_mode::wrapped));
        assert_int_equal(X509_check_host(cert, "localhost", 0, 0, nullptr), 1);
        assert_int_equal(X509_check_host(cert, "elsewhere.example", 0, 0, nullptr), 0);
        char host[256] = {};
        assert_int_equal(gethostname(host, sizeof host - 1), 0);
        assert_int_equal(X509_check_host(cert, host, 0, 0, nullptr), 1);
        EVP_PKEY *key = X509_get0_pubkey(cert);
        assert_int_equal(EVP_PKEY_get_bits(key), kind == tls_self_signed::rsa ? 2048 : 256);
        assert_int_equal(X509_verify(cert, key), 1);
        int days = 0, seconds = 0;
        assert_int_equal(ASN1_TIME_diff(&days, &seconds, nullptr, X509_get0_notAfter(cert)), 1);
        assert_true(days >= 3649);
        if (own != context)
            tls_context_destroy(own);
    }
}

static std::string temporary(const char *name) {
    const char *dir = getenv("TMPDIR");
    return std::string(dir ? dir : "/tmp") + "/tdsbouncer-" + std::to_string(getpid()) + "-" + name;
}

static void write_pem(const std::string &path, X509 *cert, EVP_PKEY *key) {
    FILE *f = fopen(path.c_str(), "w");
    assert_non_null(f);
    if (key != nullptr)
        PEM_write_PrivateKey(f, key, nullptr, nullptr, 0, nullptr, nullptr);
    if (cert != nullptr)
        PEM_write_X509(f, cert);
    fclose(f);
}

static std::string error_of(const std::string &cert, const std::string &key) {
    std::string error;
    assert_null(tls_context_create({.cert_file = cert, .key_file = key}, error));
    assert_int_equal(ERR_peek_error(), 0);
    return error;
}

static void test_files(void **) {
    tls_context *own = make({.self_signed = tls_self_signed::ecdsa});
    SSL_CTX *source = tls_context_ssl(own, tls_mode::strict);
    std::string cert = temporary("cert.pem"), key = temporary("key.pem"), both = temporary("both.pem"),
                other = temporary("other.pem");
    write_pem(cert, SSL_CTX_get0_certificate(source), nullptr);
    write_pem(key, nullptr, SSL_CTX_get0_privatekey(source));
    write_pem(both, SSL_CTX_get0_certificate(source), SSL_CTX_get0_privatekey(source));
    write_pem(other, nullptr, SSL_CTX_get0_privatekey(tls_context_ssl(context, tls_mode::strict)));
    for (const char *k : {key.c_str(), ""}) {
        tls_context *loaded = make({.cert_file = *k ? cert : both, .key_file = k});
        tls_engine *e = tls_engine_create(loaded, tls_mode::strict);
        tls_client c({.version = TLS1_3_VERSION});
        assert_int_equal(shake(e, c), tls_result::ok);
        tls_engine_destroy(e);
        tls_context_destroy(loaded);
    }
    assert_non_null(strstr(error_of("/nonexistent/c.pem", key).c_str(), "/nonexistent/c.pem"));
    assert_non_null(strstr(error_of(cert, "/nonexistent/k.pem").c_str(), "/nonexistent/k.pem"));
    assert_non_null(strstr(error_of(cert, other).c_str(), other.c_str()));
    assert_non_null(strstr(error_of(key, key).c_str(), key.c_str())); // holds no certificate
    for (const std::string &path : {cert, key, both, other})
        unlink(path.c_str());
    tls_context_destroy(own);
}

static void test_garbage_is_an_error_with_a_text(void **) {
    tls_engine *e = tls_engine_create(context, tls_mode::strict);
    bytes garbage(100, 'x');
    assert_true(tls_engine_feed(e, garbage));
    assert_int_equal(tls_engine_handshake(e), tls_result::error);
    assert_string_not_equal(tls_engine_error(e).c_str(), "");
    assert_int_equal(tls_engine_handshake(e), tls_result::error);
    size_t got = 1;
    assert_int_equal(tls_engine_read(e, garbage, got), tls_result::error);
    assert_int_equal(got, 0);
    assert_false(tls_engine_write(e, garbage));
    assert_int_equal(ERR_peek_error(), 0);
    tls_engine_destroy(e);
}

static void test_changed_record_is_an_error(void **) {
    tls_engine *e = tls_engine_create(context, tls_mode::strict);
    tls_client c({.version = TLS1_3_VERSION});
    assert_int_equal(shake(e, c), tls_result::ok);
    bytes record = tls_client_encrypt(c, bytes(50, 1));
    record[20] ^= 1;
    assert_true(tls_engine_feed(e, record));
    uint8_t out[100];
    size_t got = 0;
    assert_int_equal(tls_engine_read(e, out, got), tls_result::error);
    tls_engine_destroy(e);
}

static void test_close_notify(void **) {
    tls_engine *e = tls_engine_create(context, tls_mode::strict);
    tls_client c;
    assert_int_equal(shake(e, c), tls_result::ok);
    SSL_shutdown(c.ssl);
    assert_true(tls_engine_feed(e, tls_client_take(c)));
    uint8_t out[10];
    size_t got = 0;
    assert_int_equal(tls_engine_read(e, out, got), tls_result::closed);
    tls_engine_destroy(e);
}

static void test_buffers_are_bounded(void **) {
    tls_engine *e = tls_engine_create(context, tls_mode::strict);
    bytes piece(16 * 1024);
    for (int i = 0; i < 4; ++i)
        assert_true(tls_engine_feed(e, piece));
    assert_false(tls_engine_feed(e, std::span(piece).first(1)));
    tls_engine_destroy(e);
    e = tls_engine_create(context, tls_mode::strict);
    tls_client c;
    assert_int_equal(shake(e, c), tls_result::ok);
    int written = 0;
    while (written < 10 && tls_engine_write(e, piece))
        ++written;
    assert_in_range(written, 2, 4);
    tls_engine_destroy(e);
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_wrapped_is_tls12_only),
        cmocka_unit_test(test_strict_versions_and_alpn),
        cmocka_unit_test(test_min_version),
        cmocka_unit_test(test_resumption_by_ticket),
        cmocka_unit_test(test_engine_outlives_context),
        cmocka_unit_test(test_self_signed_certificate),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_garbage_is_an_error_with_a_text),
        cmocka_unit_test(test_changed_record_is_an_error),
        cmocka_unit_test(test_close_notify),
        cmocka_unit_test(test_buffers_are_bounded),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
