// Conversion between types, as CAST and CONVERT do it, with SQL Server's errors.
#include "tsql_text.h"
#include "tsql_types.h"

#include <cmath>
#include <cstring>

namespace sqlserver {

[[noreturn]] static void overflow_to(const type_info &to) {
    const char *name = type_name(to);
    fail(8115, 16, 2, "Arithmetic overflow error converting expression to data type %s.", name);
}

// --- to text

static std::string float_text(double d, bool real, int style) {
    char buffer[64];
    if (style == 3)
        snprintf(buffer, sizeof buffer, "%.17g", d);
    else if (style == 1 || style == 2)
        snprintf(buffer, sizeof buffer, style == 1 ? "%.7e" : "%.15e", d);
    else
        snprintf(buffer, sizeof buffer, real ? "%.6g" : "%.6g", d);
    std::string text = buffer;
    size_t e = text.find('e');
    if (e != std::string::npos && text.size() - e == 4) // three digits of exponent
        text.insert(e + 2, "0");
    return text;
}

static std::string money_text(int64_t n, int style) {
    bool negative = n < 0;
    uint64_t m = negative ? 0 - static_cast<uint64_t>(n) : static_cast<uint64_t>(n);
    if (style != 2)
        m = (m + 50) / 100 * 100;
    std::string whole = std::to_string(m / 10000);
    if (style == 1)
        for (int i = static_cast<int>(whole.size()) - 3; i > 0; i -= 3)
            whole.insert(static_cast<size_t>(i), ",");
    std::string cents = text_printf("%04d", static_cast<int>(m % 10000)).substr(0, style == 2 ? 4 : 2);
    return (negative ? "-" : "") + whole + "." + cents;
}

static std::string guid_text(const std::string &b) {
    static const int order[] = {3, 2, 1, 0, -1, 5, 4, -1, 7, 6, -1, 8, 9, -1, 10, 11, 12, 13, 14, 15};
    std::string text;
    for (int i : order)
        text += i < 0 ? "-" : hex_text(std::string_view(b).substr(static_cast<size_t>(i), 1));
    return text;
}

std::string to_text(const value &v, const type_info &t, int style) {
    if (is_integer(t.id))
        return std::to_string(v.i64);
    if (is_exact(t.id) || is_char(t.id))
        return v.text;
    if (is_money(t.id))
        return money_text(v.i64, style);
    if (is_float(t.id))
        return float_text(v.f64, t.id == type_id::real_, style);
    if (is_date(t.id))
        return datetime_text(v, t, style);
    if (t.id == type_id::uniqueidentifier_)
        return v.text.size() == 16 ? guid_text(v.text) : v.text;
    if (t.id == type_id::sql_variant_)
        return to_text(v, v.variant_type, style);
    if (style == 1 || style == 2)
        return (style == 1 ? "0x" : "") + hex_text(v.text);
    std::string text;
    for (unsigned char c : v.text) // bytes are taken as Latin-1 characters
        utf8_put(text, c);
    return text;
}

// Bytes that become nvarchar are its UTF-16, an odd last one padded.
static std::string utf16_bytes_text(std::string_view bytes) {
    std::string text;
    auto unit = [&](size_t i) {
        uint32_t high = i + 1 < bytes.size() ? static_cast<unsigned char>(bytes[i + 1]) : 0u;
        return high << 8 | static_cast<unsigned char>(bytes[i]);
    };
    for (size_t i = 0; i < bytes.size(); i += 2) {
        uint32_t c = unit(i), next = i + 2 < bytes.size() ? unit(i + 2) : 0;
        if (c >= 0xD800 && c < 0xDC00 && next >= 0xDC00 && next < 0xE000) {
            c = 0x10000 + ((c - 0xD800) << 10) + (next - 0xDC00);
            i += 2;
        }
        utf8_put(text, c >= 0xD800 && c < 0xE000 ? 0xFFFD : c);
    }
    return text;
}

// --- lengths

std::string fit_text(std::string text, const type_info &t, bool &cut) {
    cut = false;
    if (t.length == length_max || t.length == 0)
        return text;
    bool binary = is_binary(t.id);
    size_t n = binary ? text.size() : utf16_length(text);
    if (n > t.length) {
        cut = true;
        text = binary ? text.substr(0, t.length) : utf16_substring(text, 0, t.length);
    } else if (n < t.length && (t.id == type_id::char_ || t.id == type_id::nchar_)) {
        text.append(t.length - n, ' ');
    } else if (n < t.length && t.id == type_id::binary_) {
        text.append(t.length - n, '\0');
    }
    return text;
}

// --- from text

static value text_to_integer(const std::string &text, const type_info &from, const type_info &to) {
    std::string s = trim(text);
    if (to.id == type_id::bit_ && (same_name(s, "true") || same_name(s, "false")))
        return value_int(same_name(s, "true"));
    size_t i = !s.empty() && (s[0] == '-' || s[0] == '+') ? 1 : 0;
    bool digits = i < s.size() || s.empty();
    for (size_t k = i; k < s.size(); k++)
        digits = digits && isdigit(static_cast<unsigned char>(s[k]));
    if (!digits) {
        if (to.id == type_id::bigint_)
            fail(8114, 16, 5, "Error converting data type %s to bigint.", type_name(from));
        fail(245, 16, 1, "Conversion failed when converting the %s value '%s' to data type %s.", type_name(from),
             text.c_str(), type_name(to));
    }
    errno = 0;
    int64_t n = s.empty() ? 0 : strtoll(s.c_str(), nullptr, 10);
    static const int64_t limits[] = {INT64_MAX, 255, INT16_MAX, INT32_MAX, INT64_MAX};
    int64_t high = limits[static_cast<size_t>(to.id)];
    int64_t low = to.id == type_id::tinyint_ ? 0 : to.id == type_id::bit_ ? INT64_MIN : -high - 1;
    if (errno == ERANGE || n < low || n > high) {
        if (to.id == type_id::int_)
            fail(248, 16, 1, "The conversion of the %s value '%s' overflowed an int column.", type_name(from),
                 s.c_str());
        if (to.id == type_id::smallint_ || to.id == type_id::tinyint_)
            fail(244, 16, to.id == type_id::tinyint_ ? 1 : 2,
                 "The conversion of the %s value '%s' overflowed an %s column. Use a larger integer column.",
                 type_name(from), s.c_str(), to.id == type_id::tinyint_ ? "INT1" : "INT2");
        overflow_to(to);
    }
    return value_int(to.id == type_id::bit_ ? n != 0 : n);
}

static value text_to_guid(const std::string &text) {
    static const int order[] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
    std::string hex;
    std::string s = trim(text);
    bool braces = !s.empty() && s[0] == '{';
    for (size_t i = braces; i < s.size() && i < 36u + braces; i++)
        if (s[i] != '-')
            hex.push_back(s[i]);
    bool good = hex.size() == 32;
    for (char c : hex)
        good = good && isxdigit(static_cast<unsigned char>(c));
    if (!good)
        fail(8169, 16, 2, "Conversion failed when converting from a character string to uniqueidentifier.");
    value v = value_text(std::string(16, '\0'));
    for (size_t i = 0; i < 16; i++)
        v.text[static_cast<size_t>(order[i])] = static_cast<char>(std::stoi(hex.substr(i * 2, 2), nullptr, 16));
    return v;
}

static std::string text_to_bytes(const std::string &text, const type_info &from, int style) {
    std::string out;
    if (style == 1 || style == 2) {
        std::string hex = style == 1 && text.size() >= 2 ? text.substr(2) : text;
        bool good = hex.size() % 2 == 0 && (style == 2 || text.compare(0, 2, "0x") == 0);
        for (char c : hex)
            good = good && isxdigit(static_cast<unsigned char>(c));
        if (!good)
            fail(8114, 16, 5, "Error converting data type %s to varbinary.", type_name(from));
        for (size_t i = 0; i + 1 < hex.size(); i += 2)
            out.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
        return out;
    }
    for (size_t at = 0; at < text.size();) {
        uint32_t c = utf8_next(text, at);
        if (!is_nchar(from.id)) {
            out.push_back(static_cast<char>(c > 0xFF ? '?' : c));
            continue;
        }
        if (c >= 0x10000) {
            uint32_t high = 0xD800 + ((c - 0x10000) >> 10);
            out.push_back(static_cast<char>(high)), out.push_back(static_cast<char>(high >> 8));
            c = 0xDC00 + ((c - 0x10000) & 0x3FF);
        }
        out.push_back(static_cast<char>(c)), out.push_back(static_cast<char>(c >> 8));
    }
    return out;
}

static date_order order_of_style(int style) {
    if (style >= style_date_order)
        return static_cast<date_order>(style - style_date_order);
    switch (style % 100) {
    case 3:
    case 4:
    case 5: return date_order::dmy;
    case 2:
    case 11: return date_order::ymd;
    default: return date_order::mdy;
    }
}

static value text_to_date(const std::string &text, const type_info &to, int style) {
    value v;
    bool old_type = to.id == type_id::datetime_ || to.id == type_id::smalldatetime_;
    bool by_session = style >= style_date_order;
    if (!datetime_parse(text, v, order_of_style(style), by_session && old_type))
        fail(241, 16, 1, "Conversion failed when converting date and/or time from character string.");
    if (to.id == type_id::datetimeoffset_ && v.offset_minutes != 0) {
        value utc = datetime_from_number(datetime_number(v) - v.offset_minutes * 60LL * ticks_per_second);
        utc.offset_minutes = v.offset_minutes;
        v = utc;
    } else if (to.id != type_id::datetimeoffset_) {
        v.offset_minutes = 0;
    }
    if (to.id == type_id::datetime_ && v.days < 639905)
        fail(242, 16, 3,
             "The conversion of a varchar data type to a datetime data type resulted in an out-of-range "
             "value.");
    return datetime_round(v, to);
}

// --- numbers

static decimal to_decimal(const value &v, const type_info &from, const type_info &to) {
    decimal d;
    if (is_integer(from.id) || is_money(from.id)) {
        d.negative = v.i64 < 0;
        d.magnitude = d.negative ? 0 - static_cast<unsigned __int128>(v.i64) : static_cast<unsigned __int128>(v.i64);
        d.scale = is_money(from.id) ? 4 : 0;
        return d;
    }
    if (is_float(from.id)) {
        char buffer[400];
        if (!std::isfinite(v.f64) || std::fabs(v.f64) >= 1e38)
            overflow_to(to);
        // 17 significant digits are all that a float holds
        int whole = std::fabs(v.f64) < 1 ? 0 : static_cast<int>(std::floor(std::log10(std::fabs(v.f64)))) + 1;
        snprintf(buffer, sizeof buffer, "%.*f", std::max(0, std::min(17 - whole, 38 - whole)), v.f64);
        decimal_parse(buffer, d);
        return d;
    }
    if (!decimal_parse(from.id == type_id::decimal_ || from.id == type_id::numeric_ ? v.text : trim(v.text), d)) {
        if (is_money(to.id))
            fail(235, 16, 0, "Cannot convert a char value to money. The value has incorrect syntax.");
        fail(8114, 16, 5, "Error converting data type %s to %s.", type_name(from),
             is_exact(to.id) ? "numeric" : type_name(to));
    }
    return d;
}

static value decimal_to(decimal d, const type_info &from, const type_info &to) {
    if (is_exact(to.id)) {
        if (!decimal_rescale(d, to.scale) || !decimal_fits(d, to.precision))
            fail(8115, 16, 8, "Arithmetic overflow error converting %s to data type numeric.",
                 is_exact(from.id) ? "numeric" : type_name(from));
        return value_text(decimal_text(d));
    }
    bool money = is_money(to.id);
    // integers lose their fraction, money is rounded
    auto largest = static_cast<unsigned __int128>(to.id == type_id::smallmoney_ ? INT32_MAX : INT64_MAX);
    if (!decimal_rescale(d, money ? 4 : 0, money) || d.magnitude > largest + d.negative)
        overflow_to(to);
    auto n = static_cast<__int128>(d.magnitude);
    return value_int(static_cast<int64_t>(d.negative ? -n : n));
}

static value check_integer(int64_t n, const type_info &to) {
    if (to.id == type_id::bit_)
        return value_int(n != 0);
    bool fits = to.id == type_id::tinyint_    ? n >= 0 && n <= 255
                : to.id == type_id::smallint_ ? n >= INT16_MIN && n <= INT16_MAX
                : to.id == type_id::int_      ? n >= INT32_MIN && n <= INT32_MAX
                                              : true;
    if (!fits && (to.id == type_id::tinyint_ || to.id == type_id::smallint_))
        fail(220, 16, to.id == type_id::tinyint_ ? 2 : 1, "Arithmetic overflow error for data type %s, value = %lld.",
             type_name(to), static_cast<long long>(n));
    if (!fits)
        overflow_to(to);
    return value_int(n);
}

static value bytes_to_integer(const std::string &bytes, const type_info &to) {
    static const size_t sizes[] = {1, 1, 2, 4, 8};
    size_t size = sizes[static_cast<size_t>(to.id)], from = bytes.size() > size ? bytes.size() - size : 0;
    uint64_t n = 0;
    for (size_t i = from; i < bytes.size(); i++)
        n = n << 8 | static_cast<uint8_t>(bytes[i]);
    return value_int(to.id == type_id::bit_        ? n != 0
                     : to.id == type_id::smallint_ ? static_cast<int16_t>(n)
                     : to.id == type_id::int_      ? static_cast<int32_t>(n)
                                                   : static_cast<int64_t>(n));
}

static value to_number(const value &v, const type_info &from, const type_info &to, int style) {
    (void)style;
    if (is_float(to.id)) {
        double d = is_float(from.id) ? v.f64 : 0;
        if (is_char(from.id)) {
            std::string s = trim(v.text);
            char *end;
            d = strtod(s.c_str(), &end);
            if (*end != '\0')
                fail(8114, 16, 5, "Error converting data type %s to %s.", type_name(from), type_name(to));
        } else if (is_integer(from.id)) {
            d = static_cast<double>(v.i64);
        } else if (!is_float(from.id)) {
            d = decimal_double(to_decimal(v, from, to));
        }
        return value_float(to.id == type_id::real_ ? static_cast<double>(static_cast<float>(d)) : d);
    }
    if (is_integer(to.id)) {
        if (is_char(from.id))
            return text_to_integer(v.text, from, to);
        if (is_integer(from.id))
            return check_integer(v.i64, to);
        if (is_float(from.id)) {
            if (!std::isfinite(v.f64) || std::fabs(v.f64) >= 9.3e18)
                overflow_to(to);
            return to.id == type_id::bit_ ? value_int(v.f64 != 0) : check_integer(static_cast<int64_t>(v.f64), to);
        }
        if (is_binary(from.id))
            return bytes_to_integer(v.text, to);
        if (is_money(from.id)) // money is rounded, decimal truncated
            return check_integer((v.i64 + (v.i64 < 0 ? -5000 : 5000)) / 10000, to);
        decimal d = to_decimal(v, from, to);
        return to.id == type_id::bit_ ? value_int(d.magnitude != 0)
                                      : check_integer(decimal_to(d, from, {type_id::bigint_, 0, 0, 0}).i64, to);
    }
    if (is_char(from.id) && is_money(to.id)) {
        value plain = v;
        plain.text.clear();
        for (char c : trim(v.text))
            if (c != ',' && c != '$')
                plain.text.push_back(c);
        return decimal_to(to_decimal(plain, from, to), from, to);
    }
    return decimal_to(to_decimal(v, from, to), from, to);
}

static std::string to_bytes(const value &v, const type_info &from, const type_info &to, int style) {
    static const size_t sizes[] = {1, 1, 2, 4, 8};
    if (is_char(from.id))
        return text_to_bytes(v.text, from, style);
    if (is_integer(from.id) || is_money(from.id)) {
        size_t size = is_integer(from.id) ? sizes[static_cast<size_t>(from.id)] : from.id == type_id::money_ ? 8 : 4;
        if (to.id == type_id::binary_ && to.length != length_max && to.length > size)
            size = to.length;
        std::string out;
        for (size_t i = size; i-- > 0;)
            out.push_back(i >= 8 ? static_cast<char>(v.i64 < 0 ? 0xFF : 0) : static_cast<char>(v.i64 >> (8 * i)));
        return to.length != length_max && out.size() > to.length ? out.substr(out.size() - to.length) : out;
    }
    return v.text;
}

static value date_to_date(const value &v, const type_info &from, const type_info &to) {
    value out = v;
    if (from.id == type_id::datetimeoffset_ && to.id != type_id::datetimeoffset_) {
        out = datetime_from_number(datetime_number(v) + v.offset_minutes * 60LL * ticks_per_second);
        out.offset_minutes = 0;
    }
    if (from.id == type_id::time_)
        out.days = days_1900;
    return datetime_round(out, to);
}

static value number_to_date(const value &v, const type_info &from, const type_info &to) {
    double days = is_float(from.id)     ? v.f64
                  : is_integer(from.id) ? static_cast<double>(v.i64)
                                        : decimal_double(to_decimal(v, from, to));
    if (days < -53690 || days > 2958463)
        overflow_to(to);
    return datetime_round(datetime_from_number(days_1900 * ticks_per_day +
                                               static_cast<int64_t>(days * static_cast<double>(ticks_per_day))),
                          to);
}

static bool is_old_date(type_id id) {
    return id == type_id::datetime_ || id == type_id::smalldatetime_;
}

static bool allowed(const type_info &from, const type_info &to) {
    type_id a = from.id, b = to.id;
    if (is_char(a) || is_char(b) || a == b)
        return true;
    if (is_date(a) && is_date(b))
        return !((a == type_id::date_ && b == type_id::time_) || (a == type_id::time_ && b == type_id::date_));
    if (is_date(b))
        return is_old_date(b) && (is_number(a) || is_binary(a));
    if (is_date(a))
        return is_old_date(a) && (is_number(b) || is_binary(b));
    if (a == type_id::uniqueidentifier_ || b == type_id::uniqueidentifier_)
        return is_binary(a) || is_binary(b);
    return true;
}

value convert(const value &v, const type_info &from, const type_info &to, int style) {
    if (v.null)
        return v;
    if (from.id == type_id::sql_variant_ && to.id != type_id::sql_variant_)
        return convert(v, v.variant_type, to, style);
    if (to.id == type_id::sql_variant_) {
        value out = v;
        if (from.id != type_id::sql_variant_)
            out.variant_type = from;
        return out;
    }
    if (!allowed(from, to))
        fail(529, 16, 2, "Explicit conversion from data type %s to %s is not allowed.", type_name(from), type_name(to));
    bool cut;
    if (is_char(to.id)) {
        bool units = is_binary(from.id) && is_nchar(to.id) && style != 1 && style != 2;
        std::string text = units ? utf16_bytes_text(v.text) : to_text(v, from, style);
        size_t n = utf16_length(text);
        if (to.length != length_max && n > to.length && is_number(from.id)) {
            if (is_integer(from.id) && !is_nchar(to.id))
                return value_text(fit_text("*", to, cut));
            fail(8115, 16, is_integer(from.id) ? 2 : 5, "Arithmetic overflow error converting %s to data type %s.",
                 is_integer(from.id) ? "expression"
                 : is_exact(from.id) ? "numeric"
                                     : type_name(from),
                 type_name(to));
        }
        if (to.length != length_max && n > to.length && from.id == type_id::uniqueidentifier_)
            fail(8170, 16, 2, "Insufficient result space to convert uniqueidentifier value to char.");
        return value_text(fit_text(std::move(text), to, cut));
    }
    if (is_number(to.id)) {
        if (is_old_date(from.id))
            return to_number(value_float(static_cast<double>(datetime_number(v) - days_1900 * ticks_per_day) /
                                         static_cast<double>(ticks_per_day)),
                             {type_id::float_, 0, 0, 0}, to, 0);
        return to_number(v, from, to, style);
    }
    if (is_binary(to.id))
        return value_text(fit_text(to_bytes(v, from, to, style), to, cut));
    if (is_date(to.id)) {
        if (is_char(from.id))
            return text_to_date(v.text, to, style);
        return is_date(from.id) ? date_to_date(v, from, to) : number_to_date(v, from, to);
    }
    if (is_char(from.id))
        return text_to_guid(v.text);
    value out = v;
    out.text.resize(16);
    return out;
}

value convert_implicit(const value &v, const type_info &from, const type_info &to, int style) {
    type_id a = from.id, b = to.id;
    bool clash = !allowed(from, to) || (is_old_date(a) && is_number(b) && !is_old_date(b)) ||
                 (is_binary(b) && is_char(a)) || (is_char(b) && is_binary(a) && a == type_id::image_);
    if (!v.null && clash) {
        if (allowed(from, to))
            fail(257, 16, 3,
                 "Implicit conversion from data type %s to %s is not allowed. Use the CONVERT function to "
                 "run this query.",
                 type_name(from), type_name(to));
        fail(206, 16, 2, "Operand type clash: %s is incompatible with %s", type_name(from), type_name(to));
    }
    return convert(v, from, to, style);
}

// --- sql_variant as bytes: the type, then the member that it uses

std::string variant_encode(const value &v) {
    std::string out(40, '\0');
    const type_info &t = v.variant_type;
    out[0] = static_cast<char>(t.id);
    out[1] = static_cast<char>(t.precision);
    out[2] = static_cast<char>(t.scale);
    memcpy(&out[4], &t.length, 4);
    memcpy(&out[8], &v.i64, 8);
    memcpy(&out[16], &v.f64, 8);
    memcpy(&out[24], &v.ticks, 8);
    memcpy(&out[32], &v.days, 4);
    memcpy(&out[36], &v.offset_minutes, 2);
    return out + v.text;
}

value variant_decode(std::string_view b) {
    value v;
    if (b.size() < 40)
        return v;
    v.null = false;
    v.variant_type.id = static_cast<type_id>(b[0]);
    v.variant_type.precision = static_cast<uint8_t>(b[1]);
    v.variant_type.scale = static_cast<uint8_t>(b[2]);
    memcpy(&v.variant_type.length, &b[4], 4);
    memcpy(&v.i64, &b[8], 8);
    memcpy(&v.f64, &b[16], 8);
    memcpy(&v.ticks, &b[24], 8);
    memcpy(&v.days, &b[32], 4);
    memcpy(&v.offset_minutes, &b[36], 2);
    v.text = std::string(b.substr(40));
    return v;
}

} // namespace sqlserver
