#include "tds/response.h"

#include <algorithm>
#include <cassert>

#include "tds/bytes.h"
#include "tds/login7.h"
#include "tds/packet.h"
#include "tds/utf16.h"

static constexpr size_t name_units = 128;  // server and procedure
static constexpr size_t text_units = 2048; // as RAISERROR's limit; all texts together stay far below a token's 65535

// Writes a length of two bytes for what `begin_token` and `end_token` enclose.
static size_t begin_token(std::vector<uint8_t> &out, uint8_t token) {
    put_u8(out, token);
    put_u16le(out, 0);
    return out.size();
}

static void end_token(std::vector<uint8_t> &out, size_t begin) {
    assert(out.size() - begin <= UINT16_MAX);
    set_u16le(out, begin - 2, out.size() - begin);
}

// B_VARCHAR
static void put_name(std::vector<uint8_t> &out, std::string_view text, size_t max_units) {
    size_t at = out.size();
    put_u8(out, 0);
    out[at] = static_cast<uint8_t>(tds_utf16_append(text, std::min<size_t>(max_units, 255), out));
}

// US_VARCHAR
static void put_text(std::vector<uint8_t> &out, std::string_view text, size_t max_units) {
    size_t at = out.size();
    put_u16le(out, 0);
    size_t units = tds_utf16_append(text, max_units, out);
    set_u16le(out, at, units);
}

void tds_put_notice(std::vector<uint8_t> &out, uint32_t version, const tds_notice &notice) {
    size_t begin = begin_token(out, notice.severity > 10 ? tds_token_error : tds_token_info);
    put_u32le(out, static_cast<uint32_t>(notice.number));
    put_u8(out, notice.state);
    put_u8(out, notice.severity);
    put_text(out, notice.text, text_units);
    put_name(out, notice.server_name, name_units);
    put_name(out, notice.procedure, name_units);
    if (tds_version_is_wide(version))
        put_u32le(out, notice.line);
    else
        put_u16le(out, std::min<uint32_t>(notice.line, UINT16_MAX));
    end_token(out, begin);
}

void tds_put_done(std::vector<uint8_t> &out, uint32_t version, uint8_t token, uint16_t status, uint16_t command,
                  uint64_t rows) {
    put_u8(out, token);
    put_u16le(out, status);
    put_u16le(out, command);
    if (tds_version_is_wide(version))
        put_u64le(out, rows);
    else
        put_u32le(out, static_cast<uint32_t>(std::min<uint64_t>(rows, UINT32_MAX)));
}

// 7.0 and 7.1 without service pack have a form of their own.
static uint32_t loginack_version(uint32_t version) {
    uint32_t known = tds_version_known(version);
    if (known == tds_7_0)
        return 0x07000000;
    return known == tds_7_1 ? 0x07010000 : known;
}

void tds_put_loginack(std::vector<uint8_t> &out, uint32_t version, std::string_view program,
                      const tds_product_version &program_version) {
    size_t begin = begin_token(out, tds_token_loginack);
    put_u8(out, 1);
    put_u32be(out, loginack_version(version));
    put_name(out, program, 255);
    put_u8(out, program_version.major);
    put_u8(out, program_version.minor);
    put_u16be(out, program_version.build);
    end_token(out, begin);
}

void tds_put_envchange(std::vector<uint8_t> &out, uint8_t type, std::string_view new_value,
                       std::string_view old_value) {
    size_t begin = begin_token(out, tds_token_envchange);
    put_u8(out, type);
    put_name(out, new_value, 255);
    put_name(out, old_value, 255);
    end_token(out, begin);
}

void tds_put_collation(std::vector<uint8_t> &out, const uint8_t collation[5]) {
    size_t begin = begin_token(out, tds_token_envchange);
    put_u8(out, tds_env_collation);
    put_u8(out, 5);
    out.insert(out.end(), collation, collation + 5);
    put_u8(out, 0);
    end_token(out, begin);
}

void tds_put_message(std::vector<uint8_t> &out, uint8_t type, std::span<const uint8_t> payload, size_t packet_size,
                     uint16_t spid) {
    assert(!payload.empty() && packet_size > tds_header_size && packet_size <= tds_packet_size_max);
    for (uint8_t id = 1; !payload.empty(); ++id) {
        auto part = payload.first(std::min(payload.size(), packet_size - tds_header_size));
        payload = payload.subspan(part.size());
        uint8_t status = payload.empty() ? tds_status_eom : uint8_t{0};
        uint8_t header[tds_header_size];
        tds_header_write({type, status, static_cast<uint16_t>(part.size() + tds_header_size), spid, id, 0}, header);
        out.insert(out.end(), header, header + sizeof header);
        out.insert(out.end(), part.begin(), part.end());
    }
}

void tds_build_login_error(uint32_t version, const tds_notice &notice, uint16_t spid, std::vector<uint8_t> &out) {
    std::vector<uint8_t> tokens;
    tds_put_notice(tokens, version, notice);
    tds_put_done(tokens, version, tds_token_done, tds_done_error, 0, 0);
    tds_put_message(out, tds_type_response, tokens, tds_initial_packet_size, spid);
}
