#include "tds/handle_text.h"

#include <cctype>
#include <string_view>

namespace {

// A position in the text; behind its end there are zeroes.
struct cursor {
    std::span<const uint8_t> text;
    size_t unit = 0;

    uint32_t peek(size_t ahead = 0) const {
        size_t at = 2 * (unit + ahead);
        return at + 1 < text.size() ? static_cast<uint32_t>(text[at] | text[at + 1] << 8) : 0;
    }
    bool over() const { return 2 * unit + 1 >= text.size(); }
};

} // namespace

static bool is_of_name(uint32_t c) {
    return c >= 0x80 || (c != 0 && (isalnum(static_cast<int>(c)) || c == '_' || c == '@' || c == '#' || c == '$'));
}

// The word, of lower case letters, in any case and not a part of a longer one; steps over it.
static bool take_word(cursor &c, std::string_view word) {
    for (size_t i = 0; i < word.size(); ++i) {
        uint32_t unit = c.peek(i);
        uint32_t lower = unit >= 'A' && unit <= 'Z' ? unit + ('a' - 'A') : unit;
        if (lower != static_cast<uint8_t>(word[i]))
            return false;
    }
    if (is_of_name(c.peek(word.size())))
        return false;
    c.unit += word.size();
    return true;
}

static void take_blanks(cursor &c) {
    while (c.peek() == ' ' || (c.peek() >= 9 && c.peek() <= 13))
        ++c.unit;
}

static bool take_number(cursor &c, int64_t &number) {
    size_t digits = 0;
    for (number = 0; c.peek() >= '0' && c.peek() <= '9' && digits < 10; ++c.unit, ++digits)
        number = 10 * number + static_cast<int64_t>(c.peek() - '0');
    return digits > 0 && number <= INT32_MAX && !is_of_name(c.peek()) && c.peek() != '.';
}

// Behind the procedure's name.
static void take_handle(cursor &c, bool ends, std::vector<tds_handle_use> &uses) {
    if (c.peek() == ']' || c.peek() == '"')
        ++c.unit;
    take_blanks(c);
    if (take_word(c, "@handle")) {
        take_blanks(c);
        if (c.peek() != '=')
            return;
        ++c.unit;
        take_blanks(c);
    }
    size_t begin = c.unit;
    int64_t number = 0;
    if (take_number(c, number))
        uses.push_back({2 * begin, 2 * (c.unit - begin), static_cast<int32_t>(number), ends});
}

std::vector<tds_handle_use> tds_handles_in_text(std::span<const uint8_t> text) {
    std::vector<tds_handle_use> uses;
    uint32_t before = 0;
    for (cursor c{text}; !c.over(); before = c.peek(), ++c.unit) {
        if (is_of_name(before) || (c.peek() | 0x20) != 's')
            continue;
        bool executes = take_word(c, "sp_execute");
        if (executes || take_word(c, "sp_unprepare"))
            take_handle(c, !executes, uses);
    }
    return uses;
}
