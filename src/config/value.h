// The texts that stand for values in a YAML file: numbers, durations, sizes, addresses, ${ENV}. Pure functions.
//
// Each returns false when `text` is not such a value and leaves the result alone then; ranges are the caller's.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

[[nodiscard]] bool value_number(std::string_view text, uint64_t &number); // decimal digits only
[[nodiscard]] bool value_boolean(std::string_view text, bool &flag);      // true/false, yes/no, on/off
[[nodiscard]] bool value_duration(std::string_view text, uint64_t &ms);   // 0, 500ms, 30s, 5m, 1h, 1h30m
[[nodiscard]] bool value_size(std::string_view text, uint64_t &bytes);    // 65536, 64KiB, 1MiB, 1GiB
[[nodiscard]] bool value_version(std::string_view text);                  // 16.0 or 16.0.4135 (PRELOGIN VERSION)
[[nodiscard]] bool value_name(std::string_view text);                     // 1 to 100 of A-Z a-z 0-9 . _ -
[[nodiscard]] bool value_host(std::string_view text);                     // a host name or an IP address
[[nodiscard]] bool value_ip(std::string_view text, bool v4_only);         // an IP address, no name
// "host", "host:port", "[ipv6]:port". Without a port `port` keeps its value.
[[nodiscard]] bool value_host_port(std::string_view text, std::string &host, uint16_t &port);

// The shortest texts for a time in ms and a size in bytes, as the functions above read them.
std::string duration_text(uint64_t ms);
std::string size_text(uint64_t bytes);

enum class expand_result : uint8_t {
    ok,
    unset,     // `name` holds the variable that is not set and has no default
    malformed, // ${ without }, or no variable name in it
};

// Replaces ${NAME} and ${NAME:-default} (default: NAME unset or empty) from the environment; "$${" stands for "${".
// What an expansion yields is not expanded again.
expand_result value_expand(std::string_view text, std::string &out, std::string &name);
