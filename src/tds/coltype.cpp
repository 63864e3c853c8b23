#include "tds/coltype.h"

#include <array>

using kind = tds_value_kind;
using marker = tds_marker;

static constexpr tds_coltype types[] = {
    // id, marker, value, may_be_max, table_name
    {0x22, marker::four, kind::text, false, true},              // IMAGE
    {0x23, marker::four_collated, kind::text, false, true},     // TEXT
    {0x24, marker::one, kind::length_1, false, false},          // GUID
    {0x25, marker::one, kind::length_1, false, false},          // VARBINARY, legacy
    {0x26, marker::one, kind::length_1, false, false},          // INTN
    {0x27, marker::one, kind::length_1, false, false},          // VARCHAR, legacy
    {0x28, marker::none, kind::length_1, false, false},         // DATE
    {0x29, marker::one, kind::length_1, false, false},          // TIME
    {0x2a, marker::one, kind::length_1, false, false},          // DATETIME2
    {0x2b, marker::one, kind::length_1, false, false},          // DATETIMEOFFSET
    {0x2d, marker::one, kind::length_1, false, false},          // BINARY, legacy
    {0x2f, marker::one, kind::length_1, false, false},          // CHAR, legacy
    {0x30, marker::none, kind::fixed_1, false, false},          // INT1
    {0x32, marker::none, kind::fixed_1, false, false},          // BIT
    {0x34, marker::none, kind::fixed_2, false, false},          // INT2
    {0x37, marker::three, kind::length_1, false, false},        // DECIMAL, legacy
    {0x38, marker::none, kind::fixed_4, false, false},          // INT4
    {0x3a, marker::none, kind::fixed_4, false, false},          // DATETIM4
    {0x3b, marker::none, kind::fixed_4, false, false},          // FLT4
    {0x3c, marker::none, kind::fixed_8, false, false},          // MONEY
    {0x3d, marker::none, kind::fixed_8, false, false},          // DATETIME
    {0x3e, marker::none, kind::fixed_8, false, false},          // FLT8
    {0x3f, marker::three, kind::length_1, false, false},        // NUMERIC, legacy
    {0x62, marker::four, kind::length_4, false, false},         // SSVARIANT
    {0x63, marker::four_collated, kind::text, false, true},     // NTEXT
    {0x68, marker::one, kind::length_1, false, false},          // BITN
    {0x6a, marker::three, kind::length_1, false, false},        // DECIMALN
    {0x6c, marker::three, kind::length_1, false, false},        // NUMERICN
    {0x6d, marker::one, kind::length_1, false, false},          // FLTN
    {0x6e, marker::one, kind::length_1, false, false},          // MONEYN
    {0x6f, marker::one, kind::length_1, false, false},          // DATETIMN
    {0x7a, marker::none, kind::fixed_4, false, false},          // MONEY4
    {0x7f, marker::none, kind::fixed_8, false, false},          // INT8
    {0xa5, marker::two, kind::length_2, true, false},           // BIGVARBINARY
    {0xa7, marker::two_collated, kind::length_2, true, false},  // BIGVARCHAR
    {0xad, marker::two, kind::length_2, false, false},          // BIGBINARY
    {0xaf, marker::two_collated, kind::length_2, false, false}, // BIGCHAR
    {0xe7, marker::two_collated, kind::length_2, true, false},  // NVARCHAR
    {0xef, marker::two_collated, kind::length_2, false, false}, // NCHAR
    {0xf0, marker::udt, kind::plp, false, false},               // UDT, small ones too
    {0xf1, marker::xml, kind::plp, false, false},               // XML
    {0xf4, marker::none, kind::plp, false, false},              // JSON
    {0xf5, marker::vector, kind::length_2, false, false},       // VECTOR
};

// Position in `types` by id, plus one.
static constexpr auto positions = [] {
    std::array<uint8_t, 256> at{};
    for (size_t i = 0; i < std::size(types); ++i)
        at[types[i].id] = static_cast<uint8_t>(i + 1);
    return at;
}();

const tds_coltype *tds_coltype_find(uint8_t id) {
    return positions[id] == 0 ? nullptr : &types[positions[id] - 1];
}

size_t tds_value_fixed_size(tds_value_kind value) {
    switch (value) {
    case kind::fixed_1: return 1;
    case kind::fixed_2: return 2;
    case kind::fixed_4: return 4;
    case kind::fixed_8: return 8;
    default: return SIZE_MAX;
    }
}
