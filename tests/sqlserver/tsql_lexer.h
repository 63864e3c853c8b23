// Turns a T-SQL batch into tokens. Comments (nested) and white space are dropped; every token knows its line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sqlserver {

enum class token_kind : uint8_t {
    end,
    name,
    quoted_name,
    variable,
    global,
    string_,
    nstring,
    integer,
    decimal_,
    float_,
    money,
    binary,
    symbol,
};

struct token {
    token_kind kind = token_kind::end;
    std::string text;  // names without brackets, strings without quotes, symbols as they are, bytes of 0x literals
    std::string lower; // names and variables, for comparison
    int32_t line = 1;
    uint32_t offset = 0, length = 0; // the place in the batch
};

// Ends with a token of kind end. SET QUOTED_IDENTIFIER acts on what follows it; `set_to` becomes the last such setting.
// Throws sql_error 105 (unclosed quote), 113 (unclosed comment), 102.
std::vector<token> lex(std::string_view sql, bool quoted_identifier, std::optional<bool> *set_to = nullptr);
bool is_reserved(std::string_view lower_name);

} // namespace sqlserver
