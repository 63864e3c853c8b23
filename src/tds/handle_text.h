// Handles of prepared statements in T-SQL text: EXEC sp_execute 5, 'a value'. A text search, not a parse: for texts
// that are known to run such a procedure (tds/tsql_known), and numbers that are known to be handles.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

struct tds_handle_use {
    size_t at, bytes; // of the number, in the text
    int32_t handle;
    bool ends; // sp_unprepare
    bool operator==(const tds_handle_use &) const = default;
};

// All places where sp_execute or sp_unprepare is followed by a whole number, with @handle = in front of it or without.
// `text`: UTF-16LE.
std::vector<tds_handle_use> tds_handles_in_text(std::span<const uint8_t> text);
