#include "tds/request_build.h"

#include <cassert>

#include "tds/bytes.h"
#include "tds/login7.h"
#include "tds/packet.h"
#include "tds/response.h"
#include "tds/utf16.h"

static constexpr uint32_t all_headers_size = 22;
static constexpr uint32_t transaction_header_size = 18;
static constexpr uint32_t transaction_header = 2;

static void put_all_headers(std::vector<uint8_t> &out, uint64_t descriptor) {
    put_u32le(out, all_headers_size);
    put_u32le(out, transaction_header_size);
    put_u16le(out, transaction_header);
    put_u64le(out, descriptor);
    put_u32le(out, 1); // outstanding requests
}

void tds_put_batch(std::vector<uint8_t> &out, uint32_t version, std::string_view sql, uint64_t descriptor,
                   size_t packet_size, uint8_t status) {
    assert(!sql.empty());
    std::vector<uint8_t> payload;
    payload.reserve(all_headers_size + 2 * sql.size());
    if (tds_version_is_wide(version))
        put_all_headers(payload, descriptor);
    tds_utf16_append(sql, sql.size(), payload);
    size_t first = out.size();
    tds_put_message(out, tds_type_sql_batch, payload, packet_size, 0);
    out[first + 1] = static_cast<uint8_t>(out[first + 1] | status);
}

void tds_put_attention(std::vector<uint8_t> &out) {
    uint8_t header[tds_header_size];
    tds_header_write({tds_type_attention, tds_status_eom, tds_header_size, 0, 1, 0}, header);
    out.insert(out.end(), header, header + sizeof header);
}

static std::string quote(std::string_view open, std::string_view text, char close) {
    std::string quoted(open);
    quoted.reserve(text.size() + open.size() + 1);
    for (char c : text) {
        quoted.push_back(c);
        if (c == close)
            quoted.push_back(c);
    }
    quoted.push_back(close);
    return quoted;
}

std::string tds_quote_name(std::string_view name) {
    return quote("[", name, ']');
}
std::string tds_quote_text(std::string_view text) {
    return quote("N'", text, '\'');
}

std::string tds_quote_language(std::string_view name) {
    for (char c : name)
        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && c != '_')
            return tds_quote_text(name);
    return name.empty() ? tds_quote_text(name) : std::string(name);
}
