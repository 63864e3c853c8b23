#include "tds/return_value.h"

#include "tds/bytes.h"

static constexpr size_t head_size = 3; // id and ordinal
static constexpr uint8_t type_intn = 0x26;
static constexpr uint8_t type_int4 = 0x38;

bool tds_return_feed(tds_return_value &v, std::span<const uint8_t> chunk) {
    v.held.insert(v.held.end(), chunk.begin(), chunk.end());
    if (v.decided || v.held.size() < head_size)
        return false;
    v.decided = true;
    return true;
}

uint16_t tds_return_ordinal(const tds_return_value &v) {
    return get_u16le(v.held.data() + 1);
}

void tds_return_set_ordinal(tds_return_value &v, uint16_t ordinal) {
    set_u16le(v.held, 1, ordinal);
}

// Id, ordinal, name, status, UserType, Flags, TYPE_INFO, value. The walker has seen that it is in order.
bool tds_return_int(const tds_return_value &v, bool wide, int32_t &value) {
    size_t size = v.held.size();
    size_t at = head_size + 1 + (size > head_size ? 2 * size_t{v.held[head_size]} : 0) + 1 + (wide ? 4 : 2) + 2;
    bool is_int4 = size == at + 5 && v.held[at] == type_int4;
    bool is_intn = size == at + 7 && v.held[at] == type_intn && v.held[at + 2] == 4;
    if (!is_int4 && !is_intn)
        return false;
    value = static_cast<int32_t>(get_u32le(v.held.data() + size - 4));
    return true;
}

void tds_return_set_int(tds_return_value &v, int32_t value) {
    size_t at = v.held.size() - 4;
    set_u16le(v.held, at, static_cast<uint32_t>(value) & 0xffff);
    set_u16le(v.held, at + 2, static_cast<uint32_t>(value) >> 16);
}

void tds_return_take(tds_return_value &v, bool ends, std::vector<uint8_t> &out) {
    bool keeps = !v.decided || (v.fate == tds_return_fate::exchange && !ends);
    if (keeps && !ends)
        return;
    if (v.fate != tds_return_fate::drop)
        out.insert(out.end(), v.held.begin(), v.held.end());
    v.held.clear();
    if (ends)
        v = {};
}
