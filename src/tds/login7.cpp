#include "tds/login7.h"

#include <cstring>
#include <utility>

#include "tds/bytes.h"
#include "tds/utf16.h"

static constexpr size_t narrow_size = 86;
static constexpr size_t wide_size = 94;
static constexpr size_t feature_limit = 64;

uint32_t tds_version_known(uint32_t client_value) {
    static constexpr uint32_t known[] = {tds_7_4, tds_7_3b, tds_7_3a, tds_7_2, tds_7_1_sp1, tds_7_1, tds_7_0};
    if (client_value == tds_8_0)
        return tds_8_0;
    for (uint32_t version : known)
        if (client_value >= version)
            return version;
    return 0;
}

tds_secret::~tds_secret() {
    tds_secret_wipe(*this);
}

void tds_secret_wipe(tds_secret &s) {
    explicit_bzero(s.text, sizeof s.text);
    s.size = 0;
}

const char *tds_login7_error_text(tds_login7_error error) {
    switch (error) {
    case tds_login7_error::none: return "no error";
    case tds_login7_error::truncated: return "LOGIN7 shorter than its fixed part";
    case tds_login7_error::bad_length: return "LOGIN7 length differs from the message's";
    case tds_login7_error::bad_version: return "LOGIN7 with unknown TDS version";
    case tds_login7_error::bad_layout: return "LOGIN7 layout does not fit its TDS version";
    case tds_login7_error::outside: return "LOGIN7 field outside the message";
    case tds_login7_error::too_long: return "LOGIN7 field too long";
    case tds_login7_error::bad_extension: return "LOGIN7 with malformed feature list";
    }
    return "unknown";
}

void tds_password_decode(std::span<uint8_t> bytes) {
    for (uint8_t &b : bytes) {
        auto x = static_cast<uint8_t>(b ^ 0xa5);
        b = static_cast<uint8_t>(x << 4 | x >> 4);
    }
}

struct login7_parser {
    std::span<const uint8_t> payload;
    size_t fixed;
    tds_login7_error error = tds_login7_error::none;
};

static void fail(login7_parser &p, tds_login7_error error) {
    if (p.error == tds_login7_error::none)
        p.error = error;
}

static std::span<const uint8_t> area(login7_parser &p, uint32_t offset, uint32_t length) {
    if (length == 0) // its offset means nothing then
        return {};
    if (offset < p.fixed || length > p.payload.size() || offset > p.payload.size() - length) {
        fail(p, tds_login7_error::outside);
        return {};
    }
    return p.payload.subspan(offset, length);
}

// The area of the offset and count of UTF-16 units at `at` in the fixed part.
static std::span<const uint8_t> text_area(login7_parser &p, size_t at, size_t max_units) {
    uint32_t units = get_u16le(&p.payload[at + 2]);
    if (units > max_units) {
        fail(p, tds_login7_error::too_long);
        return {};
    }
    return area(p, get_u16le(&p.payload[at]), units * 2);
}

static std::string text(login7_parser &p, size_t at, size_t max_units = tds_name_max) {
    return tds_utf8(text_area(p, at, max_units));
}

static void secret(login7_parser &p, size_t at, tds_secret &out) {
    uint8_t clear[tds_name_max * 2];
    auto wire = text_area(p, at, tds_name_max);
    if (wire.empty())
        return;
    memcpy(clear, wire.data(), wire.size());
    std::span<uint8_t> used(clear, wire.size());
    tds_password_decode(used);
    out.size = tds_utf8_write(used, out.text);
    explicit_bzero(clear, sizeof clear);
}

static void sspi(login7_parser &p, tds_login7 &out) {
    uint32_t length = get_u16le(&p.payload[80]);
    if (length == 0xffff && p.fixed == wide_size) {
        uint32_t longer = get_u32le(&p.payload[90]);
        length = longer > 0 ? longer : length;
    }
    out.sspi = area(p, get_u16le(&p.payload[78]), length);
}

bool tds_feature_next(std::span<const uint8_t> &rest, tds_feature &out) {
    if (rest.size() < 5)
        return false;
    uint32_t length = get_u32le(&rest[1]);
    if (length > rest.size() - 5)
        return false;
    out = {rest[0], rest.subspan(5, length)};
    rest = rest.subspan(5 + length);
    return true;
}

// Bytes up to the terminator, or nothing if the list is malformed.
static bool measure_features(std::span<const uint8_t> block, size_t &size) {
    bool seen[256] = {};
    auto rest = block;
    tds_feature feature;
    for (size_t count = 0; count <= feature_limit; ++count) {
        if (!rest.empty() && rest[0] == 0xff) {
            size = block.size() - rest.size();
            return true;
        }
        if (!tds_feature_next(rest, feature) || std::exchange(seen[feature.id], true))
            return false;
    }
    return false;
}

static void features(login7_parser &p, tds_login7 &out) {
    if ((out.flags3 & tds_flags3_extension) == 0)
        return;
    uint32_t length = get_u16le(&p.payload[58]);
    if (length == 0)
        return;
    auto pointer = area(p, get_u16le(&p.payload[56]), length);
    if (pointer.size() < 4 || pointer.size() > 255)
        return fail(p, tds_login7_error::bad_extension);
    uint32_t offset = get_u32le(pointer.data());
    if (offset == 0)
        return;
    size_t size = 0;
    if (offset < p.fixed || offset >= p.payload.size() || !measure_features(p.payload.subspan(offset), size))
        return fail(p, tds_login7_error::bad_extension);
    out.features = p.payload.subspan(offset, size);
}

static void fixed_part(const uint8_t *p, tds_login7 &out) {
    out.tds_version = get_u32le(p + 4);
    out.packet_size = get_u32le(p + 8);
    out.program_version = get_u32le(p + 12);
    out.process_id = get_u32le(p + 16);
    out.connection_id = get_u32le(p + 20);
    out.flags1 = p[24];
    out.flags2 = p[25];
    out.type_flags = p[26];
    out.flags3 = p[27];
    out.time_zone = static_cast<int32_t>(get_u32le(p + 28));
    out.lcid = get_u32le(p + 32);
    memcpy(out.client_id, p + 72, sizeof out.client_id);
}

static void variable_part(login7_parser &p, tds_login7 &out) {
    out.host_name = text(p, 36);
    out.user_name = text(p, 40);
    secret(p, 44, out.password);
    out.app_name = text(p, 48);
    out.server_name = text(p, 52);
    out.library_name = text(p, 60);
    out.language = text(p, 64);
    out.database = text(p, 68);
    out.attach_file = text(p, 82, tds_file_max);
    sspi(p, out);
    if (p.fixed == wide_size)
        secret(p, 86, out.new_password);
    if (tds_version_known(out.tds_version) == tds_7_4 || out.tds_version == tds_8_0)
        features(p, out);
}

tds_login7_error tds_login7_parse(std::span<const uint8_t> payload, tds_login7 &out) {
    if (payload.size() < narrow_size)
        return tds_login7_error::truncated;
    if (get_u32le(&payload[0]) != payload.size())
        return tds_login7_error::bad_length;
    fixed_part(payload.data(), out);
    if (tds_version_known(out.tds_version) == 0)
        return tds_login7_error::bad_version;
    login7_parser p{payload, tds_version_is_wide(out.tds_version) ? wide_size : narrow_size};
    if (payload.size() < p.fixed)
        return tds_login7_error::truncated;
    if (get_u16le(&payload[36]) < p.fixed) // the host name's offset is also where variable data begin
        return tds_login7_error::bad_layout;
    variable_part(p, out);
    if (p.error != tds_login7_error::none) {
        tds_secret_wipe(out.password);
        tds_secret_wipe(out.new_password);
        out.sspi = out.features = {};
    }
    return p.error;
}
