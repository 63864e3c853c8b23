// SQL Server's types: names, precedence, conversion, comparison, decimal and date arithmetic.
#pragma once

#include "engine.h"

#include <string>
#include <string_view>

namespace sqlserver {

// Names and properties.
bool type_by_name(std::string_view lower_name, type_info &out);      // with the default length
bool type_apply_length(type_info &t, int64_t first, int64_t second); // -1: not given; false: out of range
const char *type_name(const type_info &t);                           // "nvarchar"
std::string type_text(const type_info &t);                           // "nvarchar(50)"
int type_precedence(type_id id);
int type_system_id(type_id id);          // sys.types.system_type_id
int type_max_length(const type_info &t); // sys.columns.max_length, -1 for MAX
int type_precision(const type_info &t);  // as sys.columns has them
int type_scale(const type_info &t);
bool is_integer(type_id id); // bit .. bigint
bool is_exact(type_id id);   // decimal, numeric
bool is_money(type_id id);
bool is_float(type_id id);
bool is_number(type_id id);
bool is_char(type_id id); // char .. ntext, xml
bool is_nchar(type_id id);
bool is_binary(type_id id);
bool is_date(type_id id);                                      // date .. datetimeoffset
type_info type_common(const type_info &a, const type_info &b); // of CASE, UNION, COALESCE

// kind is a token_kind of a literal.
void literal_value(int kind, const std::string &text, type_info &t, value &v);

// Values.
value value_int(int64_t n);
value value_float(double d);
value value_text(std::string text);
int value_compare(const value &a, const value &b, const type_info &t); // neither is null
// Throws 245, 8114, 241, 8115, 220, 206, 529, ... `style` as in CONVERT; the text of char types is cut to the length.
value convert(const value &v, const type_info &from, const type_info &to, int style = 0);
value convert_implicit(const value &v, const type_info &from, const type_info &to,
                       int style = 0); // 257 and 206 where CAST is needed
std::string to_text(const value &v, const type_info &t, int style = 0);
std::string fit_text(std::string text, const type_info &t,
                     bool &cut); // cuts and pads to char(n), nchar(n), binary(n)...
std::string variant_encode(const value &v);
value variant_decode(std::string_view bytes);

// Decimals: canonical text in, canonical text out.
struct decimal {
    bool negative = false;
    unsigned __int128 magnitude = 0;
    int scale = 0;
};
bool decimal_parse(std::string_view text, decimal &out); // digits, sign, point; false on anything else or overflow
std::string decimal_text(const decimal &d);
bool decimal_rescale(decimal &d, int scale, bool round = true); // false: overflow
bool decimal_fits(const decimal &d, int precision);
decimal decimal_add(const decimal &a, const decimal &b);
decimal decimal_multiply(const decimal &a, const decimal &b);
decimal decimal_divide(const decimal &a, const decimal &b, int scale); // throws 8134
decimal decimal_modulo(const decimal &a, const decimal &b);
int decimal_compare(const decimal &a, const decimal &b);
double decimal_double(const decimal &d);
type_info decimal_result(char op, const type_info &a, const type_info &b); // precision and scale rules
type_info decimal_type_of(const type_info &t);                             // int -> decimal(10,0) and so on

// Dates.
constexpr int64_t ticks_per_day = 864000000000LL;
constexpr int64_t ticks_per_second = 10000000LL;
constexpr int32_t days_1900 = 693595; // 1900-01-01
struct civil {
    int year = 1900, month = 1, day = 1;
};
int32_t days_from_civil(int year, int month, int day);
civil civil_from_days(int32_t days);
int month_days(int year, int month);
enum class date_order : uint8_t { mdy, dmy, ymd, ydm, myd, dym };
bool date_order_named(std::string_view name, date_order &out); // false: unknown
// Date, time and offset. `year_first_too`: the order also counts behind a year of four digits, as for datetime and
// smalldatetime (2024-13-02 under dmy); the newer types always read year, month, day there. False: bad.
bool datetime_parse(std::string_view text, value &out, date_order order = date_order::mdy, bool year_first_too = false);
// For convert: no style, but the session's DATEFORMAT.
constexpr int style_date_order = 0x1000;
std::string datetime_text(const value &v, const type_info &t, int style);
value datetime_round(const value &v, const type_info &t); // to the type's resolution and range, throws 242
value datetime_now(bool utc);
int64_t datetime_number(const value &v); // ticks since 0001-01-01, for comparison and storage
value datetime_from_number(int64_t n);
int64_t date_part(const std::string &part, const value &v, int date_first);     // throws 155
value date_add(const std::string &part, int64_t n, const value &v, type_id id); // throws 517
int64_t date_diff(const std::string &part, const value &from, const value &to);
std::string date_part_name(std::string_view name); // yy -> year; empty: unknown
extern const char *const month_names[12];
extern const char *const day_names[7]; // from Monday

} // namespace sqlserver
