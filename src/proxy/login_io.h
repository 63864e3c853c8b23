// A client_login on a session's socket: what login and refusal have in common.
#pragma once

#include "proxy/client_login.h"

struct client_session;

// Makes the session's client_login. False when memory is out: the session is closed.
[[nodiscard]] bool login_io_begin(client_session *);
// Feeds what `s->in` has, and empties it.
client_login_result login_io_feed_held(client_session *);
// Reads what has come and feeds it. False when the session has ended.
[[nodiscard]] bool login_io_read(client_session *, client_login_result &);
// Sends what can be sent. False when the session has ended.
[[nodiscard]] bool login_io_flush(client_session *);
// Counts the packets of a complete login, whose bucket is known now.
void login_io_count(client_session *);
// Frees the client_login; harmless when there is none.
void login_io_end(client_session *);
