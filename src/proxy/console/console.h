// The admin console: logins to database `tdsbouncer` are answered by the proxy itself, and so is what they ask. It
// needs no slot and no server, so it works while a bucket is full, paused or down (docs/console.md).
//
//      login -> console_login -> 18456
//                             -> state console: message -> statements (console_parse) -> commands (console_commands),
//                                                what drivers ask by themselves (console_request) -> answer
#pragma once

#include <string_view>

struct proxy;
struct client_session;

inline constexpr std::string_view console_database = "tdsbouncer";

// Whether the session's LOGIN7 is one to the console, which must be on for that.
bool console_asked_for(const client_session *);
// Checks its user and password, and answers the login, or puts that off to its deadline (s->answering).
void console_login(client_session *);
// The login's answer was put off: now.
void console_answer_login(client_session *);
// Something happened on its socket: state console.
void console_event(client_session *, unsigned events);
// The session ends: what it has not been told to be done is undone. Harmless for any session.
void console_end(client_session *);
// From the timer: answers those who waited for a pause; ends all sessions when the proxy drains.
void console_tick(proxy *);
