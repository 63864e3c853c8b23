// LOGIN7 as the proxy sends it to a server (MS-TDS 2.2.6.4): the reverse of tds/login7.h.
//
//      fixed part | texts | FeatureExt pointer | SSPI | FeatureExt
//
// SSPI and FeatureExt come last: they alone may be longer than what a 16-bit offset reaches.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "tds/featureext.h"
#include "tds/login7.h"

// Texts are UTF-8; what is over a field's limit (tds_name_max, tds_file_max units) is cut.
// flags3: fExtension is set or cleared as `features` says; 0 is sent below 7.2.
struct tds_login7_request : tds_login7_fixed {
    uint32_t version = tds_7_4;
    uint32_t packet_size = 4096;
    std::string_view host_name, user_name, app_name, server_name, library_name, language, database, attach_file;
    std::string_view password, new_password; // new_password: 7.2 and later, with flag fChangePassword
    std::span<const uint8_t> sspi;           // at most 65535 bytes below 7.2
    std::span<const uint8_t> features;       // run of features without its terminator; 7.4 and 8.0 only, else left out
};

// Replaces `payload` with the LOGIN7 message's payload. False, and `payload` empty, when it would be over
// tds_login7_max or an SSPI blob does not fit its form. `payload` then holds passwords that anyone can decode: the
// caller wipes it (explicit_bzero) before it is freed. It is allocated once: nothing is left behind by its growth.
[[nodiscard]] bool tds_login7_build(const tds_login7_request &request, std::vector<uint8_t> &payload);

// The request that repeats a client's login as it came, password, SSPI and features included. It points into `login`.
tds_login7_request tds_login7_request_of(const tds_login7 &login);

// Writes fFedAuthEcho (bit 0 of FEDAUTH's options) into a LOGIN7 payload: what the server said in PRELOGIN's
// FEDAUTHREQUIRED must come back in it. False when the payload is not a LOGIN7 with a FEDAUTH feature.
bool tds_login7_set_fedauth_echo(std::span<uint8_t> payload, bool echo);
