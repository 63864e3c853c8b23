// A request's payload with other text in it.
#include "tds/bytes.h"
#include "tds/request_reader.h"

static constexpr uint8_t type_ntext = 0x63;
static constexpr uint8_t type_nvarchar = 0xe7;
static constexpr size_t nvarchar_max = 8000; // bytes

using bytes = std::span<const uint8_t>;

static void put(std::vector<uint8_t> &out, bytes part) {
    out.insert(out.end(), part.begin(), part.end());
}

static void put_plp(std::vector<uint8_t> &out, bytes text) {
    put_u64le(out, text.size());
    if (!text.empty()) {
        put_u32le(out, static_cast<uint32_t>(text.size()));
        put(out, text);
    }
    put_u32le(out, 0);
}

// Up to the value; in between stands the type's largest length, of 2 or 4 bytes.
static void put_front(std::vector<uint8_t> &out, bytes payload, const tds_text_place &place, size_t length_bytes,
                      size_t length) {
    auto at = static_cast<size_t>(place.type_at) + 1;
    put(out, payload.first(at));
    length_bytes == 2 ? put_u16le(out, static_cast<uint32_t>(length)) : put_u32le(out, static_cast<uint32_t>(length));
    put(out, payload.subspan(at + length_bytes, static_cast<size_t>(place.value_at) - at - length_bytes));
}

static void put_short(std::vector<uint8_t> &out, bytes payload, const tds_text_place &place, bytes text) {
    size_t length = get_u16le(payload.data() + place.type_at + 1);
    if (text.size() > nvarchar_max) {
        put_front(out, payload, place, 2, UINT16_MAX);
        put_plp(out, text);
        return;
    }
    put_front(out, payload, place, 2, std::max(length, text.size()));
    put_u16le(out, static_cast<uint32_t>(text.size()));
    put(out, text);
}

static void put_ntext(std::vector<uint8_t> &out, bytes payload, const tds_text_place &place, bytes text) {
    size_t length = get_u32le(payload.data() + place.type_at + 1);
    put_front(out, payload, place, 4, std::max(length, text.size()));
    put_u32le(out, static_cast<uint32_t>(text.size()));
    put(out, text);
}

// `info` says so of this payload, and no length in it leads out of it.
static bool fits(bytes payload, const tds_text_place &place, size_t size) {
    if (place.kind == tds_text_place::kind_t::none || place.at > payload.size() ||
        place.bytes > payload.size() - place.at || size % 2 != 0 || size > INT32_MAX)
        return false;
    if (place.kind == tds_text_place::kind_t::batch)
        return true;
    size_t type_size = place.type == type_ntext ? 5 : 3; // at least: its id and the largest length
    if (place.value_at > place.at || place.type_at + type_size > place.value_at)
        return false;
    if (place.type == type_ntext || place.plp)
        return true;
    return place.type == type_nvarchar && (size <= nvarchar_max || place.may_be_plp);
}

bool tds_request_put_text(bytes payload, const tds_request_info &info, bytes text, std::vector<uint8_t> &out) {
    const tds_text_place &place = info.place;
    if (!fits(payload, place, text.size()))
        return false;
    size_t end = static_cast<size_t>(place.at + place.bytes);
    if (place.kind == tds_text_place::kind_t::batch) {
        put(out, payload.first(static_cast<size_t>(place.at)));
        put(out, text);
    } else if (place.plp) {
        put(out, payload.first(static_cast<size_t>(place.value_at)));
        put_plp(out, text);
        end += 4; // the end of its chunks
    } else if (place.type == type_ntext) {
        put_ntext(out, payload, place, text);
    } else {
        put_short(out, payload, place, text);
    }
    put(out, payload.subspan(std::min(end, payload.size())));
    return true;
}
