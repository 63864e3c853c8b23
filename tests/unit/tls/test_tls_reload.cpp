// New certificate files under a living context.
#include <cstring>
#include <string>

#include <openssl/err.h>

#include "tls/engine_pair.h"
#include "tls/test_pki.h"

// The context shows whatever is in `file`.
struct world {
    pki_file file{"reload.pem"};
    tls_context *context = nullptr;

    world() {
        write("before");
        std::string error;
        context = tls_context_create(options(), error);
        assert_non_null(context);
    }
    ~world() { tls_context_destroy(context); }

    tls_context_options options() const { return {.cert_file = file.path}; }

    void write(const char *name) const {
        pki_cert c = pki_make({.name = name, .alternative = "DNS:db.example"});
        pki_write(file, {c.cert.get()}, c.key.get());
    }
};

static std::string name_of(X509 *cert) {
    char name[64] = {};
    X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, name, sizeof name);
    return name;
}

// A new client sees this one's name, in both modes.
static std::string shown(const tls_context *context) {
    std::string error, name = name_of(SSL_CTX_get0_certificate(tls_context_ssl(context, tls_mode::strict)));
    pki_file trust("trust.pem");
    for (auto mode : {tls_mode::wrapped, tls_mode::strict}) {
        X509 *cert = SSL_CTX_get0_certificate(tls_context_ssl(context, mode));
        assert_string_equal(name_of(cert).c_str(), name.c_str());
        pki_write(trust, {cert}); // the handshake succeeds with this very certificate only
        tls_client_context *client = tls_client_context_create({.ca_file = trust.path}, error);
        engine_pair p;
        assert_true(pair_connect(p, client, context, {.mode = mode}));
        tls_client_context_destroy(client);
    }
    return name;
}

static void test_new_files_are_shown(void **) {
    world w;
    std::string error;
    assert_string_equal(shown(w.context).c_str(), "before");
    w.write("after");
    assert_string_equal(shown(w.context).c_str(), "before");
    assert_true(tls_context_reload(w.context, w.options(), error));
    assert_string_equal(shown(w.context).c_str(), "after");
}

// Whoever began before goes on, in the middle of a handshake or long after it.
static void test_living_engines_go_on(void **) {
    world w;
    std::string error;
    tls_client_context *client = tls_client_context_create({}, error);
    engine_pair done, started;
    assert_true(pair_connect(done, client, w.context));
    started.client = tls_engine_create_client(client, tls_mode::wrapped, "db.example", 1);
    started.server = tls_engine_create(w.context, tls_mode::wrapped);
    assert_int_equal(tls_engine_handshake(started.client), tls_result::more);
    assert_int_equal(pair_cross(started.client, started.server, SIZE_MAX), tls_result::more);
    for (int i = 0; i < 3; ++i) {
        w.write("after");
        assert_true(tls_context_reload(w.context, w.options(), error));
    }
    pair_talk(done, 20000);
    assert_true(pair_shake(started));
    pair_talk(started, 20000);
    tls_client_context_destroy(client);
}

// A ticket of before the change is not known any more and does no harm.
static void test_old_tickets(void **) {
    world w;
    std::string error;
    tls_client_context *client = tls_client_context_create({}, error);
    engine_pair p;
    for (bool resumed : {false, true}) {
        assert_true(pair_connect(p, client, w.context));
        assert_true(tls_engine_resumed(p.server) == resumed);
    }
    assert_true(tls_context_reload(w.context, w.options(), error));
    for (bool resumed : {false, true}) {
        assert_true(pair_connect(p, client, w.context));
        assert_true(tls_engine_resumed(p.server) == resumed);
        pair_talk(p, 10);
    }
    tls_client_context_destroy(client);
}

static void assert_kept(const world &w, const char *what) {
    std::string error;
    assert_false(tls_context_reload(w.context, w.options(), error));
    assert_non_null(strstr(error.c_str(), what));
    assert_non_null(strstr(error.c_str(), w.file.path.c_str()));
    assert_int_equal(ERR_peek_error(), 0);
    assert_string_equal(shown(w.context).c_str(), "before");
}

static void test_bad_files_change_nothing(void **) {
    world w;
    pki_cert one = pki_make({.name = "one"}), other = pki_make({.name = "other"});
    pki_write(w.file, {one.cert.get()}, other.key.get());
    assert_kept(w, "key");
    pki_write(w.file, {one.cert.get()});
    assert_kept(w, "key file");
    pki_write(w.file, {});
    assert_kept(w, "certificate file");
    // Good enough for wrapped, too weak for strict: none of the two changes.
    pki_cert weak = pki_make({.name = "weak", .rsa_bits = 1024});
    pki_write(w.file, {weak.cert.get()}, weak.key.get());
    assert_kept(w, "key too small");
    unlink(w.file.path.c_str());
    assert_kept(w, "No such file or directory");
    w.write("at last");
    std::string error;
    assert_true(tls_context_reload(w.context, w.options(), error));
    assert_string_equal(shown(w.context).c_str(), "at last");
}

static void test_chain_is_sent_in_both_modes(void **) {
    world w;
    pki_cert root = pki_make({.name = "root", .ca = true});
    pki_cert middle = pki_make({.name = "middle", .ca = true, .by = &root});
    pki_cert leaf = pki_make({.name = "leaf", .alternative = "DNS:db.example", .by = &middle});
    pki_write(w.file, {leaf.cert.get(), middle.cert.get()}, leaf.key.get());
    std::string error;
    assert_true(tls_context_reload(w.context, w.options(), error));
    pki_file trust("root.pem");
    pki_write(trust, {root.cert.get()});
    tls_client_context *client = tls_client_context_create({.verify = tls_verify::full, .ca_file = trust.path}, error);
    for (auto mode : {tls_mode::wrapped, tls_mode::strict}) {
        engine_pair p;
        assert_true(pair_connect(p, client, w.context, {.mode = mode}));
    }
    tls_client_context_destroy(client);
}

static void test_self_signed_is_kept(void **) {
    std::string error;
    tls_context *own = tls_context_create({.self_signed = tls_self_signed::ecdsa}, error);
    X509 *before = SSL_CTX_get0_certificate(tls_context_ssl(own, tls_mode::wrapped));
    assert_true(tls_context_reload(own, {.self_signed = tls_self_signed::ecdsa}, error));
    assert_ptr_equal(SSL_CTX_get0_certificate(tls_context_ssl(own, tls_mode::wrapped)), before);
    tls_context_destroy(own);
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_new_files_are_shown),
        cmocka_unit_test(test_living_engines_go_on),
        cmocka_unit_test(test_old_tickets),
        cmocka_unit_test(test_bad_files_change_nothing),
        cmocka_unit_test(test_chain_is_sent_in_both_modes),
        cmocka_unit_test(test_self_signed_is_kept),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
