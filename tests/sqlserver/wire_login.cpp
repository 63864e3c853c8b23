// PRELOGIN and LOGIN7. See wire_login.h.
#include "wire_login.h"

#include "wire_token.h"

namespace sqlserver {

namespace {

constexpr uint8_t enc_off = 0, enc_on = 1, enc_not_sup = 2, enc_req = 3, enc_client_cert = 0x80;

struct login_field {
    uint16_t offset, count;
};

login_field read_field(reader &r) {
    login_field f;
    f.offset = rd_u16(r);
    f.count = rd_u16(r);
    return f;
}

// `unit` bytes each; a count of 0 makes the offset meaningless.
bool field_bytes(std::string_view message, login_field f, size_t unit, size_t max_count, std::string_view &out) {
    size_t n = f.count * unit;
    if (n == 0)
        return true;
    if (f.count > max_count || f.offset < 36 || f.offset + n > message.size())
        return false;
    out = message.substr(f.offset, n);
    return true;
}

bool field_text(std::string_view message, login_field f, size_t max_count, std::string &out) {
    std::string_view bytes;
    if (!field_bytes(message, f, 2, max_count, bytes))
        return false;
    out = utf16_decode(bytes);
    return true;
}

bool field_password(std::string_view message, login_field f, std::string &out) {
    std::string_view bytes;
    if (!field_bytes(message, f, 2, 128, bytes))
        return false;
    std::string clear(bytes);
    for (char &c : clear) {
        auto b = static_cast<uint8_t>(static_cast<uint8_t>(c) ^ 0xA5);
        c = static_cast<char>(b >> 4 | (b & 15) << 4);
    }
    out = utf16_decode(clear);
    return true;
}

// Rounds down to a version the server knows. 0: too old.
uint32_t known_version(uint32_t asked) {
    const uint32_t known[] = {0x74000004, 0x730B0003, 0x730A0003, 0x72090002, 0x71000001, 0x71000000};
    if (asked == 0x08000000)
        return asked;
    for (uint32_t v : known)
        if (asked >= v)
            return v;
    return 0;
}

tds tokens_of(uint32_t version) {
    switch (version) {
    case 0x71000000:
    case 0x71000001: return tds::v71;
    case 0x72090002: return tds::v72;
    case 0x730A0003: return tds::v73a;
    case 0x730B0003: return tds::v73b;
    default: return tds::v74;
    }
}

bool read_features(std::string_view message, login_field extension, login7 &out) {
    std::string_view pointer;
    if (extension.count == 0)
        return true; // tedious sets the flag below 7.4 too
    if (!field_bytes(message, extension, 1, 255, pointer) || pointer.size() < 4)
        return false;
    reader at = reader_of(pointer);
    uint32_t offset = rd_u32(at);
    if (offset == 0)
        return true;
    if (offset >= message.size())
        return false;
    reader r = reader_of(message.substr(offset));
    for (;;) {
        uint8_t id = rd_u8(r);
        if (r.bad)
            return false;
        if (id == 0xFF)
            return true;
        std::string_view data = rd_bytes(r, rd_u32(r));
        out.wants_utf8 |= id == 0x0A && data.size() == 1 && (data[0] & 1) != 0;
        out.wants_fedauth |= id == 0x02;
    }
}

bool read_texts(std::string_view message, reader &r, login7 &out, login_field &extension) {
    login_request &q = out.request;
    std::string server;
    bool ok = field_text(message, read_field(r), 128, q.host_name);
    ok = ok && field_text(message, read_field(r), 128, q.user);
    ok = ok && field_password(message, read_field(r), q.password);
    ok = ok && field_text(message, read_field(r), 128, q.app_name);
    ok = ok && field_text(message, read_field(r), 128, server);
    extension = read_field(r);
    ok = ok && field_text(message, read_field(r), 128, q.library_name);
    ok = ok && field_text(message, read_field(r), 128, q.language);
    ok = ok && field_text(message, read_field(r), 128, q.database);
    rd_bytes(r, 6); // ClientID
    std::string_view ignored;
    ok = ok && field_bytes(message, read_field(r), 1, 65535, ignored); // SSPI
    ok = ok && field_bytes(message, read_field(r), 2, 260, ignored);   // AtchDBFile
    return ok && !r.bad;
}

} // namespace

bool prelogin_parse(std::string_view payload, prelogin &out) {
    reader r = reader_of(payload);
    for (bool first = true;; first = false) {
        uint8_t token = rd_u8(r);
        if (r.bad || (first && token != 0))
            return false;
        if (token == 0xFF)
            return true;
        size_t offset = __builtin_bswap16(rd_u16(r));
        size_t length = __builtin_bswap16(rd_u16(r));
        if (r.bad || offset + length > payload.size() || (token == 0 && length != 6))
            return false;
        if (token == 1) {
            if (length != 1)
                return false;
            out.has_encryption = true;
            out.encryption = static_cast<uint8_t>(payload[offset]);
        }
    }
}

prelogin_outcome prelogin_decide(const prelogin &p, encrypt setting, bool strict, uint8_t &answer) {
    uint8_t asked = p.has_encryption ? p.encryption & 0x1F : enc_not_sup; // 0x20 is reserved
    bool forced = setting == encrypt::forced || setting == encrypt::on;
    answer = enc_not_sup;
    if (strict)
        return prelogin_outcome::plain;
    if (setting == encrypt::none)
        return asked == enc_on || asked == enc_req || (p.encryption & enc_client_cert) != 0 ? prelogin_outcome::refuse
                                                                                            : prelogin_outcome::plain;
    switch (asked) {
    case enc_off:
        answer = forced ? enc_req : enc_off;
        return forced ? prelogin_outcome::full : prelogin_outcome::login_only;
    case enc_on:
    case enc_req: answer = enc_on; return prelogin_outcome::full;
    default:
        if (!forced && (p.encryption & enc_client_cert) == 0)
            return prelogin_outcome::plain;
        answer = enc_req;
        return prelogin_outcome::refuse;
    }
}

std::string prelogin_answer(std::string_view product, uint8_t encryption) {
    product_version version = product_version_of(product);
    std::string table, data;
    constexpr size_t table_size = 5 * 5 + 1;
    auto option = [&](uint8_t token, std::string_view bytes) {
        put_u8(table, token);
        put_u16(table, __builtin_bswap16(static_cast<uint16_t>(table_size + data.size())));
        put_u16(table, __builtin_bswap16(static_cast<uint16_t>(bytes.size())));
        data.append(bytes);
    };
    const char bytes[6] = {static_cast<char>(version.major),
                           static_cast<char>(version.minor),
                           static_cast<char>(version.build >> 8),
                           static_cast<char>(version.build),
                           0,
                           0};
    option(0, std::string_view(bytes, 6));
    option(1, std::string_view(reinterpret_cast<const char *>(&encryption), 1));
    option(2, std::string_view("\0", 1)); // the instance matches
    option(3, "");
    option(4, std::string_view("\0", 1)); // no MARS
    put_u8(table, 0xFF);
    return table + data;
}

bool login7_parse(std::string_view message, login7 &out) {
    reader r = reader_of(message);
    uint32_t length = rd_u32(r);
    uint32_t asked = rd_u32(r);
    out.packet_size = rd_u32(r);
    rd_u32(r); // ClientProgVer
    out.request.client_pid = rd_u32(r);
    rd_u32(r); // ConnectionID
    uint8_t flags1 = rd_u8(r), flags2 = rd_u8(r), type_flags = rd_u8(r), flags3 = rd_u8(r);
    rd_u32(r); // time zone
    rd_u32(r); // LCID
    login_field extension = {0, 0};
    if (r.bad || length != message.size() || !read_texts(message, r, out, extension))
        return false;
    out.version = known_version(asked);
    if (out.version == 0)
        return false;
    out.tokens = tokens_of(out.version);
    out.request.tds_version = out.version == 0x08000000 ? 0x74000004 : out.version;
    out.request.odbc = (flags2 & 0x02) != 0 || (type_flags & 0x10) != 0;
    out.request.database_must_exist = (flags1 & 0x40) != 0;
    out.request.read_only_intent = (type_flags & 0x20) != 0;
    out.integrated = (flags2 & 0x80) != 0;
    bool extended = out.tokens >= tds::v72 && (flags3 & 0x10) != 0;
    return !extended || read_features(message, extension, out);
}

} // namespace sqlserver
