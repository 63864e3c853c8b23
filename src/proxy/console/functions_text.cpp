// Functions of texts and numbers.
#include <algorithm>
#include <cmath>

#include "proxy/console/functions.h"

using arguments = std::span<const console_value>;
using base_t = tds_result_type;

static constexpr console_type text = console_type_of(base_t::text, console_units_max);
static constexpr console_type number = console_type_of(base_t::integer);
static constexpr console_type real = console_type_of(base_t::real);

static bool missing(arguments a, size_t count) {
    return a.size() < count || std::any_of(a.begin(), a.begin() + static_cast<ptrdiff_t>(count), console_is_null);
}

static int64_t integer(console_world &w, const console_value &v) {
    return console_convert(console_value(v), console_type_of(base_t::bigint), w.problem).number;
}

static size_t size(console_world &w, const console_value &v) {
    return static_cast<size_t>(std::clamp<int64_t>(integer(w, v), 0, console_text_max + 1));
}

static console_value made(console_world &w, std::string &&s) {
    console_step(w, s.size() / 32);
    if (s.size() > console_text_max)
        return console_fail_with(w, 8152, "String or binary data would be truncated.");
    return {console_value::kind_t::text, 0, 0, std::move(s)};
}

static console_value changed(console_world &w, arguments a, int (*change)(int)) {
    if (missing(a, 1))
        return {};
    std::string s = console_spell(a[0]);
    std::transform(s.begin(), s.end(), s.begin(),
                   [change](unsigned char c) { return static_cast<char>(c < 128 ? change(c) : c); });
    return made(w, std::move(s));
}

static console_value trimmed(console_world &w, arguments a, bool left, bool right) {
    if (missing(a, 1))
        return {};
    std::string s = console_spell(a[0]);
    while (right && s.ends_with(' '))
        s.pop_back();
    return made(w, left ? s.substr(std::min(s.find_first_not_of(' '), s.size())) : s);
}

static console_value substring(console_world &w, arguments a) {
    if (missing(a, 3))
        return {};
    std::string s = console_spell(a[0]);
    int64_t from = integer(w, a[1]), end = from + static_cast<int64_t>(size(w, a[2]));
    from = std::clamp<int64_t>(from, 1, static_cast<int64_t>(s.size()) + 1);
    end = std::clamp<int64_t>(end, from, static_cast<int64_t>(s.size()) + 1);
    return made(w, s.substr(static_cast<size_t>(from - 1), static_cast<size_t>(end - from)));
}

static console_value end_of(console_world &w, arguments a, bool right) {
    if (missing(a, 2))
        return {};
    std::string s = console_spell(a[0]);
    size_t n = std::min(size(w, a[1]), s.size());
    return made(w, right ? s.substr(s.size() - n) : s.substr(0, n));
}

static console_value char_index(console_world &w, arguments a) {
    if (missing(a, 2))
        return {};
    std::string what = console_spell(a[0]), where = console_spell(a[1]);
    size_t from = a.size() > 2 ? std::max<size_t>(size(w, a[2]), 1) - 1 : 0;
    auto same = [](char x, char y) {
        return tolower(static_cast<unsigned char>(x)) == tolower(static_cast<unsigned char>(y));
    };
    if (from > where.size() || !console_step(w, where.size() * (what.size() + 1) / 256))
        return console_number_value(0);
    auto found = std::search(where.begin() + static_cast<ptrdiff_t>(from), where.end(), what.begin(), what.end(), same);
    return console_number_value(found == where.end() ? 0 : found - where.begin() + 1);
}

static console_value replaced(console_world &w, arguments a) {
    if (missing(a, 3))
        return {};
    std::string s = console_spell(a[0]), what = console_spell(a[1]), by = console_spell(a[2]), all;
    size_t at = 0;
    for (size_t found = what.empty() ? std::string::npos : s.find(what); found != std::string::npos;
         found = s.find(what, at)) {
        all.append(s, at, found - at).append(by);
        at = found + what.size();
        if (all.size() > console_text_max)
            break;
    }
    return made(w, all + s.substr(at));
}

static console_value stuffed(console_world &w, arguments a) {
    if (missing(a, 3))
        return {};
    std::string s = console_spell(a[0]);
    size_t from = size(w, a[1]);
    if (from < 1 || from > s.size())
        return {};
    s.replace(from - 1, size(w, a[2]), a.size() > 3 ? console_spell(a[3]) : "");
    return made(w, std::move(s));
}

static console_value repeated(console_world &w, const std::string &s, size_t times) {
    std::string all;
    for (size_t i = 0; i < times && all.size() <= console_text_max; ++i)
        all += s;
    return made(w, std::move(all));
}

static console_value reversed(console_world &w, arguments a) {
    if (missing(a, 1))
        return {};
    std::string s = console_spell(a[0]);
    std::reverse(s.begin(), s.end());
    return made(w, std::move(s));
}

static console_value quoted(console_world &w, arguments a) {
    if (missing(a, 1))
        return {};
    char open = a.size() > 1 && !a[1].text.empty() ? a[1].text[0] : '[';
    char close = open == '[' ? ']' : open;
    std::string all(1, open);
    for (char c : console_spell(a[0])) {
        all += c;
        if (c == close)
            all += c;
    }
    return made(w, all + close);
}

// The n-th part of a name, counted from its end.
static console_value name_part(console_world &w, arguments a) {
    if (missing(a, 2))
        return {};
    std::string s = console_spell(a[0]);
    for (int64_t n = integer(w, a[1]); n > 1; --n) {
        size_t dot = s.rfind('.');
        if (dot == std::string::npos)
            return {};
        s.resize(dot);
    }
    s = s.substr(s.rfind('.') + 1); // npos + 1 is 0
    if (s.size() > 1 && s.front() == '[' && s.back() == ']')
        s = s.substr(1, s.size() - 2);
    return made(w, std::move(s));
}

static console_value joined(console_world &w, arguments a) {
    std::string all;
    for (const console_value &v : a)
        all += console_spell(v);
    return made(w, std::move(all));
}

static console_value power(console_world &w, arguments a) {
    if (missing(a, 2))
        return {};
    console_type wide = console_type_of(base_t::real);
    double d = std::pow(console_convert(console_value(a[0]), wide, w.problem).real,
                        console_convert(console_value(a[1]), wide, w.problem).real);
    return a[0].kind == console_value::kind_t::number && std::fabs(d) < 9e18
               ? console_number_value(static_cast<int64_t>(d))
               : console_real_value(d);
}

static console_value rounded(console_world &w, arguments a, double (*round)(double)) {
    if (missing(a, 1) || a[0].kind != console_value::kind_t::real)
        return a.empty() ? console_value() : console_convert(console_value(a[0]), number, w.problem);
    return console_real_value(round(a[0].real));
}

static console_value absolute(console_world &w, arguments a) {
    if (missing(a, 1) || console_compare(a[0], console_number_value(0), w.problem) >= 0)
        return a.empty() ? console_value() : a[0];
    return console_arithmetic('-', console_number_value(0), a[0], w.problem);
}

static int64_t units_of(const std::string &s) {
    return std::count_if(s.begin(), s.end(), [](char c) { return (c & 0xc0) != 0x80; });
}

static console_value length(console_world &, arguments a) {
    if (missing(a, 1))
        return {};
    std::string s = console_spell(a[0]);
    while (s.ends_with(' '))
        s.pop_back();
    return console_number_value(units_of(s));
}

static console_value data_length(console_world &, arguments a) {
    if (missing(a, 1))
        return {};
    switch (a[0].kind) {
    case console_value::kind_t::text: return console_number_value(2 * units_of(a[0].text));
    case console_value::kind_t::binary: return console_number_value(static_cast<int64_t>(a[0].text.size()));
    case console_value::kind_t::real: return console_number_value(8);
    default: return console_number_value(a[0].number >= INT32_MIN && a[0].number <= INT32_MAX ? 4 : 8);
    }
}

static console_value is_numeric(console_world &, arguments a) {
    console_problem problem;
    if (missing(a, 1))
        return console_number_value(0);
    (void)console_convert(console_value(a[0]), real, problem);
    return console_number_value(problem.number == 0);
}

static console_value of_code(console_world &w, arguments a) {
    int64_t code = missing(a, 1) ? 0 : integer(w, a[0]);
    return code < 1 || code > 127 ? console_value() : console_text_value(std::string(1, static_cast<char>(code)));
}

static console_value code_of(console_world &, arguments a) {
    bool none = missing(a, 1) || console_spell(a[0]).empty();
    return none ? console_value() : console_number_value(static_cast<unsigned char>(console_spell(a[0])[0]));
}

std::span<const console_function> console_text_functions() {
    // clang-format off
    static const console_function table[] = {
        {"LEN", number, -1, length},
        {"DATALENGTH", number, -1, data_length},
        {"UPPER", text, 0, [](console_world &w, arguments a) { return changed(w, a, toupper); }},
        {"LOWER", text, 0, [](console_world &w, arguments a) { return changed(w, a, tolower); }},
        {"LTRIM", text, 0, [](console_world &w, arguments a) { return trimmed(w, a, true, false); }},
        {"RTRIM", text, 0, [](console_world &w, arguments a) { return trimmed(w, a, false, true); }},
        {"TRIM", text, 0, [](console_world &w, arguments a) { return trimmed(w, a, true, true); }},
        {"SUBSTRING", text, 0, substring},
        {"LEFT", text, 0, [](console_world &w, arguments a) { return end_of(w, a, false); }},
        {"RIGHT", text, 0, [](console_world &w, arguments a) { return end_of(w, a, true); }},
        {"CHARINDEX", number, -1, char_index},
        {"REPLACE", text, -1, replaced},
        {"STUFF", text, -1, stuffed},
        {"REPLICATE", text, -1, [](console_world &w, arguments a) { return missing(a, 2) ? console_value() : repeated(w, console_spell(a[0]), size(w, a[1])); }},
        {"SPACE", text, -1, [](console_world &w, arguments a) { return missing(a, 1) ? console_value() : repeated(w, " ", size(w, a[0])); }},
        {"REVERSE", text, 0, reversed},
        {"QUOTENAME", console_type_of(base_t::text, 258), -1, quoted},
        {"PARSENAME", console_type_of(base_t::text, 128), -1, name_part},
        {"CONCAT", text, -1, joined},
        {"CHAR", console_type_of(base_t::text, 1), -1, of_code},
        {"NCHAR", console_type_of(base_t::text, 1), -1, of_code},
        {"ASCII", number, -1, code_of},
        {"UNICODE", number, -1, code_of},
        {"ISNUMERIC", number, -1, is_numeric},
        {"ABS", number, 0, absolute},
        {"POWER", number, 0, power},
        {"FLOOR", number, 0, [](console_world &w, arguments a) { return rounded(w, a, std::floor); }},
        {"CEILING", number, 0, [](console_world &w, arguments a) { return rounded(w, a, std::ceil); }},
        {"ROUND", number, 0, [](console_world &w, arguments a) { return rounded(w, a, std::round); }},
    };
    // clang-format on
    return table;
}
