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
        if (r.bad)
            return false;
        out.features.push_back({id, std::string(data)});
    }
}

bool field_length_long(std::string_view message, login_field f, uint32_t bytes, std::string &out) {
    if (bytes == 0)
        return true;
    if (f.offset < 36 || bytes > message.size() || f.offset > message.size() - bytes)
        return false;
    out = message.substr(f.offset, bytes);
    return true;
}

bool read_texts(std::string_view message, reader &r, login7 &out, login_field &extension) {
    login_request &q = out.request;
    bool ok = field_text(message, read_field(r), 128, q.host_name);
    ok = ok && field_text(message, read_field(r), 128, q.user);
    ok = ok && field_password(message, read_field(r), q.password);
    ok = ok && field_text(message, read_field(r), 128, q.app_name);
    ok = ok && field_text(message, read_field(r), 128, out.server_name);
    extension = read_field(r);
    ok = ok && field_text(message, read_field(r), 128, q.library_name);
    ok = ok && field_text(message, read_field(r), 128, q.language);
    ok = ok && field_text(message, read_field(r), 128, q.database);
    rd_bytes(r, 6); // ClientID
    return ok && !r.bad;
}

// SSPI, AtchDBFile and, from 7.2 on, ChangePassword and cbSSPILong.
bool read_tail(std::string_view message, reader &r, login7 &out) {
    login_field sspi = read_field(r);
    bool ok = field_text(message, read_field(r), 260, out.attach_file);
    uint32_t sspi_length = sspi.count;
    if (out.tokens >= tds::v72) {
        login_field change = read_field(r);
        uint32_t long_length = rd_u32(r);
        ok = ok && (!out.request.change_password || field_password(message, change, out.request.new_password));
        if (sspi.count == 0xFFFF && long_length > 0)
            sspi_length = long_length;
    }
    return ok && !r.bad && field_length_long(message, sspi, sspi_length, out.sspi);
}

uint8_t feature_byte(const login_feature &f) {
    return f.data.empty() ? uint8_t{0} : static_cast<uint8_t>(f.data[0]);
}

// What is answered to a feature. Empty: not acknowledged. To SESSIONRECOVERY the session's states are added; a login
// that wants its state back is not served.
std::string feature_answer(const login_feature &f) {
    uint8_t asked = feature_byte(f);
    switch (f.id) {
    case 0x01: return f.data.empty() ? std::string(1, '\0') : "";
    case 0x04: return asked >= 1 ? std::string("\1", 1) : "";
    case 0x09: return asked >= 1 ? std::string{asked >= 2 ? '\2' : '\1', '\1'} : "";
    case 0x0A: return f.data.size() == 1 && (asked & 1) != 0 ? std::string("\1", 1) : "";
    case 0x0D:
    case 0x0E: return asked >= 1 ? std::string("\1", 1) : "";
    case 0x05:
    case 0x08:
    case 0x0B:
    case 0x0F: return std::string("\0", 1);
    default: return "";
    }
}

bool granted(const login7 &l, std::string_view list, uint8_t id) {
    const login_feature *f = login_feature_of(l, id);
    return f != nullptr && list.find(static_cast<char>(id)) != std::string_view::npos && !feature_answer(*f).empty();
}

void read_flags(login7 &out) {
    login_request &q = out.request;
    q.tds_version = out.version == 0x08000000 ? 0x74000004 : out.version;
    q.odbc = (out.flags[1] & 0x02) != 0 || (out.flags[2] & 0x10) != 0;
    q.database_must_exist = (out.flags[0] & 0x40) != 0;
    q.read_only_intent = (out.flags[2] & 0x20) != 0;
    q.change_password = out.tokens >= tds::v72 && (out.flags[3] & 0x01) != 0;
    out.integrated = (out.flags[1] & 0x80) != 0;
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
        out.wants_mars |= token == 4 && length == 1 && payload[offset] == 1;
        out.asks_fedauth |= token == 6 && length == 1 && payload[offset] == 1;
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

std::string prelogin_answer(std::string_view product, uint8_t encryption, bool fedauth_required, bool mars) {
    product_version version = product_version_of(product);
    std::string table, data;
    const size_t table_size = (fedauth_required ? 6 : 5) * 5 + 1;
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
    option(4, std::string_view(mars ? "\1" : "\0", 1));
    if (fedauth_required)
        option(6, std::string_view("\1", 1));
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
    for (uint8_t &f : out.flags)
        f = rd_u8(r);
    rd_u32(r); // time zone
    rd_u32(r); // LCID
    login_field extension = {0, 0};
    out.version = known_version(asked);
    if (r.bad || length != message.size() || out.version == 0)
        return false;
    out.tokens = tokens_of(out.version);
    read_flags(out);
    if (!read_texts(message, r, out, extension) || !read_tail(message, r, out))
        return false;
    bool extended = out.tokens >= tds::v72 && (out.flags[3] & 0x10) != 0;
    return !extended || read_features(message, extension, out);
}

const login_feature *login_feature_of(const login7 &l, uint8_t id) {
    for (const login_feature &f : l.features)
        if (f.id == id)
            return &f;
    return nullptr;
}

bool acks_feature(const login7 &l, std::string_view list, uint8_t id) {
    return granted(l, list, id);
}

uint8_t classification_version(const login7 &l) {
    const login_feature *f = login_feature_of(l, 0x09);
    return f == nullptr ? uint8_t{0} : std::min<uint8_t>(feature_byte(*f), 2);
}

std::string feature_acks(const login7 &l, std::string_view list, std::string_view states) {
    std::string token;
    for (const login_feature &f : l.features) {
        bool first = &f == login_feature_of(l, f.id); // not twice
        bool fedauth = f.id == 0x02;                  // always, and empty: the client's nonce is not for this server
        if (!first || (!fedauth && !granted(l, list, f.id)))
            continue;
        std::string data = fedauth ? "" : f.id == 0x01 ? std::string(states) : feature_answer(f);
        put_u8(token, f.id);
        put_u32(token, static_cast<uint32_t>(data.size()));
        token += data;
    }
    return token.empty() ? token : "\xAE" + token + "\xFF";
}

} // namespace sqlserver
