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
    bool wants_mars = false;
    bool asks_fedauth = false; // FEDAUTHREQUIRED is there
};

bool prelogin_parse(std::string_view payload, prelogin &out);

// The ENCRYPTION byte for the answer and what it leads to. `strict`: TDS 8.0, where the option has no meaning.
prelogin_outcome prelogin_decide(const prelogin &, encrypt setting, bool strict, uint8_t &answer);

// `fedauth_required`, `mars`: 1, only for a client that asked.
std::string prelogin_answer(std::string_view product, uint8_t encryption, bool fedauth_required, bool mars);

// Features that can be acknowledged. FEDAUTH is, always, where it is served.
constexpr std::string_view feature_known("\x01\x04\x05\x08\x09\x0A\x0B\x0D\x0E\x0F", 10);

struct login_feature {
    uint8_t id = 0;
    std::string data;
};

struct login7 {
    login_request request;
    uint32_t version = 0;  // rounded down to a known one; 0x08000000 stays
    tds tokens = tds::v74; // the token formats of this version
    uint32_t packet_size = 0;
    uint8_t flags[4] = {}; // OptionFlags1, OptionFlags2, TypeFlags, OptionFlags3 as sent
    std::string server_name, attach_file;
    std::vector<login_feature> features; // in the client's order
    bool integrated = false;             // fIntSecurity
    std::string sspi;
};

const login_feature *login_feature_of(const login7 &, uint8_t id); // null: not asked for

// The FEATUREEXTACK token: those of `granted` that the client asked for and that both know. Empty: none.
std::string feature_acks(const login7 &, std::string_view granted, std::string_view states);
// True when the acks hold COLUMNENCRYPTION: COLMETADATA then has a CekTable.
bool acks_feature(const login7 &, std::string_view granted, uint8_t id);
uint8_t classification_version(const login7 &); // that is acknowledged, if any is

// False: structurally wrong, SQL Server closes without an answer.
bool login7_parse(std::string_view message, login7 &out);

} // namespace sqlserver
