// Session state that a SET statement can put back: what a client has set, how one state becomes another.
//
// An option that a session never set is at its login's default, which nobody needs to know: all server connections of a
// pool have the same. From "set" back to "default" leads only a reset (MS-TDS 2.2.3.1.2).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

// In the order in which a replay sends them: LANGUAGE, sent before them all, changes the first two; what might keep
// later statements from running comes last.
enum class tds_option : uint8_t {
    dateformat,
    datefirst,
    quoted_identifier,
    ansi_nulls,
    ansi_null_dflt_off,
    ansi_null_dflt_on,
    ansi_padding,
    ansi_warnings,
    concat_null_yields_null,
    cursor_close_on_commit,
    numeric_roundabort,
    arithignore,
    arithabort,
    xact_abort,
    deadlock_priority,
    lock_timeout,
    query_governor_cost_limit,
    textsize,
    forceplan,
    remote_proc_transactions,
    statistics_io,
    statistics_time,
    isolation_level,
    implicit_transactions,
    nocount,
    rowcount,
    count_
};
inline constexpr size_t tds_option_count = static_cast<size_t>(tds_option::count_);
using tds_option_set = uint32_t; // bit n: option n
inline constexpr tds_option_set tds_option_bit(tds_option o) {
    return tds_option_set{1} << static_cast<unsigned>(o);
}
static_assert(tds_option_count <= 32);

// The name as SET wants it, for isolation_level "TRANSACTION ISOLATION LEVEL".
const char *tds_option_name(tds_option);
// By its name in SET, upper case; isolation_level is not found by it. tds_option::count_: none that can be replayed.
tds_option tds_option_find(std::string_view upper_name);
// ON and OFF only, rather than a number or a word.
bool tds_option_is_switch(tds_option);

inline constexpr std::string_view tds_isolation_default = "READ COMMITTED";

// What a session's state is, or a server connection's. Values are canonical: ON, OFF, READ COMMITTED, mdy, numbers as
// they were written; empty: at the login's default. The isolation level is never empty: no reset changes it.
struct tds_session_state {
    std::string database, language; // as the server names them
    std::array<std::string, tds_option_count> options;

    tds_session_state() { options[static_cast<size_t>(tds_option::isolation_level)] = tds_isolation_default; }
    std::string &operator[](tds_option o) { return options[static_cast<size_t>(o)]; }
    const std::string &operator[](tds_option o) const { return options[static_cast<size_t>(o)]; }
    bool operator==(const tds_session_state &) const = default;
};

// A SET of one option, with what it does to others (ANSI_NULL_DFLT_ON and _OFF turn each other off).
void tds_state_set(tds_session_state &, tds_option, std::string_view value);
// A SET LANGUAGE: DATEFORMAT and DATEFIRST become the language's.
void tds_state_set_language(tds_session_state &, std::string_view language);
// What a reset leaves: the login's database and language, nothing set but the isolation level.
void tds_state_reset(tds_session_state &, std::string_view database, std::string_view language);
// Options that the caller has read, and found at the login's default; not the isolation level, which has none.
void tds_state_forget(tds_session_state &, tds_option_set);

// Whether SETs alone lead from one to the other: nothing has to go back to a default.
bool tds_state_reachable(const tds_session_state &from, const tds_session_state &to);
// ... if SET LANGUAGE takes back a DATEFORMAT or a DATEFIRST, which it does not with Babelfish.
bool tds_state_takes_back_order(const tds_session_state &from, const tds_session_state &to);
// The batch that does it, empty when they are equal. Reachable, or `from` is what tds_state_reset left of it.
std::string tds_state_batch(const tds_session_state &from, const tds_session_state &to);
// For equal states equal text, for others another.
std::string tds_state_key(const tds_session_state &);
