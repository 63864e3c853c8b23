#include "tds/result_build.h"

#include <algorithm>
#include <bit>
#include <cassert>

#include "tds/bytes.h"
#include "tds/envchange.h"
#include "tds/login7.h"
#include "tds/token_walk.h"
#include "tds/utf16.h"

static constexpr uint8_t type_nvarchar = 0xe7;
static constexpr uint8_t type_varbinary = 0xa5;
static constexpr uint16_t long_null = 0xffff;
static constexpr uint16_t flags = 0x0021; // may be NULL, computed
static constexpr size_t name_units = 128;
static constexpr uint8_t output_parameter = 0x01;
static constexpr uint8_t collation[5] = {0x09, 0x04, 0xd0, 0x00, 0x34}; // SQL_Latin1_General_CP1_CI_AS

// Of a type whose values have a length of one byte.
struct short_type {
    uint8_t id, size;
};

static short_type short_type_of(tds_result_type type) {
    switch (type) {
    case tds_result_type::guid: return {0x24, 16};
    case tds_result_type::bit: return {0x68, 1};
    case tds_result_type::tinyint: return {0x26, 1};
    case tds_result_type::smallint: return {0x26, 2};
    case tds_result_type::bigint: return {0x26, 8};
    case tds_result_type::real: return {0x6d, 8};
    case tds_result_type::datetime: return {0x6f, 8};
    default: return {0x26, 4};
    }
}

static bool is_long(const tds_result_column &c) {
    return c.type == tds_result_type::text || c.type == tds_result_type::binary;
}

static void put_user_type(std::vector<uint8_t> &out, uint32_t version) {
    put_u16le(out, 0);
    if (tds_version_is_wide(version))
        put_u16le(out, 0);
}

static void put_type(std::vector<uint8_t> &out, uint32_t version, const tds_result_column &c) {
    bool text = c.type == tds_result_type::text;
    if (!is_long(c)) {
        short_type type = short_type_of(c.type);
        put_u8(out, type.id);
        put_u8(out, type.size);
        return;
    }
    assert(c.units > 0 && c.units <= (text ? 4000 : 8000));
    put_u8(out, text ? type_nvarchar : type_varbinary);
    put_u16le(out, text ? 2U * c.units : c.units);
    if (text && version != tds_7_0)
        out.insert(out.end(), std::begin(collation), std::end(collation));
}

void tds_put_columns(std::vector<uint8_t> &out, uint32_t version, std::span<const tds_result_column> columns) {
    put_u8(out, tds_token_colmetadata);
    put_u16le(out, static_cast<uint32_t>(columns.size()));
    for (const tds_result_column &c : columns) {
        put_user_type(out, version);
        put_u16le(out, flags);
        put_type(out, version, c);
        size_t at = out.size();
        put_u8(out, 0);
        out[at] = static_cast<uint8_t>(tds_utf16_append(c.name, name_units, out));
    }
}

void tds_put_row(std::vector<uint8_t> &out) {
    put_u8(out, tds_token_row);
}

void tds_put_text(std::vector<uint8_t> &out, const tds_result_column &c, std::string_view text) {
    assert(c.type == tds_result_type::text);
    size_t at = out.size();
    put_u16le(out, 0);
    set_u16le(out, at, 2 * tds_utf16_append(text, c.units, out));
}

static int64_t fitted(tds_result_type type, int64_t value) {
    switch (type) {
    case tds_result_type::bit: return value != 0;
    case tds_result_type::tinyint: return std::clamp<int64_t>(value, 0, UINT8_MAX);
    case tds_result_type::smallint: return std::clamp<int64_t>(value, INT16_MIN, INT16_MAX);
    case tds_result_type::bigint: return value;
    default: return std::clamp<int64_t>(value, INT32_MIN, INT32_MAX);
    }
}

void tds_put_int(std::vector<uint8_t> &out, const tds_result_column &c, int64_t value) {
    assert(c.type >= tds_result_type::bit && c.type <= tds_result_type::bigint);
    uint8_t size = short_type_of(c.type).size;
    auto bits = static_cast<uint64_t>(fitted(c.type, value));
    put_u8(out, size);
    for (unsigned i = 0; i < size; ++i)
        put_u8(out, static_cast<uint8_t>(bits >> (8 * i)));
}

void tds_put_real(std::vector<uint8_t> &out, double value) {
    put_u8(out, 8);
    put_u64le(out, std::bit_cast<uint64_t>(value));
}

void tds_put_datetime(std::vector<uint8_t> &out, int32_t days, uint32_t ticks) {
    put_u8(out, 8);
    put_u32le(out, static_cast<uint32_t>(days));
    put_u32le(out, ticks);
}

void tds_put_binary(std::vector<uint8_t> &out, const tds_result_column &c, std::string_view bytes) {
    assert(c.type == tds_result_type::binary);
    bytes = bytes.substr(0, c.units);
    put_u16le(out, static_cast<uint32_t>(bytes.size()));
    out.insert(out.end(), bytes.begin(), bytes.end());
}

static uint8_t hex_digit(char c) {
    return static_cast<uint8_t>(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
}

// The first three parts are numbers, least byte first.
void tds_put_guid(std::vector<uint8_t> &out, std::string_view text) {
    static constexpr uint8_t digits[] = {6, 4, 2, 0, 11, 9, 16, 14, 19, 21, 24, 26, 28, 30, 32, 34};
    assert(text.size() == 36);
    put_u8(out, sizeof digits);
    for (uint8_t at : digits)
        put_u8(out, static_cast<uint8_t>(hex_digit(text[at]) << 4 | hex_digit(text[at + 1])));
}

void tds_put_null(std::vector<uint8_t> &out, const tds_result_column &c) {
    if (is_long(c))
        put_u16le(out, long_null);
    else
        put_u8(out, 0);
}

void tds_put_return_status(std::vector<uint8_t> &out, int32_t status) {
    put_u8(out, tds_token_returnstatus);
    put_u32le(out, static_cast<uint32_t>(status));
}

void tds_put_return_int(std::vector<uint8_t> &out, uint32_t version, uint16_t ordinal, int32_t value) {
    const tds_result_column c{{}, tds_result_type::integer};
    put_u8(out, tds_token_returnvalue);
    put_u16le(out, ordinal);
    put_u8(out, 0); // no name
    put_u8(out, output_parameter);
    put_user_type(out, version);
    put_u16le(out, 0);
    put_type(out, version, c);
    tds_put_int(out, c, value);
}

void tds_put_transaction(std::vector<uint8_t> &out, uint8_t type, uint64_t descriptor) {
    bool begins = type == tds_env_begin;
    put_u8(out, tds_token_envchange);
    put_u16le(out, 3 + 8);
    put_u8(out, type);
    put_u8(out, begins ? 8 : 0);
    if (!begins)
        put_u8(out, 8);
    put_u64le(out, descriptor);
    if (begins)
        put_u8(out, 0);
}

void tds_put_reset_done(std::vector<uint8_t> &out) {
    put_u8(out, tds_token_envchange);
    put_u16le(out, 3);
    put_u8(out, tds_env_reset);
    put_u16le(out, 0);
}
