// The first tokens of a statement, kept until it is complete.
#include <algorithm>
#include <vector>

#include "tds/bytes.h"
#include "tds/request_build.h"
#include "tds/tsql_scanner.h"
#include "tds/utf16.h"

void tsql_head_clear(tsql_scanner &s) {
    s.head_count = s.head_text_size = 0;
    s.head_full = false;
}

void tsql_head_keep(tsql_scanner &s, const tsql_token &t) {
    if (s.head_count == tsql_head_max) {
        s.head_full = true;
        return;
    }
    size_t room = std::min(t.text.size(), tsql_head_text_max - s.head_text_size);
    std::copy_n(t.text.begin(), room, s.head_text + s.head_text_size);
    s.head[s.head_count++] = {t.kind,
                              t.word,
                              t.symbol,
                              t.cut || room < t.text.size(),
                              static_cast<uint16_t>(s.head_text_size),
                              static_cast<uint16_t>(room)};
    s.head_text_size += room;
}

std::u16string_view tsql_head_text(const tsql_scanner &s, size_t i) {
    if (i >= s.head_count)
        return {};
    return {s.head_text + s.head[i].text_at, s.head[i].text_size};
}

std::string tsql_head_utf8(const tsql_scanner &s, size_t i) {
    std::vector<uint8_t> wire;
    for (char16_t c : tsql_head_text(s, i))
        put_u16le(wire, c);
    return tds_utf8(wire);
}

std::string tsql_head_lower(const tsql_scanner &s, size_t i) {
    std::string text = tsql_head_utf8(s, i);
    for (char &c : text)
        c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    return text;
}

bool tsql_head_spells(const tsql_scanner &s, size_t i, std::string_view upper) {
    std::u16string_view text = tsql_head_text(s, i);
    auto same = [](char16_t c, char u) {
        return (c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c) == static_cast<char16_t>(u);
    };
    return std::equal(text.begin(), text.end(), upper.begin(), upper.end(), same);
}

bool tsql_head_is_name(const tsql_scanner &s, size_t i) {
    return tsql_head_is(s, i, tsql_token_kind::word) || tsql_head_is(s, i, tsql_token_kind::name) ||
           tsql_head_is(s, i, tsql_token_kind::either);
}

// Names without a quote as they are, the others in brackets: OBJECT_ID understands both, whatever QUOTED_IDENTIFIER is.
static std::string written(const tsql_scanner &s, size_t i, const std::string &text) {
    return tsql_head_is(s, i, tsql_token_kind::word) ? text : tds_quote_name(text);
}

static std::string folded(const std::string &lower) {
    bool plain = std::all_of(lower.begin(), lower.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '#' || c == '@' || c == '$';
    });
    return plain ? lower : tds_quote_name(lower);
}

bool tsql_head_name(const tsql_scanner &s, size_t &i, tsql_object_name &name) {
    name = {};
    bool due = true, whole = true; // a part is due; parts may be empty but for the last
    for (;; ++i) {
        if (tsql_head_symbol(s, i) == '.') {
            name.schema = due ? std::string() : name.lower;
            name.parts += due ? 1 : 0;
            name.written.push_back('.');
            name.folded.push_back('.');
            name.bare.clear();
            due = true;
        } else if (due && tsql_head_is_name(s, i)) {
            name.bare = tsql_head_utf8(s, i);
            name.lower = tsql_head_lower(s, i);
            name.written += written(s, i, name.bare);
            name.folded += folded(name.lower);
            whole = whole && !s.head[i].cut;
            name.parts++;
            due = false;
        } else {
            break;
        }
    }
    return !due && whole && name.parts <= 4;
}
