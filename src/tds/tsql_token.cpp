#include "tds/tsql_token.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "tds/bytes.h"

// --- characters

enum class unit_class : uint8_t { odd, space, word, digit, symbol };

static constexpr std::array<unit_class, 128> make_ascii() {
    std::array<unit_class, 128> table{};
    for (char16_t c = 1; c <= ' '; ++c)
        table[c] = unit_class::space;
    for (char16_t c = '!'; c <= '~'; ++c)
        table[c] = unit_class::symbol;
    for (char16_t c = 'A'; c <= 'Z'; ++c)
        table[c] = table[c + 'a' - 'A'] = unit_class::word;
    for (char16_t c : {u'_', u'@', u'#', u'$'})
        table[c] = unit_class::word;
    for (char16_t c = '0'; c <= '9'; ++c)
        table[c] = unit_class::digit;
    return table;
}
static constexpr std::array<unit_class, 128> ascii = make_ascii();

struct unit_range {
    char16_t first, last;
    unit_class is;
};

// Blocks in which all that may stand outside of quotes is of one kind; the rest, punctuation and private use among it,
// is odd. Sorted. Symbols are those of currencies.
static constexpr unit_range ranges[] = {
    {0x0085, 0x0085, unit_class::space},  {0x00a0, 0x00a0, unit_class::space},  {0x00a2, 0x00a5, unit_class::symbol},
    {0x00aa, 0x00aa, unit_class::word},   {0x00b5, 0x00b5, unit_class::word},   {0x00ba, 0x00ba, unit_class::word},
    {0x00c0, 0x00d6, unit_class::word},   {0x00d8, 0x00f6, unit_class::word},   {0x00f8, 0x09f1, unit_class::word},
    {0x09f2, 0x09f3, unit_class::symbol}, {0x09f4, 0x0e3e, unit_class::word},   {0x0e3f, 0x0e3f, unit_class::symbol},
    {0x0e40, 0x167f, unit_class::word},   {0x1680, 0x1680, unit_class::space},  {0x1681, 0x17da, unit_class::word},
    {0x17db, 0x17db, unit_class::symbol}, {0x17dc, 0x180d, unit_class::word},   {0x180f, 0x1fff, unit_class::word},
    {0x2000, 0x200b, unit_class::space},  {0x2028, 0x2029, unit_class::space},  {0x202f, 0x202f, unit_class::space},
    {0x205f, 0x205f, unit_class::space},  {0x20a0, 0x20cf, unit_class::symbol}, {0x2c00, 0x2dff, unit_class::word},
    {0x3000, 0x3000, unit_class::space},  {0x3005, 0x3007, unit_class::word},   {0x3021, 0x302f, unit_class::word},
    {0x3031, 0xdfff, unit_class::word}, // CJK, Hangul, surrogates
    {0xf900, 0xfdfb, unit_class::word},   {0xfdfc, 0xfdfc, unit_class::symbol}, {0xfe69, 0xfe69, unit_class::symbol},
    {0xfe70, 0xfefc, unit_class::word},   {0xff04, 0xff04, unit_class::symbol}, {0xff10, 0xff19, unit_class::word},
    {0xff21, 0xff3a, unit_class::word},   {0xff41, 0xff5a, unit_class::word},   {0xff66, 0xffdc, unit_class::word},
    {0xffe0, 0xffe1, unit_class::symbol}, {0xffe5, 0xffe6, unit_class::symbol},
};

static constexpr bool is_sorted() {
    for (size_t i = 1; i < std::size(ranges); ++i)
        if (ranges[i - 1].last >= ranges[i].first)
            return false;
    return true;
}
static_assert(is_sorted());

static unit_class wide_class(char16_t c) {
    if (c == 0xfeff) // byte order mark
        return unit_class::space;
    const auto *range =
        std::partition_point(std::begin(ranges), std::end(ranges), [c](const unit_range &r) { return r.last < c; });
    return range != std::end(ranges) && range->first <= c ? range->is : unit_class::odd;
}

static unit_class class_of(char16_t c) {
    return c < 128 ? ascii[c] : wide_class(c);
}

static bool is_digit(char16_t c) {
    return c >= '0' && c <= '9';
}
static bool is_hex(char16_t c) {
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
static bool in_word(char16_t c) {
    unit_class is = class_of(c);
    return is == unit_class::word || is == unit_class::digit;
}

// --- tokens

static void begin_token(tsql_tokenizer &t, uint64_t at) {
    t.token_at = at;
    t.size = 0;
    t.cut = false;
}

static void keep(tsql_tokenizer &t, char16_t c) {
    if (t.size < tsql_token_max)
        t.text[t.size++] = c;
    else
        t.cut = true;
}

static void emit(tsql_tokenizer &t, tsql_token_kind kind, uint64_t end, tsql_word word = tsql_word::none,
                 char16_t symbol = 0) {
    t.state = tsql_lex::start;
    t.sink.token(t.sink.who, {kind, word, symbol, t.cut, t.token_at, end, {t.text, t.size}});
}

static void emit_symbol(tsql_tokenizer &t, char16_t symbol, uint64_t at, uint64_t end) {
    begin_token(t, at);
    emit(t, tsql_token_kind::symbol, end, tsql_word::none, symbol);
}

// A word is all letters up to one that cannot be in a name. Where a keyword stands in front of @ or #, as in
// SELECT@@SPID, servers need not agree with that.
static bool glues_keyword(std::u16string_view text) {
    size_t mark = 1;
    while (mark < text.size() && text[mark] != '@' && text[mark] != '#' && text[mark] != '$')
        ++mark;
    return mark < text.size() && tsql_word_find(text.substr(0, mark)) != tsql_word::none;
}

static void emit_word(tsql_tokenizer &t, uint64_t end) {
    std::u16string_view text(t.text, t.size);
    bool variable = text[0] == '@';
    if (!variable && text[0] != '#' && glues_keyword(text))
        emit(t, tsql_token_kind::odd, end);
    else
        emit(t, variable ? tsql_token_kind::variable : tsql_token_kind::word, end, tsql_word_find(text));
}

// What a number ends with is told by the next unit alone. `1else` is 1e and lse to some, 1 and else to others.
static void emit_number(tsql_tokenizer &t, char16_t next, uint64_t end) {
    bool torn = t.state == tsql_lex::exponent && class_of(next) == unit_class::word;
    emit(t, torn ? tsql_token_kind::odd : tsql_token_kind::number, end);
}

static void begin_quoted(tsql_tokenizer &t, tsql_token_kind kind, char16_t quote) {
    t.quoted_kind = kind;
    t.quote = quote;
    t.size = 0;
    t.cut = false;
    t.wanted = kind != tsql_token_kind::name && t.sink.wants(t.sink.who);
    t.state = tsql_lex::quoted;
}

static void start_symbol(tsql_tokenizer &t, char16_t c, uint64_t at) {
    begin_token(t, at);
    switch (c) {
    case '\'': begin_quoted(t, tsql_token_kind::text, c); break;
    case '"': begin_quoted(t, tsql_token_kind::either, c); break;
    case '[': begin_quoted(t, tsql_token_kind::name, ']'); break;
    case '-': t.state = tsql_lex::dash; break;
    case '/': t.state = tsql_lex::slash; break;
    case ':': t.state = tsql_lex::colon; break;
    default: emit_symbol(t, c, at, at + 1);
    }
}

static void start(tsql_tokenizer &t, char16_t c, uint64_t at) {
    switch (class_of(c)) {
    case unit_class::space: break;
    case unit_class::symbol: start_symbol(t, c, at); break;
    case unit_class::word:
        begin_token(t, at);
        keep(t, c);
        t.state = tsql_lex::word;
        break;
    case unit_class::digit:
        begin_token(t, at);
        keep(t, c);
        t.state = c == '0' ? tsql_lex::zero : tsql_lex::digits;
        break;
    case unit_class::odd:
        begin_token(t, at);
        emit(t, tsql_token_kind::odd, at + 1);
        break;
    }
}

// --- one unit at a time: true when it was taken, false when it must be looked at again in the new state

static bool go_on(tsql_tokenizer &t, char16_t c, tsql_lex state) {
    keep(t, c);
    t.state = state;
    return true;
}

static bool step_number(tsql_tokenizer &t, char16_t c, uint64_t at) {
    bool e = c == 'e' || c == 'E';
    switch (t.state) {
    case tsql_lex::zero:
        if (c == 'x' || c == 'X')
            return go_on(t, c, tsql_lex::hex);
        [[fallthrough]];
    case tsql_lex::digits:
        if (is_digit(c))
            return go_on(t, c, tsql_lex::digits);
        if (c == '.')
            return go_on(t, c, tsql_lex::fraction);
        if (e)
            return go_on(t, c, tsql_lex::exponent);
        break;
    case tsql_lex::fraction:
        if (is_digit(c))
            return go_on(t, c, tsql_lex::fraction);
        if (e)
            return go_on(t, c, tsql_lex::exponent);
        break;
    case tsql_lex::exponent:
        if (is_digit(c) || c == '+' || c == '-')
            return go_on(t, c, tsql_lex::exponent_digits);
        break;
    case tsql_lex::exponent_digits:
        if (is_digit(c))
            return go_on(t, c, tsql_lex::exponent_digits);
        break;
    default:
        if (is_hex(c))
            return go_on(t, c, tsql_lex::hex);
    }
    emit_number(t, c, at);
    return false;
}

static bool step_word(tsql_tokenizer &t, char16_t c, uint64_t at) {
    if (in_word(c)) {
        keep(t, c);
        return true;
    }
    if (c == '\'' && t.size == 1 && (t.text[0] == 'N' || t.text[0] == 'n')) {
        begin_quoted(t, tsql_token_kind::text, c);
        return true;
    }
    emit_word(t, at);
    return false;
}

// Behind -, / or : that may be the first of two.
static bool step_pair(tsql_tokenizer &t, char16_t c, uint64_t at) {
    switch (t.state) {
    case tsql_lex::dash:
        if (c == '-') {
            t.state = tsql_lex::line_comment;
            return true;
        }
        emit_symbol(t, '-', at - 1, at);
        return false;
    case tsql_lex::slash:
        if (c == '*') {
            t.state = tsql_lex::comment;
            t.comments = 1;
            return true;
        }
        emit_symbol(t, '/', at - 1, at);
        return false;
    default: emit_symbol(t, c == ':' ? tsql_symbol_scope : u':', at - 1, c == ':' ? at + 1 : at); return c == ':';
    }
}

// A comment that a carriage return alone ends, or not: servers need not agree.
static bool step_line_comment_cr(tsql_tokenizer &t, char16_t c, uint64_t at) {
    if (c == '\r')
        return true;
    t.state = tsql_lex::start;
    if (c == '\n')
        return true;
    begin_token(t, at);
    emit(t, tsql_token_kind::odd, at);
    return false;
}

static bool step_comment(tsql_tokenizer &t, char16_t c) {
    if (t.state == tsql_lex::comment_star && c == '/')
        t.state = --t.comments == 0 ? tsql_lex::start : tsql_lex::comment;
    else if (t.state == tsql_lex::comment_slash && c == '*')
        t.comments++, t.state = tsql_lex::comment;
    else
        t.state = c == '*' ? tsql_lex::comment_star : c == '/' ? tsql_lex::comment_slash : tsql_lex::comment;
    return true;
}

// Behind what may be the end of a quotation.
static bool step_quoted_quote(tsql_tokenizer &t, char16_t c, uint64_t at) {
    if (c != t.quote) {
        emit(t, t.quoted_kind, at);
        return false;
    }
    keep(t, c);
    if (t.wanted) {
        const uint8_t unit[2] = {static_cast<uint8_t>(c), static_cast<uint8_t>(c >> 8)};
        t.sink.content(t.sink.who, std::span<const uint8_t>(unit));
    }
    t.state = tsql_lex::quoted;
    return true;
}

static bool step(tsql_tokenizer &t, char16_t c, uint64_t at) {
    switch (t.state) {
    case tsql_lex::start: start(t, c, at); return true;
    case tsql_lex::word: return step_word(t, c, at);
    case tsql_lex::dash:
    case tsql_lex::slash:
    case tsql_lex::colon: return step_pair(t, c, at);
    case tsql_lex::line_comment_cr: return step_line_comment_cr(t, c, at);
    case tsql_lex::comment:
    case tsql_lex::comment_star:
    case tsql_lex::comment_slash: return step_comment(t, c);
    case tsql_lex::quoted_quote: return step_quoted_quote(t, c, at);
    default: return step_number(t, c, at);
    }
}

// --- long stretches

// The first of `units` at or behind `p` that is `a` or `b`.
static const uint8_t *find_unit(const uint8_t *p, const uint8_t *end, char16_t a, char16_t b) {
    while (p != end) {
        uint16_t c = get_u16le(p);
        if (c == a || c == b)
            break;
        p += 2;
    }
    return p;
}

static const uint8_t *run_quoted(tsql_tokenizer &t, const uint8_t *p, const uint8_t *end) {
    const uint8_t *stop = find_unit(p, end, t.quote, t.quote);
    if (t.wanted && stop != p)
        t.sink.content(t.sink.who, std::span(p, stop));
    auto units = static_cast<size_t>(stop - p) / 2;
    size_t room = std::min(units, tsql_token_max - t.size);
    for (size_t i = 0; i < room; ++i)
        t.text[t.size++] = get_u16le(p + 2 * i);
    t.cut = t.cut || units > room;
    if (stop == end)
        return stop;
    t.state = tsql_lex::quoted_quote;
    return stop + 2;
}

static const uint8_t *run_line_comment(tsql_tokenizer &t, const uint8_t *p, const uint8_t *end) {
    p = find_unit(p, end, '\n', '\r');
    if (p == end)
        return p;
    t.state = get_u16le(p) == '\n' ? tsql_lex::start : tsql_lex::line_comment_cr;
    return p + 2;
}

static const uint8_t *run_word(tsql_tokenizer &t, const uint8_t *p, const uint8_t *end) {
    size_t size = t.size;
    for (; p != end; p += 2) {
        char16_t c = get_u16le(p);
        if (!in_word(c))
            break;
        if (size < tsql_token_max)
            t.text[size++] = c;
        else
            t.cut = true;
    }
    t.size = size;
    return p;
}

static const uint8_t *run_space(const uint8_t *p, const uint8_t *end) {
    while (p != end && class_of(get_u16le(p)) == unit_class::space)
        p += 2;
    return p;
}

static void run(tsql_tokenizer &t, const uint8_t *p, const uint8_t *end) {
    uint64_t first = t.at;
    const uint8_t *begin = p;
    while (p != end) {
        switch (t.state) {
        case tsql_lex::start: p = run_space(p, end); break;
        case tsql_lex::word: p = run_word(t, p, end); break;
        case tsql_lex::quoted: p = run_quoted(t, p, end); break;
        case tsql_lex::line_comment: p = run_line_comment(t, p, end); break;
        case tsql_lex::comment: p = find_unit(p, end, '*', '/'); break;
        default: break;
        }
        if (p != end && t.state != tsql_lex::quoted && t.state != tsql_lex::line_comment)
            p += step(t, get_u16le(p), first + static_cast<uint64_t>(p - begin) / 2) ? 2 : 0;
    }
    t.at = first + static_cast<uint64_t>(end - begin) / 2;
}

void tsql_tokens_begin(tsql_tokenizer &t, const tsql_token_sink &sink) {
    t.sink = sink;
    t.state = tsql_lex::start;
    t.has_half = t.wanted = false;
    t.at = 0;
    begin_token(t, 0);
}

void tsql_tokens_feed(tsql_tokenizer &t, std::span<const uint8_t> in) {
    if (t.has_half && !in.empty()) {
        const uint8_t unit[] = {t.half, in[0]};
        t.has_half = false;
        run(t, unit, unit + 2);
        in = in.subspan(1);
    }
    size_t whole = in.size() / 2 * 2;
    if (whole > 0)
        run(t, in.data(), in.data() + whole);
    if (whole != in.size()) {
        t.has_half = true;
        t.half = in[whole];
    }
}

// Whatever is still open ends as it would in front of a blank.
bool tsql_tokens_end(tsql_tokenizer &t) {
    bool open = t.state == tsql_lex::quoted || t.state == tsql_lex::comment || t.state == tsql_lex::comment_star ||
                t.state == tsql_lex::comment_slash;
    if (open || t.state == tsql_lex::line_comment || t.state == tsql_lex::line_comment_cr)
        return !open && !t.has_half;
    step(t, ' ', t.at);
    return !t.has_half;
}
