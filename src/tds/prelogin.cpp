#include "tds/prelogin.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "tds/bytes.h"
#include "tds/packet.h"

static constexpr size_t entry_size = 5;
static constexpr size_t option_limit = 32;

const char *tds_prelogin_error_text(tds_prelogin_error error) {
    switch (error) {
    case tds_prelogin_error::none: return "no error";
    case tds_prelogin_error::no_terminator: return "PRELOGIN table has no end";
    case tds_prelogin_error::version_not_first: return "PRELOGIN does not begin with VERSION";
    case tds_prelogin_error::outside: return "PRELOGIN option outside the message";
    case tds_prelogin_error::bad_length: return "PRELOGIN option of wrong length";
    case tds_prelogin_error::duplicate: return "PRELOGIN option given twice";
    case tds_prelogin_error::too_many: return "too many PRELOGIN options";
    }
    return "unknown";
}

// Counts the table's entries. The terminator is looked for only where an entry begins.
static tds_prelogin_error count_options(std::span<const uint8_t> payload, size_t &count) {
    for (count = 0; count <= option_limit; ++count) {
        size_t at = count * entry_size;
        if (at >= payload.size())
            return tds_prelogin_error::no_terminator;
        if (payload[at] == tds_prelogin_terminator)
            return tds_prelogin_error::none;
    }
    return tds_prelogin_error::too_many;
}

static std::string_view until_zero(std::span<const uint8_t> data) {
    auto end = std::find(data.begin(), data.end(), uint8_t{0});
    return {reinterpret_cast<const char *>(data.data()), static_cast<size_t>(end - data.begin())};
}

static tds_prelogin_error take_byte(std::span<const uint8_t> data, size_t least, bool &has, uint8_t &value) {
    if (data.size() > 1 || data.size() < least)
        return tds_prelogin_error::bad_length;
    has = true;
    value = data.empty() ? uint8_t{0} : data[0];
    return tds_prelogin_error::none;
}

static tds_prelogin_error take_version(std::span<const uint8_t> data, tds_product_version &v) {
    if (data.size() != 6)
        return tds_prelogin_error::bad_length;
    v = {data[0], data[1], get_u16be(&data[2]), get_u16le(&data[4])};
    return tds_prelogin_error::none;
}

static tds_prelogin_error take_option(uint8_t token, std::span<const uint8_t> data, tds_prelogin &out) {
    switch (token) {
    case tds_prelogin_version: return take_version(data, out.version);
    case tds_prelogin_encryption: return take_byte(data, 1, out.has_encryption, out.encryption);
    case tds_prelogin_mars: return take_byte(data, 0, out.has_mars, out.mars);
    case tds_prelogin_fedauth: return take_byte(data, 0, out.has_fedauth, out.fedauth);
    case tds_prelogin_instance:
        out.has_instance = true;
        out.instance = until_zero(data);
        break;
    case tds_prelogin_thread:
        out.has_thread = true;
        out.thread = data;
        break;
    case tds_prelogin_trace:
        out.has_trace = true;
        out.trace = data;
        break;
    case tds_prelogin_nonce:
        if (data.size() != 32)
            return tds_prelogin_error::bad_length;
        out.has_nonce = true;
        out.nonce = data;
        break;
    default: break;
    }
    return tds_prelogin_error::none;
}

tds_prelogin_error tds_prelogin_parse(std::span<const uint8_t> payload, tds_prelogin &out) {
    out = {};
    size_t count = 0;
    if (auto error = count_options(payload, count); error != tds_prelogin_error::none)
        return error;
    if (count == 0 || payload[0] != tds_prelogin_version)
        return tds_prelogin_error::version_not_first;
    bool seen[256] = {};
    size_t table = count * entry_size + 1;
    for (size_t i = 0; i < count; ++i) {
        const uint8_t *entry = &payload[i * entry_size];
        uint32_t offset = get_u16be(entry + 1);
        uint32_t length = get_u16be(entry + 3);
        if (std::exchange(seen[entry[0]], true))
            return tds_prelogin_error::duplicate;
        // An empty option's offset means nothing.
        if (length > 0 && (offset < table || offset + length > payload.size()))
            return tds_prelogin_error::outside;
        auto data = length > 0 ? payload.subspan(offset, length) : std::span<const uint8_t>{};
        if (auto error = take_option(entry[0], data, out); error != tds_prelogin_error::none)
            return error;
    }
    return tds_prelogin_error::none;
}

static tds_encryption_decision decide_without_tls(uint8_t wish, bool client_cert) {
    bool plain = !client_cert && (wish == tds_encrypt_off || wish == tds_encrypt_not_supported);
    return {tds_encrypt_not_supported, plain ? tds_encryption::none : tds_encryption::refuse};
}

static tds_encryption_decision decide_with_tls(uint8_t wish, bool forced) {
    if (wish == tds_encrypt_on || wish == tds_encrypt_required)
        return {tds_encrypt_on, tds_encryption::full};
    if (wish == tds_encrypt_off)
        return forced ? tds_encryption_decision{tds_encrypt_required, tds_encryption::full}
                      : tds_encryption_decision{tds_encrypt_off, tds_encryption::login_only};
    return forced ? tds_encryption_decision{tds_encrypt_required, tds_encryption::refuse}
                  : tds_encryption_decision{tds_encrypt_not_supported, tds_encryption::none};
}

tds_encryption_decision tds_encryption_decide(uint8_t client_byte, tds_tls_policy policy) {
    bool client_cert = (client_byte & tds_encrypt_client_cert) != 0;
    auto wish = static_cast<uint8_t>(client_byte & 0x1f);
    if (wish > tds_encrypt_required || (client_byte & 0x40) != 0)
        return {tds_encrypt_not_supported, tds_encryption::refuse};
    if (client_cert && wish == tds_encrypt_not_supported)
        return {tds_encrypt_required, tds_encryption::refuse};
    if (policy == tds_tls_policy::disable)
        return decide_without_tls(wish, client_cert);
    return decide_with_tls(wish, policy == tds_tls_policy::require);
}

struct prelogin_option {
    uint8_t token;
    uint8_t size;
    uint8_t data[6];
};

static void build(uint8_t type, uint16_t spid, std::span<const prelogin_option> options, std::vector<uint8_t> &out) {
    size_t offset = options.size() * entry_size + 1;
    size_t length = tds_header_size + offset;
    for (const prelogin_option &o : options)
        length += o.size;
    uint8_t header[tds_header_size];
    tds_header_write({type, tds_status_eom, static_cast<uint16_t>(length), spid, 1, 0}, header);
    out.insert(out.end(), header, header + sizeof header);
    for (const prelogin_option &o : options) {
        put_u8(out, o.token);
        put_u16be(out, static_cast<uint32_t>(offset));
        put_u16be(out, o.size);
        offset += o.size;
    }
    put_u8(out, tds_prelogin_terminator);
    for (const prelogin_option &o : options)
        out.insert(out.end(), o.data, o.data + o.size);
}

static prelogin_option version_option(const tds_product_version &v) {
    auto byte = [](int x) { return static_cast<uint8_t>(x); };
    return {tds_prelogin_version,
            6,
            {v.major, v.minor, byte(v.build >> 8), byte(v.build), byte(v.sub_build), byte(v.sub_build >> 8)}};
}

void tds_prelogin_answer_build(const tds_prelogin_answer &answer, std::vector<uint8_t> &out) {
    assert(answer.version.major >= 9);
    prelogin_option options[6];
    size_t n = 0;
    options[n++] = version_option(answer.version);
    options[n++] = {tds_prelogin_encryption, 1, {answer.encryption}};
    options[n++] = {tds_prelogin_instance, 1, {0}};
    // go-mssqldb rejects an empty option whose offset is the payload's end: MARS's byte must follow it.
    if (answer.thread && answer.mars)
        options[n++] = {tds_prelogin_thread, 0, {}};
    if (answer.mars)
        options[n++] = {tds_prelogin_mars, 1, {answer.mars_value}};
    if (answer.fedauth)
        options[n++] = {tds_prelogin_fedauth, 1, {answer.fedauth_value}};
    build(tds_type_response, answer.spid, {options, n}, out);
}

void tds_prelogin_request_build(const tds_product_version &version, uint8_t encryption, std::vector<uint8_t> &out,
                                bool fedauth, bool mars) {
    const prelogin_option options[] = {
        version_option(version),         {tds_prelogin_encryption, 1, {encryption}},
        {tds_prelogin_instance, 1, {0}}, {tds_prelogin_thread, 4, {0}},
        {tds_prelogin_mars, 1, {mars}},  {tds_prelogin_fedauth, 1, {1}},
    };
    size_t count = std::size(options) - (fedauth ? 0 : 1);
    build(tds_type_prelogin, 0, {options, count}, out);
}
