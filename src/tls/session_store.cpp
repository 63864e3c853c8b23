#include "tls/session_store.h"

#include <algorithm>
#include <utility>

#include "tls/tls_client_context.h"

const tls_session_entry *tls_session_find(tls_session_store &store, const std::string &target, time_t now) {
    auto it = store.entries.find(target);
    if (it == store.entries.end())
        return nullptr;
    tls_session_entry &entry = it->second;
    // OpenSSL marks the session of a connection that failed as not resumable.
    if (SSL_SESSION_is_resumable(entry.session.get()) != 1 || now < entry.verified ||
        now - entry.verified >= tls_session_lifetime) {
        store.entries.erase(it);
        return nullptr;
    }
    entry.used = ++store.clock;
    return &entry;
}

static void make_room(tls_session_store &store) {
    if (store.entries.size() < tls_client_sessions_max)
        return;
    auto older = [](const auto &a, const auto &b) { return a.second.used < b.second.used; };
    store.entries.erase(std::min_element(store.entries.begin(), store.entries.end(), older));
}

void tls_session_put(tls_session_store &store, const std::string &target, openssl_owned<SSL_SESSION> session,
                     time_t verified) {
    if (!store.entries.contains(target))
        make_room(store);
    store.entries[target] = {std::move(session), verified, ++store.clock};
}

void tls_session_drop(tls_session_store &store, const std::string &target, const SSL_SESSION *session) {
    auto it = store.entries.find(target);
    if (it != store.entries.end() && it->second.session.get() == session)
        store.entries.erase(it);
}
