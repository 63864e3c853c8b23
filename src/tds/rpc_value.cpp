#include "tds/rpc_value.h"

#include <bit>
#include <cmath>

#include "tds/byte_reader.h"
#include "tds/bytes.h"
#include "tds/coltype.h"
#include "tds/login7.h"
#include "tds/utf16.h"

using kind_t = tds_rpc_value::kind_t;

static constexpr uint8_t status_output = 0x01, status_encrypted = 0x08;
static constexpr size_t collation_size = 5;

static bool is_text(uint8_t type) {
    return type == 0xe7 || type == 0xef || type == 0x63 || type == 0xa7 || type == 0xaf || type == 0x27 ||
           type == 0x2f || type == 0x23;
}

static bool is_wide(uint8_t type) {
    return type == 0xe7 || type == 0xef || type == 0x63;
}

// Of code page 1252 only what it has in common with Latin-1.
static std::string utf8_of(std::span<const uint8_t> bytes, bool wide) {
    if (wide)
        return tds_utf8(bytes);
    std::vector<uint8_t> wire;
    for (uint8_t b : bytes)
        put_u16le(wire, b);
    return tds_utf8(wire);
}

// ---- what is told of the type ----------------------------------------------------------------------------------

struct value_type {
    uint8_t id = 0;
    uint8_t scale = 0;
    bool plp = false;
};

static bool take_type(byte_reader &r, uint32_t version, value_type &t) {
    t.id = take_u8(r);
    const tds_coltype *known = tds_coltype_find(t.id);
    if (!r.good || known == nullptr)
        return false;
    size_t collation = version == tds_7_0 ? 0 : collation_size;
    switch (known->marker) {
    case tds_marker::none: break;
    case tds_marker::one: take(r, 1); break;
    case tds_marker::two:
    case tds_marker::two_collated:
        t.plp = take_u16(r) == tds_length_max_marker && known->may_be_max;
        take(r, known->marker == tds_marker::two_collated ? collation : 0);
        break;
    case tds_marker::three:
        take(r, 2);
        t.scale = take_u8(r);
        break;
    case tds_marker::four: take(r, 4); break;
    case tds_marker::four_collated: take(r, 4 + collation); break;
    default: return false;
    }
    return r.good;
}

// ---- the bytes of the value ------------------------------------------------------------------------------------

static bool take_chunks(byte_reader &r, std::vector<uint8_t> &bytes, bool &null) {
    null = take_u64(r) == UINT64_MAX;
    for (size_t n = null ? 0 : take_u32(r); r.good && n > 0; n = take_u32(r)) {
        auto chunk = take(r, n);
        bytes.insert(bytes.end(), chunk.begin(), chunk.end());
    }
    return r.good;
}

static bool take_bytes(byte_reader &r, const value_type &t, std::vector<uint8_t> &bytes, bool &null) {
    if (t.plp)
        return take_chunks(r, bytes, null);
    tds_value_kind kind = tds_coltype_find(t.id)->value;
    size_t size = tds_value_fixed_size(kind);
    if (kind == tds_value_kind::length_1) {
        size = take_u8(r);
        null = size == 0 || (is_text(t.id) && size == UINT8_MAX);
    } else if (kind == tds_value_kind::length_2) {
        size = take_u16(r);
        null = size == UINT16_MAX;
    } else if (kind == tds_value_kind::text) { // without a pointer here
        size = take_u32(r);
        null = size == UINT32_MAX;
    } else if (size == SIZE_MAX) {
        return false;
    }
    auto taken = take(r, null ? 0 : size);
    bytes.assign(taken.begin(), taken.end());
    return r.good;
}

// ---- what it says ----------------------------------------------------------------------------------------------

// TINYINT has no sign.
static int64_t integer_of(std::span<const uint8_t> bytes) {
    uint64_t n = number_of(bytes);
    switch (bytes.size()) {
    case 2: return static_cast<int16_t>(n);
    case 4: return static_cast<int32_t>(n);
    default: return static_cast<int64_t>(n);
    }
}

static double real_of(std::span<const uint8_t> bytes) {
    return bytes.size() == 4 ? static_cast<double>(std::bit_cast<float>(static_cast<uint32_t>(number_of(bytes))))
                             : std::bit_cast<double>(number_of(bytes));
}

static double decimal_of(std::span<const uint8_t> bytes, uint8_t scale) {
    double d = 0;
    for (size_t i = bytes.size(); i-- > 1;)
        d = d * 256 + bytes[i];
    return (bytes[0] == 0 ? -d : d) / std::pow(10, scale);
}

static bool understand(const value_type &t, std::span<const uint8_t> bytes, tds_rpc_value &v) {
    switch (t.id) {
    case 0x26:
    case 0x30:
    case 0x32:
    case 0x34:
    case 0x38:
    case 0x68:
    case 0x7f:
        v.kind = kind_t::number;
        v.number = integer_of(bytes);
        return bytes.size() <= 8;
    case 0x3b:
    case 0x3e:
    case 0x6d:
        v.kind = kind_t::real;
        v.real = real_of(bytes);
        return bytes.size() == 4 || bytes.size() == 8;
    case 0x6a:
    case 0x6c:
        v.kind = kind_t::real;
        v.real = decimal_of(bytes, t.scale);
        return true;
    case 0xa5:
    case 0xad:
        v.kind = kind_t::binary;
        v.text.assign(bytes.begin(), bytes.end());
        return true;
    default: break;
    }
    v.kind = kind_t::text;
    v.text = utf8_of(bytes, is_wide(t.id));
    return is_text(t.id);
}

static bool take_value(byte_reader &r, uint32_t version, tds_rpc_value &v) {
    v.name = tds_utf8(take(r, 2 * take_u8(r)));
    uint64_t status = take_u8(r);
    v.output = (status & status_output) != 0;
    value_type type;
    std::vector<uint8_t> bytes;
    bool null = false;
    if ((status & status_encrypted) != 0 || !take_type(r, version, type) || !take_bytes(r, type, bytes, null))
        return false;
    return null || understand(type, bytes, v);
}

bool tds_rpc_values(std::span<const uint8_t> payload, uint64_t at, uint64_t end, uint32_t version,
                    std::vector<tds_rpc_value> &values) {
    if (at > end || end > payload.size())
        return false;
    byte_reader r{payload.subspan(static_cast<size_t>(at), static_cast<size_t>(end - at))};
    while (!r.rest.empty()) {
        tds_rpc_value v;
        if (!take_value(r, version, v))
            return false;
        values.push_back(std::move(v));
    }
    return true;
}
