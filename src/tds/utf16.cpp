#include "tds/utf16.h"

static constexpr uint32_t replacement = 0xfffd;

static bool is_high(uint32_t unit) {
    return unit >= 0xd800 && unit <= 0xdbff;
}
static bool is_low(uint32_t unit) {
    return unit >= 0xdc00 && unit <= 0xdfff;
}

static size_t put_utf8(uint32_t c, char *out) {
    auto byte = [](uint32_t v) { return static_cast<char>(static_cast<uint8_t>(v)); };
    if (c < 0x80) {
        out[0] = byte(c);
        return 1;
    }
    if (c < 0x800) {
        out[0] = byte(0xc0 | c >> 6);
        out[1] = byte(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = byte(0xe0 | c >> 12);
        out[1] = byte(0x80 | (c >> 6 & 0x3f));
        out[2] = byte(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = byte(0xf0 | c >> 18);
    out[1] = byte(0x80 | (c >> 12 & 0x3f));
    out[2] = byte(0x80 | (c >> 6 & 0x3f));
    out[3] = byte(0x80 | (c & 0x3f));
    return 4;
}

size_t tds_utf8_write(std::span<const uint8_t> wire, char *out) {
    auto unit = [&](size_t i) { return static_cast<uint32_t>(wire[2 * i] | wire[2 * i + 1] << 8); };
    size_t units = wire.size() / 2;
    size_t written = 0;
    for (size_t i = 0; i < units; ++i) {
        uint32_t c = unit(i);
        if (is_high(c) && i + 1 < units && is_low(unit(i + 1)))
            c = 0x10000 + ((c - 0xd800) << 10) + (unit(++i) - 0xdc00);
        else if (is_high(c) || is_low(c))
            c = replacement;
        written += put_utf8(c, out + written);
    }
    return written;
}

std::string tds_utf8(std::span<const uint8_t> wire) {
    std::string text(wire.size() / 2 * tds_utf8_per_unit, '\0');
    text.resize(tds_utf8_write(wire, text.data()));
    return text;
}

// Takes one character off the front of `text`. Overlong forms, surrogates, values over U+10FFFF and broken sequences
// give U+FFFD and take one byte.
static uint32_t take_utf8(std::string_view &text) {
    auto at = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
    uint8_t lead = at(0);
    size_t size = lead < 0x80 ? 1 : lead >= 0xf0 && lead < 0xf5 ? 4 : lead >= 0xe0 ? 3 : 2;
    static constexpr uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    uint32_t c = size == 1 ? lead : static_cast<uint32_t>(lead & (0xff >> (size + 1)));
    bool good = lead < 0x80 || (lead >= 0xc2 && lead < 0xf5 && size <= text.size());
    for (size_t i = 1; good && i < size; ++i) {
        good = (at(i) & 0xc0) == 0x80;
        c = c << 6 | (at(i) & 0x3fU);
    }
    good = good && c >= smallest[size] && c <= 0x10ffff && !is_high(c) && !is_low(c);
    text.remove_prefix(good ? size : 1);
    return good ? c : replacement;
}

size_t tds_utf16_append(std::string_view text, size_t max_units, std::vector<uint8_t> &out) {
    auto put = [&](uint32_t unit) {
        out.push_back(static_cast<uint8_t>(unit));
        out.push_back(static_cast<uint8_t>(unit >> 8));
    };
    size_t units = 0;
    while (!text.empty()) {
        uint32_t c = take_utf8(text);
        size_t need = c >= 0x10000 ? 2 : 1;
        if (need > max_units - units)
            break;
        if (need == 2) {
            put(0xd800 + ((c - 0x10000) >> 10));
            put(0xdc00 + ((c - 0x10000) & 0x3ff));
        } else {
            put(c);
        }
        units += need;
    }
    return units;
}
