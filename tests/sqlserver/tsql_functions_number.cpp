// Mathematical functions and functions of dates.
#include "tsql_functions.h"
#include "tsql_types.h"

#include <cmath>
#include <random>

namespace sqlserver {

namespace {

using args_t = std::vector<value>;

std::mt19937_64 &random_source() {
    static std::mt19937_64 source{std::random_device{}()};
    return source;
}

type_info first_type(const std::vector<bound_ptr> &a) {
    type_info t = a[0]->type;
    if (is_char(t.id))
        return t_float;
    return t.id <= type_id::smallint_ ? t_int : t.id == type_id::real_ ? t_float : t;
}

type_info round_type(const std::vector<bound_ptr> &a) {
    type_info t = first_type(a);
    if (is_exact(t.id) && t.precision < 38)
        t.precision++;
    return t;
}

type_info floor_type(const std::vector<bound_ptr> &a) {
    type_info t = first_type(a);
    if (is_exact(t.id))
        t.scale = 0, t.precision = 38;
    return t;
}

decimal as_decimal(const value &v, const type_info &t) {
    decimal d;
    type_info wide{type_id::numeric_, 0, 38, t.scale};
    if (is_money(t.id))
        wide.scale = 4;
    decimal_parse(is_exact(t.id) ? v.text : convert(v, t, wide).text, d);
    return d;
}

value from_decimal(decimal d, const type_info &t) {
    if (is_exact(t.id)) {
        if (!decimal_rescale(d, t.scale) || !decimal_fits(d, t.precision))
            fail(8115, 16, 8, "Arithmetic overflow error converting expression to data type numeric.");
        return value_text(decimal_text(d));
    }
    return convert(value_text(decimal_text(d)), {type_id::numeric_, 0, 38, static_cast<uint8_t>(d.scale)}, t);
}

value f_abs(const bound &self, args_t &a, eval_context &) {
    value v = convert(a[0], self.args[0]->type, self.type);
    v.f64 = std::fabs(v.f64);
    if (v.i64 == INT64_MIN)
        fail(8115, 16, 2, "Arithmetic overflow error converting expression to data type bigint.");
    v.i64 = std::abs(v.i64);
    if (is_exact(self.type.id) && !v.text.empty() && v.text[0] == '-')
        v.text.erase(0, 1);
    return v;
}

value f_sign(const bound &self, args_t &a, eval_context &) {
    double d = convert(a[0], self.args[0]->type, t_float).f64;
    return convert(value_int(d > 0 ? 1 : d < 0 ? -1 : 0), t_int, self.type);
}

value f_round(const bound &self, args_t &a, eval_context &) {
    int digits = static_cast<int>(std::clamp<int64_t>(a[1].i64, -38, 38));
    bool cut = a.size() > 2 && a[2].i64 != 0;
    if (is_float(self.type.id)) {
        double d = convert(a[0], self.args[0]->type, t_float).f64, p = std::pow(10.0, digits);
        return value_float(cut ? std::trunc(d * p) / p : std::round(d * p) / p);
    }
    decimal d = as_decimal(a[0], self.args[0]->type);
    int scale = d.scale;
    if (digits < scale) {
        if (digits < 0) { // 1234 at -2: drop two digits, put two zeros back
            decimal shifted = d;
            shifted.scale += -digits;
            decimal_rescale(shifted, 0, !cut);
            for (int i = digits; i < 0; i++)
                shifted.magnitude *= 10;
            d = shifted;
        } else {
            decimal_rescale(d, digits, !cut);
        }
        decimal_rescale(d, scale);
    }
    return from_decimal(d, self.type);
}

value f_floor(const bound &self, args_t &a, eval_context &) {
    bool up = self.text == "ceiling";
    if (is_float(self.type.id)) {
        double d = convert(a[0], self.args[0]->type, t_float).f64;
        return value_float(up ? std::ceil(d) : std::floor(d));
    }
    decimal d = as_decimal(a[0], self.args[0]->type), whole = d;
    decimal_rescale(whole, 0, false);
    bool fraction = decimal_compare(whole, d) != 0;
    if (fraction && up != d.negative)
        whole.magnitude++;
    return from_decimal(whole, self.type);
}

value check_float(double d) {
    if (!std::isfinite(d))
        fail(3623, 16, 1, "An invalid floating point operation occurred.");
    return value_float(d);
}

value f_power(const bound &self, args_t &a, eval_context &) {
    double d = std::pow(convert(a[0], self.args[0]->type, t_float).f64, a[1].f64);
    return convert(check_float(d), t_float, self.type);
}

value f_math(const bound &self, args_t &a, eval_context &) {
    double x = a[0].f64;
    const std::string &f = self.text;
    return check_float(f == "sqrt"      ? std::sqrt(x)
                       : f == "exp"     ? std::exp(x)
                       : f == "log10"   ? std::log10(x)
                       : f == "log"     ? (a.size() > 1 ? std::log(x) / std::log(a[1].f64) : std::log(x))
                       : f == "sin"     ? std::sin(x)
                       : f == "cos"     ? std::cos(x)
                       : f == "tan"     ? std::tan(x)
                       : f == "asin"    ? std::asin(x)
                       : f == "acos"    ? std::acos(x)
                       : f == "atan"    ? std::atan(x)
                       : f == "square"  ? x * x
                       : f == "degrees" ? x * 180 / M_PI
                       : f == "radians" ? x * M_PI / 180
                       : f == "atn2"    ? std::atan2(x, a[1].f64)
                                        : M_PI);
}

value f_pi(const bound &, args_t &, eval_context &) {
    return value_float(M_PI);
}

value f_rand(const bound &, args_t &a, eval_context &) {
    if (!a.empty())
        random_source().seed(static_cast<uint64_t>(a[0].i64));
    return value_float(std::uniform_real_distribution<double>(0, 1)(random_source()));
}

value f_newid(const bound &, args_t &, eval_context &) {
    value v = value_text(std::string(16, '\0'));
    for (size_t i = 0; i < 16; i++)
        v.text[i] = static_cast<char>(random_source()());
    v.text[7] = static_cast<char>((v.text[7] & 0x0F) | 0x40); // version 4, variant 1, in wire order
    v.text[8] = static_cast<char>((v.text[8] & 0x3F) | 0x80);
    return v;
}

value f_isnumeric(const bound &self, args_t &a, eval_context &) {
    if (a[0].null)
        return value_int(0);
    if (is_number(self.args[0]->type.id))
        return value_int(1);
    std::string s = trim(to_text(a[0], self.args[0]->type));
    char *end = nullptr;
    strtod(s.c_str(), &end);
    bool hex = s.find_first_of("xXnN") != std::string::npos;
    return value_int(!s.empty() && *end == '\0' && !hex);
}

value f_isdate(const bound &, args_t &a, eval_context &c) {
    value v;
    date_order order = date_order::mdy;
    date_order_named(c.f.s->options.date_format, order);
    return value_int(datetime_parse(a[0].text, v, order, true) && !a[0].text.empty());
}

// --- dates. The first argument of the part functions is the part, as text.

type_info date_argument(const std::vector<bound_ptr> &a) {
    type_info t = a[2]->type;
    return is_date(t.id) ? t : t_datetime;
}

std::string part_of(const value &v, const char *function) {
    std::string part = date_part_name(v.text);
    if (part.empty())
        fail(155, 15, 1, "'%s' is not a recognized %s option.", v.text.c_str(), function);
    return part;
}

value f_dateadd(const bound &self, args_t &a, eval_context &) {
    value v = date_add(part_of(a[0], "dateadd"), a[1].i64, convert(a[2], self.args[2]->type, self.type), self.type.id);
    return datetime_round(v, self.type);
}

value as_date(const value &v, const type_info &t) {
    return is_date(t.id) ? v : convert(v, t, t_datetime2);
}

value f_datediff(const bound &self, args_t &a, eval_context &) {
    int64_t n =
        date_diff(part_of(a[0], "datediff"), as_date(a[1], self.args[1]->type), as_date(a[2], self.args[2]->type));
    if (self.type.id == type_id::int_ && (n > INT32_MAX || n < INT32_MIN))
        fail(535, 16, 0,
             "The datediff function resulted in an overflow. The number of dateparts separating two date/time "
             "instances is too large. Try to use datediff with a less precise datepart.");
    return value_int(n);
}

value f_datepart(const bound &self, args_t &a, eval_context &c) {
    return value_int(
        date_part(part_of(a[0], "datepart"), as_date(a[1], self.args[1]->type), c.f.s->options.date_first));
}

value f_datename(const bound &self, args_t &a, eval_context &c) {
    std::string part = part_of(a[0], "datename");
    value v = as_date(a[1], self.args[1]->type);
    if (part == "month")
        return value_text(month_names[civil_from_days(v.days).month - 1]);
    if (part == "weekday")
        return value_text(day_names[v.days % 7]);
    return value_text(std::to_string(date_part(part, v, c.f.s->options.date_first)));
}

value f_year(const bound &self, args_t &a, eval_context &) {
    return value_int(date_part(self.text, as_date(a[0], self.args[0]->type), 7));
}

value f_now(const bound &self, args_t &, eval_context &) {
    bool utc = self.text == "getutcdate" || self.text == "sysutcdatetime" || self.text == "sysdatetimeoffset";
    value v = datetime_now(utc);
    if (self.text == "sysdatetimeoffset")
        v.offset_minutes = datetime_now(false).offset_minutes;
    else
        v.offset_minutes = 0;
    return datetime_round(v, self.type);
}

value f_eomonth(const bound &self, args_t &a, eval_context &) {
    value v = as_date(a[0], self.args[0]->type);
    if (a.size() > 1)
        v = date_add("month", a[1].i64, v, type_id::date_);
    civil c = civil_from_days(v.days);
    value out;
    out.null = false;
    out.days = days_from_civil(c.year, c.month, month_days(c.year, c.month));
    return out;
}

value f_datefromparts(const bound &self, args_t &a, eval_context &) {
    int y = static_cast<int>(a[0].i64), m = static_cast<int>(a[1].i64), d = static_cast<int>(a[2].i64);
    if (y < 1 || y > 9999 || m < 1 || m > 12 || d < 1 || d > month_days(y, m))
        fail(289, 16, 1, "Cannot construct data type %s, some of the arguments have values which are not valid.",
             type_name(self.type));
    value out;
    out.null = false;
    out.days = days_from_civil(y, m, d);
    if (a.size() >= 7)
        out.ticks = ((a[3].i64 * 60 + a[4].i64) * 60 + a[5].i64) * ticks_per_second + a[6].i64 * 10000;
    return datetime_round(out, self.type);
}

value f_switchoffset(const bound &, args_t &a, eval_context &) { // and AT TIME ZONE 'UTC' as TODATETIMEOFFSET
    value v = a[0];
    int h = 0, m = 0;
    char sign = a[1].text.empty() ? '+' : a[1].text[0];
    sscanf(a[1].text.c_str() + 1, "%d:%d", &h, &m);
    v.offset_minutes = static_cast<int16_t>((h * 60 + m) * (sign == '-' ? -1 : 1));
    return v;
}

const type_info t_date{type_id::date_, 0, 0, 0};
const type_info t_offset{type_id::datetimeoffset_, 0, 0, 7};

const function_row rows[] = {
    {"abs", 1, 1, "n", {}, f_abs, first_type},
    {"sign", 1, 1, "n", {}, f_sign, first_type},
    {"round", 2, 3, "nii", {}, f_round, round_type},
    {"floor", 1, 1, "n", {}, f_floor, floor_type},
    {"ceiling", 1, 1, "n", {}, f_floor, floor_type},
    {"power", 2, 2, "nf", {}, f_power, first_type},
    {"sqrt", 1, 1, "f", t_float, f_math},
    {"exp", 1, 1, "f", t_float, f_math},
    {"log", 1, 2, "f", t_float, f_math},
    {"log10", 1, 1, "f", t_float, f_math},
    {"sin", 1, 1, "f", t_float, f_math},
    {"cos", 1, 1, "f", t_float, f_math},
    {"tan", 1, 1, "f", t_float, f_math},
    {"asin", 1, 1, "f", t_float, f_math},
    {"acos", 1, 1, "f", t_float, f_math},
    {"atan", 1, 1, "f", t_float, f_math},
    {"atn2", 2, 2, "f", t_float, f_math},
    {"square", 1, 1, "f", t_float, f_math},
    {"degrees", 1, 1, "f", t_float, f_math},
    {"radians", 1, 1, "f", t_float, f_math},
    {"pi", 0, 0, "", t_float, f_pi},
    {"rand", 0, 1, "b", t_float, f_rand},
    {"newid", 0, 0, "", t_guid, f_newid, nullptr, false, true},
    {"newsequentialid", 0, 0, "", t_guid, f_newid, nullptr, false, true},
    {"isnumeric", 1, 1, "a", t_int, f_isnumeric, nullptr, true},
    {"isdate", 1, 1, "s", t_int, f_isdate},
    {"dateadd", 3, 3, "aba", {}, f_dateadd, date_argument},
    {"datediff", 3, 3, "a", t_int, f_datediff},
    {"datediff_big", 3, 3, "a", t_bigint, f_datediff},
    {"datepart", 2, 2, "a", t_int, f_datepart},
    {"datename", 2, 2, "a", {type_id::nvarchar_, 30, 0, 0}, f_datename},
    {"year", 1, 1, "a", t_int, f_year},
    {"month", 1, 1, "a", t_int, f_year},
    {"day", 1, 1, "a", t_int, f_year},
    {"getdate", 0, 0, "", t_datetime, f_now},
    {"current_timestamp", 0, 0, "", t_datetime, f_now},
    {"getutcdate", 0, 0, "", t_datetime, f_now},
    {"sysdatetime", 0, 0, "", t_datetime2, f_now},
    {"sysutcdatetime", 0, 0, "", t_datetime2, f_now},
    {"sysdatetimeoffset", 0, 0, "", t_offset, f_now},
    {"eomonth", 1, 2, "ai", t_date, f_eomonth},
    {"datefromparts", 3, 3, "i", t_date, f_datefromparts},
    {"datetimefromparts", 7, 7, "i", t_datetime, f_datefromparts},
    {"switchoffset", 2, 2, "os", t_offset, f_switchoffset},
};

} // namespace

function_list number_functions() {
    return {rows, sizeof rows / sizeof rows[0]};
}

} // namespace sqlserver
