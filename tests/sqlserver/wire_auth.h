// Logins without a SQL password: integrated security and federated authentication. Bytes only, no sockets here.
//
// Integrated security (MS-TDS 2.2.6.4 fIntSecurity, 2.2.6.8, 2.2.7.22). NTLM and Kerberos need a domain; what matters
// to whoever relays a login is that opaque blobs travel both ways and that the answer depends on each of them. So this
// server has a mechanism of its own, keyed with the password of the SQL login of that name:
//
//      client  LOGIN7, SSPI      "SIN1" user (UTF-8)
//      server  token 0xED        "SIN2" nonce, switch sspi-nonce bytes of it (32), alone in its message
//      client  packet 0x11       "SIN3" HMAC-SHA256(password, the server's whole blob)
//      server  token 0xED        "SIN4" HMAC-SHA256(password, the client's second blob), then LOGINACK ... DONE
//
// Any other first blob (NTLM, Kerberos) is refused with 18452, a wrong second one with 18456.
//
// Federated authentication (MS-TDS 2.2.6.4 FEDAUTH, 2.2.6.5 FEDAUTHREQUIRED, 2.2.7.12, 2.2.6.3) is offered when the
// switch fedauth-token is set. The security token library (1) sends the token inside LOGIN7; ADAL (2) asks for
// FEDAUTHINFO (0xEE) and sends it in a packet 0x08. The session's user is the switch fedauth-user.
#pragma once

#include "wire_login.h"

#include <string>
#include <string_view>

namespace sqlserver {

// False: not a first blob of this mechanism.
bool sspi_first(std::string_view blob, std::string &user);
std::string sspi_challenge(size_t nonce_size); // fresh
bool sspi_reply_fits(std::string_view challenge, std::string_view reply, std::string_view password);
std::string sspi_confirmation(std::string_view reply, std::string_view password);
void put_sspi(std::string &o, std::string_view blob); // token 0xED

constexpr uint8_t fedauth_security_token = 1, fedauth_adal = 2;

struct fedauth_request {
    bool echo = false; // fFedAuthEcho: what PRELOGIN answered
    uint8_t library = 0;
    std::string token; // UTF-8; with the security token library
};

// False: malformed, or a library that is not known.
bool fedauth_parse(std::string_view feature_data, fedauth_request &out);
// The payload of a packet 0x08. False: malformed.
bool fedauth_token(std::string_view payload, std::string &token);
void put_fedauth_info(std::string &o, std::string_view sts_url, std::string_view spn); // token 0xEE

} // namespace sqlserver
