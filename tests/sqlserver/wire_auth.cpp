// Blobs and tokens of logins without a SQL password. See wire_auth.h.
#include "wire_auth.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

namespace sqlserver {

namespace {

constexpr size_t magic_size = 4, digest_size = 32;
constexpr uint8_t info_sts_url = 1, info_spn = 2;

std::string digest(std::string_view password, std::string_view data) {
    unsigned char out[digest_size];
    unsigned n = 0;
    HMAC(EVP_sha256(), password.data(), static_cast<int>(password.size()),
         reinterpret_cast<const unsigned char *>(data.data()), data.size(), out, &n);
    return {reinterpret_cast<const char *>(out), sizeof out};
}

std::string utf16(std::string_view text) {
    std::string o;
    utf16_put(o, text);
    return o;
}

} // namespace

bool sspi_first(std::string_view blob, std::string &user) {
    if (blob.substr(0, magic_size) != "SIN1" || blob.size() > magic_size + 512)
        return false;
    user = blob.substr(magic_size);
    return !user.empty();
}

std::string sspi_challenge(size_t nonce_size) {
    std::string blob = "SIN2";
    blob.resize(magic_size + nonce_size);
    RAND_bytes(reinterpret_cast<unsigned char *>(blob.data()) + magic_size, static_cast<int>(nonce_size));
    return blob;
}

bool sspi_reply_fits(std::string_view challenge, std::string_view reply, std::string_view password) {
    std::string expected = "SIN3" + digest(password, challenge);
    return reply.size() == expected.size() && CRYPTO_memcmp(reply.data(), expected.data(), reply.size()) == 0;
}

std::string sspi_confirmation(std::string_view reply, std::string_view password) {
    return "SIN4" + digest(password, reply);
}

void put_sspi(std::string &o, std::string_view blob) {
    put_u8(o, 0xED);
    put_u16(o, static_cast<unsigned>(blob.size()));
    o.append(blob);
}

bool fedauth_parse(std::string_view data, fedauth_request &out) {
    reader r = reader_of(data);
    uint8_t options = rd_u8(r);
    out.echo = (options & 1) != 0;
    out.library = options >> 1;
    if (out.library == fedauth_security_token)
        out.token = utf16_decode(rd_bytes(r, rd_u32(r)));
    else if (out.library == fedauth_adal)
        rd_u8(r); // the workflow: this server trusts the token, however it was got
    else
        return false;
    return !r.bad && r.left == 0; // no nonce: PRELOGIN sent none
}

bool fedauth_token(std::string_view payload, std::string &token) {
    reader r = reader_of(payload);
    uint32_t length = rd_u32(r);
    if (r.bad || length != r.left)
        return false;
    token = utf16_decode(rd_bytes(r, rd_u32(r)));
    return !r.bad && r.left == 0;
}

void put_fedauth_info(std::string &o, std::string_view sts_url, std::string_view spn) {
    std::string url = utf16(sts_url), name = utf16(spn), body;
    constexpr uint32_t count = 2, table = 4 + count * 9; // offsets count from the field `count`
    put_u32(body, count);
    put_u8(body, info_sts_url);
    put_u32(body, static_cast<uint32_t>(url.size()));
    put_u32(body, table);
    put_u8(body, info_spn);
    put_u32(body, static_cast<uint32_t>(name.size()));
    put_u32(body, static_cast<uint32_t>(table + url.size()));
    body += url + name;
    put_u8(o, 0xEE);
    put_u32(o, static_cast<uint32_t>(body.size()));
    o += body;
}

} // namespace sqlserver
