// PRELOGIN and LOGIN7 of real clients, with the fields that they are known to hold, split at every byte.
#include "cmocka_cpp.h"

#include "tds/captures.h"
#include "tds/login7.h"
#include "tds/packet.h"
#include "tds/prelogin.h"

static void start(tds_message_reader &r, uint8_t first) {
    bool login = first == tds_type_login7;
    tds_message_start(r, first, tds_initial_packet_size, login ? tds_login7_max : 4088);
}

static void check_prelogin(const captured_client &client, std::span<const uint8_t> payload) {
    tds_prelogin p;
    assert_int_equal(tds_prelogin_parse(payload, p), tds_prelogin_error::none);
    assert_true(p.has_encryption);
    assert_int_equal(p.encryption, client.encryption);
    assert_int_equal(p.has_mars ? p.mars : -1, client.mars);
    assert_string_equal(std::string(p.instance).c_str(), client.instance);
}

static void check_login(const captured_client &client, std::span<const uint8_t> payload) {
    tds_login7 l;
    assert_int_equal(tds_login7_parse(payload, l), tds_login7_error::none);
    assert_int_equal(l.tds_version, client.tds_version);
    assert_int_equal(l.packet_size, client.packet_size);
    assert_string_equal(l.host_name.c_str(), client.host);
    assert_string_equal(l.user_name.c_str(), "sa");
    assert_string_equal(std::string(tds_secret_view(l.password)).c_str(), "Lab_12345678");
    assert_string_equal(l.app_name.c_str(), client.app);
    assert_string_equal(l.server_name.c_str(), "127.0.0.1");
    assert_string_equal(l.library_name.c_str(), client.library);
    assert_string_equal(l.language.c_str(), client.language);
    assert_string_equal(l.database.c_str(), "labdb");
    assert_int_equal(l.flags1, client.flags[0]);
    assert_int_equal(l.flags2, client.flags[1]);
    assert_int_equal(l.type_flags, client.flags[2]);
    assert_int_equal(l.flags3, client.flags[3]);
    assert_true(l.sspi.empty());
    auto rest = l.features;
    tds_feature f{};
    assert_int_equal(tds_feature_next(rest, f), client.utf8_feature);
    if (client.utf8_feature) {
        assert_int_equal(f.id, 0x0a);
        assert_int_equal(f.data.size(), 1);
        assert_int_equal(f.data[0], 1);
    }
    assert_true(rest.empty());
}

// Reads all messages of the capture, giving the reader `piece` bytes at a time, after a first piece of `first`.
static void replay(const captured_client &client, const bytes &wire, size_t first, size_t piece) {
    tds_message_reader r;
    size_t at = 0, end = std::min(first, wire.size());
    bool prelogin = false, login = false;
    start(r, wire[0]);
    while (true) {
        size_t consumed = 0;
        auto result = tds_message_read(r, std::span(wire).subspan(at, end - at), consumed);
        at += consumed;
        assert_int_not_equal(result, tds_read_result::error);
        if (result == tds_read_result::more) {
            assert_int_equal(at, end);
            if (end == wire.size())
                break;
            end = std::min(end + piece, wire.size());
            continue;
        }
        (r.type == tds_type_prelogin ? prelogin : login) = true;
        if (r.type == tds_type_prelogin)
            check_prelogin(client, tds_message_payload(r));
        else
            check_login(client, tds_message_payload(r));
        if (login)
            break;
        start(r, tds_type_login7);
    }
    assert_int_equal(prelogin, client.prelogin);
    assert_true(login);
    assert_int_equal(at, wire.size());
}

static void test_every_client_at_every_split(void **) {
    for (const captured_client &client : captured_clients) {
        bytes wire = capture_read(client.name);
        assert_true(wire.size() > 100);
        for (size_t split = 1; split <= wire.size(); ++split)
            replay(client, wire, split, wire.size());
        replay(client, wire, 1, 1);
        replay(client, wire, 3, 3);
    }
}

// A login cut off anywhere never completes, and its bytes never parse as a LOGIN7.
static void test_truncated_anywhere(void **) {
    for (const captured_client &client : captured_clients) {
        bytes wire = capture_read(client.name);
        size_t begin = client.prelogin ? static_cast<size_t>(wire[2] << 8 | wire[3]) : 0;
        tds_message_reader r;
        for (size_t size = begin; size < wire.size(); ++size) {
            start(r, tds_type_login7);
            size_t consumed = 0;
            auto result = tds_message_read(r, std::span(wire).subspan(begin, size - begin), consumed);
            assert_int_equal(result, tds_read_result::more);
            tds_login7 l;
            bytes copy(tds_message_payload(r).begin(), tds_message_payload(r).end());
            assert_int_not_equal(tds_login7_parse(copy, l), tds_login7_error::none);
        }
    }
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_every_client_at_every_split),
        cmocka_unit_test(test_truncated_anywhere),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
