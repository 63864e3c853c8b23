#include "tds/rpc_text.h"

#include "tds/byte_reader.h"
#include "tds/coltype.h"
#include "tds/login7.h"

static constexpr uint8_t type_nvarchar = 0xe7;
static constexpr uint8_t type_ntext = 0x63;
static constexpr uint8_t status_encrypted = 0x08;
static constexpr size_t collation_size = 5;

static bool keep(std::span<const uint8_t> text, size_t limit, std::vector<uint8_t> &out) {
    if (text.size() > limit || text.size() % 2 != 0)
        return false;
    out.insert(out.end(), text.begin(), text.end());
    return true;
}

static bool read_chunks(byte_reader &r, size_t limit, std::vector<uint8_t> &out) {
    uint64_t length = take_u64(r);
    if (!r.good || length == UINT64_MAX) // NULL
        return false;
    std::vector<uint8_t> text;
    for (uint32_t n = take_u32(r); r.good && n > 0; n = take_u32(r)) {
        auto chunk = take(r, n);
        if (text.size() + chunk.size() > limit)
            return false;
        text.insert(text.end(), chunk.begin(), chunk.end());
    }
    return r.good && keep(text, limit, out);
}

static bool read_nvarchar(byte_reader &r, uint32_t version, size_t limit, std::vector<uint8_t> &out) {
    uint32_t most = take_u16(r);
    take(r, version == tds_7_0 ? 0 : collation_size);
    if (most == tds_length_max_marker)
        return read_chunks(r, limit, out);
    uint32_t size = take_u16(r);
    if (size == UINT16_MAX) // NULL
        return false;
    auto text = take(r, size);
    return r.good && keep(text, limit, out);
}

static bool read_ntext(byte_reader &r, uint32_t version, size_t limit, std::vector<uint8_t> &out) {
    take(r, 4);
    take(r, version == tds_7_0 ? 0 : collation_size);
    auto text = take(r, take_u32(r)); // NULL is longer than anything
    return r.good && keep(text, limit, out);
}

bool tds_rpc_text(std::span<const uint8_t> payload, uint64_t at, uint32_t version, size_t limit,
                  std::vector<uint8_t> &out) {
    if (at > payload.size())
        return false;
    byte_reader r{payload.subspan(static_cast<size_t>(at))};
    take(r, 2 * size_t{take_u8(r)});
    bool encrypted = (take_u8(r) & status_encrypted) != 0;
    uint32_t type = take_u8(r);
    if (!r.good || encrypted)
        return false;
    return type == type_nvarchar ? read_nvarchar(r, version, limit, out)
           : type == type_ntext  ? read_ntext(r, version, limit, out)
                                 : false;
}
