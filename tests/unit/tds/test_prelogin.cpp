// PRELOGIN: what is tolerated, what is refused, the answer's form, the encryption table.
#include "cmocka_cpp.h"

#include "tds/captures.h"
#include "tds/packet.h"
#include "tds/prelogin.h"

struct option {
    uint8_t token;
    unsigned offset, length;
};

static bytes table(std::initializer_list<option> options, bool terminator = true) {
    bytes t;
    for (const option &o : options) {
        t.push_back(o.token);
        for (unsigned v : {o.offset, o.length}) {
            t.push_back(static_cast<uint8_t>(v >> 8));
            t.push_back(static_cast<uint8_t>(v));
        }
    }
    if (terminator)
        t.push_back(0xff);
    return t;
}

static bytes with(bytes t, size_t data) {
    for (size_t i = 0; i < data; ++i)
        t.push_back(static_cast<uint8_t>(i + 1));
    return t;
}

static tds_prelogin_error parse(const bytes &payload) {
    // A heap copy of the exact size: AddressSanitizer sees any read behind it.
    bytes copy(payload);
    copy.shrink_to_fit();
    tds_prelogin p;
    return tds_prelogin_parse(copy, p);
}

static void test_tolerated(void **) {
    using e = tds_prelogin_error;
    assert_int_equal(parse(with(table({{0, 6, 6}}), 6)), e::none);
    // any order after VERSION, overlapping data, unknown tokens, empty options at and beyond the end
    assert_int_equal(parse(with(table({{0, 31, 6}, {4, 37, 1}, {1, 37, 1}, {9, 31, 2}, {3, 38, 0}, {5, 999, 0}}), 7)),
                     e::none);
    assert_int_equal(parse(with(table({{0, 16, 6}, {1, 16, 1}, {2, 0, 0}}), 6)), e::none);
}

static void test_refused(void **) {
    using e = tds_prelogin_error;
    assert_int_equal(parse({}), e::no_terminator);
    assert_int_equal(parse(table({{0, 5, 6}}, false)), e::no_terminator);
    assert_int_equal(parse(table({{0, 5, 6}, {1, 5, 1}}, false)), e::no_terminator);
    assert_int_equal(parse({0xff}), e::version_not_first);
    assert_int_equal(parse(with(table({{1, 11, 1}, {0, 12, 6}}), 7)), e::version_not_first);
    assert_int_equal(parse(with(table({{0, 6, 6}}), 5)), e::outside);
    assert_int_equal(parse(with(table({{0, 0xffff, 6}}), 6)), e::outside);
    assert_int_equal(parse(with(table({{0, 0xffff, 0xffff}}), 6)), e::outside);
    assert_int_equal(parse(with(table({{0, 5, 6}}), 6)), e::outside); // inside the table
    assert_int_equal(parse(with(table({{0, 6, 5}}), 6)), e::bad_length);
    assert_int_equal(parse(with(table({{0, 11, 6}, {1, 11, 0}}), 6)), e::bad_length);
    assert_int_equal(parse(with(table({{0, 11, 6}, {1, 11, 2}}), 6)), e::bad_length);
    assert_int_equal(parse(with(table({{0, 11, 6}, {4, 11, 2}}), 6)), e::bad_length);
    assert_int_equal(parse(with(table({{0, 11, 6}, {7, 11, 31}}), 40)), e::bad_length);
    assert_int_equal(parse(with(table({{0, 16, 6}, {1, 16, 1}, {1, 17, 1}}), 6)), e::duplicate);
    bytes many;
    for (int i = 0; i < 1000; ++i)
        many.insert(many.end(), {static_cast<uint8_t>(i == 0 ? 0 : 0x40), 0, 0, 0, 0});
    many.push_back(0xff);
    assert_int_equal(parse(many), e::too_many);
}

// Captured PRELOGINs cut off anywhere or with any byte changed: refused or parsed, never out of bounds.
static void test_mangled_captures(void **) {
    for (const char *name : {"tedious-login", "freetds-tsql-login", "jtds-login", "go-mssqldb-login"}) {
        bytes wire = capture_read(name);
        bytes payload(wire.begin() + 8, wire.begin() + (wire[2] << 8 | wire[3]));
        assert_int_equal(parse(payload), tds_prelogin_error::none);
        for (size_t n = 0; n < payload.size(); ++n)
            assert_int_not_equal(parse({payload.begin(), payload.begin() + static_cast<long>(n)}),
                                 tds_prelogin_error::none);
        for (size_t i = 0; i < payload.size(); ++i)
            for (unsigned v = 0; v < 256; ++v) {
                bytes changed = payload;
                changed[i] = static_cast<uint8_t>(v);
                (void)parse(changed);
            }
    }
}

static void test_answer_has_the_shape_of_a_servers(void **) {
    tds_prelogin_answer a;
    a.version = {10, 50, 0x0640, 0};
    a.encryption = tds_encrypt_off;
    a.mars = a.thread = true;
    a.spid = 0x2b;
    bytes out;
    tds_prelogin_answer_build(a, out);
    // clang-format off
    const bytes expected = {
        0x04, 0x01, 0x00, 0x2b, 0x00, 0x2b, 0x01, 0x00,
        0x00, 0x00, 0x1a, 0x00, 0x06,  0x01, 0x00, 0x20, 0x00, 0x01,  0x02, 0x00, 0x21, 0x00, 0x01,
        0x03, 0x00, 0x22, 0x00, 0x00,  0x04, 0x00, 0x22, 0x00, 0x01,  0xff,
        10, 50, 0x06, 0x40, 0, 0,  0x00,  0x00,  0x00};
    // clang-format on
    assert_true(out == expected);
}

// No empty option at the payload's end, whatever the client asked for; always parsable by our own parser.
static void test_answer_rules(void **) {
    for (unsigned bits = 0; bits < 16; ++bits) {
        tds_prelogin_answer a;
        a.version = {16, 0, 1000, 5};
        a.mars = bits & 1;
        a.mars_value = (bits & 8) != 0;
        a.thread = bits & 2;
        a.fedauth = bits & 4;
        a.encryption = tds_encrypt_required;
        bytes out;
        tds_prelogin_answer_build(a, out);
        assert_true(out.size() < 4096);
        assert_int_equal(out[2] << 8 | out[3], out.size());
        bytes payload(out.begin() + 8, out.end());
        tds_prelogin p;
        assert_int_equal(tds_prelogin_parse(payload, p), tds_prelogin_error::none);
        assert_int_equal(p.version.major, 16);
        assert_int_equal(p.version.build, 1000);
        assert_int_equal(p.version.sub_build, 5);
        assert_int_equal(p.encryption, tds_encrypt_required);
        assert_int_equal(p.has_mars, a.mars);
        assert_int_equal(tds_prelogin_mars_on(p), a.mars && a.mars_value);
        assert_int_equal(p.has_fedauth, a.fedauth);
        assert_true(p.has_instance && p.instance.empty());
        assert_false(p.has_nonce || p.has_trace);
        for (size_t i = 0; payload[i] != 0xff; i += 5)
            assert_true(static_cast<size_t>(payload[i + 1] << 8 | payload[i + 2]) < payload.size());
    }
}

static void test_request(void **) {
    for (unsigned bits = 0; bits < 4; ++bits) {
        bool fedauth = bits & 1, mars = bits & 2;
        bytes out;
        tds_prelogin_request_build({16, 1, 0x1234, 3}, tds_encrypt_not_supported, out, fedauth, mars);
        assert_int_equal(out[0], tds_type_prelogin);
        assert_int_equal(out[1], tds_status_eom);
        assert_int_equal(out[2] << 8 | out[3], out.size());
        tds_prelogin p;
        assert_int_equal(tds_prelogin_parse(std::span(out).subspan(8), p), tds_prelogin_error::none);
        assert_int_equal(p.version.major, 16);
        assert_int_equal(p.version.build, 0x1234);
        assert_int_equal(p.encryption, tds_encrypt_not_supported);
        assert_true(p.has_mars && p.mars == mars && p.has_instance && p.thread.size() == 4);
        assert_int_equal(tds_prelogin_mars_on(p), mars);
        assert_int_equal(p.has_fedauth, fedauth);
        assert_int_equal(p.fedauth, fedauth ? 1 : 0);
    }
}

static void test_encryption_table(void **) {
    using o = tds_encryption;
    struct row {
        uint8_t client;
        uint8_t allow, require, disable;
        o allow_outcome, require_outcome, disable_outcome;
    };
    const row rows[] = {
        {0x00, 0, 3, 2, o::login_only, o::full, o::none},   {0x01, 1, 1, 2, o::full, o::full, o::refuse},
        {0x02, 2, 3, 2, o::none, o::refuse, o::none},       {0x03, 1, 1, 2, o::full, o::full, o::refuse},
        {0x80, 0, 3, 2, o::login_only, o::full, o::refuse}, {0x81, 1, 1, 2, o::full, o::full, o::refuse},
        {0x82, 3, 3, 3, o::refuse, o::refuse, o::refuse},   {0x83, 1, 1, 2, o::full, o::full, o::refuse},
        {0x20, 0, 3, 2, o::login_only, o::full, o::none},   {0x21, 1, 1, 2, o::full, o::full, o::refuse},
    };
    for (const row &r : rows) {
        auto allow = tds_encryption_decide(r.client, tds_tls_policy::allow);
        auto require = tds_encryption_decide(r.client, tds_tls_policy::require);
        auto disable = tds_encryption_decide(r.client, tds_tls_policy::disable);
        assert_int_equal(allow.answer, r.allow);
        assert_int_equal(allow.outcome, r.allow_outcome);
        assert_int_equal(require.answer, r.require);
        assert_int_equal(require.outcome, r.require_outcome);
        assert_int_equal(disable.answer, r.disable);
        assert_int_equal(disable.outcome, r.disable_outcome);
    }
    // Whatever a client sends: never ON to a client that said OFF, and always one of 0..3.
    for (unsigned v = 0; v < 256; ++v)
        for (auto policy : {tds_tls_policy::allow, tds_tls_policy::require, tds_tls_policy::disable}) {
            auto d = tds_encryption_decide(static_cast<uint8_t>(v), policy);
            assert_true(d.answer <= 3);
            assert_false((v & 0x3f) == 0 && d.answer == 1);
            if (policy == tds_tls_policy::require)
                assert_true(d.outcome == o::full || d.outcome == o::refuse);
        }
    assert_int_equal(tds_encryption_decide(4, tds_tls_policy::allow).outcome, o::refuse);
    assert_int_equal(tds_encryption_decide(0x40, tds_tls_policy::allow).outcome, o::refuse);
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_tolerated),        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_mangled_captures), cmocka_unit_test(test_answer_has_the_shape_of_a_servers),
        cmocka_unit_test(test_answer_rules),     cmocka_unit_test(test_request),
        cmocka_unit_test(test_encryption_table),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
