// Logging in to a SQL Server: carries bytes between the socket and proxy/server_login, follows routing, tries transient
// refusals again, and tells the outcome to whom it concerns.
#pragma once

#include <cstdint>
#include <span>

struct server_conn;
struct client_session;

inline constexpr unsigned routing_hops_max = 10;

// The connection is made: PRELOGIN, TLS, LOGIN7. Its client, if it has one that needs a login, gives the password; else
// its pool does.
void server_auth_begin(server_conn *);
void server_auth_event(server_conn *, unsigned events);
// Frees what the login holds; harmless when there is none.
void server_auth_end(server_conn *);
// A dedicated login's client has sent its next token (packet type SSPI or FEDAUTH).
void server_auth_send_token(server_conn *, uint8_t type, std::span<const uint8_t> payload);
// Its time is over, and the last try was refused for a passing reason: tells the owner of that refusal.
void server_auth_refused_for_good(server_conn *);
// The first batch after the login, if any, has ended: tells the owner that the connection is there.
void server_auth_ready(server_conn *);
