// A session that is relayed end to end: the proxy reads its first message only, to choose the bucket.
#pragma once

#include "proxy/relay.h"

struct client_session;
struct net_conn;

// Something happened on the client's socket: greeting to relaying.
void passthrough_client_event(client_session *, unsigned events);
// Its server connection is there: what the client has sent so far goes first.
void passthrough_server_ready(client_session *);
// The client's or the server's descriptor has something to read or to write, while relaying.
void passthrough_relay_event(client_session *, const net_conn *, unsigned events);
// One direction has moved, in this loop turn's batch or alone; `bytes_before`: its count before that.
void passthrough_moved(relay_direction *, relay_result, int error, uint64_t bytes_before);
// The session's deadline has passed while relaying: true if it ended by it or goes on (the server was to end it), false
// if the client has taken too long for its login.
bool passthrough_deadline(client_session *);
