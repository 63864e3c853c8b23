// JSON that keeps the order of its keys, as text.
#pragma once

#include <nlohmann/json.hpp>

#include <string>

using json = nlohmann::ordered_json;

// A message may hold a server's bytes: what is not UTF-8 is replaced, never thrown about.
inline std::string json_text(const json &value) {
    return value.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}
