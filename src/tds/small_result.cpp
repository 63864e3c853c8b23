#include "tds/small_result.h"

#include "tds/byte_reader.h"
#include "tds/login7.h"
#include "tds/utf16.h"

static constexpr uint8_t type_nvarchar = 0xe7;
static constexpr uint16_t no_metadata = 0xffff;
static constexpr uint16_t flag_encrypted = 0x0800;
static constexpr uint16_t value_null = 0xffff;

// The result being read.
struct result {
    const tds_walk_options *options;
    uint32_t version;
    std::vector<bool> plp; // of each column: (max)
    bool others = false;   // columns of another type
    size_t left;           // of the bytes that values may have
    tds_small_result *out;
};

// UserType, Flags, TYPE_INFO, name
static bool read_column(result &k, byte_reader &r) {
    take(r, tds_version_is_wide(k.version) ? 4 : 2);
    bool plain = (take_u16(r) & flag_encrypted) == 0;
    bool nvarchar = take_u8(r) == type_nvarchar;
    k.plp.push_back(take_u16(r) == tds_length_max_marker);
    take(r, k.version == tds_7_0 ? 0 : 5);
    take(r, 2 * take_u8(r));
    return r.good && plain && nvarchar;
}

static bool read_columns(result &k, byte_reader &r) {
    uint16_t count = take_u16(r);
    if (count == no_metadata)
        return true;
    if (k.options->column_encryption && take_u16(r) != 0) // keys
        return false;
    k.plp.clear();
    k.others = false;
    for (uint16_t i = 0; i < count && !k.others; ++i)
        k.others = !read_column(k, r);
    return k.others || r.rest.empty();
}

// The value's UTF-16, or nothing for NULL.
static std::optional<std::vector<uint8_t>> read_plp(byte_reader &r) {
    if (take_u64(r) == UINT64_MAX)
        return std::nullopt;
    std::vector<uint8_t> text;
    for (uint32_t n = take_u32(r); r.good && n > 0; n = take_u32(r)) {
        auto chunk = take(r, n);
        text.insert(text.end(), chunk.begin(), chunk.end());
    }
    return text;
}

static std::optional<std::string> read_value(byte_reader &r, bool plp) {
    if (plp) {
        auto text = read_plp(r);
        return text ? std::optional(tds_utf8(*text)) : std::nullopt;
    }
    uint16_t n = take_u16(r);
    return n == value_null ? std::nullopt : std::optional(tds_utf8(take(r, n)));
}

// A row that does not fit is left out.
static bool read_row(result &k, byte_reader &r, bool has_nulls) {
    auto nulls = take(r, has_nulls ? (k.plp.size() + 7) / 8 : 0);
    std::vector<std::optional<std::string>> row(k.plp.size());
    size_t bytes = 0;
    for (size_t i = 0; r.good && i < row.size(); ++i) {
        if (!has_nulls || (nulls[i / 8] >> (i % 8) & 1) == 0)
            row[i] = read_value(r, k.plp[i]);
        bytes += row[i] ? row[i]->size() : 0;
    }
    k.out->cut = k.out->cut || bytes > k.left;
    if (!r.good || k.out->cut)
        return r.good;
    k.left -= bytes;
    k.out->rows.push_back(std::move(row));
    return true;
}

static bool read_token(result &k, std::span<const uint8_t> token) {
    byte_reader r{token.subspan(1)};
    switch (token[0]) {
    case tds_token_colmetadata: return read_columns(k, r);
    case tds_token_row: return !k.others && read_row(k, r, false) && r.rest.empty();
    case tds_token_nbcrow: return !k.others && read_row(k, r, true) && r.rest.empty();
    case tds_token_altmetadata:
    case tds_token_altrow: return false;
    default: return true;
    }
}

// The walker says where tokens end, asked behind every byte: results are small.
bool tds_small_result_read(std::span<const uint8_t> payload, const tds_walk_options &options, uint32_t version,
                           size_t limit, tds_small_result &out) {
    tds_walk_options all = options;
    all.version = version;
    all.drop_reset = all.drop_session_state = false;
    tds_walker w;
    tds_walk_init(w, all);
    result k{&all, version, {}, false, limit, &out};
    size_t from = 0;
    for (size_t at = 0; at < payload.size() && !out.cut; ++at) {
        std::span<const uint8_t> in = payload.subspan(at, 1), forward;
        if (tds_walk(w, in, forward) != tds_walk_result::ok)
            return false;
        if (!tds_walk_between_tokens(w))
            continue;
        if (!read_token(k, payload.subspan(from, at + 1 - from)))
            return false;
        from = at + 1;
    }
    return out.cut || tds_walk_end(w) == tds_walk_result::ok;
}
