// Tokens of login responses, to test the parser and the builder of tds/login_answer.h with. Include cmocka before it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tds/bytes.h"
#include "tds/captures.h"
#include "tds/login7.h"
#include "tds/login_answer.h"
#include "tds/response.h"
#include "tds/utf16.h"

using e = tds_answer_error;

inline constexpr uint8_t collation[] = {0x09, 0x04, 0xd0, 0x00, 0x34};

inline void append(bytes &to, const bytes &what) {
    to.insert(to.end(), what.begin(), what.end());
}

// The recorded server's login response, without its PRELOGIN answer and packet header.
inline bytes recorded_answer(const char *name) {
    bytes wire = capture_read(std::string("server-") + name + "-answer");
    assert_true(wire.size() > 8);
    size_t prelogin = get_u16be(&wire[2]);
    assert_int_equal(get_u16be(&wire[prelogin + 2]), wire.size() - prelogin);
    return {wire.begin() + static_cast<long>(prelogin) + 8, wire.end()};
}

inline e parse(const bytes &payload, tds_login_answer &out, uint32_t version = tds_7_4) {
    static bytes copy; // exact size on the heap: AddressSanitizer sees any read behind it
    copy = payload;
    copy.shrink_to_fit();
    out = {};
    return tds_login_answer_parse(copy, version, out);
}

inline e parse(const bytes &payload, uint32_t version = tds_7_4) {
    tds_login_answer out;
    return parse(payload, out, version);
}

inline bytes text(std::string_view s) {
    bytes out;
    tds_utf16_append(s, 1000, out);
    return out;
}

inline bytes token(uint8_t id, const bytes &body) {
    bytes out{id};
    put_u16le(out, static_cast<uint32_t>(body.size()));
    append(out, body);
    return out;
}

inline bytes notice(int32_t number, uint8_t severity, std::string_view words, uint32_t version = tds_7_4) {
    bytes out;
    tds_notice n;
    n.number = number;
    n.state = 2;
    n.severity = severity;
    n.text = words;
    n.server_name = "SRV1";
    n.line = 7;
    tds_put_notice(out, version, n);
    return out;
}

inline bytes loginack(uint32_t version = tds_7_4) {
    bytes out;
    tds_put_loginack(out, version, std::string_view("Microsoft SQL Server\0\0", 22), {16, 0, 4135, 0});
    return out;
}

inline bytes done(uint16_t status = 0, uint32_t version = tds_7_4) {
    bytes out;
    tds_put_done(out, version, tds_token_done, status, 0, 0);
    return out;
}

inline bytes env(uint8_t type, std::string_view now, std::string_view before) {
    bytes out;
    tds_put_envchange(out, type, now, before);
    return out;
}

inline bytes feature_acks() {
    return {0xae, 0x01, 3, 0, 0, 0, 9, 9,    9, 0x04, 1, 0, 0, 0,    1, 0x08, 1, 0, 0, 0,   0,
            0x09, 2,    0, 0, 0, 2, 1, 0x0a, 1, 0,    0, 0, 1, 0x0d, 1, 0,    0, 0, 1, 0xff};
}

// SQL Server's order, with everything that a server may put in.
inline bytes sql_server_answer() {
    bytes out = env(tds_env_database, "tenant", "master");
    append(out, notice(5701, 0, "Changed database context to 'tenant'."));
    tds_put_collation(out, collation);
    append(out, env(tds_env_language, "us_english", ""));
    append(out, notice(5703, 0, "Changed language setting to us_english."));
    append(out, env(13, "mirror1", ""));
    append(out, loginack());
    append(out, env(tds_env_packet_size, "8000", "4096"));
    append(out, feature_acks());
    append(out, done());
    return out;
}

inline bytes routing(uint8_t type, uint8_t protocol, uint16_t port, std::string_view host, std::string_view database) {
    bytes value{protocol};
    put_u16le(value, port);
    put_u16le(value, static_cast<uint32_t>(host.size()));
    append(value, text(host));
    if (type == 21) {
        put_u16le(value, static_cast<uint32_t>(database.size()));
        append(value, text(database));
    }
    bytes body{type};
    put_u16le(body, static_cast<uint32_t>(value.size()));
    append(body, value);
    put_u16le(body, 0);
    return token(tds_token_envchange, body);
}
