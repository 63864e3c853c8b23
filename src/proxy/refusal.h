// Answering a passthrough client with an error: the proxy completes PRELOGIN, TLS (with its own certificate) and LOGIN7
// itself, so that every driver shows number and text (docs/architecture.md).
#pragma once

struct client_session;

// The session is in state refusing with error and detail set; its greeting holds what the client has sent.
void refusal_begin(client_session *);
void refusal_event(client_session *, unsigned events);
// The session's deadline has passed: true if it was time to answer (the session may have ended by it), false if the
// client has taken too long.
bool refusal_deadline(client_session *);
// Frees what the refusal holds; harmless when there is none.
void refusal_end(client_session *);
