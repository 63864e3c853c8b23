// The last TLS session of every server, by target, so that a reconnect resumes it. For the sources of this folder only.
#pragma once

#include <ctime>
#include <map>
#include <string>

#include "tls/openssl_own.h"

struct tls_session_entry {
    openssl_owned<SSL_SESSION> session;
    time_t verified = 0; // when the certificate behind it was looked at: kept when a resumed session renews itself
    uint64_t used = 0;   // the store's clock when it was last put or found
};

struct tls_session_store {
    std::map<std::string, tls_session_entry> entries;
    uint64_t clock = 0;
};

// A session stands in for a look at the certificate for so many seconds at most, however often it is renewed.
inline constexpr time_t tls_session_lifetime = 2 * 3600;

// The target's entry if its session may still be offered at `now`, else nullptr (and what was there is dropped).
const tls_session_entry *tls_session_find(tls_session_store &, const std::string &target, time_t now);

// Takes over `session`, replacing the target's last; at tls_client_sessions_max the entry unused for longest goes.
void tls_session_put(tls_session_store &, const std::string &target, openssl_owned<SSL_SESSION> session,
                     time_t verified);

// Drops the target's session if it still is `session`.
void tls_session_drop(tls_session_store &, const std::string &target, const SSL_SESSION *session);
