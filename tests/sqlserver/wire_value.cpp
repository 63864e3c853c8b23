// Decoding of RPC parameters' TYPE_INFO and values. See wire_type.h.
#include "wire_type.h"

namespace sqlserver {

namespace {

constexpr int32_t days_1900 = 693595;
constexpr int32_t days_last = 3652058; // 9999-12-31
constexpr int64_t ticks_per_day = 864000000000;
constexpr uint32_t utf8_collation = 0x04000000;

type_id int_of(uint32_t size) {
    return size == 1   ? type_id::tinyint_
           : size == 2 ? type_id::smallint_
           : size == 4 ? type_id::int_
                       : type_id::bigint_;
}

void set(read_type &t, type_id id, shape layout, uint32_t size) {
    t.info.id = id;
    t.layout = layout;
    t.size = size;
}

void read_collation(reader &r, read_type &t) {
    t.utf8 = (rd_u32(r) & utf8_collation) != 0;
    rd_u8(r);
}

// The L1 of an N type: its size.
bool read_sized(reader &r, read_type &t, type_id small, type_id big) {
    uint8_t size = rd_u8(r);
    set(t, size == 8 ? big : small, shape::len1, size);
    return size == 4 || size == 8;
}

bool read_intn(reader &r, read_type &t) {
    uint8_t size = rd_u8(r);
    set(t, int_of(size), shape::len1, size);
    return size == 1 || size == 2 || size == 4 || size == 8;
}

bool read_decimal_type(reader &r, read_type &t) {
    bool decimal = t.token == 0x6A || t.token == 0x37;
    set(t, decimal ? type_id::decimal_ : type_id::numeric_, shape::len1, rd_u8(r));
    t.info.precision = rd_u8(r);
    t.info.scale = rd_u8(r);
    return t.info.precision >= 1 && t.info.precision <= 38 && t.info.scale <= t.info.precision;
}

bool read_scaled(reader &r, read_type &t, type_id id, uint32_t extra) {
    uint8_t scale = id == type_id::date_ ? 0 : rd_u8(r);
    set(t, id, shape::len1, (id == type_id::date_ ? 0 : scale <= 2 ? 3u : scale <= 4 ? 4u : 5u) + extra);
    t.info.scale = scale;
    return scale <= 7;
}

// L2 types; 0xFFFF means MAX. `unit`: bytes per length unit.
bool read_big(reader &r, read_type &t, type_id id, uint32_t unit, bool with_collation) {
    uint16_t size = rd_u16(r);
    set(t, id, size == 0xFFFF ? shape::plp : shape::len2, size);
    t.info.length = size == 0xFFFF ? length_max : size / unit;
    if (with_collation)
        read_collation(r, t);
    return true;
}

bool read_short(reader &r, read_type &t, type_id id) { // types of before 7.0, L1
    set(t, id, shape::len1, rd_u8(r));
    t.info.length = t.size;
    return true;
}

bool read_text_type(reader &r, read_type &t, type_id id) {
    set(t, id, shape::len4, rd_u32(r));
    if (id != type_id::image_)
        read_collation(r, t);
    return true;
}

bool read_xml_type(reader &r, read_type &t) {
    set(t, type_id::xml_, shape::plp, 0);
    if (rd_u8(r) == 0)
        return true;
    rd_bytes(r, size_t(rd_u8(r)) * 2); // database
    rd_bytes(r, size_t(rd_u8(r)) * 2); // schema
    rd_bytes(r, size_t(rd_u16(r)) * 2);
    return true;
}

bool read_fixed(read_type &t, type_id id, uint32_t size) {
    set(t, id, shape::fixed, size);
    return true;
}

bool read_any_type(reader &r, read_type &t) {
    t.token = rd_u8(r);
    switch (t.token) {
    case 0x1F: return read_fixed(t, type_id::int_, 0); // NULLTYPE: an untyped NULL
    case 0x30: return read_fixed(t, type_id::tinyint_, 1);
    case 0x32: return read_fixed(t, type_id::bit_, 1);
    case 0x34: return read_fixed(t, type_id::smallint_, 2);
    case 0x38: return read_fixed(t, type_id::int_, 4);
    case 0x3A: return read_fixed(t, type_id::smalldatetime_, 4);
    case 0x3B: return read_fixed(t, type_id::real_, 4);
    case 0x3C: return read_fixed(t, type_id::money_, 8);
    case 0x3D: return read_fixed(t, type_id::datetime_, 8);
    case 0x3E: return read_fixed(t, type_id::float_, 8);
    case 0x7A: return read_fixed(t, type_id::smallmoney_, 4);
    case 0x7F: return read_fixed(t, type_id::bigint_, 8);
    case 0x26: return read_intn(r, t);
    case 0x68: set(t, type_id::bit_, shape::len1, rd_u8(r)); return t.size == 1;
    case 0x6D: return read_sized(r, t, type_id::real_, type_id::float_);
    case 0x6E: return read_sized(r, t, type_id::smallmoney_, type_id::money_);
    case 0x6F: return read_sized(r, t, type_id::smalldatetime_, type_id::datetime_);
    case 0x24: set(t, type_id::uniqueidentifier_, shape::len1, rd_u8(r)); return t.size == 16;
    case 0x37:
    case 0x3F:
    case 0x6A:
    case 0x6C: return read_decimal_type(r, t);
    case 0x28: return read_scaled(r, t, type_id::date_, 3);
    case 0x29: return read_scaled(r, t, type_id::time_, 0);
    case 0x2A: return read_scaled(r, t, type_id::datetime2_, 3);
    case 0x2B: return read_scaled(r, t, type_id::datetimeoffset_, 5);
    case 0x2F: return read_short(r, t, type_id::char_);
    case 0x27: return read_short(r, t, type_id::varchar_);
    case 0x2D: return read_short(r, t, type_id::binary_);
    case 0x25: return read_short(r, t, type_id::varbinary_);
    case 0xAD: return read_big(r, t, type_id::binary_, 1, false);
    case 0xA5: return read_big(r, t, type_id::varbinary_, 1, false);
    case 0xAF: return read_big(r, t, type_id::char_, 1, true);
    case 0xA7: return read_big(r, t, type_id::varchar_, 1, true);
    case 0xEF: return read_big(r, t, type_id::nchar_, 2, true);
    case 0xE7: return read_big(r, t, type_id::nvarchar_, 2, true);
    case 0x23: return read_text_type(r, t, type_id::text_);
    case 0x63: return read_text_type(r, t, type_id::ntext_);
    case 0x22: return read_text_type(r, t, type_id::image_);
    case 0xF1: return read_xml_type(r, t);
    case 0x62: set(t, type_id::sql_variant_, shape::variant, rd_u32(r)); return true;
    default: return false; // TVP, UDT, JSON, VECTOR
    }
}

// ---- values -------------------------------------------------------------------------------------------------------

int64_t int_le(std::string_view b) { // sign-extended, but tinyint and bit have no sign
    uint64_t v = 0;
    if (b.size() > 8)
        return 0; // the caller refuses the length
    for (size_t i = 0; i < b.size(); i++)
        v |= uint64_t(static_cast<uint8_t>(b[i])) << (8 * i);
    unsigned unused = static_cast<unsigned>(64 - 8 * b.size());
    return b.size() <= 1 ? static_cast<int64_t>(v) : static_cast<int64_t>(v << unused) >> unused;
}

std::string decimal_text(std::string_view b, unsigned scale) {
    unsigned __int128 n = 0;
    for (size_t i = b.size(); i > 1; i--)
        n = n << 8 | static_cast<uint8_t>(b[i - 1]);
    std::string digits;
    for (; n > 0 || digits.size() <= scale; n /= 10)
        digits.insert(digits.begin(), static_cast<char>('0' + static_cast<int>(n % 10)));
    if (scale > 0)
        digits.insert(digits.size() - scale, 1, '.');
    return (b[0] == 0 ? "-" : "") + digits;
}

int64_t money_of(std::string_view b) {
    if (b.size() == 4)
        return int_le(b);
    auto high = static_cast<uint64_t>(int_le(b.substr(0, 4)));
    auto low = static_cast<uint32_t>(int_le(b.substr(4, 4)));
    return static_cast<int64_t>(high << 32 | low);
}

double float_of(std::string_view b) {
    float single = 0;
    double twice = 0;
    if (b.size() == 4) {
        memcpy(&single, b.data(), 4);
        return static_cast<double>(single);
    }
    memcpy(&twice, b.data(), 8);
    return twice;
}

void datetime_of(std::string_view b, value &v) {
    if (b.size() == 4) {
        v.days = days_1900 + static_cast<uint16_t>(int_le(b.substr(0, 2)));
        v.ticks = static_cast<uint16_t>(int_le(b.substr(2, 2))) * int64_t(600000000);
        return;
    }
    auto days = static_cast<int32_t>(int_le(b.substr(0, 4)));
    auto units = static_cast<uint32_t>(int_le(b.substr(4, 4)));
    v.days = static_cast<int32_t>(static_cast<uint32_t>(days_1900) + static_cast<uint32_t>(days));
    v.ticks = (int64_t(units) * 100000 + 1) / 3; // rounded to 100 ns
}

void time_of(std::string_view b, const type_info &t, value &v) {
    size_t tail = t.id == type_id::time_ ? 0 : t.id == type_id::datetime2_ ? 3 : 5;
    uint64_t units = 0;
    for (size_t i = b.size() - tail; i > 0; i--)
        units = units << 8 | static_cast<uint8_t>(b[i - 1]);
    int64_t ticks = static_cast<int64_t>(units);
    for (unsigned i = t.scale; i < 7; i++)
        ticks *= 10;
    v.ticks = ticks;
    std::string_view rest = b.substr(b.size() - tail);
    if (tail >= 3)
        v.days = static_cast<int32_t>(int_le(rest.substr(0, 3)));
    if (tail == 5)
        v.offset_minutes = static_cast<int16_t>(int_le(rest.substr(3, 2)));
}

std::string chars_of(std::string_view b, bool utf8) {
    return utf8 ? std::string(b) : cp1252_decode(b);
}

bool date_valid(const value &v) {
    return v.days >= 0 && v.days <= days_last && v.ticks >= 0 && v.ticks < ticks_per_day;
}

// Content without its length. False: a length that the type cannot have.
bool read_content(std::string_view b, const read_type &t, value &v) {
    v.null = false;
    switch (t.info.id) {
    case type_id::bit_:
    case type_id::tinyint_:
    case type_id::smallint_:
    case type_id::int_:
    case type_id::bigint_: v.i64 = int_le(b); return b.size() == t.size;
    case type_id::real_:
    case type_id::float_: v.f64 = b.size() == t.size ? float_of(b) : 0; return b.size() == t.size;
    case type_id::money_:
    case type_id::smallmoney_: v.i64 = b.size() == t.size ? money_of(b) : 0; return b.size() == t.size;
    case type_id::datetime_:
    case type_id::smalldatetime_:
        if (b.size() == t.size)
            datetime_of(b, v);
        return b.size() == t.size && date_valid(v);
    case type_id::date_: v.days = static_cast<int32_t>(int_le(b)) & 0xFFFFFF; return b.size() == 3 && date_valid(v);
    case type_id::time_:
    case type_id::datetime2_:
    case type_id::datetimeoffset_:
        if (b.size() == t.size)
            time_of(b, t.info, v);
        return b.size() == t.size && date_valid(v);
    case type_id::decimal_:
    case type_id::numeric_:
        if (b.size() < 2 || b.size() > 17)
            return false;
        v.text = decimal_text(b, t.info.scale);
        return true;
    case type_id::uniqueidentifier_: v.text = b; return b.size() == 16;
    case type_id::char_:
    case type_id::varchar_:
    case type_id::text_: v.text = chars_of(b, t.utf8); return true;
    case type_id::nchar_:
    case type_id::nvarchar_:
    case type_id::ntext_:
    case type_id::xml_:
        if (t.info.id == type_id::xml_ && b.substr(0, 2) == "\xFF\xFE")
            b.remove_prefix(2);
        v.text = utf16_decode(b);
        return b.size() % 2 == 0;
    case type_id::binary_:
    case type_id::varbinary_:
    case type_id::image_: v.text = b; return true;
    case type_id::sql_variant_: return false;
    }
    return false;
}

bool read_plp(reader &r, const read_type &t, value &v) {
    uint64_t total = rd_u64(r);
    if (total == ~uint64_t(0))
        return !r.bad;
    std::string whole;
    for (;;) {
        uint32_t n = rd_u32(r);
        if (r.bad || n == 0)
            break;
        whole.append(rd_bytes(r, n));
    }
    return !r.bad && read_content(whole, t, v);
}

// L4 total, base type, property bytes, properties, data.
bool read_variant(reader &r, value &v) {
    uint32_t total = rd_u32(r);
    if (total == 0)
        return !r.bad;
    reader in = reader_of(rd_bytes(r, total));
    if (in.left < 2)
        return false;
    read_type t;
    std::string info(1, static_cast<char>(rd_u8(in)));
    std::string_view properties = rd_bytes(in, rd_u8(in));
    uint8_t token = static_cast<uint8_t>(info[0]);
    bool sized = token == 0x26 || token == 0x68 || token == 0x6D || token == 0x6E || token == 0x6F || token == 0x24;
    if (properties.size() == 7) // collation and maximum length stand the other way round here
        info.append(properties.substr(5, 2)).append(properties.substr(0, 5));
    else if (token == 0x6A || token == 0x6C)
        info.append(1, static_cast<char>(17)).append(properties);
    else if (sized)
        info.append(1, static_cast<char>(in.left));
    else
        info.append(properties);
    reader types = reader_of(info);
    if (!read_any_type(types, t) || types.bad || in.bad || (t.layout == shape::fixed && t.size != in.left))
        return false;
    if (t.layout == shape::variant || t.layout == shape::plp || t.layout == shape::len4)
        return false;
    v.variant_type = t.info;
    return read_content(rd_bytes(in, in.left), t, v);
}

bool read_len1(reader &r, const read_type &t, value &v) {
    uint8_t n = rd_u8(r);
    if (n == 0)
        return !r.bad;
    std::string_view b = rd_bytes(r, n);
    return !r.bad && read_content(b, t, v);
}

bool read_len2(reader &r, const read_type &t, value &v) {
    uint16_t n = rd_u16(r);
    if (n == 0xFFFF)
        return !r.bad;
    std::string_view b = rd_bytes(r, n);
    return !r.bad && n <= t.size && read_content(b, t, v);
}

bool read_len4(reader &r, const read_type &t, value &v) {
    uint32_t n = rd_u32(r);
    if (n == 0xFFFFFFFF)
        return !r.bad;
    std::string_view b = rd_bytes(r, n);
    return !r.bad && read_content(b, t, v);
}

// A text pointer, a timestamp, then as len4: values of a bulk load.
bool read_text_pointer(reader &r, const read_type &t, value &v) {
    uint8_t pointer = rd_u8(r);
    if (pointer == 0)
        return !r.bad;
    rd_bytes(r, size_t{pointer} + 8);
    return !r.bad && read_len4(r, t, v);
}

} // namespace

bool read_type_info(reader &r, read_type &t) {
    return read_any_type(r, t) && !r.bad;
}

bool read_value(reader &r, const read_type &t, value &v) {
    switch (t.layout) {
    case shape::fixed: {
        std::string_view b = rd_bytes(r, t.size);
        return t.size == 0 || (!r.bad && read_content(b, t, v));
    }
    case shape::len1: return read_len1(r, t, v);
    case shape::len2: return read_len2(r, t, v);
    case shape::len4: return read_len4(r, t, v);
    case shape::plp: return read_plp(r, t, v);
    case shape::variant: return read_variant(r, v);
    case shape::text_pointer: return read_text_pointer(r, t, v);
    }
    return false;
}

bool read_parameter_type_and_value(reader &r, tds version, parameter &p) {
    read_type t;
    if (!read_type_info(r, t) || (version < tds::v72 && t.layout == shape::plp))
        return false;
    p.type = t.info;
    return read_value(r, t, p.val);
}

} // namespace sqlserver
