// Result sets of the proxy's own (MS-TDS 2.2.7): COLMETADATA, rows, what a call of a procedure returns, transactions.
//
//      tds_put_columns -> (tds_put_row -> a tds_put_... for each column, in order) ... -> tds_put_done
//
// `version` is always the client's TDS version: it decides the width of user types, and whether text has a collation.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

// Where values of two types meet, as in UNION, T-SQL makes them of the later one.
enum class tds_result_type : uint8_t {
    binary,   // VARBINARY(units)
    text,     // NVARCHAR(units)
    guid,     // UNIQUEIDENTIFIER
    bit,      // BIT
    tinyint,  // TINYINT
    smallint, // SMALLINT
    integer,  // INT
    bigint,   // BIGINT
    real,     // FLOAT
    datetime, // DATETIME
};

struct tds_result_column {
    std::string_view name; // UTF-8, cut at 128 units
    tds_result_type type = tds_result_type::text;
    uint16_t units = 128; // of text, 1 to 4000: tools make their columns as wide; of binary bytes, 1 to 8000
};

void tds_put_columns(std::vector<uint8_t> &out, uint32_t version, std::span<const tds_result_column> columns);
void tds_put_row(std::vector<uint8_t> &out);
// A value; `column` must be of that type. Text is UTF-8, cut at the column's units.
void tds_put_text(std::vector<uint8_t> &out, const tds_result_column &column, std::string_view text);
// BIT to BIGINT: what is too large for the type becomes its largest value.
void tds_put_int(std::vector<uint8_t> &out, const tds_result_column &column, int64_t value);
void tds_put_real(std::vector<uint8_t> &out, double value);
void tds_put_datetime(std::vector<uint8_t> &out, int32_t days_since_1900, uint32_t ticks_of_3_33_ms);
// Cut at the column's bytes.
void tds_put_binary(std::vector<uint8_t> &out, const tds_result_column &column, std::string_view bytes);
// "00112233-4455-6677-8899-aabbccddeeff", of that form.
void tds_put_guid(std::vector<uint8_t> &out, std::string_view text);
void tds_put_null(std::vector<uint8_t> &out, const tds_result_column &column);

// RETURNSTATUS, and an INT output parameter without a name.
void tds_put_return_status(std::vector<uint8_t> &out, int32_t status);
void tds_put_return_int(std::vector<uint8_t> &out, uint32_t version, uint16_t ordinal, int32_t value);

// ENVCHANGE 8 (begin), 9 (commit) or 10 (rollback): from TDS 7.2 on only.
void tds_put_transaction(std::vector<uint8_t> &out, uint8_t type, uint64_t descriptor);
// ENVCHANGE 18: a reset is acknowledged.
void tds_put_reset_done(std::vector<uint8_t> &out);
