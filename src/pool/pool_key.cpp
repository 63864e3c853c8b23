// The pool key. Contract in pool_key.h.
#include "pool/pool_key.h"

namespace {

constexpr uint8_t flags2_integrated = 0x80;
constexpr uint32_t tds_strict = 0x08000000, tds_of_strict = 0x74000004; // 8.0 has the formats of 7.4

void put_u8(std::string &key, uint8_t value) {
    key += static_cast<char>(value);
}

void put_u32(std::string &key, uint32_t value) {
    for (int shift = 0; shift < 32; shift += 8)
        put_u8(key, static_cast<uint8_t>(value >> shift));
}

void put_text(std::string &key, std::string_view text) {
    put_u32(key, static_cast<uint32_t>(text.size()));
    key += text;
}

// A part that is not there differs from one that is empty.
void put_optional(std::string &key, bool there, std::string_view text) {
    put_u8(key, there);
    if (there)
        put_text(key, text);
}

} // namespace

std::string pool_key_make(const pool_key_parts &p) {
    std::string key;
    key.reserve(96 + p.user.size());
    put_text(key, p.user);
    key.append(reinterpret_cast<const char *>(p.password_digest.data()), p.password_digest.size());
    put_u32(key, p.tds_version == tds_strict ? tds_of_strict : p.tds_version);
    put_u8(key, p.flags1);
    put_u8(key, p.flags2 & static_cast<uint8_t>(~flags2_integrated));
    put_u8(key, p.type_flags);
    put_u8(key, p.flags3);
    put_u8(key, p.read_only);
    put_u8(key, p.features.column_encryption);
    put_u8(key, p.features.data_classification);
    put_u8(key, p.features.utf8);
    put_u8(key, p.features.json);
    put_u8(key, p.features.vector);
    put_optional(key, p.with_application_name, p.application_name);
    put_optional(key, p.with_database, p.database);
    return key;
}

std::string pool_key_label(std::string_view key) {
    uint32_t hash = 2166136261u; // FNV-1a
    for (char c : key)
        hash = (hash ^ static_cast<uint8_t>(c)) * 16777619u;
    static constexpr char digits[] = "0123456789abcdef";
    std::string label;
    for (int shift = 28; shift >= 0; shift -= 4)
        label += digits[hash >> shift & 0xF];
    return label;
}
