// Answering a client's login with an error: in passthrough the proxy first completes PRELOGIN, TLS (with its own
// certificate) and LOGIN7 itself, so that every driver shows number and text (docs/architecture.md).
#pragma once

struct client_session;

// The session is in state refusing with error and detail set (or with the complete answer in talk->late_answer); `in`
// holds what the client has sent and nobody has looked at.
void refusal_begin(client_session *);
void refusal_event(client_session *, unsigned events);
// The session's deadline has passed: true if it was time to answer (the session may have ended by it), false if the
// client has taken too long.
bool refusal_deadline(client_session *);
// The answer has been given to the session's stream (a terminated session, logged in or nearly): sends it, then
// lingers.
void refusal_flush_stream(client_session *);
