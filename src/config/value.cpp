// The texts that stand for values in a YAML file. Contract in value.h.
#include "config/value.h"

#include <arpa/inet.h>

#include <charconv>
#include <cstdlib>

namespace {

struct unit {
    std::string_view name;
    uint64_t factor;
};

constexpr unit durations[] = {{"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}};
constexpr unit sizes[] = {{"GiB", 1u << 30}, {"MiB", 1u << 20}, {"KiB", 1u << 10}, {"B", 1}};

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// Takes the digits at the head of `text`. False without any, or beyond 64 bits.
bool take_number(std::string_view &text, uint64_t &number) {
    if (text.empty() || !is_digit(text.front()))
        return false;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc())
        return false;
    text.remove_prefix(static_cast<size_t>(end - text.data()));
    return true;
}

// Takes the letters at the head of `text`, which must be a unit's name.
const unit *take_unit(std::string_view &text, const unit *units, size_t count) {
    size_t length = 0;
    while (length < text.size() && is_letter(text[length]))
        ++length;
    std::string_view name = text.substr(0, length);
    for (size_t i = 0; i < count; ++i) {
        if (units[i].name == name) {
            text.remove_prefix(length);
            return &units[i];
        }
    }
    return nullptr;
}

bool add_scaled(uint64_t &sum, uint64_t number, uint64_t factor) {
    uint64_t scaled = 0;
    return !__builtin_mul_overflow(number, factor, &scaled) && !__builtin_add_overflow(sum, scaled, &sum);
}

template <size_t N> std::string in_largest_unit(uint64_t value, const unit (&units)[N]) {
    for (const unit &u : units)
        if (value % u.factor == 0)
            return std::to_string(value / u.factor) + std::string(u.name);
    return std::to_string(value);
}

bool is_name_char(char c) {
    return is_letter(c) || is_digit(c) || c == '.' || c == '_' || c == '-';
}

// Expands the ${...} at the head of `text` and takes it off.
expand_result expand_one(std::string_view &text, std::string &out, std::string &name) {
    size_t end = text.find('}');
    if (end == std::string_view::npos)
        return expand_result::malformed;
    std::string_view inside = text.substr(2, end - 2);
    size_t length = 0;
    while (length < inside.size() && (is_letter(inside[length]) || is_digit(inside[length]) || inside[length] == '_'))
        ++length;
    std::string_view rest = inside.substr(length);
    if (length == 0 || is_digit(inside.front()) || (!rest.empty() && !rest.starts_with(":-")))
        return expand_result::malformed;
    name = inside.substr(0, length);
    const char *value = getenv(name.c_str());
    if (value == nullptr && rest.empty())
        return expand_result::unset;
    if (!rest.empty() && (value == nullptr || *value == '\0'))
        out += rest.substr(2);
    else
        out += value;
    text.remove_prefix(end + 1);
    return expand_result::ok;
}

} // namespace

bool value_number(std::string_view text, uint64_t &number) {
    uint64_t result = 0;
    if (!take_number(text, result) || !text.empty())
        return false;
    number = result;
    return true;
}

bool value_boolean(std::string_view text, bool &flag) {
    if (text == "true" || text == "yes" || text == "on") {
        flag = true;
        return true;
    }
    if (text == "false" || text == "no" || text == "off") {
        flag = false;
        return true;
    }
    return false;
}

bool value_duration(std::string_view text, uint64_t &ms) {
    uint64_t sum = 0;
    if (text == "0") {
        ms = 0;
        return true;
    }
    do {
        uint64_t number = 0;
        if (!take_number(text, number))
            return false;
        const unit *u = take_unit(text, durations, std::size(durations));
        if (u == nullptr || !add_scaled(sum, number, u->factor))
            return false;
    } while (!text.empty());
    ms = sum;
    return true;
}

bool value_size(std::string_view text, uint64_t &bytes) {
    uint64_t number = 0, result = 0;
    if (!take_number(text, number))
        return false;
    const unit *u = text.empty() ? &sizes[std::size(sizes) - 1] : take_unit(text, sizes, std::size(sizes));
    if (u == nullptr || !text.empty() || !add_scaled(result, number, u->factor))
        return false;
    bytes = result;
    return true;
}

bool value_version(std::string_view text) {
    constexpr uint64_t highest[] = {255, 255, 65535};
    size_t parts = 0;
    for (;;) {
        uint64_t number = 0;
        if (parts == std::size(highest) || !take_number(text, number) || number > highest[parts])
            return false;
        ++parts;
        if (text.empty())
            return parts >= 2;
        if (text.front() != '.')
            return false;
        text.remove_prefix(1);
    }
}

bool value_name(std::string_view text) {
    for (char c : text)
        if (!is_name_char(c))
            return false;
    return !text.empty() && text.size() <= 100;
}

bool value_host(std::string_view text) {
    for (char c : text)
        if (!is_name_char(c) && c != ':')
            return false;
    return !text.empty() && text.size() <= 253 && (text.find(':') == std::string_view::npos || value_ip(text, false));
}

bool value_ip(std::string_view text, bool v4_only) {
    unsigned char address[sizeof(in6_addr)];
    std::string terminated(text);
    if (inet_pton(AF_INET, terminated.c_str(), address) == 1)
        return true;
    return !v4_only && inet_pton(AF_INET6, terminated.c_str(), address) == 1;
}

bool value_host_port(std::string_view text, std::string &host, uint16_t &port) {
    std::string_view name = text, number;
    bool has_port = false;
    if (text.starts_with('[')) {
        size_t end = text.find(']');
        if (end == std::string_view::npos || !value_ip(text.substr(1, end - 1), false))
            return false;
        name = text.substr(1, end - 1);
        has_port = end + 1 < text.size();
        if (has_port && text[end + 1] != ':')
            return false;
        number = has_port ? text.substr(end + 2) : number;
    } else if (size_t colon = text.find(':'); colon != std::string_view::npos) {
        name = text.substr(0, colon);
        number = text.substr(colon + 1);
        has_port = true;
    }
    uint64_t parsed = port;
    if (!value_host(name) || (has_port && (!value_number(number, parsed) || parsed == 0 || parsed > 65535)))
        return false;
    host = name;
    port = static_cast<uint16_t>(parsed);
    return true;
}

std::string duration_text(uint64_t ms) {
    return ms == 0 ? "0" : in_largest_unit(ms, durations);
}

std::string size_text(uint64_t bytes) {
    return bytes == 0 ? "0" : in_largest_unit(bytes, sizes);
}

expand_result value_expand(std::string_view text, std::string &out, std::string &name) {
    out.clear();
    while (!text.empty()) {
        size_t dollar = text.find('$');
        out += text.substr(0, dollar);
        if (dollar == std::string_view::npos)
            break;
        text.remove_prefix(dollar);
        if (text.starts_with("$${")) {
            out += "${";
            text.remove_prefix(3);
        } else if (text.starts_with("${")) {
            expand_result result = expand_one(text, out, name);
            if (result != expand_result::ok)
                return result;
        } else {
            out += '$';
            text.remove_prefix(1);
        }
    }
    return expand_result::ok;
}
