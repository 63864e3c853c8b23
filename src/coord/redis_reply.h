// Reading hiredis replies without trusting their shape.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

struct redisReply;

// The integer itself; `otherwise` for any other type (null included).
int64_t reply_integer(const redisReply *, int64_t otherwise);
// Element `i` of an array; null when it is not an array or has none such.
const redisReply *reply_element(const redisReply *, size_t i);
// The text of a string, status or error; empty for any other type.
std::string_view reply_text(const redisReply *);
std::vector<std::string> reply_strings(const redisReply *);
// Not an array: empty. Elements that are no integers: 0.
std::vector<int64_t> reply_integers(const redisReply *);

bool reply_is_error(const redisReply *);
bool reply_is_noscript(const redisReply *);

// The value of `name:value` in the text of INFO; empty when there is none.
std::string_view info_value(std::string_view info, std::string_view name);
