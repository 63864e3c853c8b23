// The proxy's login at a server: every policy and encryption against the proxy's own server side, against recorded
// servers, against servers that lie, split at every byte.
#include <random> // before cmocka.h, which makes `fail` a macro

#include <openssl/ssl.h>

#include "tls/tls_record.h"

#include "proxy/login_pair.h"
#include "tds/bytes.h"
#include "tls/test_pki.h"

static struct {
    tls_context *server;             // certificate for db.example
    tls_client_context *trusting;    // verifies nothing
    tls_client_context *full;        // knows the CA
    tls_client_context *distrustful; // knows another
} tls;

static tls_client_context *client_context(tls_verify verify, const std::string &ca_file) {
    std::string error;
    auto *made = tls_client_context_create({verify, ca_file}, error);
    assert_string_equal(error.c_str(), "");
    return made;
}

static int set_up(void **) {
    pki_cert ca = pki_make({.name = "test CA", .ca = true}), other = pki_make({.name = "another CA", .ca = true});
    pki_cert good = pki_make({.name = "server", .alternative = "DNS:db.example", .by = &ca});
    pki_file ca_file("login-ca.pem"), other_file("login-other.pem"), server_file("login-server.pem");
    pki_write(ca_file, {ca.cert.get()});
    pki_write(other_file, {other.cert.get()});
    pki_write(server_file, {good.cert.get()}, good.key.get());
    std::string error;
    tls_context_options options;
    options.cert_file = server_file.path;
    tls.server = tls_context_create(options, error);
    tls.trusting = client_context(tls_verify::none, ca_file.path);
    tls.full = client_context(tls_verify::full, ca_file.path);
    tls.distrustful = client_context(tls_verify::full, other_file.path);
    return tls.server == nullptr;
}

static int tear_down(void **) {
    tls_context_destroy(tls.server);
    for (auto *context : {tls.trusting, tls.full, tls.distrustful})
        tls_client_context_destroy(context);
    return 0;
}

static server_login_options options_for(server_tls policy) {
    server_login_options o;
    o.tls_policy = policy;
    o.tls = policy == server_tls::verify_full || policy == server_tls::strict ? tls.full : tls.trusting;
    o.host = "db.example";
    return o;
}

static bytes server_prelogin(uint8_t encryption, bool fedauth = false, uint8_t fedauth_value = 1, uint8_t mars = 0) {
    tds_prelogin_answer a;
    a.version = {16, 0, 1000, 0};
    a.encryption = encryption;
    a.mars = a.thread = true;
    a.mars_value = mars;
    a.fedauth = fedauth;
    a.fedauth_value = fedauth_value;
    bytes out;
    tds_prelogin_answer_build(a, out);
    return out;
}

// Tokens of a good answer, and of refusals.
static bytes accepted(const char *packet_size = nullptr) {
    bytes tokens;
    tds_put_envchange(tokens, tds_env_database, "shop", "master");
    tds_put_loginack(tokens, tds_7_4, "Microsoft SQL Server", {15, 0, 4000, 0});
    if (packet_size != nullptr)
        tds_put_envchange(tokens, tds_env_packet_size, packet_size, "4096");
    tds_put_done(tokens, tds_7_4, tds_token_done, 0, 0, 0);
    return tokens;
}

static bytes refused(int32_t number) {
    bytes tokens;
    tds_notice n;
    n.number = number;
    n.severity = 14;
    n.text = "Login failed.";
    tds_put_notice(tokens, tds_7_4, n);
    tds_put_done(tokens, tds_7_4, tds_token_done, tds_done_error, 0, 0);
    return tokens;
}

static bytes answer_message(const bytes &tokens) {
    return message(tds_type_response, tokens);
}

static void check_failed(const outgoing &o, server_login_error kind, const char *words) {
    assert_int_equal(o.result, server_login_result::failed);
    assert_int_equal(server_login_error_kind(o.s), kind);
    std::string text(server_login_error_text(o.s));
    if (text.find(words) == std::string::npos)
        assert_string_equal(text.c_str(), words);
    assert_false(server_login_retry(o.s));
}

static void check_login7(incoming &i, size_t sspi) {
    assert_int_equal(i.result, client_login_result::ready);
    tds_login7 &m = client_login_message(i.c);
    assert_string_equal(m.user_name.c_str(), "tenant1");
    assert_true(tds_secret_view(m.password) == "s3cret");
    assert_string_equal(m.database.c_str(), "shop");
    assert_int_equal(m.sspi.size(), sspi);
}

static const size_t pieces[] = {SIZE_MAX, 1, 2, 3, 7, 100, 1000};

// ---- against the proxy's own server side

struct agreement {
    server_tls ours;
    tds_tls_policy theirs;
    server_encryption encryption;
    client_encryption seen;
};

static const agreement agreements[] = {
    {server_tls::disable, tds_tls_policy::disable, server_encryption::none, client_encryption::none},
    {server_tls::disable, tds_tls_policy::allow, server_encryption::none, client_encryption::none},
    {server_tls::prefer, tds_tls_policy::allow, server_encryption::full, client_encryption::full},
    {server_tls::require, tds_tls_policy::allow, server_encryption::full, client_encryption::full},
    {server_tls::require, tds_tls_policy::require, server_encryption::full, client_encryption::full},
    {server_tls::verify_ca, tds_tls_policy::allow, server_encryption::full, client_encryption::full},
    {server_tls::verify_full, tds_tls_policy::require, server_encryption::full, client_encryption::full},
    {server_tls::strict, tds_tls_policy::require, server_encryption::strict, client_encryption::strict},
};

static void check_accepted(const agreement &a, size_t piece, size_t sspi) {
    outgoing o(options_for(a.ours), login7_payload(sspi), piece);
    incoming i(tls.server, a.theirs, piece);
    talk(o, i);
    check_login7(i, sspi);
    assert_int_equal(o.result, server_login_result::more);
    assert_int_equal(client_login_encryption(i.c), a.seen);
    answer(o, i, answer_message(accepted("16384")));
    assert_int_equal(o.result, server_login_result::done);
    assert_int_equal(o.left_over, 0);
    assert_int_equal(server_login_encryption(o.s), a.encryption);
    assert_int_equal(server_login_packet_size(o.s), 16384);
    assert_int_equal(server_login_version(o.s).major, 15);
    assert_int_equal(server_login_spid(o.s), 51);
    assert_string_equal(server_login_answer(o.s).database.c_str(), "shop");
    tls_engine_ptr engine(server_login_take_engine(o.s));
    assert_int_equal(engine != nullptr, a.encryption != server_encryption::none);
    if (engine) {
        bool strict = a.encryption == server_encryption::strict;
        assert_string_equal(tls_engine_version(engine.get()), strict ? "TLSv1.3" : "TLSv1.2");
        assert_string_equal(std::string(client_login_server_name(i.c)).c_str(), "db.example");
    }
}

static void test_all_agreements(void **) {
    for (const agreement &a : agreements)
        for (size_t piece : pieces)
            for (size_t sspi : {size_t{0}, size_t{9000}})
                check_accepted(a, piece, sspi);
}

// The longest message that there may be: the output holds it all, in clear and encrypted.
static void test_longest_login7(void **) {
    size_t sspi = tds_login7_max - login7_payload().size();
    check_accepted(agreements[0], SIZE_MAX, sspi);
    check_accepted(agreements[3], SIZE_MAX, sspi);
    check_accepted(agreements[7], SIZE_MAX, sspi);
}

static void test_refusal_in_every_encryption(void **) {
    for (const agreement &a : agreements) {
        outgoing o(options_for(a.ours));
        incoming i(tls.server, a.theirs);
        talk(o, i);
        client_login_answer_error(i.c, 18456, 14, "Login failed for user 'tenant1'.");
        auto out = client_login_output(i.c);
        deliver(o, bytes(out.begin(), out.end()));
        assert_int_equal(o.result, server_login_result::refused);
        assert_int_equal(tds_login_answer_error(server_login_answer(o.s))->number, 18456);
        assert_int_equal(server_login_spid(o.s), 77);
        assert_false(server_login_retry(o.s));
    }
}

static void test_no_agreement(void **) {
    outgoing clear(options_for(server_tls::disable));
    incoming demanding(tls.server, tds_tls_policy::require);
    talk(clear, demanding);
    check_failed(clear, server_login_error::refused_encryption, "server requires encryption, server_tls is disable");
    for (server_tls policy : {server_tls::require, server_tls::verify_ca, server_tls::verify_full}) {
        outgoing o(options_for(policy));
        incoming without(tls.server, tds_tls_policy::disable);
        talk(o, without);
        check_failed(o, server_login_error::refused_encryption, "does not encrypt");
        assert_int_equal(without.result, client_login_result::closed); // and no LOGIN7 has left
        assert_true(server_login_output(o.s).empty());
    }
}

// Both sides go on with the engines: nothing of the login is left in them, and nothing is missing.
static void test_engine_goes_on(void **) {
    for (server_tls policy : {server_tls::require, server_tls::strict}) {
        outgoing o(options_for(policy));
        incoming i(tls.server, tds_tls_policy::require);
        talk(o, i);
        check_login7(i, 0);
        tls_engine_ptr theirs(client_login_take_engine(i.c));
        assert_true(tls_engine_write(theirs.get(), answer_message(accepted())));
        deliver(o, engine_output(theirs.get()));
        assert_int_equal(o.result, server_login_result::done);
        tls_engine_ptr ours(server_login_take_engine(o.s));
        assert_int_equal(tls_engine_unread(ours.get()), 0);
        assert_true(tls_engine_output(ours.get()).empty());
        const uint8_t hello[] = {'h', 'e', 'l', 'l', 'o'};
        assert_true(tls_engine_write(ours.get(), hello));
        assert_string_equal(engine_decrypt(theirs.get(), engine_output(ours.get())).c_str(), "hello");
        assert_true(tls_engine_write(theirs.get(), hello));
        assert_string_equal(engine_decrypt(ours.get(), engine_output(theirs.get())).c_str(), "hello");
    }
}

// In a resumed handshake the client has the last word: it must still be wrapped, and all that follows must not be.
static void test_resumption(void **) {
    for (server_tls policy : {server_tls::require, server_tls::strict}) {
        for (int round = 0; round < 3; ++round) {
            server_login_options options = options_for(policy);
            options.host = "db.example";
            options.port = 4711;
            outgoing o(options, login7_payload(), round == 2 ? 1 : SIZE_MAX);
            incoming i(tls.server, tds_tls_policy::require, round == 2 ? 1 : SIZE_MAX);
            talk(o, i);
            check_login7(i, 0);
            answer(o, i, answer_message(accepted()));
            assert_int_equal(o.result, server_login_result::done);
            tls_engine_ptr engine(server_login_take_engine(o.s));
            assert_int_equal(tls_engine_resumed(engine.get()), round > 0);
        }
    }
}

static void test_certificate_not_accepted(void **) {
    for (server_tls policy : {server_tls::verify_full, server_tls::strict}) {
        for (const char *host : {"db.example", "other.example"}) {
            server_login_options options = options_for(policy);
            bool wrong_host = strcmp(host, "other.example") == 0;
            options.tls = wrong_host ? tls.full : tls.distrustful;
            options.host = host;
            outgoing o(options);
            incoming i(tls.server, tds_tls_policy::require);
            for (bytes up = take_output(o), down; !up.empty(); up = deliver(o, down)) {
                if (o.result == server_login_result::failed)
                    break;
                down = deliver(i, up);
            }
            check_failed(o, server_login_error::tls, "TLS handshake: certificate verify failed");
            assert_int_not_equal(i.result, client_login_result::ready);
        }
    }
}

static void test_one_record_for_every_packet(void **) {
    server_login_options options = options_for(server_tls::require);
    options.port = 4712; // a target of its own: no session to resume
    outgoing o(options, login7_payload(9000));
    incoming i(tls.server, tds_tls_policy::allow);
    bytes up = take_output(o), last;
    while (!up.empty()) {
        last = up;
        up = deliver(o, deliver(i, up));
    }
    size_t records = 0;
    for (std::span<const uint8_t> rest = last; !rest.empty(); ++records) {
        size_t size = 0;
        assert_int_equal(tls_record_parse(rest, size), tls_record_result::ok);
        assert_int_equal(rest[0], tls_record_data);
        rest = rest.subspan(size);
    }
    assert_int_equal(records, 3);
}

// ---- PRELOGIN

static void test_prelogin_by_policy(void **) {
    for (server_tls policy : {server_tls::disable, server_tls::prefer, server_tls::require, server_tls::verify_ca,
                              server_tls::verify_full}) {
        for (bool fedauth : {false, true}) {
            server_login_options options = options_for(policy);
            options.fedauth_required = fedauth;
            outgoing o(options);
            bytes sent = take_output(o);
            tds_prelogin p;
            assert_int_equal(sent[0], tds_type_prelogin);
            assert_int_equal(tds_prelogin_parse(std::span(sent).subspan(8), p), tds_prelogin_error::none);
            assert_int_equal(p.encryption, policy == server_tls::disable ? tds_encrypt_not_supported : tds_encrypt_on);
            assert_int_equal(p.has_fedauth, fedauth);
        }
    }
}

// What a server may answer to NOT_SUP and to ON, with flags that mean nothing here.
static void test_every_encryption_byte(void **) {
    for (unsigned byte = 0; byte < 256; ++byte) {
        for (server_tls policy : {server_tls::disable, server_tls::prefer, server_tls::require}) {
            outgoing o(options_for(policy));
            bytes sent = deliver(o, server_prelogin(static_cast<uint8_t>(byte)));
            unsigned value = byte & 0x5fU;
            bool disabled = policy == server_tls::disable;
            bool clear = value == tds_encrypt_not_supported && policy != server_tls::require;
            bool encrypted = (value == tds_encrypt_on || value == tds_encrypt_required) && !disabled;
            assert_int_equal(o.result, clear || encrypted ? server_login_result::more : server_login_result::failed);
            sent.erase(sent.begin(), sent.begin() + get_u16be(&sent[2])); // our PRELOGIN
            assert_int_equal(sent.empty(), !clear && !encrypted);
            if (!sent.empty())
                assert_int_equal(sent[0], clear ? tds_type_login7 : tds_type_prelogin);
            else
                assert_int_equal(server_login_error_kind(o.s),
                                 value > 3 ? server_login_error::protocol : server_login_error::refused_encryption);
        }
    }
}

// A server that declines what the client was promised is not told who it is.
static void test_mars(void **) {
    static const uint8_t without_the_option[] = {0, 0, 6, 0, 6, 0xff, 8, 0, 1, 2, 0, 0};
    server_login_options options = options_for(server_tls::disable);
    options.mars = true;
    outgoing granted(options), declined(options), old(options);
    bytes sent = deliver(granted, server_prelogin(tds_encrypt_not_supported, false, 1, 1));
    assert_int_equal(granted.result, server_login_result::more);
    size_t prelogin = get_u16be(&sent[2]);
    tds_prelogin p;
    assert_int_equal(tds_prelogin_parse(std::span(sent).subspan(8, prelogin - 8), p), tds_prelogin_error::none);
    assert_true(tds_prelogin_mars_on(p));
    assert_int_equal(sent[prelogin], tds_type_login7);
    sent = deliver(declined, server_prelogin(tds_encrypt_not_supported));
    assert_int_equal(sent.size(), prelogin);
    check_failed(declined, server_login_error::declined_mars, "does not grant MARS");
    assert_int_equal(server_login_version(declined.s).major, 16);
    deliver(old, message(tds_type_response, {without_the_option, without_the_option + sizeof without_the_option}));
    check_failed(old, server_login_error::declined_mars, "does not grant MARS");
}

// SQL Server 2000 and older know no such option.
static void test_no_encryption_option(void **) {
    static const uint8_t payload[] = {0, 0, 6, 0, 6, 0xff, 8, 0, 1, 2, 0, 0};
    bytes wire = message(tds_type_response, {payload, payload + sizeof payload});
    outgoing o(options_for(server_tls::prefer));
    assert_false(deliver(o, wire).empty());
    assert_int_equal(o.result, server_login_result::more);
    assert_int_equal(server_login_version(o.s).major, 8);
    outgoing strict(options_for(server_tls::require));
    deliver(strict, wire);
    check_failed(strict, server_login_error::refused_encryption, "does not encrypt");
}

static void test_fedauth_echo(void **) {
    static const uint8_t features[] = {0x02, 2, 0, 0, 0, 0x04, 0x01};
    struct {
        bool present;
        uint8_t value;
        bool echo;
    } cases[] = {{false, 0, false}, {true, 0, false}, {true, 1, true}};
    for (const auto &c : cases) {
        server_login_options options = options_for(server_tls::disable);
        options.fedauth_required = true;
        outgoing o(options, login7_payload(0, tds_7_4, 8000, features));
        take_output(o);
        bytes sent = deliver(o, server_prelogin(tds_encrypt_not_supported, c.present, c.value));
        assert_int_equal(server_login_fedauth_echo(o.s), c.echo);
        tds_login7 l;
        assert_int_equal(tds_login7_parse(std::span(sent).subspan(8), l), tds_login7_error::none);
        assert_int_equal(l.features.size(), sizeof features);
        assert_int_equal(l.features[5], c.echo ? 5 : 4);
    }
}

// ---- recorded servers

struct recording {
    const char *name;
    uint32_t version;
    server_login_result result;
    uint32_t packet_size;
};

static const recording recordings[] = {
    {"freetds-tsql", tds_7_4, server_login_result::done, 8000},
    {"freetds-tsql-tds7.1", tds_7_1_sp1, server_login_result::done, 8000},
    {"jtds", tds_7_1_sp1, server_login_result::done, 4096},
    {"go-mssqldb-packet_size", tds_7_4, server_login_result::done, 32764},
    {"tedious-bigpacket", tds_7_4, server_login_result::done, 16384},
    {"freetds-tsql-failure", tds_7_4, server_login_result::refused, 8000},
    {"tedious-bad_db", tds_7_4, server_login_result::refused, 8000},
};

static bytes recorded(const char *name) {
    bytes wire = capture_read(std::string("server-") + name + "-answer");
    assert_false(wire.empty());
    return wire;
}

static void test_recorded_servers(void **) {
    for (const recording &r : recordings) {
        for (size_t piece : pieces) {
            for (server_tls policy : {server_tls::disable, server_tls::prefer}) {
                outgoing o(options_for(policy), login7_payload(0, r.version), piece);
                bytes prelogin = take_output(o), sent = deliver(o, recorded(r.name));
                assert_int_equal(o.result, r.result);
                assert_true(sent == message(tds_type_login7, login7_payload(0, r.version), 4096, 0));
                if (r.result == server_login_result::done)
                    assert_int_equal(server_login_packet_size(o.s), r.packet_size);
                assert_null(server_login_take_engine(o.s));
                bool more = server_login_answer(o.s).notices.empty();
                assert_false(more);
            }
        }
    }
}

static void test_recorded_server_at_every_split(void **) {
    bytes wire = recorded("freetds-tsql");
    for (size_t split = 1; split < wire.size(); ++split) {
        outgoing o(options_for(server_tls::disable));
        deliver(o, std::span(wire).first(split));
        assert_int_equal(o.result, server_login_result::more);
        deliver(o, std::span(wire).subspan(split));
        assert_int_equal(o.result, server_login_result::done);
    }
}

static void test_packet_size_asked_holds(void **) {
    struct {
        uint32_t asked, size;
    } cases[] = {{0, 4096}, {512, 512}, {8000, 8000}, {32767, 32767}, {100, 4096}, {65535, 4096}};
    for (const auto &c : cases) {
        outgoing o(options_for(server_tls::disable), login7_payload(0, tds_7_4, c.asked));
        deliver(o, recorded("freetds-tsql"));
        assert_int_equal(server_login_packet_size(o.s), c.size);
    }
}

static void test_retry(void **) {
    for (int32_t number : {18456, 40613, 10928, 4060}) {
        outgoing o(options_for(server_tls::disable));
        deliver(o, server_prelogin(tds_encrypt_not_supported));
        assert_false(server_login_retry(o.s));
        deliver(o, answer_message(refused(number)));
        assert_int_equal(o.result, server_login_result::refused);
        assert_int_equal(server_login_retry(o.s), number == 40613 || number == 10928);
    }
}

static void test_bytes_behind_the_answer(void **) {
    bytes wire = answer_message(accepted());
    wire.insert(wire.end(), {1, 2, 3});
    outgoing o(options_for(server_tls::disable));
    deliver(o, server_prelogin(tds_encrypt_not_supported));
    deliver(o, wire);
    assert_int_equal(o.result, server_login_result::done);
    assert_int_equal(o.left_over, 3);
    outgoing encrypted(options_for(server_tls::require));
    incoming i(tls.server, tds_tls_policy::allow);
    talk(encrypted, i);
    tls_engine_ptr theirs(client_login_take_engine(i.c));
    assert_true(tls_engine_write(theirs.get(), wire)); // in one record: nobody would see them again
    deliver(encrypted, engine_output(theirs.get()));
    check_failed(encrypted, server_login_error::protocol, "bytes behind the login response");
}

// ---- the client's tokens

static const bytes challenge = {0xed, 4, 0, 'N', 'T', 'L', 'M'};

static void test_sspi_in_clear(void **) {
    for (size_t piece : pieces) {
        outgoing o(options_for(server_tls::disable), login7_payload(40), piece);
        deliver(o, server_prelogin(tds_encrypt_not_supported));
        for (int round = 0; round < 3; ++round) {
            deliver(o, answer_message(challenge));
            assert_int_equal(o.result, server_login_result::token);
            auto payload = server_login_payload(o.s);
            assert_true(bytes(payload.begin(), payload.end()) == challenge);
            bytes token(5000, static_cast<uint8_t>(round));
            server_login_send(o.s, tds_type_sspi, token);
            assert_int_equal(server_login_feed(o.s, {}, nullptr), server_login_result::more);
            assert_true(take_output(o) == message(tds_type_sspi, token, 4096, 0));
        }
        deliver(o, answer_message(accepted()));
        assert_int_equal(o.result, server_login_result::done);
    }
}

static void test_fedauth_encrypted(void **) {
    outgoing o(options_for(server_tls::require));
    incoming i(tls.server, tds_tls_policy::allow);
    talk(o, i);
    tls_engine_ptr theirs(client_login_take_engine(i.c));
    bytes info{0xee, 3, 0, 0, 0, 1, 2, 3};
    assert_true(tls_engine_write(theirs.get(), answer_message(info)));
    deliver(o, engine_output(theirs.get()));
    assert_int_equal(o.result, server_login_result::token);
    bytes token(6000, 0x33), expected = message(tds_type_fedauth, token, 4096, 0);
    server_login_send(o.s, tds_type_fedauth, token);
    std::string got = engine_decrypt(theirs.get(), take_output(o));
    assert_true(got == std::string(expected.begin(), expected.end()));
    assert_true(tls_engine_write(theirs.get(), answer_message(accepted())));
    deliver(o, engine_output(theirs.get()));
    assert_int_equal(o.result, server_login_result::done);
    tls_engine_ptr ours(server_login_take_engine(o.s));
    assert_non_null(ours.get());
}

// ---- servers that lie

static void test_wrong_beginnings(void **) {
    struct {
        bytes wire;
        const char *words;
    } cases[] = {
        {{'H', 'T', 'T', 'P'}, "type"},       {{0x15, 3, 1, 0, 2, 2, 40}, "type"}, // a TLS alert
        {{4, 1, 0, 7, 0, 0, 0, 0}, "packet"}, {{4, 1, 0x20, 0, 0, 0, 0, 0}, "packet"},
        {message(4, {0xff}), "PRELOGIN"},     {message(4, {0, 0, 6, 0, 6}), "PRELOGIN"},
    };
    for (auto &c : cases) {
        outgoing o(options_for(server_tls::prefer));
        deliver(o, c.wire);
        check_failed(o, server_login_error::protocol, c.words);
        size_t consumed = 0;
        assert_int_equal(server_login_feed(o.s, c.wire, &consumed), server_login_result::failed);
        assert_int_equal(consumed, c.wire.size()); // ignored from now on
    }
}

static void test_lies_during_the_handshake(void **) {
    struct {
        bytes wire;
        server_login_error kind;
    } cases[] = {
        {message(tds_type_login7, {1}), server_login_error::protocol},
        {{0x12, 1, 0, 8, 0, 0, 0, 0}, server_login_error::protocol},
        {{0x12, 1, 0, 3, 0, 0, 0, 0}, server_login_error::protocol},
        {message(tds_type_prelogin, bytes(100, 0x55)), server_login_error::tls},
        {message(tds_type_response, bytes(100, 0x16)), server_login_error::tls},
        {message(tds_type_prelogin, {0x15, 3, 3, 0, 2, 2, 40}), server_login_error::tls}, // alert
    };
    for (auto &c : cases) {
        outgoing o(options_for(server_tls::require));
        deliver(o, server_prelogin(tds_encrypt_on));
        assert_int_equal(o.result, server_login_result::more);
        deliver(o, c.wire);
        check_failed(o, c.kind, "");
        assert_false(server_login_error_text(o.s).empty());
    }
}

static void test_lies_in_strict(void **) {
    for (const bytes &wire : {bytes{4, 1, 0, 43, 0, 0, 1, 0}, bytes{0x16, 3, 3, 0xff, 0xff}, bytes(64, 0x16)}) {
        outgoing o(options_for(server_tls::strict));
        deliver(o, wire);
        assert_int_equal(o.result, server_login_result::failed);
    }
}

static void test_giant_answer(void **) {
    outgoing o(options_for(server_tls::disable));
    deliver(o, server_prelogin(tds_encrypt_not_supported));
    bytes info;
    for (int i = 0; i < 200; ++i) {
        tds_notice n;
        n.text = std::string_view("................................................................................");
        for (int k = 0; k < 5; ++k)
            tds_put_notice(info, tds_7_4, n);
    }
    deliver(o, answer_message(info));
    check_failed(o, server_login_error::protocol, "long");
}

static void test_record_spoilt(void **) {
    outgoing o(options_for(server_tls::require));
    incoming i(tls.server, tds_tls_policy::allow);
    talk(o, i);
    client_login_answer_packets(i.c, answer_message(accepted()));
    auto out = client_login_output(i.c);
    bytes wire(out.begin(), out.end());
    wire[wire.size() / 2] ^= 1;
    deliver(o, wire);
    check_failed(o, server_login_error::tls, "TLS record");
}

static void test_mangled_answers(void **) {
    std::mt19937 random(4);
    for (const recording &r : recordings)
        for (int round = 0; round < 1500; ++round) {
            bytes wire = recorded(r.name);
            for (auto k = random() % 4 + 1; k-- > 0;)
                wire[random() % wire.size()] = static_cast<uint8_t>(random());
            outgoing o(options_for(server_tls::disable), login7_payload(0, r.version));
            deliver(o, wire);
            if (o.result == server_login_result::failed)
                assert_false(server_login_error_text(o.s).empty());
        }
}

static void test_login7_of_illegal_length(void **) {
    for (size_t size : {size_t{0}, size_t{10}, size_t{85}, tds_login7_max + 1}) {
        outgoing o(options_for(server_tls::disable), bytes(size, 0));
        assert_int_equal(o.result, server_login_result::failed);
        assert_true(take_output(o).empty());
    }
}

static void test_no_context_for_tls(void **) {
    server_login_options options = options_for(server_tls::strict);
    options.tls = nullptr;
    outgoing o(options);
    check_failed(o, server_login_error::tls, "no TLS settings");
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_mars),
        cmocka_unit_test(test_all_agreements),
        cmocka_unit_test(test_longest_login7),
        cmocka_unit_test(test_refusal_in_every_encryption),
        cmocka_unit_test(test_no_agreement),
        cmocka_unit_test(test_engine_goes_on),
        cmocka_unit_test(test_resumption),
        cmocka_unit_test(test_certificate_not_accepted),
        cmocka_unit_test(test_one_record_for_every_packet),
        cmocka_unit_test(test_prelogin_by_policy),
        cmocka_unit_test(test_every_encryption_byte),
        cmocka_unit_test(test_no_encryption_option),
        cmocka_unit_test(test_fedauth_echo),
        cmocka_unit_test(test_recorded_servers),
        cmocka_unit_test(test_recorded_server_at_every_split),
        cmocka_unit_test(test_packet_size_asked_holds),
        cmocka_unit_test(test_retry),
        cmocka_unit_test(test_bytes_behind_the_answer),
        cmocka_unit_test(test_sspi_in_clear),
        cmocka_unit_test(test_fedauth_encrypted),
        cmocka_unit_test(test_wrong_beginnings),
        cmocka_unit_test(test_lies_during_the_handshake),
        cmocka_unit_test(test_lies_in_strict),
        cmocka_unit_test(test_giant_answer),
        cmocka_unit_test(test_record_spoilt),
        cmocka_unit_test(test_mangled_answers),
        cmocka_unit_test(test_login7_of_illegal_length),
        cmocka_unit_test(test_no_context_for_tls),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
