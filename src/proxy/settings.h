// Session states, each kept once: equal states have the same address, so that comparing two costs nothing and a hundred
// thousand sessions of one driver share one.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>

#include "tds/session_option.h"

using settings_ptr = std::shared_ptr<const tds_session_state>;

struct settings_table {
    std::unordered_map<std::string, std::weak_ptr<const tds_session_state>> known; // by tds_state_key
};

settings_ptr settings_intern(settings_table &, tds_session_state &&);
// Forgets those that nobody is in. Call it about once a second.
void settings_sweep(settings_table &);
