// Text helpers: see the header.
#include "tsql_text.h"

#include <cstdarg>
#include <cstdio>

namespace sqlserver {

static std::string format_text(const char *format, va_list args) {
    char small[512];
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(small, sizeof small, format, args);
    std::string out;
    if (n >= 0 && static_cast<size_t>(n) < sizeof small) {
        out.assign(small, static_cast<size_t>(n));
    } else if (n > 0) {
        out.resize(static_cast<size_t>(n) + 1);
        vsnprintf(out.data(), out.size(), format, again);
        out.pop_back();
    }
    va_end(again);
    return out;
}

std::string text_printf(const char *format, ...) {
    va_list args;
    va_start(args, format);
    std::string out = format_text(format, args);
    va_end(args);
    return out;
}

void fail(int32_t number, int severity, int state, const char *format, ...) {
    va_list args;
    va_start(args, format);
    sql_error e;
    e.number = number;
    e.severity = static_cast<uint8_t>(severity);
    e.state = static_cast<uint8_t>(state);
    e.text = format_text(format, args);
    va_end(args);
    throw e;
}

uint32_t utf8_next(std::string_view text, size_t &at) {
    auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
    uint8_t first = byte(at++);
    if (first < 0x80)
        return first;
    int more = first >= 0xF0 && first < 0xF5 ? 3 : first >= 0xE0 ? 2 : first >= 0xC2 ? 1 : 0;
    if (more == 0 || first >= 0xF5 || at + static_cast<size_t>(more) > text.size())
        return 0xFFFD;
    uint32_t code = first & (0x3Fu >> more);
    for (int i = 0; i < more; i++) {
        if ((byte(at + static_cast<size_t>(i)) & 0xC0) != 0x80)
            return 0xFFFD;
        code = code << 6 | (byte(at + static_cast<size_t>(i)) & 0x3Fu);
    }
    at += static_cast<size_t>(more);
    return code;
}

void utf8_put(std::string &out, uint32_t c) {
    auto put = [&](uint32_t b) { out.push_back(static_cast<char>(b)); };
    if (c < 0x80) {
        put(c);
    } else if (c < 0x800) {
        put(0xC0 | c >> 6), put(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
        put(0xE0 | c >> 12), put(0x80 | (c >> 6 & 0x3F)), put(0x80 | (c & 0x3F));
    } else {
        put(0xF0 | c >> 18), put(0x80 | (c >> 12 & 0x3F)), put(0x80 | (c >> 6 & 0x3F)), put(0x80 | (c & 0x3F));
    }
}

uint32_t fold_case(uint32_t c) {
    if (c < 0x80)
        return c >= 'A' && c <= 'Z' ? c + 32 : c;
    if ((c >= 0xC0 && c <= 0xDE && c != 0xD7) || (c >= 0x391 && c <= 0x3A9) || (c >= 0x410 && c <= 0x42F))
        return c + 32;
    if (c >= 0x400 && c <= 0x40F)
        return c + 80;
    if ((c >= 0x100 && c <= 0x137) || (c >= 0x14A && c <= 0x177))
        return c | 1;
    if ((c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17E))
        return c & 1 ? c + 1 : c;
    return c;
}

static uint32_t unfold_case(uint32_t c) {
    if (c < 0x80)
        return c >= 'a' && c <= 'z' ? c - 32 : c;
    if ((c >= 0xE0 && c <= 0xFE && c != 0xF7) || (c >= 0x3B1 && c <= 0x3C9 && c != 0x3C2) || (c >= 0x430 && c <= 0x44F))
        return c - 32;
    if (c >= 0x450 && c <= 0x45F)
        return c - 80;
    if ((c >= 0x100 && c <= 0x137) || (c >= 0x14A && c <= 0x177))
        return c & ~1u;
    if ((c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17E))
        return c & 1 ? c : c - 1;
    return c;
}

template <class F> static std::string map_text(std::string_view text, F change) {
    std::string out;
    out.reserve(text.size());
    for (size_t at = 0; at < text.size();)
        utf8_put(out, change(utf8_next(text, at)));
    return out;
}

std::string lower(std::string_view text) {
    return map_text(text, fold_case);
}
std::string upper(std::string_view text) {
    return map_text(text, unfold_case);
}

bool same_name(std::string_view a, std::string_view b) {
    size_t i = 0, j = 0;
    while (i < a.size() && j < b.size())
        if (fold_case(utf8_next(a, i)) != fold_case(utf8_next(b, j)))
            return false;
    return i == a.size() && j == b.size();
}

std::string trim(std::string_view text) {
    size_t from = text.find_first_not_of(" \t\r\n");
    if (from == std::string_view::npos)
        return {};
    return std::string(text.substr(from, text.find_last_not_of(" \t\r\n") - from + 1));
}

size_t utf16_length(std::string_view text) {
    size_t n = 0;
    for (unsigned char c : text)
        n += (c & 0xC0) != 0x80 ? (c >= 0xF0 ? 2u : 1u) : 0u;
    return n;
}

std::string utf16_substring(std::string_view text, size_t start, size_t count) {
    size_t unit = 0, at = 0, from = text.size();
    while (at < text.size() && unit < start + count) {
        size_t here = at;
        if (unit >= start && from == text.size())
            from = here;
        unit += utf8_next(text, at) >= 0x10000 ? 2 : 1;
    }
    return from >= at ? std::string() : std::string(text.substr(from, at - from));
}

int text_compare(std::string_view a, std::string_view b) {
    while (!a.empty() && a.back() == ' ')
        a.remove_suffix(1);
    while (!b.empty() && b.back() == ' ')
        b.remove_suffix(1);
    size_t i = 0, j = 0;
    while (i < a.size() && j < b.size()) {
        uint32_t x = fold_case(utf8_next(a, i)), y = fold_case(utf8_next(b, j));
        if (x != y)
            return x < y ? -1 : 1;
    }
    return i < a.size() ? 1 : j < b.size() ? -1 : 0;
}

// One [set] of a LIKE pattern; `at` stands after the '[' and moves past the ']'.
static bool like_set(std::string_view pattern, size_t &at, uint32_t c) {
    bool negate = at < pattern.size() && pattern[at] == '^', found = false;
    if (negate)
        at++;
    for (bool first = true; at < pattern.size() && (first || pattern[at] != ']'); first = false) {
        uint32_t low = fold_case(utf8_next(pattern, at)), high = low;
        if (at + 1 < pattern.size() && pattern[at] == '-' && pattern[at + 1] != ']') {
            at++;
            high = fold_case(utf8_next(pattern, at));
        }
        found = found || (c >= low && c <= high);
    }
    at++;
    return found != negate;
}

bool text_like(std::string_view text, std::string_view pattern, uint32_t escape) {
    size_t t = 0, p = 0;
    size_t star_p = std::string_view::npos, star_t = 0;
    while (true) {
        bool matched = false;
        if (p < pattern.size() && pattern[p] == '%' && escape != '%') {
            star_p = ++p;
            star_t = t;
            continue;
        }
        if (t >= text.size() && p >= pattern.size())
            return true;
        if (t < text.size() && p < pattern.size()) {
            size_t next_t = t, next_p = p;
            uint32_t c = fold_case(utf8_next(text, next_t)), raw = utf8_next(pattern, next_p);
            if (escape != 0 && raw == escape && next_p < pattern.size())
                matched = fold_case(utf8_next(pattern, next_p)) == c;
            else if (raw == '_')
                matched = true;
            else if (raw == '[')
                matched = like_set(pattern, next_p, c);
            else
                matched = fold_case(raw) == c;
            if (matched) {
                t = next_t;
                p = next_p;
                continue;
            }
        }
        // trailing blanks of the text do not count against the pattern
        if (p >= pattern.size() && text.find_first_not_of(' ', t) == std::string_view::npos)
            return true;
        if (star_p == std::string_view::npos || star_t >= text.size())
            return false;
        utf8_next(text, star_t);
        t = star_t;
        p = star_p;
    }
}

std::string hex_text(std::string_view bytes) {
    static const char digits[] = "0123456789ABCDEF";
    std::string out;
    for (unsigned char c : bytes)
        out.push_back(digits[c >> 4]), out.push_back(digits[c & 15]);
    return out;
}

std::string quote_name(std::string_view name, char quote) {
    char close = quote == '[' ? ']' : quote == '(' ? ')' : quote == '<' ? '>' : quote == '{' ? '}' : quote;
    std::string out(1, quote);
    for (char c : name) {
        out.push_back(c);
        if (c == close)
            out.push_back(c);
    }
    out.push_back(close);
    return out;
}

} // namespace sqlserver
