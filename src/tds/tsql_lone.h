// A T-SQL text that is nothing but one BEGIN TRANSACTION, COMMIT or ROLLBACK, comments aside.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

enum class tsql_lone : uint8_t {
    none,     // anything else, or not surely one of these
    begin,    // BEGIN TRAN[SACTION], with a name or without; neither WITH MARK nor DISTRIBUTED nor a name in a variable
    commit,   // COMMIT [TRAN[SACTION] | WORK]
    rollback, // likewise, without a name
};

inline constexpr size_t tsql_lone_units_max = 256; // a longer text is none

// `text`: UTF-16LE. `name`: of begin, as it is written; empty: none.
tsql_lone tsql_lone_transaction(std::span<const uint8_t> text, std::string &name);
