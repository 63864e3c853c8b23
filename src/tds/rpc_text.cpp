#include "tds/rpc_text.h"

#include "tds/bytes.h"
#include "tds/coltype.h"
#include "tds/login7.h"

static constexpr uint8_t type_nvarchar = 0xe7;
static constexpr uint8_t type_ntext = 0x63;
static constexpr uint8_t status_encrypted = 0x08;
static constexpr size_t collation_size = 5;
static constexpr size_t plp_length = 8;

// What is left; empty and not `good` once it was asked for more than that.
struct text_reader {
    std::span<const uint8_t> rest;
    bool good = true;
};

static std::span<const uint8_t> take(text_reader &r, size_t n) {
    r.good = r.good && n <= r.rest.size();
    if (!r.good)
        return {};
    auto taken = r.rest.first(n);
    r.rest = r.rest.subspan(n);
    return taken;
}

static uint32_t take_number(text_reader &r, size_t bytes) {
    auto from = take(r, bytes);
    uint32_t number = 0;
    for (size_t i = from.size(); i-- > 0;)
        number = number << 8 | from[i];
    return number;
}

static bool keep(std::span<const uint8_t> text, size_t limit, std::vector<uint8_t> &out) {
    if (text.size() > limit || text.size() % 2 != 0)
        return false;
    out.insert(out.end(), text.begin(), text.end());
    return true;
}

static bool read_chunks(text_reader &r, size_t limit, std::vector<uint8_t> &out) {
    auto length = take(r, plp_length);
    if (!r.good || (get_u32le(length.data()) & get_u32le(length.data() + 4)) == UINT32_MAX) // NULL
        return false;
    std::vector<uint8_t> text;
    for (uint32_t n = take_number(r, 4); r.good && n > 0; n = take_number(r, 4)) {
        auto chunk = take(r, n);
        if (text.size() + chunk.size() > limit)
            return false;
        text.insert(text.end(), chunk.begin(), chunk.end());
    }
    return r.good && keep(text, limit, out);
}

static bool read_nvarchar(text_reader &r, uint32_t version, size_t limit, std::vector<uint8_t> &out) {
    uint32_t most = take_number(r, 2);
    take(r, version == tds_7_0 ? 0 : collation_size);
    if (most == tds_length_max_marker)
        return read_chunks(r, limit, out);
    uint32_t size = take_number(r, 2);
    if (size == UINT16_MAX) // NULL
        return false;
    auto text = take(r, size);
    return r.good && keep(text, limit, out);
}

static bool read_ntext(text_reader &r, uint32_t version, size_t limit, std::vector<uint8_t> &out) {
    take(r, 4);
    take(r, version == tds_7_0 ? 0 : collation_size);
    auto text = take(r, take_number(r, 4)); // NULL is longer than anything
    return r.good && keep(text, limit, out);
}

bool tds_rpc_text(std::span<const uint8_t> payload, uint64_t at, uint32_t version, size_t limit,
                  std::vector<uint8_t> &out) {
    if (at > payload.size())
        return false;
    text_reader r{payload.subspan(static_cast<size_t>(at))};
    take(r, 2 * size_t{take_number(r, 1)});
    bool encrypted = (take_number(r, 1) & status_encrypted) != 0;
    uint32_t type = take_number(r, 1);
    if (!r.good || encrypted)
        return false;
    return type == type_nvarchar ? read_nvarchar(r, version, limit, out)
           : type == type_ntext  ? read_ntext(r, version, limit, out)
                                 : false;
}
