// MARS: a client's sessions multiplexed by SMP, on a server connection that is its own (pin reason mars).
//
//      client -> decrypted -> headers checked -> server
//      client <- headers checked <- decrypted <- server
//
// Bytes pass as they are, in the packet size that both sides have agreed on at login. Packets are looked at to be
// counted, and for the time that a request takes.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "tds/smp.h"

struct client_session;

// What a session has that multiplexes; from its LOGIN7 on.
struct mars_streams {
    smp_cursor up, down;
    std::unordered_map<uint16_t, uint64_t> asked; // hrtime of requests under way, by SMP session; some of them
};

// Its client, or its server connection, has something to read. The session may have ended.
void mars_client_read(client_session *);
void mars_server_read(client_session *);
