// Tokens of a response. See wire_token.h.
#include "wire_token.h"

#include <algorithm>
#include <cstdio>

namespace sqlserver {

namespace {

const value null_value;
const char *const labels[] = {"Confidential", "331F0B13-76B5-2F1B-A77B-DEF5A73C73C2"};
const char *const information_types[] = {"Contact Info", "5C503E21-22C6-81FA-620B-F369B8EC38D1"};

// Appends a token with a u16 length that `body` fills.
template <typename F> void with_length(std::string &o, unsigned token, F body) {
    put_u8(o, token);
    size_t at = o.size();
    put_u16(o, 0);
    body();
    patch_int(o, at, static_cast<uint16_t>(o.size() - at - 2));
}

void put_user_type(std::string &o, tds version) {
    if (version < tds::v72)
        put_u16(o, 0);
    else
        put_u32(o, 0);
}

unsigned column_flags(const column &c) {
    return (c.nullable ? 0x01u : 0u) | (c.updatable ? 0x08u : 0u) | (c.identity ? 0x10u : 0u) |
           (c.hidden ? 0x2000u : 0u);
}

// An empty name in one part: the column does not know its table.
void put_table_name(std::string &o, tds version) {
    if (version >= tds::v72)
        put_u8(o, 1);
    put_u16(o, 0);
}

// A column beyond the values that came is NULL.
const value &value_at(const std::vector<value> &values, size_t i) {
    return i < values.size() ? values[i] : null_value;
}

bool null_bitmap_pays(const std::vector<column_format> &formats, const std::vector<value> &values) {
    size_t saved = 0;
    for (size_t i = 0; i < formats.size(); i++) {
        if (!value_at(values, i).null)
            continue;
        if (formats[i].layout == shape::fixed)
            return false; // a NOT NULL column has to have a value
        saved += null_size(formats[i].layout);
    }
    return saved > (formats.size() + 7) / 8;
}

// ---- column encryption and data classification

bool is_encrypted(const stream_features &features, const column &c) {
    return features.column_encryption && !features.encrypted_column.empty() && c.name == features.encrypted_column;
}

// One key, where a column needs it.
void put_key_table(std::string &o, const stream_features &features, const std::vector<column> &columns) {
    bool any = std::any_of(columns.begin(), columns.end(), [&](const column &c) { return is_encrypted(features, c); });
    put_u16(o, any ? 1 : 0);
    if (!any)
        return;
    put_u32(o, 5); // database
    put_u32(o, 1); // key, its version, the version of its metadata
    put_u32(o, 1);
    put_u64(o, 1);
    put_u8(o, 1); // encrypted once
    put_u16(o, 16);
    o.append("an encrypted key", 16);
    put_b_varchar(o, "STANDIN_KEY_STORE");
    put_us_varchar(o, "standin/key", 1024);
    put_b_varchar(o, "RSA_OAEP");
}

// TYPE_INFO of the cipher, then CryptoMetaData with that of the plain value.
column_format put_encrypted_type(std::string &o, const column &c, tds version) {
    std::string plain;
    column_format inner = put_type_info(plain, c.type, version, true, false);
    type_info cipher{type_id::varbinary_, inner.layout == shape::plp ? length_max : 8000, 0, 0};
    column_format f = put_type_info(o, cipher, version, true, true);
    f.sent = inner.sent;
    f.type = f.sent; // dates are not turned into text here
    f.encrypted = true;
    put_u16(o, 0); // of the CekTable
    put_user_type(o, version);
    o.append(plain);
    put_u8(o, 2); // AEAD_AES_256_CBC_HMAC_SHA256
    put_u8(o, 1); // deterministic
    put_u8(o, 1); // normalisation
    return f;
}

// One label and one information type, for each column that has the name.
void put_classification(std::string &o, const stream_features &features, const std::vector<column> &columns) {
    auto classified = [&](const column &c) { return c.name == features.classified_column; };
    if (std::none_of(columns.begin(), columns.end(), classified))
        return;
    bool ranked = features.classification >= 2;
    put_u8(o, 0xA3);
    for (const char *const *words : {labels, information_types}) {
        put_u16(o, 1);
        put_b_varchar(o, words[0]);
        put_b_varchar(o, words[1]);
    }
    if (ranked)
        put_int(o, int32_t{20}); // of the query
    put_u16(o, static_cast<unsigned>(columns.size()));
    for (const column &c : columns) {
        put_u16(o, classified(c) ? 1 : 0);
        if (!classified(c))
            continue;
        put_u16(o, 0); // the label, the information type
        put_u16(o, 0);
        if (ranked)
            put_int(o, int32_t{20});
    }
}

} // namespace

void put_done(std::string &o, tds version, done_kind kind, uint16_t status, uint16_t command, uint64_t rows) {
    put_u8(o, kind == done_kind::done ? 0xFD : kind == done_kind::done_proc ? 0xFE : 0xFF);
    put_u16(o, status);
    put_u16(o, command);
    if (version < tds::v72)
        put_u32(o, static_cast<uint32_t>(rows));
    else
        put_u64(o, rows);
}

void put_message(std::string &o, tds version, int32_t number, uint8_t state, uint8_t severity, std::string_view text,
                 std::string_view server, std::string_view procedure, int32_t line) {
    with_length(o, severity > 10 ? 0xAA : 0xAB, [&] {
        put_int(o, number);
        put_u8(o, state);
        put_u8(o, severity);
        put_us_varchar(o, text, 8000);
        put_b_varchar(o, server);
        put_b_varchar(o, procedure);
        if (version < tds::v72)
            put_u16(o, static_cast<unsigned>(std::clamp(line, 0, 65535)));
        else
            put_int(o, line);
    });
}

void put_env_text(std::string &o, env type, std::string_view now, std::string_view before) {
    with_length(o, 0xE3, [&] {
        put_u8(o, static_cast<unsigned>(type));
        put_b_varchar(o, now);
        put_b_varchar(o, before);
    });
}

void put_env_tran(std::string &o, env type, uint64_t now, uint64_t before) {
    with_length(o, 0xE3, [&] {
        put_u8(o, static_cast<unsigned>(type));
        for (uint64_t descriptor : {now, before}) {
            put_u8(o, descriptor != 0 ? 8 : 0);
            if (descriptor != 0)
                put_u64(o, descriptor);
        }
    });
}

void put_env_collation(std::string &o) {
    with_length(o, 0xE3, [&] {
        put_u8(o, static_cast<unsigned>(env::collation));
        put_u8(o, 5);
        o.append(collation);
        put_u8(o, 0); // go-mssqldb cannot read an old value here
    });
}

void put_env_routing(std::string &o, std::string_view host, uint16_t port) {
    with_length(o, 0xE3, [&] {
        put_u8(o, 20);
        size_t at = o.size();
        put_u16(o, 0);
        put_u8(o, 0); // TCP
        put_u16(o, port);
        put_us_varchar(o, host, 1024);
        patch_int(o, at, static_cast<uint16_t>(o.size() - at - 2));
        put_u16(o, 0);
    });
}

product_version product_version_of(std::string_view text) {
    product_version p;
    sscanf(std::string(text).c_str(), "%u.%u.%u", &p.major, &p.minor, &p.build);
    return p;
}

void put_login_ack(std::string &o, uint32_t client_version, std::string_view product) {
    product_version p = product_version_of(product);
    uint32_t shown = client_version == 0x71000000 ? 0x07010000 : client_version;
    with_length(o, 0xAD, [&] {
        put_u8(o, 1); // SQL_TSQL: FreeTDS takes 0 for a failed login
        put_u32(o, __builtin_bswap32(shown));
        put_b_varchar(o, std::string_view("Microsoft SQL Server\0\0", 22));
        put_u8(o, p.major);
        put_u8(o, p.minor);
        put_u8(o, p.build >> 8 & 0xFF);
        put_u8(o, p.build & 0xFF);
    });
}

void put_return_value(std::string &o, tds version, uint16_t ordinal, std::string_view name, const type_info &type,
                      const value &v) {
    put_u8(o, 0xAC);
    size_t at = o.size();
    put_u16(o, ordinal);
    put_b_varchar(o, name);
    put_u8(o, 1); // an output parameter
    put_user_type(o, version);
    put_u16(o, 0);
    column_format format = put_type_info(o, type, version, true, false);
    put_value(o, format, v);
    if (version < tds::v72) { // a length stands there instead
        size_t length = o.size() - at - 2;
        o[at] = static_cast<char>(length & 0xff);
        o[at + 1] = static_cast<char>(length >> 8 & 0xff);
    }
}

void put_columns(std::string &o, tds version, const stream_features &features, const std::vector<column> &columns,
                 std::vector<column_format> &formats) {
    formats.clear();
    put_u8(o, 0x81);
    put_u16(o, static_cast<unsigned>(columns.size()));
    if (features.column_encryption)
        put_key_table(o, features, columns);
    for (const column &c : columns) {
        bool encrypted = is_encrypted(features, c);
        put_user_type(o, version);
        put_u16(o, column_flags(c) | (encrypted ? 0x0800u : 0u));
        if (encrypted) {
            formats.push_back(put_encrypted_type(o, c, version));
        } else {
            formats.push_back(put_type_info(o, c.type, version, c.nullable, true));
            if (features.utf8)
                make_utf8(o, formats.back());
            if (formats.back().layout == shape::text_pointer)
                put_table_name(o, version);
        }
        put_b_varchar(o, c.name);
    }
    if (features.classification > 0)
        put_classification(o, features, columns);
}

void put_no_columns(std::string &o) {
    put_u8(o, 0x81);
    put_u16(o, 0xFFFF);
}

void put_state_set(std::string &o, const std::vector<session_state_item> &items) {
    for (const session_state_item &item : items) {
        put_u8(o, item.id);
        put_u8(o, static_cast<unsigned>(std::min<size_t>(item.value.size(), 0xFF)));
        if (item.value.size() >= 0xFF)
            put_u32(o, static_cast<uint32_t>(item.value.size()));
        o.append(item.value);
    }
}

void put_session_state(std::string &o, uint32_t sequence, bool recoverable,
                       const std::vector<session_state_item> &items) {
    std::string set;
    put_state_set(set, items);
    put_u8(o, 0xE4);
    put_u32(o, static_cast<uint32_t>(5 + set.size()));
    put_u32(o, sequence);
    put_u8(o, recoverable ? 1 : 0);
    o.append(set);
}

void put_browse_info(std::string &o, tds version, const std::vector<std::string> &table,
                     const std::vector<column> &columns) {
    with_length(o, 0xA4, [&] {
        if (version < tds::v71)
            return put_us_varchar(o, table.back(), 1024);
        put_u8(o, static_cast<unsigned>(table.size()));
        for (const std::string &part : table)
            put_us_varchar(o, part, 128);
    });
    with_length(o, 0xA5, [&] {
        for (size_t i = 0; i < columns.size(); i++) {
            put_u8(o, static_cast<unsigned>(i + 1));
            const column &c = columns[i];
            bool renamed = !c.base_name.empty();
            put_u8(o, c.expression ? 0 : 1);
            put_u8(o, (c.expression ? 0x04u : 0u) | (c.key ? 0x08u : 0u) | (c.hidden ? 0x10u : 0u) |
                          (renamed ? 0x20u : 0u));
            if (renamed)
                put_b_varchar(o, c.base_name);
        }
    });
}

void put_row(std::string &o, tds version, const std::vector<column_format> &formats, const std::vector<value> &values) {
    bool bitmap = version >= tds::v73b && null_bitmap_pays(formats, values);
    put_u8(o, bitmap ? 0xD2 : 0xD1);
    size_t at = o.size();
    if (bitmap)
        o.append((formats.size() + 7) / 8, '\0');
    for (size_t i = 0; i < formats.size(); i++) {
        const value &v = value_at(values, i);
        if (bitmap && v.null)
            o[at + i / 8] = static_cast<char>(o[at + i / 8] | 1 << (i % 8));
        else
            put_value(o, formats[i], v);
    }
}

} // namespace sqlserver
