// String functions.
#include "tsql_functions.h"
#include "tsql_types.h"

#include <openssl/evp.h>

#include <cmath>

namespace sqlserver {

namespace {

using args_t = std::vector<value>;

// nvarchar or varchar as the first argument is, with room for what the function may add
type_info same_text(const std::vector<bound_ptr> &a) {
    type_info t = a[0]->type;
    if (is_binary(t.id))
        return {type_id::varbinary_, t.length, 0, 0};
    return {is_nchar(t.id) ? type_id::nvarchar_ : type_id::varchar_, std::max(t.length, 1u), 0, 0};
}

type_info wide_text(const std::vector<bound_ptr> &a) {
    type_info t = same_text(a);
    if (t.length != length_max)
        t.length = is_nchar(t.id) ? 4000 : 8000;
    return t;
}

type_info taken_text(const std::vector<bound_ptr> &a) { // LEFT(x, 3): the literal is the length
    type_info t = same_text(a);
    const bound_ptr &n = a[1];
    if (n->kind == bound_kind::literal && !n->literal.null && n->literal.i64 > 0 && t.length != length_max)
        t.length = std::min(t.length, static_cast<uint32_t>(n->literal.i64));
    return t;
}

type_info concat_text(const std::vector<bound_ptr> &a) {
    type_info t{type_id::varchar_, 0, 0, 0};
    bool max = false;
    uint32_t total = 0;
    for (const bound_ptr &x : a) {
        if (is_nchar(x->type.id))
            t.id = type_id::nvarchar_;
        max = max || (x->type.length == length_max && is_char(x->type.id));
        total += is_char(x->type.id) ? (x->type.length == length_max ? 0 : x->type.length) : 40;
    }
    t.length = max ? length_max : std::max(1u, std::min(total, t.id == type_id::nvarchar_ ? 4000u : 8000u));
    return t;
}

size_t count_of(const value &v, const char *function) {
    if (v.i64 < 0)
        fail(537, 16, 2, "Invalid length parameter passed to the %s function.", function);
    return static_cast<size_t>(v.i64);
}

value f_len(const bound &, args_t &a, eval_context &) {
    std::string_view s = a[0].text;
    while (!s.empty() && s.back() == ' ')
        s.remove_suffix(1);
    return value_int(static_cast<int64_t>(utf16_length(s)));
}

value f_datalength(const bound &self, args_t &a, eval_context &) {
    const type_info &t = self.args[0]->type;
    if (is_char(t.id)) {
        int64_t units = static_cast<int64_t>(utf16_length(a[0].text));
        return value_int(is_nchar(t.id) ? units * 2 : units);
    }
    return value_int(is_binary(t.id) ? static_cast<int64_t>(a[0].text.size()) : type_max_length(t));
}

// SUBSTRING counts from 1 and may begin before the text
value f_substring(const bound &self, args_t &a, eval_context &) {
    int64_t from = a[1].i64 - 1, n = static_cast<int64_t>(count_of(a[2], "substring"));
    if (from < 0) {
        n = std::max<int64_t>(0, n + from);
        from = 0;
    }
    auto start = static_cast<size_t>(from), count = static_cast<size_t>(n);
    if (is_binary(self.args[0]->type.id))
        return value_text(start >= a[0].text.size() ? "" : a[0].text.substr(start, count));
    return value_text(utf16_substring(a[0].text, start, count));
}

value f_left(const bound &, args_t &a, eval_context &) {
    return value_text(utf16_substring(a[0].text, 0, count_of(a[1], "left")));
}

value f_right(const bound &, args_t &a, eval_context &) {
    size_t n = count_of(a[1], "right"), all = utf16_length(a[0].text);
    return value_text(utf16_substring(a[0].text, n >= all ? 0 : all - n, n));
}

value f_upper(const bound &, args_t &a, eval_context &) {
    return value_text(upper(a[0].text));
}
value f_lower(const bound &, args_t &a, eval_context &) {
    return value_text(lower(a[0].text));
}

std::string strip(const std::string &s, bool left, bool right, const std::string &set) {
    size_t from = left ? s.find_first_not_of(set) : 0;
    if (from == std::string::npos)
        return {};
    size_t to = right ? s.find_last_not_of(set) : s.size() - 1;
    return to == std::string::npos || to < from ? "" : s.substr(from, to - from + 1);
}

value f_ltrim(const bound &, args_t &a, eval_context &) {
    return value_text(strip(a[0].text, true, false, " "));
}
value f_rtrim(const bound &, args_t &a, eval_context &) {
    return value_text(strip(a[0].text, false, true, " "));
}
value f_trim(const bound &, args_t &a, eval_context &) {
    return a.size() > 1 ? value_text(strip(a[1].text, true, true, a[0].text))
                        : value_text(strip(a[0].text, true, true, " "));
}

std::string cut_to(std::string text, const bound &self) {
    bool cut;
    return self.type.length == length_max ? text : fit_text(std::move(text), self.type, cut);
}

value f_replace(const bound &self, args_t &a, eval_context &) {
    const std::string &s = a[0].text, &find = a[1].text;
    if (find.empty())
        return a[0];
    std::string out, low = lower(s), low_find = lower(find);
    bool same = low.size() == s.size(); // folding kept the lengths: positions are the same
    const std::string &where = same ? low : s, &what = same ? low_find : find;
    size_t at = 0;
    for (size_t hit; (hit = where.find(what, at)) != std::string::npos; at = hit + what.size())
        out += s.substr(at, hit - at) + a[2].text;
    return value_text(cut_to(out + s.substr(at), self));
}

value f_replicate(const bound &self, args_t &a, eval_context &) {
    if (a[1].i64 < 0)
        return {};
    uint64_t limit = self.type.length == length_max ? 256u << 20 : 32000u;
    std::string out;
    for (int64_t i = 0; i < a[1].i64 && !a[0].text.empty() && out.size() < limit; i++)
        out += a[0].text;
    return value_text(cut_to(std::move(out), self));
}

value f_space(const bound &, args_t &a, eval_context &) {
    return a[0].i64 < 0 ? value()
                        : value_text(std::string(static_cast<size_t>(std::min<int64_t>(a[0].i64, 8000)), ' '));
}

value f_reverse(const bound &, args_t &a, eval_context &) {
    std::string out;
    for (size_t at = 0; at < a[0].text.size();) {
        size_t from = at;
        utf8_next(a[0].text, at);
        out.insert(0, a[0].text, from, at - from);
    }
    return value_text(out);
}

value f_charindex(const bound &, args_t &a, eval_context &) {
    std::string find = lower(a[0].text), s = lower(a[1].text);
    size_t start = a.size() > 2 && a[2].i64 > 1 ? static_cast<size_t>(a[2].i64 - 1) : 0;
    std::string skipped = utf16_substring(s, 0, start);
    if (find.empty() || skipped.size() > s.size())
        return value_int(0);
    size_t hit = s.find(find, skipped.size());
    return value_int(
        hit == std::string::npos ? 0 : static_cast<int64_t>(utf16_length(std::string_view(s).substr(0, hit))) + 1);
}

value f_patindex(const bound &, args_t &a, eval_context &) {
    std::string pattern = a[0].text;
    bool anywhere = !pattern.empty() && pattern[0] == '%';
    if (anywhere)
        pattern.erase(0, 1);
    int64_t position = 1;
    for (size_t at = 0; at <= a[1].text.size(); position++) {
        if (text_like(std::string_view(a[1].text).substr(at), pattern, 0))
            return value_int(position);
        if (!anywhere || at == a[1].text.size())
            break;
        utf8_next(a[1].text, at);
    }
    return value_int(0);
}

value f_stuff(const bound &self, args_t &a, eval_context &) {
    size_t all = utf16_length(a[0].text);
    if (a[0].null || a[1].null || a[2].null || a[1].i64 < 1 || a[2].i64 < 0 || static_cast<size_t>(a[1].i64) > all)
        return {};
    auto from = static_cast<size_t>(a[1].i64 - 1), n = static_cast<size_t>(a[2].i64);
    return value_text(
        cut_to(utf16_substring(a[0].text, 0, from) + a[3].text + utf16_substring(a[0].text, from + n, all), self));
}

value f_concat(const bound &self, args_t &a, eval_context &) {
    std::string out;
    for (size_t i = 0; i < a.size(); i++)
        if (!a[i].null)
            out += to_text(a[i], self.args[i]->type);
    return value_text(cut_to(out, self));
}

value f_concat_ws(const bound &self, args_t &a, eval_context &) {
    std::string out;
    bool any = false;
    for (size_t i = 1; i < a.size(); i++) {
        if (a[i].null)
            continue;
        out += (any ? a[0].text : "") + to_text(a[i], self.args[i]->type);
        any = true;
    }
    return value_text(cut_to(out, self));
}

value f_str(const bound &, args_t &a, eval_context &) {
    int width = a.size() > 1 ? static_cast<int>(std::clamp<int64_t>(a[1].i64, 1, 8000)) : 10;
    int decimals = a.size() > 2 ? static_cast<int>(std::clamp<int64_t>(a[2].i64, 0, 16)) : 0;
    std::string s = text_printf("%*.*f", width, decimals, a[0].f64);
    while (static_cast<int>(s.size()) > width && decimals > 0)
        s = text_printf("%*.*f", width, --decimals, a[0].f64);
    return value_text(static_cast<int>(s.size()) > width ? std::string(static_cast<size_t>(width), '*') : s);
}

value f_char(const bound &, args_t &a, eval_context &) {
    std::string out;
    if (a[0].i64 < 0 || a[0].i64 > 255)
        return {};
    utf8_put(out, static_cast<uint32_t>(a[0].i64));
    return value_text(out);
}

value f_nchar(const bound &, args_t &a, eval_context &) {
    std::string out;
    if (a[0].i64 < 0 || a[0].i64 > 0x10FFFF)
        return {};
    utf8_put(out, static_cast<uint32_t>(a[0].i64));
    return value_text(out);
}

value f_unicode(const bound &, args_t &a, eval_context &) {
    size_t at = 0;
    return a[0].text.empty() ? value() : value_int(utf8_next(a[0].text, at));
}

value f_quotename(const bound &, args_t &a, eval_context &) {
    char quote = a.size() > 1 && !a[1].text.empty() ? a[1].text[0] : '[';
    return utf16_length(a[0].text) > 128 ? value() : value_text(quote_name(a[0].text, quote == ']' ? '[' : quote));
}

// FORMAT: the date letters, 0 and # with decimals and N, C, D, P as .NET has them in the invariant culture
std::string format_number(double d, const std::string &f) {
    size_t point = f.find('.');
    char kind = f.empty() ? 'G' : static_cast<char>(toupper(f[0]));
    bool standard = isalpha(static_cast<unsigned char>(kind)) != 0;
    int decimals = standard                     ? (f.size() > 1 ? atoi(f.c_str() + 1) : 2)
                   : point == std::string::npos ? 0
                                                : static_cast<int>(f.size() - point - 1);
    if (kind == 'D')
        return text_printf("%0*lld", f.size() > 1 ? atoi(f.c_str() + 1) : 1, static_cast<long long>(d));
    std::string s = text_printf("%.*f", decimals, kind == 'P' ? d * 100 : d);
    if (!standard) {
        size_t zeros =
            static_cast<size_t>(std::count(f.begin(), f.begin() + static_cast<long>(std::min(point, f.size())), '0'));
        size_t whole = std::min(s.find('.'), s.size());
        if (whole < zeros)
            s.insert(d < 0 ? 1 : 0, zeros - whole, '0');
    }
    if (kind == 'N' || kind == 'C' || kind == 'P' || f.find(',') != std::string::npos)
        for (int i = static_cast<int>(std::min(s.find('.'), s.size())) - 3; i > (d < 0 ? 1 : 0); i -= 3)
            s.insert(static_cast<size_t>(i), ",");
    return (kind == 'C' ? "$" : "") + s + (kind == 'P' ? "%" : "");
}

std::string format_date(const value &v, const std::string &f) {
    civil c = civil_from_days(v.days);
    int seconds = static_cast<int>(v.ticks / ticks_per_second), hour = seconds / 3600;
    std::string out;
    for (size_t i = 0; i < f.size();) {
        char ch = f[i];
        size_t n = 1;
        while (i + n < f.size() && f[i + n] == ch)
            n++;
        int width = static_cast<int>(n);
        std::string month = month_names[c.month - 1], day = day_names[v.days % 7];
        switch (ch) {
        case 'y': out += n <= 2 ? text_printf("%02d", c.year % 100) : text_printf("%04d", c.year); break;
        case 'M': out += n == 4 ? month : n == 3 ? month.substr(0, 3) : text_printf("%0*d", width, c.month); break;
        case 'd': out += n == 4 ? day : n == 3 ? day.substr(0, 3) : text_printf("%0*d", width, c.day); break;
        case 'H': out += text_printf("%0*d", width, hour); break;
        case 'h': out += text_printf("%0*d", width, hour % 12 == 0 ? 12 : hour % 12); break;
        case 'm': out += text_printf("%0*d", width, seconds / 60 % 60); break;
        case 's': out += text_printf("%0*d", width, seconds % 60); break;
        case 'f': out += text_printf("%07lld", static_cast<long long>(v.ticks % ticks_per_second)).substr(0, n); break;
        case 't': out += hour < 12 ? "AM" : "PM"; break;
        default: out.append(n, ch);
        }
        i += n;
    }
    return out;
}

value f_format(const bound &self, args_t &a, eval_context &) {
    const type_info &t = self.args[0]->type;
    if (is_date(t.id))
        return value_text(format_date(a[0], a[1].text == "d" ? "MM/dd/yyyy" : a[1].text));
    return value_text(format_number(convert(a[0], t, t_float).f64, a[1].text));
}

value f_hashbytes(const bound &, args_t &a, eval_context &) {
    std::string name = lower(a[0].text);
    const EVP_MD *md = name == "md5"                     ? EVP_md5()
                       : name == "sha" || name == "sha1" ? EVP_sha1()
                       : name == "sha2_256"              ? EVP_sha256()
                       : name == "sha2_512"              ? EVP_sha512()
                                                         : nullptr;
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int n = 0;
    if (md == nullptr || EVP_Digest(a[1].text.data(), a[1].text.size(), digest, &n, md, nullptr) != 1)
        return {};
    return value_text(std::string(reinterpret_cast<char *>(digest), n));
}

value f_checksum(const bound &self, args_t &a, eval_context &) {
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < a.size(); i++)
        for (char c : a[i].null ? std::string() : lower(to_text(a[i], self.args[i]->type)))
            hash = (hash ^ static_cast<uint8_t>(c)) * 16777619u;
    return value_int(static_cast<int32_t>(hash));
}

value f_like_escape(const bound &, args_t &a, eval_context &) { // STRING_ESCAPE(x, 'json')
    std::string out;
    for (char c : a[0].text) {
        if (c == '"' || c == '\\')
            out.push_back('\\');
        out.push_back(c);
    }
    return value_text(out);
}

value f_difference_none(const bound &, args_t &a, eval_context &) {
    return value_int(text_compare(a[0].text, a[1].text) == 0 ? 4 : 0);
}

type_info trim_text(const std::vector<bound_ptr> &a) {
    return same_text({a.back()});
}

const function_row rows[] = {
    {"len", 1, 1, "s", t_int, f_len},
    {"datalength", 1, 1, "a", t_int, f_datalength},
    {"substring", 3, 3, "sii", {}, f_substring, same_text},
    {"left", 2, 2, "si", {}, f_left, taken_text},
    {"right", 2, 2, "si", {}, f_right, taken_text},
    {"upper", 1, 1, "s", {}, f_upper, same_text},
    {"lower", 1, 1, "s", {}, f_lower, same_text},
    {"ltrim", 1, 1, "s", {}, f_ltrim, same_text},
    {"rtrim", 1, 1, "s", {}, f_rtrim, same_text},
    {"trim", 1, 2, "s", {}, f_trim, trim_text},
    {"replace", 3, 3, "s", {}, f_replace, wide_text},
    {"replicate", 2, 2, "si", {}, f_replicate, wide_text},
    {"space", 1, 1, "i", t_varchar, f_space},
    {"reverse", 1, 1, "s", {}, f_reverse, same_text},
    {"charindex", 2, 3, "ssi", t_int, f_charindex},
    {"patindex", 2, 2, "s", t_int, f_patindex},
    {"stuff", 4, 4, "siis", {}, f_stuff, wide_text, true},
    {"concat", 2, 254, "a", {}, f_concat, concat_text, true},
    {"concat_ws", 3, 254, "sa", {}, f_concat_ws, concat_text, true},
    {"str", 1, 3, "fii", {type_id::varchar_, 10, 0, 0}, f_str},
    {"char", 1, 1, "i", {type_id::char_, 1, 0, 0}, f_char},
    {"nchar", 1, 1, "i", {type_id::nchar_, 1, 0, 0}, f_nchar},
    {"ascii", 1, 1, "s", t_int, f_unicode},
    {"unicode", 1, 1, "s", t_int, f_unicode},
    {"quotename", 1, 2, "s", {type_id::nvarchar_, 258, 0, 0}, f_quotename},
    {"format", 2, 3, "as", t_nvarchar, f_format},
    {"hashbytes", 2, 2, "sx", {type_id::varbinary_, 8000, 0, 0}, f_hashbytes},
    {"checksum", 1, 254, "a", t_int, f_checksum, nullptr, true},
    {"binary_checksum", 1, 254, "a", t_int, f_checksum, nullptr, true},
    {"string_escape", 2, 2, "s", t_nvarchar, f_like_escape},
    {"difference", 2, 2, "s", t_int, f_difference_none},
};

} // namespace

function_list text_functions() {
    return {rows, sizeof rows / sizeof rows[0]};
}

} // namespace sqlserver
