// The text of a batch for the admin console, as statements. Pure.
//
//      text -> tokens (tds/tsql_token) -> statements (parse.cpp) -> queries (parse_query.cpp)
//                                                           -> expressions (parse_expression.cpp)
//
// Statements are commands of the console, and the T-SQL that drivers and tools send by themselves. All of a batch is
// read before any of it runs, as on SQL Server: a syntax error runs nothing.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "proxy/console/ast.h"

// `text`: UTF-16LE.
console_batch console_parse(std::span<const uint8_t> text);
// The same of UTF-8.
console_batch console_parse_utf8(std::string_view text);
