// Reads bytes from the front of what is left, little endian. For sources of this folder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

// Not `good` once it was asked for more than was left: from then on nothing is taken, and numbers are 0.
struct byte_reader {
    std::span<const uint8_t> rest;
    bool good = true;
};

inline std::span<const uint8_t> take(byte_reader &r, size_t n) {
    r.good = r.good && n <= r.rest.size();
    if (!r.good)
        return {};
    auto taken = r.rest.first(n);
    r.rest = r.rest.subspan(n);
    return taken;
}

// Of eight bytes at most.
inline uint64_t number_of(std::span<const uint8_t> bytes) {
    uint64_t n = 0;
    for (size_t i = bytes.size(); i-- > 0;)
        n = n << 8 | bytes[i];
    return n;
}

inline uint8_t take_u8(byte_reader &r) {
    return static_cast<uint8_t>(number_of(take(r, 1)));
}
inline uint16_t take_u16(byte_reader &r) {
    return static_cast<uint16_t>(number_of(take(r, 2)));
}
inline uint32_t take_u32(byte_reader &r) {
    return static_cast<uint32_t>(number_of(take(r, 4)));
}
inline uint64_t take_u64(byte_reader &r) {
    return number_of(take(r, 8));
}
