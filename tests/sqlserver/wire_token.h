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
// What acknowledged features do to the stream.
struct stream_features {
    bool column_encryption = false; // every COLMETADATA has a CekTable
    std::string encrypted_column;   // columns of this name are encrypted then
    uint8_t classification = 0;     // version of DATACLASSIFICATION; 0: off
    std::string classified_column;  // columns of this name have a label
    bool utf8 = false;              // char data has a UTF-8 collation
};
// COLMETADATA, and DATACLASSIFICATION where a column is classified; `formats` becomes what put_row needs.
void put_columns(std::string &o, tds version, const stream_features &features, const std::vector<column> &columns,
                 std::vector<column_format> &formats);
// COLMETADATA of a cursor's fetch under fNoMetaData: the client has it already.
void put_no_columns(std::string &o);
struct session_state_item {
    uint8_t id;
    std::string value;
    bool operator==(const session_state_item &) const = default;
};
// A SessionStateDataSet, and the token SESSIONSTATE around one.
void put_state_set(std::string &o, const std::vector<session_state_item> &items);
void put_session_state(std::string &o, uint32_t sequence, bool recoverable,
                       const std::vector<session_state_item> &items);
// TABNAME with one table, and COLINFO; at most 255 columns.
void put_browse_info(std::string &o, tds version, const std::vector<std::string> &table,
                     const std::vector<column> &columns);
// ROW, or NBCROW where the version has it and it is shorter.
void put_row(std::string &o, tds version, const std::vector<column_format> &formats, const std::vector<value> &values);

struct product_version {
    unsigned major = 16, minor = 0, build = 0;
};
product_version product_version_of(std::string_view text);

} // namespace sqlserver
