// Text helpers of the T-SQL half: case folding, UTF-8 measured in UTF-16 units (what LEN and nvarchar(n) count),
// and the errors that every layer throws inside the module. sql_error never crosses engine.h.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sqlserver {

struct sql_error {
    int32_t number = 0;
    uint8_t severity = 16;
    uint8_t state = 1;
    std::string text;
    std::string procedure;
    int32_t line = 0;
    bool aborts_batch = false; // the rest of the batch is not run
    bool rolls_back = false;   // and the transaction is gone
};

[[noreturn]] void fail(int32_t number, int severity, int state, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
std::string text_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));

std::string lower(std::string_view text); // ASCII and Latin, Greek, Cyrillic letters
std::string upper(std::string_view text);
bool same_name(std::string_view a, std::string_view b); // identifiers, case-insensitive
std::string trim(std::string_view text);

// UTF-8 decoding: the code point at `at`, which moves on. Broken input yields U+FFFD and one byte of progress.
uint32_t utf8_next(std::string_view text, size_t &at);
void utf8_put(std::string &out, uint32_t code_point);
size_t utf16_length(std::string_view text);
std::string utf16_substring(std::string_view text, size_t start, size_t count); // units, from 0
uint32_t fold_case(uint32_t code_point);

// The collation of all character data: case-insensitive, trailing blanks ignored. <0, 0, >0.
int text_compare(std::string_view a, std::string_view b);
bool text_like(std::string_view text, std::string_view pattern, uint32_t escape); // escape 0: none

std::string hex_text(std::string_view bytes);
std::string quote_name(std::string_view name, char quote = '['); // [a]]b] or "a""b"

} // namespace sqlserver
