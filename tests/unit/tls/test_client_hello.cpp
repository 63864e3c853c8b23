// SNI and ALPN out of real ClientHellos, split at every byte and over several records; record borders.
#include <random> // before cmocka.h, which makes `fail` a macro

#include "cmocka_cpp.h"

#include "tls/client_hello.h"
#include "tls/tls_client.h"
#include "tls/tls_record.h"

#include "tds/captures.h"

static bytes hello(const tls_client_wishes &options) {
    tls_client c(options);
    tls_client_handshake(c);
    return tls_client_take(c);
}

// The same handshake message in records of `piece` bytes.
static bytes fragmented(const bytes &one, size_t piece) {
    bytes out;
    for (size_t at = tls_record_header_size; at < one.size(); at += piece) {
        size_t n = std::min(piece, one.size() - at);
        out.insert(out.end(), {0x16, 3, 1, static_cast<uint8_t>(n >> 8), static_cast<uint8_t>(n)});
        out.insert(out.end(), one.begin() + static_cast<long>(at), one.begin() + static_cast<long>(at + n));
    }
    return out;
}

static tls_hello_result parse(std::span<const uint8_t> in, tls_client_hello &h) {
    bytes copy(in.begin(), in.end()); // exact size: AddressSanitizer sees any read behind it
    return tls_client_hello_parse(copy, h);
}

static void check_all_splits(const bytes &wire, const char *name, bool alpn, bool tds8) {
    tls_client_hello h;
    for (size_t n = 0; n < wire.size(); ++n)
        assert_int_equal(parse(std::span(wire).first(n), h), tls_hello_result::more);
    assert_int_equal(parse(wire, h), tls_hello_result::ok);
    assert_string_equal(h.server_name.c_str(), name);
    assert_int_equal(h.has_alpn, alpn);
    assert_int_equal(h.offers_tds8, tds8);
    bytes more = wire;
    more.insert(more.end(), 100, 0xee); // what follows is none of its business
    assert_int_equal(parse(more, h), tls_hello_result::ok);
    assert_string_equal(h.server_name.c_str(), name);
}

static void test_real_hellos(void **) {
    for (int version : {0, TLS1_2_VERSION, TLS1_3_VERSION}) {
        check_all_splits(hello({.version = version}), "", false, false);
        check_all_splits(hello({.version = version, .alpn = true}), "", true, true);
        check_all_splits(hello({.version = version, .other_alpn = "tds/8.1"}), "", true, false);
        check_all_splits(hello({.version = version, .alpn = true, .server_name = "bucket-001.example"}),
                         "bucket-001.example", true, true);
    }
}

// The hellos that real drivers sent (recorded inside their PRELOGIN packets).
static void test_drivers_hellos(void **) {
    const char *names[][2] = {
        {"freetds-tsql", ""}, {"go-mssqldb", ""}, {"jtds", ""}, {"pytds", "127.0.0.1"}, {"tedious", "127.0.0.1"}};
    for (const auto &[driver, server_name] : names) {
        bytes wire = file_read(std::string(REPO_DIR "/tests/unit/tls/data/hello-") + driver + ".bin");
        assert_true(wire.size() > 200);
        check_all_splits(wire, server_name, false, false);
        for (size_t piece : {1U, 100U})
            check_all_splits(fragmented(wire, piece), server_name, false, false);
    }
}

static void test_split_over_records(void **) {
    bytes one = hello({.version = 0, .alpn = true, .server_name = "db.example"});
    for (size_t piece : {1U, 2U, 3U, 5U, 64U, 200U})
        check_all_splits(fragmented(one, piece), "db.example", true, true);
}

static void test_not_a_hello(void **) {
    tls_client_hello h;
    assert_int_equal(parse(bytes{0x12}, h), tls_hello_result::error);
    assert_int_equal(parse(bytes{0x17, 3, 3, 0, 5}, h), tls_hello_result::error);
    assert_int_equal(parse(bytes{0x16, 2}, h), tls_hello_result::error);
    assert_int_equal(parse(bytes{0x16, 3, 1, 0, 0}, h), tls_hello_result::error);
    assert_int_equal(parse(bytes{0x16, 3, 1, 0xff, 0xff}, h), tls_hello_result::error);
    assert_int_equal(parse(bytes{0x16, 3, 1, 0, 5, 2}, h), tls_hello_result::error);             // ServerHello
    assert_int_equal(parse(bytes{0x16, 3, 1, 0, 9, 1, 0xff, 0, 0}, h), tls_hello_result::error); // too long
    assert_int_equal(parse(bytes{'G', 'E', 'T', ' ', '/'}, h), tls_hello_result::error);
}

static void test_bounded(void **) {
    bytes big = {0x16, 3, 1, 0x3f, 0xff, 1, 0, 0x3f, 0xf0};
    big.resize(tls_client_hello_max - 1, 0);
    tls_client_hello h;
    assert_int_equal(parse(std::span(big).first(1000), h), tls_hello_result::more);
    bytes slow; // records of one byte: their headers count
    for (int i = 0; i < 3000; ++i)
        slow.insert(slow.end(), {0x16, 3, 1, 0, 1, static_cast<uint8_t>(i == 0 ? 1 : i == 2 ? 0x3f : 0)});
    assert_int_equal(parse(slow, h), tls_hello_result::error);
}

static void test_mangled(void **) {
    bytes one = hello({.version = 0, .alpn = true, .server_name = "db.example"});
    std::mt19937 random(3);
    tls_client_hello h;
    for (size_t i = 0; i < one.size(); ++i)
        for (unsigned v = 0; v < 256; v += 5) {
            bytes changed = one;
            changed[i] = static_cast<uint8_t>(v);
            (void)parse(changed, h);
        }
    for (int round = 0; round < 5000; ++round) {
        bytes changed = one;
        for (int k = 0; k < 4; ++k)
            changed[random() % changed.size()] = static_cast<uint8_t>(random());
        (void)parse(changed, h);
    }
}

// The lengths inside must fit into each other: cutting the body and repairing the outer two lengths is an error
// (unless the cut falls where the extensions would begin).
static void test_inner_lengths(void **) {
    bytes one = hello({.version = TLS1_2_VERSION, .server_name = "db.example"});
    size_t legal = 0;
    for (size_t body = 0; body < one.size() - 9; ++body) {
        bytes cut(one.begin(), one.begin() + static_cast<long>(9 + body));
        cut[3] = static_cast<uint8_t>((body + 4) >> 8);
        cut[4] = static_cast<uint8_t>(body + 4);
        cut[7] = static_cast<uint8_t>(body >> 8);
        cut[8] = static_cast<uint8_t>(body);
        tls_client_hello h;
        auto result = parse(cut, h);
        assert_int_not_equal(result, tls_hello_result::more);
        legal += result == tls_hello_result::ok;
    }
    assert_int_equal(legal, 1);
}

static void test_record_header(void **) {
    size_t size = 0;
    const uint8_t good[] = {0x17, 3, 3, 0x48, 0x00};
    for (size_t n = 0; n < 5; ++n)
        assert_int_equal(tls_record_parse({good, n}, size), tls_record_result::more);
    assert_int_equal(tls_record_parse(good, size), tls_record_result::ok);
    assert_int_equal(size, 5 + 16384 + 2048);
    const uint8_t bad[][5] = {
        {0x17, 3, 3, 0x48, 0x01}, {0x17, 3, 3, 0, 0}, {0x13, 3, 3, 0, 1}, {0x18, 3, 3, 0, 1}, {0x17, 4, 3, 0, 1}};
    for (const auto &b : bad)
        assert_int_equal(tls_record_parse(b, size), tls_record_result::error);
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_real_hellos),
        cmocka_unit_test(test_drivers_hellos),
        cmocka_unit_test(test_split_over_records),
        cmocka_unit_test(test_not_a_hello),
        cmocka_unit_test(test_bounded),
        cmocka_unit_test(test_mangled),
        cmocka_unit_test(test_inner_lengths),
        cmocka_unit_test(test_record_header),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
