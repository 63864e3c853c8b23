#include "tds/lone_transaction.h"

#include <algorithm>
#include <iterator>
#include <string_view>

namespace {

// The text as ASCII; what is not is no part of such a statement.
struct cursor {
    std::string text;
    size_t at = 0;

    char peek(size_t ahead = 0) const { return at + ahead < text.size() ? text[at + ahead] : '\0'; }
    bool over() const { return at == text.size(); }
};

} // namespace

static bool read_ascii(std::span<const uint8_t> wire, std::string &text) {
    if (wire.size() % 2 != 0 || wire.size() / 2 > tds_lone_units_max)
        return false;
    for (size_t i = 0; i < wire.size(); i += 2) {
        if (wire[i + 1] != 0 || wire[i] == 0 || wire[i] >= 0x80)
            return false;
        text.push_back(static_cast<char>(wire[i]));
    }
    return true;
}

// Blanks and comments. False: a comment without end.
static bool take_blanks(cursor &c) {
    for (;;) {
        if (c.peek() == ' ' || (c.peek() >= 9 && c.peek() <= 13)) {
            ++c.at;
        } else if (c.peek() == '-' && c.peek(1) == '-') {
            while (!c.over() && c.peek() != '\n')
                ++c.at;
        } else if (c.peek() == '/' && c.peek(1) == '*') {
            int depth = 0;
            do {
                bool opens = c.peek() == '/' && c.peek(1) == '*', closes = c.peek() == '*' && c.peek(1) == '/';
                depth += opens ? 1 : closes ? -1 : 0;
                c.at += opens || closes ? 2U : 1U;
            } while (depth > 0 && c.at < c.text.size());
            if (depth > 0)
                return false;
        } else {
            return true;
        }
    }
}

static bool is_of_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static std::string take_word(cursor &c) {
    std::string word;
    for (; is_of_word(c.peek()); ++c.at)
        word.push_back(c.peek());
    return word;
}

static std::string lower(std::string word) {
    for (char &c : word)
        c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    return word;
}

// Words that no name can be without brackets: those that begin statements, or go on with this one.
static bool is_reserved(const std::string &word) {
    static constexpr std::string_view words[] = {
        "alter",       "backup",   "begin",  "break",      "bulk",        "checkpoint", "close",       "commit",
        "continue",    "create",   "dbcc",   "deallocate", "declare",     "delete",     "deny",        "disable",
        "distributed", "drop",     "else",   "enable",     "end",         "exec",       "execute",     "fetch",
        "go",          "goto",     "grant",  "if",         "insert",      "kill",       "load",        "merge",
        "move",        "open",     "print",  "raiserror",  "readtext",    "receive",    "reconfigure", "restore",
        "return",      "revert",   "revoke", "rollback",   "save",        "select",     "send",        "set",
        "setuser",     "shutdown", "throw",  "tran",       "transaction", "truncate",   "update",      "updatetext",
        "use",         "waitfor",  "while",  "with",       "work",        "writetext"};
    return std::find(std::begin(words), std::end(words), word) != std::end(words);
}

// A plain name or one in brackets. False: something else.
static bool take_name(cursor &c, std::string &name) {
    if (c.peek() != '[') {
        name = take_word(c);
        std::string word = lower(name);
        return name.empty() || (name.size() <= 32 && !(name[0] >= '0' && name[0] <= '9') && !is_reserved(word));
    }
    size_t end = c.text.find(']', c.at);
    if (end == std::string::npos || end - c.at > 33)
        return false;
    name = c.text.substr(c.at, end + 1 - c.at);
    c.at = end + 1;
    return c.peek() != ']';
}

static bool ends(cursor &c) {
    if (!take_blanks(c))
        return false;
    if (c.peek() == ';')
        ++c.at;
    return take_blanks(c) && c.over();
}

tds_lone tds_lone_transaction(std::span<const uint8_t> text, std::string &name) {
    cursor c;
    name.clear();
    if (!read_ascii(text, c.text) || !take_blanks(c))
        return tds_lone::none;
    std::string first = lower(take_word(c));
    tds_lone kind = first == "begin"      ? tds_lone::begin
                    : first == "commit"   ? tds_lone::commit
                    : first == "rollback" ? tds_lone::rollback
                                          : tds_lone::none;
    if (kind == tds_lone::none || !take_blanks(c))
        return tds_lone::none;
    std::string second = lower(take_word(c));
    bool transaction = second == "tran" || second == "transaction";
    if (kind == tds_lone::begin ? !transaction : !second.empty() && !transaction && second != "work")
        return tds_lone::none;
    if (kind == tds_lone::begin && (!take_blanks(c) || !take_name(c, name)))
        return tds_lone::none;
    return ends(c) ? kind : tds_lone::none;
}
