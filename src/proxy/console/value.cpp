#include "proxy/console/value.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <ctime>

#include <strings.h>

#include "tds/utf16.h"

using kind_t = console_value::kind_t;
using base_t = tds_result_type;

static constexpr int32_t conversion_failed = 245;
static constexpr int32_t overflow = 8115;
static constexpr int32_t divided_by_zero = 8134;
static constexpr int32_t bad_operands = 402;
static constexpr int32_t too_long = 8152;

console_value console_number_value(int64_t n) {
    return {kind_t::number, n, 0, {}};
}

console_value console_real_value(double d) {
    return {kind_t::real, 0, d, {}};
}

console_value console_text_value(std::string_view s) {
    return {kind_t::text, 0, 0, std::string(s)};
}

bool console_is_null(const console_value &v) {
    return v.kind == kind_t::null;
}

bool console_is_set(const console_value &v) {
    return (v.kind == kind_t::number && v.number != 0) || (v.kind == kind_t::real && v.real != 0);
}

static console_value fail(console_problem &problem, int32_t error, std::string what) {
    if (problem.number == 0)
        problem = {error, std::move(what)};
    return {};
}

std::string console_spell(const console_value &v) {
    char real[32];
    switch (v.kind) {
    case kind_t::null: break;
    case kind_t::number: return std::to_string(v.number);
    case kind_t::real: snprintf(real, sizeof real, "%.15g", v.real); return real;
    case kind_t::text:
    case kind_t::binary: return v.text;
    }
    return "";
}

// ---- time ------------------------------------------------------------------------------------------------------

std::string console_time(int64_t unix_ms) {
    time_t seconds = unix_ms / 1000 - (unix_ms % 1000 < 0);
    tm parts{};
    gmtime_r(&seconds, &parts);
    char day[32], all[48];
    strftime(day, sizeof day, "%Y-%m-%d %H:%M:%S", &parts);
    snprintf(all, sizeof all, "%s.%03d", day, static_cast<int>((unix_ms % 1000 + 1000) % 1000));
    return all;
}

bool console_read_time(std::string_view text, int32_t &days, uint32_t &ticks) {
    static constexpr int64_t day_1900 = -25567; // from 1970
    int y = 0, m = 0, d = 0, h = 0, min = 0, s = 0, ms = 0;
    std::string copy(text.substr(0, 32));
    if (int n = sscanf(copy.c_str(), "%4d-%2d-%2d%*1[ T]%2d:%2d:%2d.%3d", &y, &m, &d, &h, &min, &s, &ms); n < 3)
        if (sscanf(copy.c_str(), "%4d%2d%2d", &y, &m, &d) != 3)
            return false;
    bool sane = y >= 1753 && m >= 1 && m <= 12 && d >= 1 && d <= 31 && h >= 0 && h < 24 && min >= 0 && min < 60 &&
                s >= 0 && s < 60 && ms >= 0;
    if (!sane)
        return false;
    tm parts{};
    parts.tm_year = y - 1900;
    parts.tm_mon = m - 1;
    parts.tm_mday = d;
    days = static_cast<int32_t>(timegm(&parts) / 86400 - day_1900);
    ticks = static_cast<uint32_t>((h * 3600 + min * 60 + s) * 300 + ms * 3 / 10);
    return true;
}

// ---- types -----------------------------------------------------------------------------------------------------

struct type_name {
    const char *name;
    base_t base;
    uint16_t units; // without a length; 0: `units` of text does not matter
};

// clang-format off
static constexpr type_name type_names[] = {
    {"BIT", base_t::bit, 0}, {"TINYINT", base_t::tinyint, 0}, {"SMALLINT", base_t::smallint, 0}, {"INT", base_t::integer, 0},
    {"INTEGER", base_t::integer, 0}, {"BIGINT", base_t::bigint, 0}, {"FLOAT", base_t::real, 0}, {"REAL", base_t::real, 0},
    {"DECIMAL", base_t::real, 0}, {"NUMERIC", base_t::real, 0}, {"MONEY", base_t::real, 0}, {"DATETIME", base_t::datetime, 0},
    {"SMALLDATETIME", base_t::datetime, 0}, {"DATETIME2", base_t::datetime, 0}, {"DATE", base_t::datetime, 10},
    {"UNIQUEIDENTIFIER", base_t::guid, 0}, {"BINARY", base_t::binary, 30}, {"VARBINARY", base_t::binary, 30},
    {"IMAGE", base_t::binary, 4000}, {"CHAR", base_t::text, 30}, {"NCHAR", base_t::text, 30}, {"VARCHAR", base_t::text, 30},
    {"NVARCHAR", base_t::text, 30}, {"SYSNAME", base_t::text, 128}, {"TEXT", base_t::text, 4000}, {"NTEXT", base_t::text, 4000},
    {"XML", base_t::text, 4000}, {"SQL_VARIANT", base_t::text, 4000},
};
// clang-format on

console_type console_type_named(std::string_view name, std::string_view length) {
    for (const type_name &t : type_names) {
        if (t.name != name)
            continue;
        unsigned units = t.units;
        if (length == "MAX")
            units = console_units_max;
        else if (t.units != 0)
            std::from_chars(length.data(), length.data() + length.size(), units);
        return console_type_of(t.base, static_cast<uint16_t>(std::clamp(units, 1U, unsigned{console_units_max})));
    }
    return console_type_of(base_t::text);
}

console_type console_meet(const console_type &a, const console_type &b) {
    if (!a.known || !b.known)
        return a.known ? a : b;
    console_type met = a.base >= b.base ? a : b;
    met.units = std::max(a.units, b.units);
    return met;
}

// ---- conversion ------------------------------------------------------------------------------------------------

static std::string_view trimmed(std::string_view text) {
    size_t first = text.find_first_not_of(' ');
    if (first == std::string_view::npos)
        return {};
    return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

static console_value to_bigint(const console_value &v, console_problem &problem) {
    if (v.kind == kind_t::number)
        return v;
    if (v.kind == kind_t::real) {
        if (!(std::fabs(v.real) < 9e18))
            return fail(problem, overflow, "Arithmetic overflow error converting a number to an integer.");
        return console_number_value(static_cast<int64_t>(v.real));
    }
    int64_t n = 0;
    if (v.kind == kind_t::binary) {
        for (unsigned char c : v.text.substr(v.text.size() > 8 ? v.text.size() - 8 : 0))
            n = static_cast<int64_t>(static_cast<uint64_t>(n) << 8 | c);
        return console_number_value(n);
    }
    std::string_view text = trimmed(v.text);
    text.remove_prefix(text.starts_with('+'));
    auto [last, error] = std::from_chars(text.data(), text.data() + text.size(), n);
    if (!text.empty() && (error != std::errc() || last != text.data() + text.size()))
        return fail(problem, conversion_failed, "Conversion failed when converting the value to a number.");
    return console_number_value(n);
}

static console_value to_real(const console_value &v, console_problem &problem) {
    if (v.kind != kind_t::text)
        return v.kind == kind_t::real ? v : console_real_value(static_cast<double>(to_bigint(v, problem).number));
    std::string_view text = trimmed(v.text);
    double d = 0;
    auto [last, error] = std::from_chars(text.data(), text.data() + text.size(), d);
    if (error != std::errc() || last != text.data() + text.size())
        return fail(problem, conversion_failed, "Conversion failed when converting the value to a number.");
    return console_real_value(d);
}

static console_value to_integer(const console_value &v, base_t base, console_problem &problem) {
    if (base == base_t::bit && v.kind == kind_t::text && strcasecmp(v.text.c_str(), "true") == 0)
        return console_number_value(1);
    if (base == base_t::bit && v.kind == kind_t::text && strcasecmp(v.text.c_str(), "false") == 0)
        return console_number_value(0);
    console_value n = to_bigint(v, problem);
    int64_t least = INT64_MIN, most = INT64_MAX;
    switch (base) {
    case base_t::bit: return console_is_null(n) ? n : console_number_value(n.number != 0);
    case base_t::tinyint: least = 0, most = UINT8_MAX; break;
    case base_t::smallint: least = INT16_MIN, most = INT16_MAX; break;
    case base_t::integer: least = INT32_MIN, most = INT32_MAX; break;
    default: break;
    }
    if (n.number < least || n.number > most)
        return fail(problem, overflow, "Arithmetic overflow error converting a number to another type.");
    return n;
}

static bool is_guid(std::string_view text) {
    static constexpr std::string_view form = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    return text.size() == form.size() && std::equal(text.begin(), text.end(), form.begin(), [](char c, char f) {
               return f == '-' ? c == '-' : isxdigit(static_cast<unsigned char>(c)) != 0;
           });
}

// A number is days since 1900.
static console_value to_time(const console_value &v, console_problem &problem) {
    static constexpr int64_t unix_days = 25567, day_ms = 86'400'000;
    int64_t days = to_bigint(v, problem).number;
    if (days < -53690 || days > 2958463)
        return fail(problem, overflow, "Arithmetic overflow error converting a number to datetime.");
    return console_text_value(console_time((days - unix_days) * day_ms));
}

static console_value to_checked_text(console_value &&v, base_t base, uint16_t units, console_problem &problem) {
    if (base == base_t::datetime && (v.kind == kind_t::number || v.kind == kind_t::real))
        return to_time(v, problem);
    int32_t days = 0;
    uint32_t ticks = 0;
    bool good =
        v.kind == kind_t::text && (base == base_t::guid ? is_guid(v.text) : console_read_time(v.text, days, ticks));
    if (good && base == base_t::datetime && units == 10) // DATE
        v.text.resize(std::min<size_t>(v.text.size(), 10));
    if (!good)
        return fail(problem, conversion_failed,
                    base == base_t::guid ? "Conversion failed when converting the value to uniqueidentifier."
                                         : "Conversion failed when converting date and/or time from the value.");
    return std::move(v);
}

static console_value to_binary(const console_value &v, const console_type &type) {
    console_value b{kind_t::binary, 0, 0, {}};
    if (v.kind == kind_t::number) {
        size_t bytes = v.number >= INT32_MIN && v.number <= INT32_MAX ? 4 : 8;
        for (size_t i = bytes; i-- > 0;)
            b.text += static_cast<char>(v.number >> (8 * i));
    } else {
        b.text = console_spell(v);
    }
    b.text.resize(std::min<size_t>(b.text.size(), type.units));
    return b;
}

// UTF-8, cut at so many units.
static void cut(std::string &text, size_t units) {
    if (text.size() <= units)
        return;
    std::vector<uint8_t> wire;
    tds_utf16_append(text, units, wire);
    text = tds_utf8(wire);
}

static console_value to_text(console_value &&v, const console_type &type) {
    console_value t = v.kind == kind_t::text ? std::move(v) : console_text_value(console_spell(v));
    if (type.units < console_units_max) // else it may be (max)
        cut(t.text, type.units);
    return t;
}

console_value console_convert(console_value &&v, const console_type &type, console_problem &problem) {
    if (console_is_null(v) || !type.known)
        return std::move(v);
    switch (type.base) {
    case base_t::text: return to_text(std::move(v), type);
    case base_t::real: return to_real(v, problem);
    case base_t::guid:
    case base_t::datetime: return to_checked_text(std::move(v), type.base, type.units, problem);
    case base_t::binary: return to_binary(v, type);
    default: return to_integer(v, type.base, problem);
    }
}

// ---- comparison ------------------------------------------------------------------------------------------------

static int sign(bool less, bool greater) {
    return greater - less;
}

// Blanks at the end do not count.
static int compare_texts(std::string_view a, std::string_view b) {
    while (a.ends_with(' '))
        a.remove_suffix(1);
    while (b.ends_with(' '))
        b.remove_suffix(1);
    int order = strncasecmp(a.data(), b.data(), std::min(a.size(), b.size()));
    return order != 0 ? order : sign(a.size() < b.size(), a.size() > b.size());
}

int console_compare(const console_value &a, const console_value &b, console_problem &problem) {
    if (a.kind == kind_t::text && b.kind == kind_t::text)
        return compare_texts(a.text, b.text);
    if (a.kind == kind_t::binary && b.kind == kind_t::binary)
        return a.text.compare(b.text);
    if (a.kind == kind_t::real || b.kind == kind_t::real) {
        double x = to_real(a, problem).real, y = to_real(b, problem).real;
        return sign(x<y, x> y);
    }
    int64_t x = to_bigint(a, problem).number, y = to_bigint(b, problem).number;
    return sign(x<y, x> y);
}

// ---- arithmetic ------------------------------------------------------------------------------------------------

static console_value join(const console_value &a, const console_value &b, console_problem &problem) {
    if (a.text.size() + b.text.size() > console_text_max)
        return fail(problem, too_long, "String or binary data would be truncated.");
    return {a.kind, 0, 0, a.text + b.text};
}

static console_value of_reals(char operation, double a, double b, console_problem &problem) {
    switch (operation) {
    case '+': return console_real_value(a + b);
    case '-': return console_real_value(a - b);
    case '*': return console_real_value(a * b);
    case '/':
        if (b == 0)
            return fail(problem, divided_by_zero, "Divide by zero error encountered.");
        return console_real_value(a / b);
    default: return fail(problem, bad_operands, "The data types are incompatible in the operator.");
    }
}

static console_value of_integers(char operation, int64_t a, int64_t b, console_problem &problem) {
    int64_t n = 0;
    bool over = false;
    switch (operation) {
    case '+': over = __builtin_add_overflow(a, b, &n); break;
    case '-': over = __builtin_sub_overflow(a, b, &n); break;
    case '*': over = __builtin_mul_overflow(a, b, &n); break;
    case '&': n = a & b; break;
    case '|': n = a | b; break;
    case '^': n = a ^ b; break;
    default:
        if (b == 0)
            return fail(problem, divided_by_zero, "Divide by zero error encountered.");
        over = a == INT64_MIN && b == -1;
        n = over ? 0 : operation == '/' ? a / b : a % b;
    }
    if (over)
        return fail(problem, overflow, "Arithmetic overflow error.");
    return console_number_value(n);
}

console_value console_arithmetic(char operation, const console_value &a, const console_value &b,
                                 console_problem &problem) {
    if (console_is_null(a) || console_is_null(b))
        return {};
    if (operation == '+' && a.kind == b.kind && (a.kind == kind_t::text || a.kind == kind_t::binary))
        return join(a, b, problem);
    if (a.kind == kind_t::real || b.kind == kind_t::real) {
        double x = to_real(a, problem).real, y = to_real(b, problem).real;
        return problem.number != 0 ? console_value() : of_reals(operation, x, y, problem);
    }
    int64_t x = to_bigint(a, problem).number, y = to_bigint(b, problem).number;
    return problem.number != 0 ? console_value() : of_integers(operation, x, y, problem);
}

// ---- LIKE ------------------------------------------------------------------------------------------------------

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string console_lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(), lower);
    return out;
}

static bool in_set(char c, std::string_view set) {
    bool inverted = set.starts_with('^');
    set.remove_prefix(inverted);
    bool found = false;
    for (size_t i = 0; i < set.size(); ++i) {
        bool range = i + 2 < set.size() && set[i + 1] == '-';
        found = found || (range ? lower(set[i]) <= c && c <= lower(set[i + 2]) : lower(set[i]) == c);
        i += range ? 2 : 0;
    }
    return found != inverted;
}

// Whether the pattern's element at `p`, which is no %, takes the character; `p` is behind it then.
static bool takes(std::string_view pattern, size_t &p, char c, char escape) {
    if (escape != 0 && pattern[p] == escape && p + 1 < pattern.size()) {
        bool same = lower(pattern[p + 1]) == c;
        p += same ? 2 : 0;
        return same;
    }
    size_t close = pattern[p] == '[' ? pattern.find(']', p + 2) : std::string_view::npos;
    if (close != std::string_view::npos) {
        bool in = in_set(c, pattern.substr(p + 1, close - p - 1));
        p = in ? close + 1 : p;
        return in;
    }
    bool same = pattern[p] == '_' || lower(pattern[p]) == c;
    p += same;
    return same;
}

bool console_like(std::string_view text, std::string_view pattern, char escape) {
    static constexpr size_t none = std::string_view::npos;
    size_t p = 0, back_p = none, back_t = 0;
    for (size_t t = 0; t < text.size();) {
        if (p < pattern.size() && pattern[p] == '%' && escape != '%') {
            back_p = ++p, back_t = t;
            continue;
        }
        if (p < pattern.size() && takes(pattern, p, lower(text[t]), escape)) {
            ++t;
            continue;
        }
        if (back_p == none)
            return false;
        p = back_p, t = ++back_t;
    }
    while (p < pattern.size() && pattern[p] == '%')
        ++p;
    return p == pattern.size();
}
