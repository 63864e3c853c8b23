// UTF-16LE of the wire to UTF-8 and back. The wire may hold lone surrogates: they become
// U+FFFD. UTF-8 that is not well formed becomes U+FFFD too, so every conversion succeeds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// One UTF-16 unit makes at most this many bytes of UTF-8 (a pair of units makes four).
inline constexpr size_t tds_utf8_per_unit = 3;

// Converts `wire` (an odd last byte is ignored) into `out`, which must have room for tds_utf8_per_unit bytes for every
// unit. Returns the bytes written. No terminator.
size_t tds_utf8_write(std::span<const uint8_t> wire, char *out);

std::string tds_utf8(std::span<const uint8_t> wire);

// Appends `text` as UTF-16LE, at most `max_units` units, never half of a surrogate pair. Returns the units appended.
size_t tds_utf16_append(std::string_view text, size_t max_units, std::vector<uint8_t> &out);
