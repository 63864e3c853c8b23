// Values of the admin console's SELECT: what they are, how they compare, and how one becomes another. Pure.
//
// A date and time is text, as console_time writes it, and so is a GUID: only their columns know better.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "tds/result_build.h"

inline constexpr size_t console_text_max = size_t{128} * 1024; // bytes of one value
inline constexpr uint16_t console_units_max = 4000;            // of a column

struct console_value {
    enum class kind_t : uint8_t { null, number, real, text, binary } kind = kind_t::null;
    int64_t number = 0;
    double real = 0;
    std::string text; // UTF-8; of binary its bytes
};

// Of a column, a variable, an expression. The later of two types in tds_result_type wins where they meet.
struct console_type {
    tds_result_type base = tds_result_type::integer;
    uint16_t units = 128; // of text; bytes of binary
    bool known = false;   // false: of NULL, or of a column that nobody has described
};

struct console_problem {
    int32_t number = 0; // 0: none
    std::string text;
};

enum class console_truth : uint8_t { no, unknown, yes };

console_value console_number_value(int64_t);
console_value console_real_value(double);
console_value console_text_value(std::string_view);
bool console_is_null(const console_value &);
// True unless NULL, 0 or text.
bool console_is_set(const console_value &);

constexpr console_type console_type_of(tds_result_type base, uint16_t units = 128) {
    return {base, units, true};
}
console_type console_meet(const console_type &, const console_type &);
// NVARCHAR(128), BIT ...; `name` in upper case, `length` as written: "", "10" or "MAX". Unknown types are text.
console_type console_type_named(std::string_view name, std::string_view length);

// Null, and a problem, where it cannot be done.
console_value console_convert(console_value &&, const console_type &, console_problem &);
// Less than, equal to or greater than 0; neither is NULL.
int console_compare(const console_value &, const console_value &, console_problem &);
// + - * / % & | ^ of two values; NULL for NULL. + joins texts.
console_value console_arithmetic(char operation, const console_value &, const console_value &, console_problem &);
// The pattern's % _ [a-z] [^a-z]; `escape`: 0 for none. Letters of any case.
bool console_like(std::string_view text, std::string_view pattern, char escape);
// ASCII letters in lower case: names are the same in any.
std::string console_lower(std::string_view);
// As text, whatever it is; of NULL none.
std::string console_spell(const console_value &);

// "2026-11-29 17:02:03.123", UTC.
std::string console_time(int64_t unix_ms);
// The same back: days since 1900 and 1/300 s of the day, as DATETIME is sent. False: no such text.
bool console_read_time(std::string_view, int32_t &days, uint32_t &ticks);
