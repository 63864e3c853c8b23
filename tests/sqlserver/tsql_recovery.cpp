// What SESSIONSTATE reports of a session: MS-TDS 2.2.7.21. The ids are those seen in its samples, the values our own.
//
// As far as is known SQL Server does not report CONTEXT_INFO and SESSION_CONTEXT; neither does this.
#include "tsql_session.h"

#include <cstring>

namespace sqlserver {

namespace {

template <typename T> std::string bytes_of(T n) {
    std::string out(sizeof n, '\0');
    memcpy(out.data(), &n, sizeof n);
    return out;
}

// One bit for each SET option that is ON or OFF.
std::string switches_of(const set_options &o) {
    uint64_t bits = 0;
    unsigned n = 0;
    for (const auto &[name, value] : options_listed(o)) {
        bits |= value == "ON" ? uint64_t{1} << n : 0;
        n += value == "ON" || value == "OFF";
    }
    return bytes_of(bits) + '\0';
}

bool holds_session_lock(const session *s) {
    for (const auto &[resource, lock] : s->eng->app_locks)
        if (lock.owner == s->spid && !lock.transaction)
            return true;
    return false;
}

bool owns_global_temp(const session *s) {
    for (const auto &[name, owner] : s->eng->global_owners)
        if (owner == s->spid)
            return true;
    return false;
}

// What makes a session unrecoverable: a bit for each kind.
uint8_t held_by(const session *s) {
    unsigned bits = s->trancount > 0 ? 1 : 0;
    bits |= !s->temps.empty() || owns_global_temp(s) ? 2 : 0;
    bits |= !s->cursors.empty() || !s->api_cursors.empty() ? 4 : 0;
    bits |= !s->impersonation.empty() ? 8 : 0;
    bits |= holds_session_lock(s) ? 16 : 0;
    bits |= !s->trace_flags.empty() ? 32 : 0;
    return static_cast<uint8_t>(bits);
}

} // namespace

std::vector<std::pair<uint8_t, std::string>> session_recovery_states(const session *s, bool &recoverable) {
    const set_options &o = s->options;
    uint8_t held = held_by(s);
    recoverable = held == 0;
    return {{0, switches_of(o)},
            {2, std::string(1, static_cast<char>(o.date_first)) + o.date_format},
            {4, std::string(1, static_cast<char>(held))},
            {5, bytes_of(o.text_size)},
            {6, bytes_of(o.query_governor) + static_cast<char>(o.deadlock_priority)},
            {7, std::string(1, static_cast<char>(s->isolation))},
            {8, bytes_of(o.rowcount)},
            {9, bytes_of(o.lock_timeout)}};
}

} // namespace sqlserver
