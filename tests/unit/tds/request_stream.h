// Requests by hand, and readings of them in pieces.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "tds/bytes.h"
#include "tds/fake_scanner.h"
#include "tds/login7.h"
#include "tds/packet.h"
#include "tds/request_reader.h"
#include "tds/tsql_memo.h"

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
inline bytes fill(size_t n, uint8_t value = 0x41) {
    return bytes(n, value);
}
inline bytes utf16(std::string_view ascii) {
    bytes b;
    for (char c : ascii)
        put_u16le(b, static_cast<uint8_t>(c));
    return b;
}
inline bytes name8(std::string_view ascii) {
    return bytes{static_cast<uint8_t>(ascii.size())} + utf16(ascii);
}
inline bytes name16(std::string_view ascii) {
    return little16(static_cast<uint32_t>(ascii.size())) + utf16(ascii);
}

inline const bytes collation_latin{9, 4, 0xd0, 0, 0x34};

// ALL_HEADERS with a transaction descriptor.
inline bytes headers(uint64_t descriptor = 0) {
    return little32(22) + little32(18) + little16(2) + little64(descriptor) + little32(1);
}

// A call up to its parameters.
inline bytes by_number(uint16_t number, uint16_t options = 0) {
    return bytes{0xff, 0xff} + little16(number) + little16(options);
}
inline bytes by_name(std::string_view name, uint16_t options = 0) {
    return name16(name) + little16(options);
}

// `info`: TYPE_INFO.
inline bytes parameter(const bytes &info, const bytes &value, std::string_view name = {}, uint8_t status = 0) {
    return name8(name) + bytes{status} + info + value;
}
inline bytes int_parameter(int32_t value, std::string_view name = {}, uint8_t status = 0) {
    return parameter({0x26, 4}, bytes{4} + little32(static_cast<uint32_t>(value)), name, status);
}
inline bytes int_null(uint8_t status = 1) {
    return parameter({0x26, 4}, {0}, {}, status);
}
inline bytes nvarchar_info(uint32_t max) {
    return bytes{0xe7} + little16(max) + collation_latin;
}
inline bytes nvarchar(std::string_view text, std::string_view name = {}) {
    return parameter(nvarchar_info(8000), little16(static_cast<uint32_t>(2 * text.size())) + utf16(text), name);
}
// PLP in chunks of so many bytes.
inline bytes plp(const bytes &value, size_t chunk, uint64_t total = 0xfffffffffffffffe) {
    bytes b = little64(total);
    for (size_t at = 0; at < value.size(); at += chunk) {
        size_t n = std::min(chunk, value.size() - at);
        b = b + little32(static_cast<uint32_t>(n));
        b.insert(b.end(), value.begin() + static_cast<long>(at), value.begin() + static_cast<long>(at + n));
    }
    return b + little32(0);
}
inline bytes nvarchar_max(std::string_view text, size_t chunk = SIZE_MAX) {
    return parameter(nvarchar_info(0xffff), plp(utf16(text), chunk, 2 * text.size()));
}

// What a reading said, to be compared between readings in different pieces.
struct reading {
    tds_request_info info;
    std::vector<fake_text> texts;
    std::vector<std::string> calls; // names given to the scanner
    std::string told;               // all of it, spelt out (not by read_only)
};

inline std::string spell(const reading &k) {
    const auto &i = k.info;
    std::string text;
    auto put = [&text](const char *what, auto v) { text += std::string(what) + "=" + std::to_string(v) + " "; };
    put("type", i.type), put("broken", i.broken), put("descriptor", i.descriptor), put("at", i.descriptor_at);
    put("tm", i.tm_type), put("isolation", i.tm_isolation), put("begins", i.tm_begins), put("save", i.tm_savepoint);
    for (const tds_rpc_call &c : i.calls) {
        text += "\n  " + c.name + " ";
        put("proc", static_cast<int>(c.proc)), put("options", c.options), put("skipped", c.skipped);
        put("first", c.has_first ? c.first : -99), put("second", c.has_second ? c.second : -99);
        put("scroll", c.has_scroll ? c.scroll : -99), put("concurrency", c.has_concurrency ? c.concurrency : -99);
        put("index", c.index), put("parameters", c.parameters), put("at", c.at), put("options_at", c.options_at);
        for (uint64_t at : c.parameter_at)
            put("parameter", at);
        put("first_at", c.first_at), put("size", c.first_size), put("end", c.end);
    }
    put("\ncalls", i.calls_count), put("on", i.effect.turned_on), put("runs", i.effect.calls);
    put("transactions", i.effect.transactions), put("writes", i.effect.writes), put("empty", i.effect.empty);
    put("lone", i.effect.lone_select), put("no count", i.effect.no_count), put("uses", i.effect.last_uses.size()),
        put("unclear", i.effect.last_unclear);
    put("\nplace", static_cast<int>(i.place.kind)), put("value", i.place.value_at), put("at", i.place.at);
    put("bytes", i.place.bytes), put("type", i.place.type), put("plp", i.place.plp), put("type_at", i.place.type_at);
    put("may", i.place.may_be_plp);
    for (const fake_text &t : k.texts)
        text += "\n  " + std::to_string(static_cast<int>(t.scope)) + (t.ended ? " " : " open ") + tds_utf8(t.utf16);
    for (const std::string &name : k.calls)
        text += "\n  call " + name;
    return text;
}

struct request_kind {
    uint8_t type = tds_type_rpc;
    uint32_t version = tds_7_4;
    bool enclave = false;
};

// Pieces that end at `ends` (ascending, the last is the size), each an exact heap copy, so that AddressSanitizer sees a
// read behind it.
inline reading read_only(const request_kind &kind, std::span<const uint8_t> payload, const std::vector<size_t> &ends) {
    reading k;
    tsql_scanner scanner;
    tds_request_reader *r = tds_request_reader_create(&scanner);
    tds_request_begin(r, kind.type, kind.version, kind.enclave, k.info);
    size_t at = 0;
    for (size_t end : ends) {
        bytes piece(payload.begin() + static_cast<long>(at), payload.begin() + static_cast<long>(end));
        piece.shrink_to_fit();
        tds_request_feed(r, piece);
        at = end;
    }
    tds_request_end(r);
    tds_request_reader_destroy(r);
    k.texts = std::move(scanner.texts);
    k.calls = std::move(scanner.calls);
    return k;
}

inline reading read_pieces(const request_kind &kind, std::span<const uint8_t> payload,
                           const std::vector<size_t> &ends) {
    reading k = read_only(kind, payload, ends);
    k.told = spell(k);
    return k;
}

// With a memo, which may know the text: then the scanner is not given it, and `texts` are those of `as_read`.
inline reading read_with_memo(const request_kind &kind, std::span<const uint8_t> payload, tsql_memo &memo,
                              const reading &as_read) {
    reading k;
    tsql_scanner scanner;
    tds_request_reader *r = tds_request_reader_create(&scanner, &memo);
    tds_request_begin(r, kind.type, kind.version, kind.enclave, k.info);
    tds_request_read(r, payload);
    tds_request_reader_destroy(r);
    k.texts = as_read.texts;
    k.calls = std::move(scanner.calls);
    return k;
}

// All at once, and three times with a memo: new, seen once, known.
inline reading read_whole(const request_kind &kind, std::span<const uint8_t> payload) {
    reading k = read_pieces(kind, payload, {payload.size()});
    tsql_memo memo;
    for (int times = 0; times < 3; ++times)
        if (spell(read_with_memo(kind, payload, memo, k)) != k.told)
            k.told += "\nand another with a memo";
    return k;
}

inline std::vector<size_t> pieces_of(size_t size, size_t piece) {
    std::vector<size_t> ends;
    for (size_t at = piece; at < size; at += piece)
        ends.push_back(at);
    ends.push_back(size);
    return ends;
}
