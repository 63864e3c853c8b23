#include "tls/client_hello.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "tls/tls_record.h"

static constexpr uint8_t handshake_client_hello = 1;
static constexpr size_t handshake_header_size = 4;
static constexpr uint16_t extension_server_name = 0;
static constexpr uint16_t extension_alpn = 16;

// Takes fields off the front of what is left; after the first one that is not there all others are empty and `bad`.
struct cursor {
    std::span<const uint8_t> rest;
    bool bad = false;
};

static std::span<const uint8_t> take(cursor &c, size_t n) {
    if (c.bad || n > c.rest.size()) {
        c.bad = true;
        return {};
    }
    auto part = c.rest.first(n);
    c.rest = c.rest.subspan(n);
    return part;
}

static size_t take_number(cursor &c, size_t width) {
    size_t value = 0;
    for (uint8_t byte : take(c, width))
        value = value << 8 | byte;
    return value;
}

// A vector: a length of `width` bytes, then as many bytes.
static cursor take_vector(cursor &c, size_t width) {
    size_t size = take_number(c, width);
    return {take(c, size), c.bad};
}

bool tls_server_name_parse(std::span<const uint8_t> extension, std::string &out) {
    cursor whole{extension};
    cursor names = take_vector(whole, 2);
    out.clear();
    while (!names.bad && !names.rest.empty()) {
        size_t type = take_number(names, 1);
        cursor name = take_vector(names, 2);
        if (type == 0 && out.empty() && !name.bad)
            out.assign(name.rest.begin(), name.rest.end());
    }
    return !names.bad && out.size() <= 255 && out.find('\0') == std::string::npos;
}

static bool parse_alpn(cursor extension, tls_client_hello &out) {
    static constexpr std::string_view tds8 = "tds/8.0";
    cursor names = take_vector(extension, 2);
    out.has_alpn = true;
    while (!names.bad && !names.rest.empty()) {
        cursor name = take_vector(names, 1);
        out.offers_tds8 |= std::ranges::equal(name.rest, tds8);
    }
    return !names.bad;
}

static bool parse_extensions(cursor extensions, tls_client_hello &out) {
    while (!extensions.bad && !extensions.rest.empty()) {
        size_t type = take_number(extensions, 2);
        cursor extension = take_vector(extensions, 2);
        if (extension.bad)
            return false;
        if (type == extension_server_name && !tls_server_name_parse(extension.rest, out.server_name))
            return false;
        if (type == extension_alpn && !parse_alpn(extension, out))
            return false;
    }
    return !extensions.bad;
}

static bool parse_body(cursor body, tls_client_hello &out) {
    take(body, 2 + 32);                // version, random
    take_vector(body, 1);              // session id
    take_vector(body, 2);              // cipher suites
    take_vector(body, 1);              // compression methods
    if (body.bad || body.rest.empty()) // no extensions: legal before TLS 1.3
        return !body.bad;
    cursor extensions = take_vector(body, 2);
    return !extensions.bad && parse_extensions(extensions, out);
}

// Bytes of the handshake message that the complete records hold, and what the message needs in all.
struct hello_size {
    size_t have = 0;
    size_t need = handshake_header_size;
    uint8_t header[handshake_header_size] = {};
};

static void add_fragment(hello_size &h, std::span<const uint8_t> fragment) {
    for (size_t i = 0; i < fragment.size() && h.have + i < handshake_header_size; ++i)
        h.header[h.have + i] = fragment[i];
    h.have += fragment.size();
    if (h.have >= handshake_header_size)
        h.need = handshake_header_size +
                 (static_cast<size_t>(h.header[1]) << 16 | static_cast<size_t>(h.header[2]) << 8 | h.header[3]);
}

// Walks the records; also of an incomplete one whatever has come counts.
static tls_hello_result measure(std::span<const uint8_t> bytes, hello_size &h) {
    while (!bytes.empty() && h.have < h.need) {
        size_t size = 0;
        auto result = tls_record_parse(bytes, size);
        if (result == tls_record_result::error || bytes[0] != tls_record_handshake)
            return tls_hello_result::error;
        if (result == tls_record_result::more)
            break;
        size = std::min(size, bytes.size());
        add_fragment(h, bytes.subspan(tls_record_header_size, size - tls_record_header_size));
        bytes = bytes.subspan(size);
        if (h.have > 0 && h.header[0] != handshake_client_hello)
            return tls_hello_result::error;
        if (h.need > tls_client_hello_max)
            return tls_hello_result::error;
    }
    return h.have < h.need ? tls_hello_result::more : tls_hello_result::ok;
}

static std::vector<uint8_t> assemble(std::span<const uint8_t> bytes, size_t need) {
    std::vector<uint8_t> message;
    message.reserve(need);
    size_t size = 0;
    while (message.size() < need && tls_record_parse(bytes, size) == tls_record_result::ok) {
        size = std::min(size, bytes.size());
        auto fragment = bytes.subspan(tls_record_header_size, size - tls_record_header_size);
        message.insert(message.end(), fragment.begin(), fragment.end());
        bytes = bytes.subspan(size);
    }
    message.resize(need);
    return message;
}

tls_hello_result tls_client_hello_parse(std::span<const uint8_t> bytes, tls_client_hello &out) {
    out = {};
    hello_size h;
    auto result = measure(bytes, h);
    if (result == tls_hello_result::more && bytes.size() >= tls_client_hello_max)
        return tls_hello_result::error;
    if (result != tls_hello_result::ok)
        return result;
    std::vector<uint8_t> message = assemble(bytes, h.need);
    cursor body{std::span<const uint8_t>(message).subspan(handshake_header_size)};
    return parse_body(body, out) ? tls_hello_result::ok : tls_hello_result::error;
}
