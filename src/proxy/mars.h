// MARS: a client's sessions multiplexed by SMP, on a server connection that is its own (pin reason mars).
//
//      client -> decrypted -> headers checked -> server
//      client <- headers checked <- decrypted <- server
//
// Bytes pass as they are, in the packet size that both sides have agreed on at login. Which request runs in which of
// the sessions is nobody's business here.
#pragma once

#include "tds/smp.h"

struct client_session;

// What a session has that multiplexes; from its LOGIN7 on.
struct mars_streams {
    smp_cursor up, down;
};

// Its client, or its server connection, has something to read. The session may have ended.
void mars_client_read(client_session *);
void mars_server_read(client_session *);
