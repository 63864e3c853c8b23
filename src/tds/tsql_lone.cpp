#include "tds/tsql_lone.h"

#include <algorithm>

#include "tds/tsql_token.h"
#include "tds/utf16.h"

namespace {

constexpr size_t parts_max = 4; // BEGIN TRAN name ;

struct part {
    tsql_token_kind kind;
    tsql_word word;
    char16_t symbol;
    size_t at, end; // bytes of the text
};

struct statement {
    part parts[parts_max];
    size_t count = 0; // of all tokens, also of those beyond
    size_t next = 0;

    const part *peek() const { return next < std::min(count, parts_max) ? parts + next : nullptr; }
    bool take(tsql_word word) {
        bool fits = peek() != nullptr && peek()->kind == tsql_token_kind::word && peek()->word == word;
        next += fits ? 1U : 0U;
        return fits;
    }
    bool semicolon_next() const {
        return peek() != nullptr && peek()->kind == tsql_token_kind::symbol && peek()->symbol == u';';
    }
};

} // namespace

static void add_token(void *who, const tsql_token &t) {
    auto &s = *static_cast<statement *>(who);
    if (s.count < parts_max)
        s.parts[s.count] = {t.kind, t.word, t.symbol, 2 * static_cast<size_t>(t.at), 2 * static_cast<size_t>(t.end)};
    ++s.count;
}

static bool wants_nothing(void *) {
    return false;
}

static bool read_tokens(std::span<const uint8_t> text, statement &s) {
    tsql_tokenizer tokenizer;
    tsql_tokens_begin(tokenizer, {&s, add_token, wants_nothing, nullptr});
    tsql_tokens_feed(tokenizer, text);
    return tsql_tokens_end(tokenizer);
}

static bool is_ascii(std::span<const uint8_t> text) {
    for (size_t i = 0; i + 1 < text.size(); i += 2)
        if (text[i + 1] != 0 || text[i] == 0 || text[i] >= 0x80)
            return false;
    return true;
}

static std::string text_of(std::span<const uint8_t> text, const part &p) {
    return tds_utf8(text.subspan(p.at, p.end - p.at));
}

static bool is_spelled(std::string word, const char *lower) {
    std::transform(word.begin(), word.end(), word.begin(), [](char c) { return static_cast<char>(c | 0x20); });
    return word == lower;
}

// In brackets, or a word that has no meaning of its own: such a one may begin the next statement.
static bool is_name(const part &p, const std::string &name) {
    static constexpr size_t longest = 32;
    if (p.kind == tsql_token_kind::name)
        return name.size() <= longest + 2 && name.find(']') == name.size() - 1;
    auto plain = [](char c) { return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_'; };
    return p.kind == tsql_token_kind::word && p.word == tsql_word::none && name.size() <= longest &&
           std::all_of(name.begin(), name.end(), plain) && !is_spelled(name, "work") && !is_spelled(name, "go");
}

// What may stand between the first word and the end. False: something else.
static bool take_rest(std::span<const uint8_t> text, tsql_lone kind, statement &s, std::string &name) {
    bool transaction = s.take(tsql_word::tran) || s.take(tsql_word::transaction);
    if (kind != tsql_lone::begin) {
        if (!transaction && s.peek() != nullptr && is_spelled(text_of(text, *s.peek()), "work"))
            ++s.next;
        return true;
    }
    if (!transaction || s.peek() == nullptr || s.semicolon_next())
        return transaction;
    const part &p = s.parts[s.next++];
    name = text_of(text, p);
    return is_name(p, name);
}

tsql_lone tsql_lone_transaction(std::span<const uint8_t> text, std::string &name) {
    statement s;
    name.clear();
    if (text.size() > 2 * tsql_lone_units_max || !is_ascii(text) || !read_tokens(text, s))
        return tsql_lone::none;
    tsql_lone kind = s.take(tsql_word::begin)      ? tsql_lone::begin
                     : s.take(tsql_word::commit)   ? tsql_lone::commit
                     : s.take(tsql_word::rollback) ? tsql_lone::rollback
                                                   : tsql_lone::none;
    if (kind == tsql_lone::none || !take_rest(text, kind, s, name))
        return tsql_lone::none;
    s.next += s.semicolon_next() ? 1U : 0U;
    return s.next == s.count ? kind : tsql_lone::none;
}
