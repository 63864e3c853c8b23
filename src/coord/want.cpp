#include "coord/want.h"

#include <algorithm>
#include <charconv>

// The next word, of which `rest` is relieved; empty at the end.
static std::string_view next_word(std::string_view &rest) {
    std::string_view word = rest.substr(0, rest.find(' '));
    rest.remove_prefix(std::min(rest.size(), word.size() + 1));
    return word;
}

template <typename number> static bool next_number(std::string_view &rest, number &out) {
    std::string_view word = next_word(rest);
    auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), out);
    return error == std::errc() && !word.empty() && end == word.data() + word.size();
}

static bool next_holder(std::string_view &rest, slot_holder &out) {
    out.id = next_word(rest);
    return !out.id.empty() && next_number(rest, out.slots);
}

bool slot_want_parse(std::string_view text, slot_want &out) {
    out = {};
    if (!next_holder(text, out.asker) || !next_number(text, out.oldest_wait) || !next_number(text, out.max))
        return false;
    while (!text.empty()) {
        out.others.emplace_back();
        if (!next_holder(text, out.others.back()))
            return false;
    }
    return true;
}

static uint64_t participants(const slot_want &w) {
    return w.others.size() + 1;
}

static bool holds_too_many(const slot_want &w, uint32_t held) {
    return held >= uint64_t{w.asker.slots} + 2 && held * participants(w) > w.max;
}

// What the asker lacks to its share; at least one, since who holds two more than it can spare one.
static uint64_t lacking(const slot_want &w) {
    uint64_t share = w.max / participants(w);
    return share > w.asker.slots ? share - w.asker.slots : 1;
}

static bool before(const slot_holder &a, const slot_holder &b) {
    return a.slots != b.slots ? a.slots > b.slots : a.id < b.id;
}

want_answer slot_want_answer(const slot_want &w, std::string_view id, uint32_t held) {
    if (id == w.asker.id || !holds_too_many(w, held))
        return want_answer::nothing;
    auto me = std::find_if(w.others.begin(), w.others.end(), [id](const slot_holder &h) { return h.id == id; });
    if (me == w.others.end())
        return want_answer::leave;
    auto ahead = std::count_if(w.others.begin(), w.others.end(), [&](const slot_holder &h) { return before(h, *me); });
    return static_cast<uint64_t>(ahead) < lacking(w) ? want_answer::give : want_answer::leave;
}

bool slot_want_hopeful(const slot_want &w) {
    return std::any_of(w.others.begin(), w.others.end(),
                       [&w](const slot_holder &h) { return holds_too_many(w, h.slots); });
}
