#include "tds/result_build.h"

#include <algorithm>
#include <cassert>

#include "tds/bytes.h"
#include "tds/envchange.h"
#include "tds/login7.h"
#include "tds/token_walk.h"
#include "tds/utf16.h"

static constexpr uint8_t type_intn = 0x26;
static constexpr uint8_t type_nvarchar = 0xe7;
static constexpr uint16_t text_null = 0xffff;
static constexpr uint16_t flags = 0x0021; // may be NULL, computed
static constexpr size_t name_units = 128;
static constexpr uint8_t output_parameter = 0x01;
static constexpr uint8_t collation[5] = {0x09, 0x04, 0xd0, 0x00, 0x34}; // SQL_Latin1_General_CP1_CI_AS

static uint8_t size_of(const tds_result_column &c) {
    return c.type == tds_result_type::bigint ? 8 : 4;
}

static void put_user_type(std::vector<uint8_t> &out, uint32_t version) {
    put_u16le(out, 0);
    if (tds_version_is_wide(version))
        put_u16le(out, 0);
}

static void put_type(std::vector<uint8_t> &out, uint32_t version, const tds_result_column &c) {
    if (c.type != tds_result_type::text) {
        put_u8(out, type_intn);
        put_u8(out, size_of(c));
        return;
    }
    assert(c.units > 0 && c.units <= 4000);
    put_u8(out, type_nvarchar);
    put_u16le(out, 2U * c.units);
    if (version != tds_7_0)
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

void tds_put_int(std::vector<uint8_t> &out, const tds_result_column &c, int64_t value) {
    assert(c.type != tds_result_type::text);
    put_u8(out, size_of(c));
    if (c.type == tds_result_type::bigint)
        put_u64le(out, static_cast<uint64_t>(value));
    else
        put_u32le(out, static_cast<uint32_t>(std::clamp<int64_t>(value, INT32_MIN, INT32_MAX)));
}

void tds_put_null(std::vector<uint8_t> &out, const tds_result_column &c) {
    if (c.type == tds_result_type::text)
        put_u16le(out, text_null);
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
