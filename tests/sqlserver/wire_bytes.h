// Little-endian fields: a bounds-checked reader, writers that append to a string, and text conversions.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace sqlserver {

// Reads from a received message. Reading beyond the end sets `bad` and gives zeros, so a parser may check once at its
// end, but before it uses a length to loop or allocate.
struct reader {
    const char *p = nullptr;
    size_t left = 0;
    bool bad = false;
};

inline reader reader_of(std::string_view bytes) {
    return {bytes.data(), bytes.size(), false};
}

inline std::string_view rd_bytes(reader &r, size_t n) {
    if (r.bad || n > r.left) {
        r.bad = true;
        r.left = 0;
        return {};
    }
    std::string_view bytes(r.p, n);
    r.p += n;
    r.left -= n;
    return bytes;
}

template <typename T> inline T rd_int(reader &r) { // the machine is little-endian, as is the wire
    T v = 0;
    std::string_view bytes = rd_bytes(r, sizeof v);
    if (bytes.size() == sizeof v)
        memcpy(&v, bytes.data(), sizeof v);
    return v;
}

inline uint8_t rd_u8(reader &r) {
    return rd_int<uint8_t>(r);
}
inline uint16_t rd_u16(reader &r) {
    return rd_int<uint16_t>(r);
}
inline uint32_t rd_u32(reader &r) {
    return rd_int<uint32_t>(r);
}
inline uint64_t rd_u64(reader &r) {
    return rd_int<uint64_t>(r);
}

template <typename T> inline void put_int(std::string &o, T v) {
    char bytes[sizeof v];
    memcpy(bytes, &v, sizeof v);
    o.append(bytes, sizeof v);
}

inline void put_u8(std::string &o, unsigned v) {
    o.push_back(static_cast<char>(v));
}
inline void put_u16(std::string &o, unsigned v) {
    put_int(o, static_cast<uint16_t>(v));
}
inline void put_u32(std::string &o, uint32_t v) {
    put_int(o, v);
}
inline void put_u64(std::string &o, uint64_t v) {
    put_int(o, v);
}

template <typename T> inline void patch_int(std::string &o, size_t at, T v) {
    memcpy(&o[at], &v, sizeof v);
}

// UTF-8 <-> UTF-16LE. Lone surrogates are legal on the wire and survive as three-byte sequences; bytes that are no
// UTF-8 become U+FFFD.
void utf16_put(std::string &o, std::string_view utf8);
std::string utf16_decode(std::string_view utf16le);

// UTF-8 <-> Windows-1252, the code page of the server's collation. What it does not have becomes '?'.
void cp1252_put(std::string &o, std::string_view utf8);
std::string cp1252_decode(std::string_view bytes);

// Counted UTF-16 text: B_VARCHAR (u8) and US_VARCHAR (u16), cut to what the count can say.
void put_b_varchar(std::string &o, std::string_view utf8);
void put_us_varchar(std::string &o, std::string_view utf8, size_t max_units = 65535);

// The collation of everything: SQL_Latin1_General_CP1_CI_AS.
constexpr std::string_view collation("\x09\x04\xD0\x00\x34", 5);

} // namespace sqlserver
