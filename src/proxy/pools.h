// The pools of every bucket: who gets a connection that comes free, which idle ones are kept, closed or opened ahead.
// pool/server_pool decides, this acts.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "tls/digest.h"

struct proxy;
struct proxy_bucket;
struct client_session;
struct server_conn;
struct server_pool;
enum class pool_match : uint8_t;
struct login_identity;
struct tds_login_answer;

// At start: limits, and the pool of the bucket's own login.
void pools_start(proxy *, proxy_bucket *);

// The key of a login in this bucket.
std::string pools_key(const proxy_bucket *, const login_identity &, const digest &password);
// The pool of this key, made if there is none, with its own copy of the password. nullptr: no room for it.
[[nodiscard]] server_pool *pools_obtain(proxy *, proxy_bucket *, const std::string &key,
                                        const std::shared_ptr<const login_identity> &, std::string_view password,
                                        const digest &password_digest);
// A session holds its pool, so that the password is there for as long as a connection may have to be opened.
void pools_hold(client_session *, server_pool *);
void pools_release(client_session *);
// What the log calls the pool of this key; "" for nullptr.
std::string pools_label(const server_pool *);
// Whose login opens the pool's connections; nullptr: nobody's yet.
const login_identity *pools_login(const server_pool *);
// The password that the pool's connections are opened with.
std::string_view pools_password(const server_pool *);
// Takes the session over to a pool of its database alone. False: it is in one already.
[[nodiscard]] bool pools_unshare(client_session *);

// A pooled connection is logged in: it joins its pool, and the login is recorded.
void pools_logged_in(server_conn *, const std::shared_ptr<const tds_login_answer> &);
// The server has refused its login: nobody is let in from a record of it.
void pools_login_refused(server_conn *);
// A reset has failed: the server lets nobody in from a record either.
void pools_reset_failed(server_conn *);
// Opening it ahead has failed.
void pools_warm_failed(server_conn *, const char *why);

// A connection is clean and nobody's: to a waiter, to the idle ones, or closed.
void pools_put(server_conn *);
// An idle connection has something to read: it is no good any more.
void pools_idle_event(server_conn *);
// An idle connection of the session's pool, for it: see pool_take_idle. nullptr: there is none.
[[nodiscard]] server_conn *pools_take_idle(client_session *, pool_match);

// The coordinator has no slot for those who wait: gives them what is idle in another state, and takes over the slots of
// other pools' idle connections.
void pools_make_room(proxy *, proxy_bucket *);
// Closes as many idle connections as the coordinator wants back.
void pools_give_back(proxy_bucket *);
// Closes idle connections: those past their time, those the coordinator wants back. Opens others ahead.
void pools_tick(proxy *, proxy_bucket *, uint64_t now);
// A slot was granted for opening a connection ahead.
void pools_warm_granted(proxy *, proxy_bucket *);
// The server's name has been resolved anew: connections to an address that it has no longer are closed, busy ones when
// they come free. (A failover by DNS.)
void pools_server_moved(proxy *, proxy_bucket *);
// Closes all idle connections, once what their last clients may ask for is kept.
void pools_retire_idle(proxy_bucket *, const char *reason);
// Closes all idle connections: shutdown.
void pools_close_idle(proxy *, proxy_bucket *, const char *reason);
