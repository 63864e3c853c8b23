// Token streams by hand, and walks over them in pieces.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tds/bytes.h"
#include "tds/login7.h"
#include "tds/response.h"
#include "tds/token_walk.h"

using bytes = std::vector<uint8_t>;

inline bytes operator+(bytes a, const bytes &b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

inline bytes little16(uint32_t v) {
    bytes b;
    put_u16le(b, v);
    return b;
}
inline bytes little32(uint32_t v) {
    bytes b;
    put_u32le(b, v);
    return b;
}
inline bytes little64(uint64_t v) {
    bytes b;
    put_u64le(b, v);
    return b;
}
inline bytes fill(size_t n, uint8_t value = 0xfd) { // looks like a DONE to whoever scans
    return bytes(n, value);
}
inline bytes utf16(std::string_view ascii) {
    bytes b;
    for (char c : ascii)
        put_u16le(b, static_cast<uint8_t>(c));
    return b;
}
// B_VARCHAR, US_VARCHAR
inline bytes name8(std::string_view ascii) {
    return bytes{static_cast<uint8_t>(ascii.size())} + utf16(ascii);
}
inline bytes name16(std::string_view ascii) {
    return little16(static_cast<uint32_t>(ascii.size())) + utf16(ascii);
}
// A token with a length of two bytes.
inline bytes token16(uint8_t id, const bytes &body) {
    return bytes{id} + little16(static_cast<uint32_t>(body.size())) + body;
}
inline bytes done(uint16_t status, uint8_t token = tds_token_done, uint32_t version = tds_7_4) {
    bytes b;
    tds_put_done(b, version, token, status, 0xc1, 0x1122334455667788);
    return b;
}
inline bytes notice(int32_t number, uint8_t severity, uint32_t version = tds_7_4) {
    bytes b;
    tds_notice n;
    n.number = number;
    n.state = 7;
    n.severity = severity;
    n.text = "Some text";
    n.server_name = "SRV";
    n.procedure = "p";
    n.line = 3;
    tds_put_notice(b, version, n);
    return b;
}
// ENVCHANGE of one group, lengths of one byte; for names `unit` is 2.
inline bytes change(uint8_t type, const bytes &new_value, const bytes &old_value, size_t unit = 1) {
    auto length = [unit](const bytes &v) { return bytes{static_cast<uint8_t>(v.size() / unit)}; };
    return token16(tds_token_envchange, bytes{type} + length(new_value) + new_value + length(old_value) + old_value);
}
inline const bytes reset_token{0xe3, 3, 0, 18, 0, 0};
inline const bytes descriptor_1{1, 2, 3, 4, 5, 6, 7, 8};
inline const bytes collation_latin{9, 4, 0xd0, 0, 0x34};

inline bytes session_state(uint8_t status, const bytes &states, uint32_t sequence = 1) {
    bytes body = little32(sequence) + bytes{status} + states;
    return bytes{tds_token_sessionstate} + little32(static_cast<uint32_t>(body.size())) + body;
}

// COLMETADATA before its columns; `columns` counts them.
inline bytes metadata(size_t columns) {
    return bytes{tds_token_colmetadata} + little16(static_cast<uint32_t>(columns));
}
// A column of COLMETADATA: `info` begins with the type, `table` is the table's name where the type has one.
inline bytes column(const bytes &info, uint32_t version = tds_7_4, const bytes &table = {}, uint16_t flags = 9,
                    const bytes &crypto = {}) {
    bytes user_type(tds_version_is_wide(version) ? 4 : 2, 0);
    return user_type + little16(flags) + info + table + crypto + name8("c");
}

inline tds_walk_options options_of(uint32_t version) {
    tds_walk_options o;
    o.version = version;
    return o;
}

// What a walk said, to be compared between walks in different pieces.
struct walked {
    bool ok = false;
    tds_walk_error error = tds_walk_error::none;
    bytes forwarded;
    std::string told; // session and message, spelt out
    bool between_tokens = false;
};

inline std::string hex(std::span<const uint8_t> b) {
    std::string text;
    char digits[3];
    for (uint8_t v : b) {
        snprintf(digits, sizeof digits, "%02x", v);
        text += digits;
    }
    return text;
}

inline std::string spell(const tds_walker &w) {
    const auto &s = w.session;
    const auto &m = w.message;
    std::string text;
    auto put = [&text](const char *what, uint64_t v) { text += std::string(what) + "=" + std::to_string(v) + " "; };
    put("tran", s.in_transaction), put("enlisted", s.enlisted), put("version", s.version), put("packet", s.packet_size);
    put("ack", s.login_acknowledged), put("features", s.features), put("major", s.server_version.major);
    put("build", s.server_version.build), put("route", s.routing.type), put("port", s.routing.port);
    text += hex(s.descriptor) + " " + hex(std::span(s.collation).first(s.collation_size)) + " " + s.database + "/" +
            s.language + "/" + s.routing.server + "/" + s.routing.database + " ";
    put("encryption", w.options.column_encryption), put("class", w.options.data_classification);
    put("errors", m.errors), put("infos", m.infos), put("first", static_cast<uint32_t>(m.first_error));
    put("worst", static_cast<uint32_t>(m.worst_error)), put("firstclass", m.first_error_class);
    put("worstclass", m.worst_error_class), put("state", m.first_error_state), put("done", m.done_token);
    put("status", m.done_status), put("command", m.done_command), put("rows", m.done_rows);
    put("attentions", m.attentions), put("reset", m.reset_seen), put("database", m.database_seen);
    put("language", m.language_seen), put("collation", m.collation_seen), put("tranchange", m.transaction_seen);
    put("sessionstate", m.session_state_seen), put("unrecoverable", tds_walk_unrecoverable(s));
    put("hasstatus", m.has_return_status), put("returnstatus", static_cast<uint32_t>(m.return_status));
    put("counts", m.dones_with_count), put("count", m.last_count), put("calls", m.calls_done);
    put("returns", m.returns_count);
    for (const tds_walk_return &r : m.returns)
        put("call", r.call), put("ordinal", r.ordinal), put("int", r.is_int),
            put("value", static_cast<uint32_t>(r.value));
    return text;
}

// Feeds one message whose pieces end at `ends` (ascending, the last is the size). Each piece is an exact heap copy, so
// that AddressSanitizer sees a read behind it.
inline bool feed_message(tds_walker &w, std::span<const uint8_t> payload, const std::vector<size_t> &ends,
                         bytes &forwarded) {
    size_t at = 0;
    for (size_t end : ends) {
        bytes piece(payload.begin() + static_cast<long>(at), payload.begin() + static_cast<long>(end));
        piece.shrink_to_fit();
        std::span<const uint8_t> in(piece), forward;
        at = end;
        while (!in.empty()) {
            auto result = tds_walk(w, in, forward);
            forwarded.insert(forwarded.end(), forward.begin(), forward.end());
            if (result != tds_walk_result::ok)
                return false;
        }
    }
    return tds_walk_end(w) == tds_walk_result::ok;
}

inline std::vector<size_t> pieces_of(size_t size, size_t piece) {
    std::vector<size_t> ends;
    for (size_t at = piece; at < size; at += piece)
        ends.push_back(at);
    ends.push_back(size);
    return ends;
}

inline walked walk_pieces(const tds_walk_options &options, std::span<const uint8_t> payload,
                          const std::vector<size_t> &ends) {
    tds_walker w;
    walked result;
    tds_walk_init(w, options);
    result.ok = feed_message(w, payload, ends, result.forwarded);
    result.error = w.error;
    result.told = spell(w);
    result.between_tokens = tds_walk_between_tokens(w);
    return result;
}

inline walked walk_whole(const tds_walk_options &options, std::span<const uint8_t> payload) {
    return walk_pieces(options, payload, {payload.size()});
}
inline walked walk_whole(const bytes &payload) {
    return walk_whole(options_of(tds_7_4), payload);
}
