#include "tds/tsql_word.h"

#include <array>
#include <iterator>

struct word_row {
    std::string_view spelling;
    tsql_begins begins;
};

static constexpr word_row rows[] = {{"", tsql_begins::never},
#define TSQL_WORD_ROW(name, spelling, begins) {spelling, tsql_begins::begins},
                                    TSQL_WORDS(TSQL_WORD_ROW)
#undef TSQL_WORD_ROW
};
static_assert(std::size(rows) <= 256);

static constexpr size_t longest = 16;
static constexpr size_t slots = 1024; // a few times the words, so that most searches see one slot

static constexpr char16_t upper(char16_t c) {
    return c >= 'a' && c <= 'z' ? static_cast<char16_t>(c - 'a' + 'A') : c;
}

static constexpr uint32_t hash_step(uint32_t hash, char16_t c) {
    return (hash ^ c) * 0x01000193U;
}

static constexpr size_t slot_of(uint32_t hash) {
    return (hash ^ hash >> 15) % slots;
}

static constexpr std::array<uint8_t, slots> make_table() {
    std::array<uint8_t, slots> table{};
    for (size_t i = 1; i < std::size(rows); ++i) {
        uint32_t hash = 0;
        for (char c : rows[i].spelling)
            hash = hash_step(hash, static_cast<char16_t>(c));
        size_t slot = slot_of(hash);
        while (table[slot] != 0)
            slot = (slot + 1) % slots;
        table[slot] = static_cast<uint8_t>(i);
    }
    return table;
}
static constexpr std::array<uint8_t, slots> table = make_table();

static bool is_spelled(std::string_view spelling, const char16_t *folded, size_t size) {
    if (spelling.size() != size)
        return false;
    for (size_t i = 0; i < size; ++i)
        if (folded[i] != static_cast<char16_t>(spelling[i]))
            return false;
    return true;
}

tsql_word tsql_word_find(std::u16string_view text) {
    if (text.size() < 2 || text.size() > longest)
        return tsql_word::none;
    char16_t folded[longest];
    uint32_t hash = 0;
    for (size_t i = 0; i < text.size(); ++i) {
        folded[i] = upper(text[i]);
        hash = hash_step(hash, folded[i]);
    }
    for (size_t slot = slot_of(hash); table[slot] != 0; slot = (slot + 1) % slots)
        if (is_spelled(rows[table[slot]].spelling, folded, text.size()))
            return static_cast<tsql_word>(table[slot]);
    return tsql_word::none;
}

tsql_begins tsql_word_begins(tsql_word word) {
    return rows[static_cast<size_t>(word)].begins;
}
