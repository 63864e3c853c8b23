// TYPE_INFO and values: encoding for results, decoding for RPC parameters. MS-TDS 2.2.5.4, 2.2.5.5, 2.2.5.2.
#pragma once

#include "engine.h"
#include "wire_bytes.h"

namespace sqlserver {

// The TDS version that was negotiated, by what it changes. Ordered.
enum class tds : uint8_t { v70, v71, v72, v73a, v73b, v74 };

// How a value is laid out behind its TYPE_INFO.
enum class shape : uint8_t { fixed, len1, len2, len4, plp, text_pointer, variant };

// How a column of a result goes out.
struct column_format {
    type_info type; // as the engine has it
    type_info sent; // as this TDS version knows it: MAX types as text, dates as nvarchar
    shape layout = shape::fixed;
    bool utf8 = false;      // char data goes out as it is
    bool encrypted = false; // what goes out is a cipher of that: len2 or plp
    bool old_dates = false; // below 7.3: no date, time, datetime2, datetimeoffset in a sql_variant
    uint8_t size = 0;       // shape::fixed: bytes, sent as zeros should the value be NULL after all
};

// Appends TYPE_INFO. `nullable` picks the N form. `in_row` is false for RETURNVALUE, where text pointers cannot stand.
column_format put_type_info(std::string &o, const type_info &type, tds version, bool nullable, bool in_row);

// Makes the char, varchar or text TYPE_INFO at the end of `o`, just put for `f`, one of a UTF-8 collation.
void make_utf8(std::string &o, column_format &f);

// Appends one value with its length, text pointer or PLP frame.
void put_value(std::string &o, const column_format &format, const value &v);

// Bytes that a NULL of this shape takes in a ROW: what NBCROW saves.
size_t null_size(shape layout);

// TYPE_INFO as a client sent it.
struct read_type {
    uint8_t token = 0;
    type_info info;
    shape layout = shape::fixed;
    uint32_t size = 0; // of a value: exact for shape::fixed, the maximum in bytes else
    bool utf8 = false; // char data is UTF-8
};
// False: malformed, or a type that is not known.
bool read_type_info(reader &r, read_type &t);
bool read_value(reader &r, const read_type &t, value &v);

// Reads TYPE_INFO and value of one RPC parameter. False: malformed, or a type that is not known (TVP, UDT, table
// types).
bool read_parameter_type_and_value(reader &r, tds version, parameter &p);

} // namespace sqlserver
