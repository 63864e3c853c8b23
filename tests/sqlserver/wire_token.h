// Tokens of a response other than rows. MS-TDS 2.2.7. Everything appends to a string; the packets come later.
#pragma once

#include "engine.h"
#include "wire_bytes.h"
#include "wire_type.h"

namespace sqlserver {

constexpr uint16_t done_more = 0x0001;
constexpr uint16_t done_attn = 0x0020;
constexpr uint16_t done_rpc_in_batch = 0x0080;

void put_done(std::string &o, tds version, done_kind kind, uint16_t status, uint16_t command, uint64_t rows);
void put_message(std::string &o, tds version, int32_t number, uint8_t state, uint8_t severity, std::string_view text,
                 std::string_view server, std::string_view procedure, int32_t line);
void put_env_text(std::string &o, env type, std::string_view now, std::string_view before);
void put_env_tran(std::string &o, env type, uint64_t now, uint64_t before); // 0: empty
void put_env_collation(std::string &o);
void put_env_routing(std::string &o, std::string_view host, uint16_t port);
// `client_version` is what LOGIN7 asked, rounded down to a known one; `product` "16.0.4135".
void put_login_ack(std::string &o, uint32_t client_version, std::string_view product);
void put_return_value(std::string &o, tds version, uint16_t ordinal, std::string_view name, const type_info &type,
                      const value &v);
// COLMETADATA; `formats` becomes what put_row needs. `column_encryption`: COLUMNENCRYPTION was acknowledged.
void put_columns(std::string &o, tds version, bool column_encryption, const std::vector<column> &columns,
                 std::vector<column_format> &formats);
// ROW, or NBCROW where the version has it and it is shorter.
void put_row(std::string &o, tds version, const std::vector<column_format> &formats, const std::vector<value> &values);

struct product_version {
    unsigned major = 16, minor = 0, build = 0;
};
product_version product_version_of(std::string_view text);

} // namespace sqlserver
