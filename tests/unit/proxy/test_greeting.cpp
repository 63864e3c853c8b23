// A client's first message, at every cut, and which bucket it leads to.

#include <vector>

#include "proxy/greeting.h"
#include "proxy/proxy.h"
#include "tds/prelogin.h"

#include "cmocka_cpp.h" // last: its macros are lower-case words

static std::vector<uint8_t> prelogin() {
    std::vector<uint8_t> bytes;
    tds_prelogin_request_build({9, 0, 0, 0}, tds_encrypt_off, bytes);
    return bytes;
}

static void prelogin_is_complete_at_its_last_byte_only(void **) {
    auto bytes = prelogin();
    greeting g;
    for (size_t n = 0; n < bytes.size(); ++n)
        assert_int_equal(greeting_read(std::span(bytes).first(n), g), greeting_result::more);
    assert_int_equal(greeting_read(bytes, g), greeting_result::complete);
    assert_int_equal(g.kind, greeting_kind::prelogin);
    bytes.push_back(0x12); // the client is ahead of itself: not the greeting's business
    assert_int_equal(greeting_read(bytes, g), greeting_result::complete);
}

static void login7_needs_its_first_packet(void **) {
    std::vector<uint8_t> bytes(200, 0);
    bytes[0] = 0x10;
    bytes[1] = 0x01;
    bytes[3] = 200;
    greeting g;
    for (size_t n = 1; n < bytes.size(); ++n)
        assert_int_equal(greeting_read(std::span(bytes).first(n), g), greeting_result::more);
    assert_int_equal(greeting_read(bytes, g), greeting_result::complete);
    assert_int_equal(g.kind, greeting_kind::login7);
    bytes[3] = 7;
    assert_int_equal(greeting_read(bytes, g), greeting_result::error);
}

static void every_other_first_byte_is_refused(void **) {
    for (unsigned first = 0; first < 256; ++first) {
        if (first == 0x10 || first == 0x12 || first == 0x16)
            continue;
        std::vector<uint8_t> bytes(64, static_cast<uint8_t>(first));
        greeting g;
        assert_int_equal(greeting_read(bytes, g), greeting_result::error);
        assert_string_not_equal(g.error, "");
    }
}

static void corrupted_prelogin_never_reads_beyond(void **) {
    auto good = prelogin();
    for (size_t i = 0; i < good.size(); ++i)
        for (unsigned value : {0u, 1u, 0x7fu, 0x80u, 0xffu}) {
            auto bytes = good;
            bytes[i] = static_cast<uint8_t>(value);
            auto *exact = new uint8_t[bytes.size()]; // a sanitizer sees the first byte too far
            std::copy(bytes.begin(), bytes.end(), exact);
            greeting g;
            (void)!static_cast<int>(greeting_read({exact, bytes.size()}, g));
            delete[] exact;
        }
}

static void bucket_by_name_then_default(void **) {
    bucket_config one, two;
    one.id = "bucket-001";
    one.aliases = {"sql-one.example.com", "both"};
    two.id = "bucket-002";
    two.aliases = {"both"};
    config conf;
    conf.buckets = {one, two};
    conf.proxy.default_bucket = "bucket-002";
    conf.proxy.mode = pool_mode::passthrough;
    for (bucket_config &c : conf.buckets)
        c.mode = pool_mode::passthrough;
    proxy root;
    root.conf = &conf;
    for (const bucket_config &c : conf.buckets) {
        root.buckets.push_back(std::make_unique<proxy_bucket>());
        root.buckets.back()->conf = &c;
        root.routed.push_back(root.buckets.back().get());
    }
    auto chosen = [&root](const char *name) {
        greeting g;
        g.kind = greeting_kind::client_hello;
        g.server_name = name;
        return greeting_choose_bucket(&root, g);
    };
    assert_ptr_equal(chosen("bucket-001"), root.buckets[0].get());
    assert_ptr_equal(chosen("BUCKET-001.proxy.internal"), root.buckets[0].get());
    assert_ptr_equal(chosen("sql-one.example.com"), root.buckets[0].get());
    assert_ptr_equal(chosen("both"), root.buckets[1].get()); // ambiguous: the default
    assert_ptr_equal(chosen("elsewhere"), root.buckets[1].get());
    assert_ptr_equal(chosen(""), root.buckets[1].get());
    conf.proxy.default_bucket = "none";
    assert_null(chosen("elsewhere"));
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(prelogin_is_complete_at_its_last_byte_only),
        cmocka_unit_test(login7_needs_its_first_packet),
        cmocka_unit_test(every_other_first_byte_is_refused),
        cmocka_unit_test(corrupted_prelogin_never_reads_beyond),
        cmocka_unit_test(bucket_by_name_then_default),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
