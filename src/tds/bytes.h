// Fixed-width integers at a place in a byte buffer. The caller has checked that the bytes are there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

inline uint16_t get_u16le(const uint8_t *p) {
    return static_cast<uint16_t>(p[0] | p[1] << 8);
}
inline uint16_t get_u16be(const uint8_t *p) {
    return static_cast<uint16_t>(p[0] << 8 | p[1]);
}
inline uint32_t get_u32le(const uint8_t *p) {
    return static_cast<uint32_t>(p[0]) | static_cast<uint32_t>(p[1]) << 8 | static_cast<uint32_t>(p[2]) << 16 |
           static_cast<uint32_t>(p[3]) << 24;
}

inline void put_u8(std::vector<uint8_t> &out, uint32_t v) {
    out.push_back(static_cast<uint8_t>(v));
}
inline void put_u16le(std::vector<uint8_t> &out, uint32_t v) {
    put_u8(out, v);
    put_u8(out, v >> 8);
}
inline void put_u16be(std::vector<uint8_t> &out, uint32_t v) {
    put_u8(out, v >> 8);
    put_u8(out, v);
}
inline void put_u32le(std::vector<uint8_t> &out, uint32_t v) {
    put_u16le(out, v);
    put_u16le(out, v >> 16);
}
inline void put_u32be(std::vector<uint8_t> &out, uint32_t v) {
    put_u16be(out, v >> 16);
    put_u16be(out, v);
}
inline void put_u64le(std::vector<uint8_t> &out, uint64_t v) {
    put_u32le(out, static_cast<uint32_t>(v));
    put_u32le(out, static_cast<uint32_t>(v >> 32));
}

// Overwrites two bytes already in `out`.
inline void set_u16le(std::vector<uint8_t> &out, size_t at, size_t v) {
    out[at] = static_cast<uint8_t>(v);
    out[at + 1] = static_cast<uint8_t>(v >> 8);
}
