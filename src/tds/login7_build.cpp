#include "tds/login7_build.h"

#include <algorithm>
#include <cstring>

#include "tds/bytes.h"
#include "tds/packet.h"
#include "tds/utf16.h"

static constexpr size_t narrow_size = 86;
static constexpr size_t wide_size = 94;
static constexpr size_t pointer_size = 4; // of ibExtension's u32

struct login7_builder {
    const tds_login7_request &request;
    std::vector<uint8_t> &out;
    bool wide;
    bool extended; // with FeatureExt
};

static void set_u32le(std::vector<uint8_t> &out, size_t at, size_t v) {
    set_u16le(out, at, v);
    set_u16le(out, at + 2, v >> 16);
}

// What the payload may take at most: a unit of UTF-16 comes from at least one byte of UTF-8.
static size_t size_bound(const login7_builder &b) {
    const tds_login7_request &r = b.request;
    size_t units = 0;
    for (std::string_view name : {r.host_name, r.user_name, r.password, r.app_name, r.server_name, r.library_name,
                                  r.language, r.database, r.new_password})
        units += std::min(name.size(), tds_name_max);
    units += std::min(r.attach_file.size(), tds_file_max);
    return wide_size + 2 * units + r.sspi.size() + (b.extended ? pointer_size + r.features.size() + 1 : 0);
}

static void put_fixed_part(login7_builder &b) {
    const tds_login7_request &r = b.request;
    put_u32le(b.out, 0); // Length
    put_u32le(b.out, r.version);
    put_u32le(b.out, r.packet_size);
    put_u32le(b.out, r.program_version);
    put_u32le(b.out, r.process_id);
    put_u32le(b.out, 0); // ConnectionID
    auto flags3 = static_cast<uint8_t>(r.flags3 & ~tds_flags3_extension);
    if (b.extended)
        flags3 = static_cast<uint8_t>(flags3 | tds_flags3_extension);
    b.out.insert(b.out.end(), {r.flags1, r.flags2, r.type_flags, b.wide ? flags3 : uint8_t{0}});
    put_u32le(b.out, static_cast<uint32_t>(r.time_zone));
    put_u32le(b.out, r.lcid);
    b.out.resize(b.wide ? wide_size : narrow_size);
    memcpy(&b.out[72], r.client_id, sizeof r.client_id);
}

// Returns where the text begins. An empty one has an offset too: the host name's tells where variable data begin.
static size_t put_text(login7_builder &b, size_t at, std::string_view text, size_t max_units = tds_name_max) {
    size_t begin = b.out.size();
    set_u16le(b.out, at, begin);
    set_u16le(b.out, at + 2, tds_utf16_append(text, max_units, b.out));
    return begin;
}

static void put_secret(login7_builder &b, size_t at, std::string_view text) {
    for (size_t i = put_text(b, at, text); i < b.out.size(); ++i)
        b.out[i] = static_cast<uint8_t>((b.out[i] << 4 | b.out[i] >> 4) ^ 0xa5);
}

static size_t put_extension_pointer(login7_builder &b) {
    size_t pointer = b.out.size();
    set_u16le(b.out, 56, pointer);
    set_u16le(b.out, 58, pointer_size);
    put_u32le(b.out, 0);
    return pointer;
}

// In the order of their offsets: Babelfish skips forward from one to the next, and never ends at one that lies behind.
// Returns where the pointer to FeatureExt is; 0: there is none.
static size_t put_texts(login7_builder &b) {
    const tds_login7_request &r = b.request;
    put_text(b, 36, r.host_name);
    put_text(b, 40, r.user_name);
    put_secret(b, 44, r.password);
    put_text(b, 48, r.app_name);
    put_text(b, 52, r.server_name);
    size_t pointer = b.extended ? put_extension_pointer(b) : 0;
    put_text(b, 60, r.library_name);
    put_text(b, 64, r.language);
    put_text(b, 68, r.database);
    put_text(b, 82, r.attach_file, tds_file_max);
    if (b.wide)
        put_secret(b, 86, r.new_password);
    return pointer;
}

static void put_sspi(login7_builder &b) {
    size_t size = b.request.sspi.size();
    set_u16le(b.out, 78, b.out.size());
    set_u16le(b.out, 80, std::min<size_t>(size, UINT16_MAX));
    if (size >= UINT16_MAX && b.wide)
        set_u32le(b.out, 90, size);
    b.out.insert(b.out.end(), b.request.sspi.begin(), b.request.sspi.end());
}

static void put_features(login7_builder &b, size_t pointer) {
    set_u32le(b.out, pointer, b.out.size());
    b.out.insert(b.out.end(), b.request.features.begin(), b.request.features.end());
    put_u8(b.out, tds_feature_terminator);
}

bool tds_login7_build(const tds_login7_request &request, std::vector<uint8_t> &payload) {
    bool newest = tds_version_known(request.version) == tds_7_4 || request.version == tds_8_0;
    login7_builder b{request, payload, tds_version_is_wide(request.version), newest && !request.features.empty()};
    payload.clear();
    if (request.sspi.size() > (b.wide ? tds_login7_max : UINT16_MAX) || request.features.size() > tds_login7_max)
        return false;
    payload.reserve(size_bound(b));
    put_fixed_part(b);
    size_t pointer = put_texts(b);
    put_sspi(b);
    if (b.extended)
        put_features(b, pointer);
    set_u32le(payload, 0, payload.size());
    if (payload.size() <= tds_login7_max)
        return true;
    explicit_bzero(payload.data(), payload.size());
    payload.clear();
    return false;
}

tds_login7_request tds_login7_request_of(const tds_login7 &login) {
    tds_login7_request r;
    static_cast<tds_login7_fixed &>(r) = login;
    r.version = login.tds_version;
    r.packet_size = login.packet_size;
    r.host_name = login.host_name;
    r.user_name = login.user_name;
    r.app_name = login.app_name;
    r.server_name = login.server_name;
    r.library_name = login.library_name;
    r.language = login.language;
    r.database = login.database;
    r.attach_file = login.attach_file;
    r.password = tds_secret_view(login.password);
    r.new_password = tds_secret_view(login.new_password);
    r.sspi = login.sspi;
    r.features = login.features;
    return r;
}

bool tds_login7_set_fedauth_echo(std::span<uint8_t> payload, bool echo) {
    tds_login7 login;
    tds_feature fedauth;
    if (tds_login7_parse(payload, login) != tds_login7_error::none ||
        !tds_feature_find(login.features, tds_feature_fedauth, fedauth) || fedauth.data.empty())
        return false;
    uint8_t &options = payload[static_cast<size_t>(fedauth.data.data() - payload.data())];
    options = static_cast<uint8_t>((options & 0xfe) | (echo ? 1 : 0));
    return true;
}
