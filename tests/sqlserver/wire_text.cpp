// Text conversions of wire_bytes.h.
#include "wire_bytes.h"

namespace sqlserver {

namespace {

// Windows-1252, 0x80..0x9F; 0 is unassigned and maps to itself.
const uint16_t high_1252[32] = {0x20AC, 0,      0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
                                0x2039, 0x0152, 0,      0x017D, 0,      0,      0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
                                0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0,      0x017E, 0x0178};

// One code point at `i`, which moves behind it.
uint32_t utf8_next(std::string_view s, size_t &i) {
    auto byte = [&](size_t at) { return static_cast<uint8_t>(s[at]); };
    uint8_t lead = byte(i++);
    if (lead < 0x80)
        return lead;
    size_t more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
    if (lead < 0xC2 || lead > 0xF4 || i + more > s.size())
        return 0xFFFD;
    uint32_t point = lead & (0x3Fu >> more);
    for (size_t k = 0; k < more; k++) {
        if ((byte(i + k) & 0xC0) != 0x80)
            return 0xFFFD;
        point = point << 6 | (byte(i + k) & 0x3Fu);
    }
    i += more;
    return point > 0x10FFFF ? 0xFFFD : point;
}

void utf8_put(std::string &o, uint32_t point) {
    if (point < 0x80) {
        put_u8(o, point);
    } else if (point < 0x800) {
        put_u8(o, 0xC0 | point >> 6);
        put_u8(o, 0x80 | (point & 0x3F));
    } else if (point < 0x10000) {
        put_u8(o, 0xE0 | point >> 12);
        put_u8(o, 0x80 | (point >> 6 & 0x3F));
        put_u8(o, 0x80 | (point & 0x3F));
    } else {
        put_u8(o, 0xF0 | point >> 18);
        put_u8(o, 0x80 | (point >> 12 & 0x3F));
        put_u8(o, 0x80 | (point >> 6 & 0x3F));
        put_u8(o, 0x80 | (point & 0x3F));
    }
}

uint8_t to_1252(uint32_t point) {
    if (point < 0x80 || (point >= 0xA0 && point <= 0xFF))
        return static_cast<uint8_t>(point);
    for (unsigned i = 0; i < 32; i++)
        if (high_1252[i] == point || (high_1252[i] == 0 && point == 0x80 + i))
            return static_cast<uint8_t>(0x80 + i);
    return '?';
}

// Cuts `o` back so that what was written after `start` has at most `max` UTF-16 units; gives their number.
size_t units_cut(std::string &o, size_t start, size_t max) {
    size_t units = (o.size() - start) / 2;
    if (units > max) {
        o.resize(start + max * 2);
        units = max;
    }
    return units;
}

} // namespace

void utf16_put(std::string &o, std::string_view s) {
    o.reserve(o.size() + s.size() * 2);
    for (size_t i = 0; i < s.size();) {
        uint32_t point = utf8_next(s, i);
        if (point < 0x10000) {
            put_u16(o, point);
        } else {
            put_u16(o, 0xD7C0 + (point >> 10));
            put_u16(o, 0xDC00 | (point & 0x3FF));
        }
    }
}

std::string utf16_decode(std::string_view s) {
    std::string o;
    o.reserve(s.size() / 2);
    auto unit = [&](size_t at) {
        return static_cast<uint32_t>(static_cast<uint8_t>(s[at]) | static_cast<uint8_t>(s[at + 1]) << 8);
    };
    for (size_t i = 0; i + 1 < s.size(); i += 2) {
        uint32_t point = unit(i);
        if (point >= 0xD800 && point < 0xDC00 && i + 3 < s.size() && (unit(i + 2) & 0xFC00) == 0xDC00) {
            point = 0x10000 + ((point & 0x3FF) << 10) + (unit(i + 2) & 0x3FF);
            i += 2;
        }
        utf8_put(o, point);
    }
    return o;
}

void cp1252_put(std::string &o, std::string_view s) {
    for (size_t i = 0; i < s.size();)
        put_u8(o, to_1252(utf8_next(s, i)));
}

std::string cp1252_decode(std::string_view s) {
    std::string o;
    o.reserve(s.size());
    for (char c : s) {
        uint8_t byte = static_cast<uint8_t>(c);
        bool high = byte >= 0x80 && byte < 0xA0 && high_1252[byte - 0x80] != 0;
        utf8_put(o, high ? high_1252[byte - 0x80] : byte);
    }
    return o;
}

void put_b_varchar(std::string &o, std::string_view utf8) {
    size_t at = o.size();
    put_u8(o, 0);
    utf16_put(o, utf8);
    patch_int(o, at, static_cast<uint8_t>(units_cut(o, at + 1, 255)));
}

void put_us_varchar(std::string &o, std::string_view utf8, size_t max_units) {
    size_t at = o.size();
    put_u16(o, 0);
    utf16_put(o, utf8);
    patch_int(o, at, static_cast<uint16_t>(units_cut(o, at + 2, max_units)));
}

} // namespace sqlserver
