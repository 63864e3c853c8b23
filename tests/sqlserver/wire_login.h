// PRELOGIN and LOGIN7: parsing, and the server's PRELOGIN answer. MS-TDS 2.2.6.4, 2.2.6.5, 2.2.6.3. No sockets here.
#pragma once

#include "engine.h"
#include "wire_bytes.h"
#include "wire_type.h"

namespace sqlserver {

enum class encrypt : uint8_t { off, on, forced, none }; // the server's setting; `on` behaves as `forced`

// What follows the PRELOGIN answer.
enum class prelogin_outcome : uint8_t { plain, login_only, full, refuse };

struct prelogin {
    bool has_encryption = false;
    uint8_t encryption = 0;
};

bool prelogin_parse(std::string_view payload, prelogin &out);

// The ENCRYPTION byte for the answer and what it leads to. `strict`: TDS 8.0, where the option has no meaning.
prelogin_outcome prelogin_decide(const prelogin &, encrypt setting, bool strict, uint8_t &answer);

std::string prelogin_answer(std::string_view product, uint8_t encryption);

struct login7 {
    login_request request;
    uint32_t version = 0;  // rounded down to a known one; 0x08000000 stays
    tds tokens = tds::v74; // the token formats of this version
    uint32_t packet_size = 0;
    bool wants_utf8 = false; // feature 0x0A was asked for
    bool integrated = false; // fIntSecurity: not supported
    bool wants_fedauth = false;
};

// False: structurally wrong, SQL Server closes without an answer.
bool login7_parse(std::string_view message, login7 &out);

} // namespace sqlserver
