// The data types of columns and parameters (MS-TDS 2.2.5.4): what follows the type byte in TYPE_INFO, and how a value
// in a row is delimited. Values are stepped over by their own length, never by what the type allows.
#pragma once

#include <cstddef>
#include <cstdint>

// How a value in ROW, NBCROW, ALTROW and RETURNVALUE is delimited.
enum class tds_value_kind : uint8_t {
    fixed_1,
    fixed_2,
    fixed_4,
    fixed_8,
    length_1, // 1 byte of length, data; 0 is NULL
    length_2, // 2 bytes of length, data; 0xFFFF is NULL
    length_4, // 4 bytes of length, data; 0 is NULL (sql_variant)
    plp,      // 8 bytes of total, chunks
    text,     // pointer length, pointer, timestamp, 4 bytes of length, data; pointer length 0 is NULL
};

// What follows the type byte in TYPE_INFO.
enum class tds_marker : uint8_t {
    none,
    one,          // 1 byte: largest length, or scale
    three,        // length, precision, scale
    two,          // 2 bytes: largest length
    two_collated, // 2 bytes and, from TDS 7.1 on, a collation
    four,         // 4 bytes
    four_collated,
    xml,    // 1 byte; if 1, names of the schema collection
    udt,    // 2 bytes, names of the type and its assembly
    vector, // 2 bytes and the dimension's type
};

struct tds_coltype {
    uint8_t id;
    tds_marker marker;
    tds_value_kind value;
    bool may_be_max; // largest length 0xFFFF makes it PLP
    bool table_name; // in COLMETADATA a table's name follows TYPE_INFO
};

inline constexpr uint16_t tds_length_max_marker = 0xffff;

// The type with this id, or null: unknown, or sent by clients only (NULL, table-valued parameters). So every value in a
// ROW takes at least one byte.
const tds_coltype *tds_coltype_find(uint8_t id);

// Bytes of a value of fixed size; SIZE_MAX for the other kinds.
size_t tds_value_fixed_size(tds_value_kind kind);
