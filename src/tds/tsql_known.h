// System procedures whose effect on the session is known without reading them.
#pragma once

#include <cstdint>
#include <string_view>

enum class tsql_known : uint8_t {
    no,          // not in the table
    quiet,       // leaves nothing in the session, whatever it does to the server
    execute_sql, // runs its first argument
    runs_text,   // runs a text that is not followed further
    session_context,
    get_app_lock,
    release_app_lock,
    set_app_role,
    unset_app_role,
    bind_session,
    handle,  // makes or uses a handle of this session
    unknown, // may do anything
};

// `lower`: the name without database and schema, in lower case.
tsql_known tsql_known_find(std::string_view lower);
