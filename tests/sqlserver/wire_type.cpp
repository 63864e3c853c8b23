// Encoding of TYPE_INFO and values. See wire_type.h; decoding is in wire_value.cpp.
#include "wire_type.h"

#include <algorithm>
#include <cstdio>

namespace sqlserver {

namespace {

constexpr int32_t days_1900 = 693595; // 0001-01-01 to 1900-01-01
constexpr int64_t ticks_per_day = 864000000000;

struct fixed_type {
    uint8_t fixed, nullable, size; // TYPE_INFO byte, its N form, bytes of a value
};

fixed_type fixed_of(type_id id) {
    switch (id) {
    case type_id::bit_: return {0x32, 0x68, 1};
    case type_id::tinyint_: return {0x30, 0x26, 1};
    case type_id::smallint_: return {0x34, 0x26, 2};
    case type_id::int_: return {0x38, 0x26, 4};
    case type_id::bigint_: return {0x7F, 0x26, 8};
    case type_id::real_: return {0x3B, 0x6D, 4};
    case type_id::float_: return {0x3E, 0x6D, 8};
    case type_id::money_: return {0x3C, 0x6E, 8};
    case type_id::smallmoney_: return {0x7A, 0x6E, 4};
    case type_id::datetime_: return {0x3D, 0x6F, 8};
    case type_id::smalldatetime_: return {0x3A, 0x6F, 4};
    default: return {0, 0, 0};
    }
}

unsigned decimal_size(unsigned precision) {
    return precision <= 9 ? 5 : precision <= 19 ? 9 : precision <= 28 ? 13 : 17;
}

unsigned time_size(unsigned scale) {
    return scale <= 2 ? 3 : scale <= 4 ? 4 : 5;
}

bool is_new_date(type_id id) {
    return id == type_id::date_ || id == type_id::time_ || id == type_id::datetime2_ || id == type_id::datetimeoffset_;
}

// Characters of a date type as text: what clients below 7.3 get.
unsigned date_text_length(const type_info &t) {
    unsigned fraction = t.scale > 0 ? t.scale + 1u : 0;
    switch (t.id) {
    case type_id::date_: return 10;
    case type_id::time_: return 8 + fraction;
    case type_id::datetime2_: return 19 + fraction;
    default: return 26 + fraction;
    }
}

// The type as a client of this version can know it.
type_info sent_type(const type_info &t, tds version, bool in_row) {
    type_info sent = t;
    if (version < tds::v73a && is_new_date(t.id))
        return {type_id::nvarchar_, date_text_length(t), 0, 0};
    bool max = t.length == length_max;
    bool old = version < tds::v72;
    switch (t.id) {
    case type_id::varchar_:
    case type_id::char_:
    case type_id::text_:
        if ((max && old) || t.id == type_id::text_)
            sent = in_row ? type_info{type_id::text_, 0, 0, 0}
                          : type_info{type_id::varchar_, old ? 8000 : length_max, 0, 0};
        break;
    case type_id::nvarchar_:
    case type_id::nchar_:
    case type_id::ntext_:
        if ((max && old) || t.id == type_id::ntext_)
            sent = in_row ? type_info{type_id::ntext_, 0, 0, 0}
                          : type_info{type_id::nvarchar_, old ? 4000 : length_max, 0, 0};
        break;
    case type_id::varbinary_:
    case type_id::binary_:
    case type_id::image_:
        if ((max && old) || t.id == type_id::image_)
            sent = in_row ? type_info{type_id::image_, 0, 0, 0}
                          : type_info{type_id::varbinary_, old ? 8000 : length_max, 0, 0};
        break;
    case type_id::xml_:
        if (old)
            sent = in_row ? type_info{type_id::ntext_, 0, 0, 0} : type_info{type_id::nvarchar_, 4000, 0, 0};
        break;
    default: break;
    }
    return sent;
}

// L2 types and their MAX forms. `unit`: bytes per length unit.
shape put_sized(std::string &o, unsigned token, const type_info &t, unsigned unit, bool with_collation) {
    bool max = t.length == length_max;
    put_u8(o, token);
    put_u16(o, max ? 0xFFFF : std::min<uint32_t>(std::max<uint32_t>(t.length, 1) * unit, 8000));
    if (with_collation)
        o.append(collation);
    return max ? shape::plp : shape::len2;
}

shape put_text_type(std::string &o, unsigned token, bool with_collation) {
    put_u8(o, token);
    put_u32(o, token == 0x63 ? 0x7FFFFFFE : 0x7FFFFFFF);
    if (with_collation)
        o.append(collation);
    return shape::text_pointer; // the table name follows: the caller knows the version
}

shape put_scaled(std::string &o, unsigned token, unsigned scale) {
    put_u8(o, token);
    put_u8(o, scale);
    return shape::len1;
}

shape put_decimal_type(std::string &o, unsigned token, const type_info &t) {
    unsigned precision = t.precision >= 1 && t.precision <= 38 ? t.precision : 38;
    put_u8(o, token);
    put_u8(o, 17); // whatever the precision: SqlBulkCopy sends each number with this length, and with 17 bytes
    put_u8(o, precision);
    put_u8(o, t.scale);
    return shape::len1;
}

shape put_single(std::string &o, unsigned token, shape layout) {
    put_u8(o, token);
    return layout;
}

shape put_variable_type(std::string &o, const type_info &t) {
    switch (t.id) {
    case type_id::decimal_: return put_decimal_type(o, 0x6A, t);
    case type_id::numeric_: return put_decimal_type(o, 0x6C, t);
    case type_id::char_: return put_sized(o, 0xAF, t, 1, true);
    case type_id::varchar_: return put_sized(o, 0xA7, t, 1, true);
    case type_id::nchar_: return put_sized(o, 0xEF, t, 2, true);
    case type_id::nvarchar_: return put_sized(o, 0xE7, t, 2, true);
    case type_id::binary_: return put_sized(o, 0xAD, t, 1, false);
    case type_id::varbinary_: return put_sized(o, 0xA5, t, 1, false);
    case type_id::text_: return put_text_type(o, 0x23, true);
    case type_id::ntext_: return put_text_type(o, 0x63, true);
    case type_id::image_: return put_text_type(o, 0x22, false);
    case type_id::date_: return put_single(o, 0x28, shape::len1);
    case type_id::time_: return put_scaled(o, 0x29, t.scale);
    case type_id::datetime2_: return put_scaled(o, 0x2A, t.scale);
    case type_id::datetimeoffset_: return put_scaled(o, 0x2B, t.scale);
    case type_id::uniqueidentifier_:
        put_u8(o, 0x24);
        put_u8(o, 16);
        return shape::len1;
    case type_id::xml_:
        put_u8(o, 0xF1);
        put_u8(o, 0); // no schema
        return shape::plp;
    default:
        put_u8(o, 0x62);
        put_u32(o, 8009);
        return shape::variant;
    }
}

// ---- values -------------------------------------------------------------------------------------------------------

void put_bytes_le(std::string &o, uint64_t v, unsigned n) {
    for (unsigned i = 0; i < n; i++)
        put_u8(o, static_cast<unsigned>(v >> (8 * i) & 0xFF));
}

// "-12.34" with `scale` digits after the point, rounded down or padded should the text have another number of them.
void put_decimal(std::string &o, std::string_view text, const type_info &t) {
    unsigned __int128 number = 0;
    bool negative = !text.empty() && text[0] == '-';
    bool point = false;
    unsigned scale = 0;
    for (char c : text) {
        if (c == '.')
            point = true;
        if (c < '0' || c > '9' || (point && scale == t.scale))
            continue;
        number = number * 10 + static_cast<unsigned>(c - '0');
        scale += point;
    }
    for (; scale < t.scale; scale++)
        number *= 10;
    put_u8(o, negative ? 0 : 1);
    unsigned n = decimal_size(t.precision >= 1 && t.precision <= 38 ? t.precision : 38) - 1;
    for (unsigned i = 0; i < n; i++, number >>= 8)
        put_u8(o, static_cast<unsigned>(number & 0xFF));
}

// Rounds ticks to the scale; a carry moves the day.
int64_t ticks_scaled(int64_t ticks, unsigned scale, int32_t &days, bool carry) {
    int64_t unit = 1;
    for (unsigned i = scale; i < 7; i++)
        unit *= 10;
    int64_t n = (ticks + unit / 2) / unit;
    if (n < ticks_per_day / unit)
        return n;
    if (!carry)
        return ticks_per_day / unit - 1;
    days++;
    return 0;
}

void put_time(std::string &o, const value &v, const type_info &t) {
    int32_t days = v.days;
    bool with_date = t.id != type_id::time_;
    int64_t ticks = ticks_scaled(v.ticks, t.scale, days, with_date);
    put_bytes_le(o, static_cast<uint64_t>(ticks), time_size(t.scale));
    if (with_date)
        put_bytes_le(o, static_cast<uint32_t>(days), 3);
    if (t.id == type_id::datetimeoffset_)
        put_int(o, v.offset_minutes);
}

void put_datetime(std::string &o, const value &v) {
    int32_t days = v.days - days_1900;
    int64_t units = (v.ticks * 3 + 50000) / 100000; // of 1/300 s
    if (units >= 25920000) {
        units = 0;
        days++;
    }
    put_int(o, days);
    put_u32(o, static_cast<uint32_t>(units));
}

void put_smalldatetime(std::string &o, const value &v) {
    int32_t days = v.days - days_1900;
    int64_t minutes = (v.ticks + 300000000) / 600000000;
    if (minutes >= 1440) {
        minutes = 0;
        days++;
    }
    put_u16(o, static_cast<unsigned>(days));
    put_u16(o, static_cast<unsigned>(minutes));
}

void put_money(std::string &o, int64_t v) { // the high half first
    put_u32(o, static_cast<uint32_t>(static_cast<uint64_t>(v) >> 32));
    put_u32(o, static_cast<uint32_t>(v));
}

struct civil {
    int year;
    unsigned month, day;
};

civil civil_of(int32_t days) { // days since 0001-01-01; by 400-year eras that begin on March 1st of year 0
    int32_t z = days + 306;
    int32_t era = z / 146097;
    auto doe = static_cast<unsigned>(z - era * 146097);
    unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    unsigned mp = (5 * doy + 2) / 153;
    unsigned month = mp < 10 ? mp + 3 : mp - 9;
    return {static_cast<int>(yoe) + era * 400 + (month <= 2), month, doy - (153 * mp + 2) / 5 + 1};
}

// The text a client below TDS 7.3 gets for the date types of 7.3.
std::string date_text(const value &v, const type_info &t) {
    int32_t days = v.days;
    int64_t local = v.ticks + (t.id == type_id::datetimeoffset_ ? v.offset_minutes * int64_t(600000000) : 0);
    if (local < 0 || local >= ticks_per_day) {
        days += local < 0 ? -1 : 1;
        local += local < 0 ? ticks_per_day : -ticks_per_day;
    }
    int64_t scaled = t.id == type_id::date_ ? 0 : ticks_scaled(local, t.scale, days, t.id != type_id::time_);
    int64_t per_second = 1;
    for (unsigned i = 0; i < t.scale; i++)
        per_second *= 10;
    auto seconds = static_cast<int>(scaled / per_second);
    char buffer[96];
    int n = 0;
    auto room = [&] { return sizeof buffer - static_cast<size_t>(n); };
    if (t.id != type_id::time_) {
        civil c = civil_of(std::max(days, 0));
        n += snprintf(buffer, sizeof buffer, "%04d-%02u-%02u", c.year, c.month, c.day);
    }
    if (t.id != type_id::date_)
        n += snprintf(buffer + n, room(), "%s%02d:%02d:%02d", n > 0 ? " " : "", seconds / 3600, seconds / 60 % 60,
                      seconds % 60);
    if (t.id != type_id::date_ && t.scale > 0)
        n += snprintf(buffer + n, room(), ".%0*lld", t.scale, static_cast<long long>(scaled % per_second));
    if (t.id == type_id::datetimeoffset_)
        n += snprintf(buffer + n, room(), " %c%02d:%02d", v.offset_minutes < 0 ? '-' : '+', abs(v.offset_minutes) / 60,
                      abs(v.offset_minutes) % 60);
    return std::string(buffer, static_cast<size_t>(n));
}

// The bytes of a value without any length in front.
void put_content(std::string &o, const type_info &t, const value &v) {
    switch (t.id) {
    case type_id::bit_: put_u8(o, v.i64 != 0); break;
    case type_id::tinyint_: put_u8(o, static_cast<uint8_t>(v.i64)); break;
    case type_id::smallint_: put_int(o, static_cast<int16_t>(v.i64)); break;
    case type_id::smallmoney_:
    case type_id::int_: put_int(o, static_cast<int32_t>(v.i64)); break;
    case type_id::bigint_: put_int(o, v.i64); break;
    case type_id::real_: put_int(o, static_cast<float>(v.f64)); break;
    case type_id::float_: put_int(o, v.f64); break;
    case type_id::money_: put_money(o, v.i64); break;
    case type_id::datetime_: put_datetime(o, v); break;
    case type_id::smalldatetime_: put_smalldatetime(o, v); break;
    case type_id::decimal_:
    case type_id::numeric_: put_decimal(o, v.text, t); break;
    case type_id::date_: put_bytes_le(o, static_cast<uint32_t>(v.days), 3); break;
    case type_id::time_:
    case type_id::datetime2_:
    case type_id::datetimeoffset_: put_time(o, v, t); break;
    case type_id::char_:
    case type_id::varchar_:
    case type_id::text_: cp1252_put(o, v.text); break;
    case type_id::nchar_:
    case type_id::nvarchar_:
    case type_id::ntext_:
    case type_id::xml_: utf16_put(o, v.text); break;
    case type_id::uniqueidentifier_:
        o.append(v.text, 0, 16).append(16 - std::min<size_t>(16, v.text.size()), '\0');
        break;
    case type_id::binary_:
    case type_id::varbinary_:
    case type_id::image_: o.append(v.text); break;
    case type_id::sql_variant_: break; // not inside another one
    }
}

// The property bytes between a variant's base type and its data, out of the TYPE_INFO of that type.
std::string variant_properties(const type_info &t, shape layout, const std::string &info) {
    if (layout == shape::len2) // [collation], maximum length
        return info.size() > 3 ? info.substr(3, 5) + info.substr(1, 2) : info.substr(1, 2);
    if (t.id == type_id::decimal_ || t.id == type_id::numeric_)
        return info.substr(2, 2);
    return t.id == type_id::uniqueidentifier_ ? std::string() : info.substr(1); // a scale; nothing for date
}

void put_variant_sized(std::string &o, const type_info &t, const value &v) {
    std::string info, content;
    shape layout = put_variable_type(info, t);
    if (layout != shape::len1 && layout != shape::len2)
        return; // not a base type that a sql_variant may hold: NULL
    put_content(content, t, v);
    if (layout == shape::len2)
        content.resize(std::min<size_t>(content.size(), 8000));
    std::string properties = variant_properties(t, layout, info);
    put_u8(o, static_cast<uint8_t>(info[0]));
    put_u8(o, static_cast<unsigned>(properties.size()));
    o.append(properties).append(content);
}

void put_variant(std::string &o, const column_format &format, const value &v) {
    const type_info &t = v.variant_type;
    size_t at = o.size();
    put_u32(o, 0);
    fixed_type f = fixed_of(t.id);
    if (f.size != 0) {
        put_u8(o, f.fixed);
        put_u8(o, 0);
        put_content(o, t, v);
    } else if (format.old_dates && is_new_date(t.id)) {
        value text;
        text.text = date_text(v, t);
        put_variant_sized(o, {type_id::nvarchar_, date_text_length(t), 0, 0}, text);
    } else {
        put_variant_sized(o, t, v);
    }
    patch_int(o, at, static_cast<uint32_t>(o.size() - at - 4));
}

void put_null(std::string &o, const column_format &f) {
    switch (f.layout) {
    case shape::fixed: o.append(f.size, '\0'); break;
    case shape::len1:
    case shape::text_pointer: put_u8(o, 0); break;
    case shape::len2: put_u16(o, 0xFFFF); break;
    case shape::len4:
    case shape::variant: put_u32(o, 0); break;
    case shape::plp: put_u64(o, ~uint64_t(0)); break;
    }
}

// The shape of AEAD_AES_256_CBC_HMAC_SHA256: version, 32 bytes of MAC, 16 of IV, then whole blocks. Nobody has the key.
void put_cipher(std::string &o, const type_info &t, const value &v) {
    std::string plain;
    put_content(plain, t, v);
    plain.append(16 - plain.size() % 16, '\0');
    put_u8(o, 1);
    o.append(48, '\x5A');
    for (char c : plain)
        put_u8(o, static_cast<uint8_t>(c) ^ 0xA5u);
}

void put_sent(std::string &o, const column_format &f, const value &v) {
    if (f.encrypted)
        put_cipher(o, f.sent, v);
    else if (f.utf8)
        o.append(v.text);
    else if (is_new_date(f.type.id) && f.sent.id == type_id::nvarchar_)
        utf16_put(o, date_text(v, f.type));
    else
        put_content(o, f.sent, v);
}

void put_len2(std::string &o, const column_format &f, const value &v) {
    size_t at = o.size();
    put_u16(o, 0);
    put_sent(o, f, v);
    size_t n = std::min<size_t>(o.size() - at - 2, 8000);
    o.resize(at + 2 + n);
    patch_int(o, at, static_cast<uint16_t>(n));
}

void put_plp(std::string &o, const column_format &f, const value &v) {
    size_t at = o.size();
    put_u64(o, 0);
    put_u32(o, 0);
    put_sent(o, f, v);
    size_t n = o.size() - at - 12;
    if (n == 0)
        return; // total 0, terminator
    patch_int(o, at, static_cast<uint64_t>(n));
    patch_int(o, at + 8, static_cast<uint32_t>(n));
    put_u32(o, 0);
}

void put_text_pointer(std::string &o, const column_format &f, const value &v) {
    put_u8(o, 16);
    o.append("dummy textptr\0\0\0", 16);
    o.append("dummyTS\0", 8);
    size_t at = o.size();
    put_u32(o, 0);
    put_sent(o, f, v);
    patch_int(o, at, static_cast<uint32_t>(o.size() - at - 4));
}

} // namespace

column_format put_type_info(std::string &o, const type_info &type, tds version, bool nullable, bool in_row) {
    column_format f;
    f.type = type;
    f.old_dates = version < tds::v73a;
    f.sent = sent_type(type, version, in_row);
    fixed_type fixed = fixed_of(f.sent.id);
    if (fixed.size == 0) {
        f.layout = put_variable_type(o, f.sent);
        return f;
    }
    f.layout = nullable ? shape::len1 : shape::fixed;
    f.size = fixed.size;
    put_u8(o, nullable ? fixed.nullable : fixed.fixed);
    if (nullable)
        put_u8(o, fixed.size);
    return f;
}

void make_utf8(std::string &o, column_format &f) {
    constexpr std::string_view utf8_collation("\x09\x04\xD0\x24\x00", 5); // the same, version 2, with the UTF8 flag
    if (f.sent.id != type_id::char_ && f.sent.id != type_id::varchar_ && f.sent.id != type_id::text_)
        return;
    f.utf8 = true;
    o.replace(o.size() - 5, 5, utf8_collation);
    if (f.layout == shape::len2) // bytes: a character may have three
        patch_int(o, o.size() - 7,
                  static_cast<uint16_t>(std::min<uint32_t>(std::max<uint32_t>(f.sent.length, 1) * 3, 8000)));
}

void put_value(std::string &o, const column_format &f, const value &v) {
    if (v.null) {
        put_null(o, f);
        return;
    }
    switch (f.layout) {
    case shape::fixed: put_content(o, f.sent, v); break;
    case shape::len1: {
        size_t at = o.size();
        put_u8(o, 0);
        put_content(o, f.sent, v);
        patch_int(o, at, static_cast<uint8_t>(o.size() - at - 1));
        break;
    }
    case shape::len4:
    case shape::len2: put_len2(o, f, v); break;
    case shape::plp: put_plp(o, f, v); break;
    case shape::text_pointer: put_text_pointer(o, f, v); break;
    case shape::variant: put_variant(o, f, v); break;
    }
}

size_t null_size(shape layout) {
    switch (layout) {
    case shape::fixed: return 0;
    case shape::len1:
    case shape::text_pointer: return 1;
    case shape::len2: return 2;
    case shape::len4:
    case shape::variant: return 4;
    case shape::plp: return 8;
    }
    return 0;
}

} // namespace sqlserver
