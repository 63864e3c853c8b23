// One TDS connection from the proxy to a SQL Server, from slot to slot: it owns one slot of its bucket from the moment
// it exists until the server's FIN or RST has been seen (or release_timeout has passed, which counts as possible
// excess).
//
//      connecting -> serving -> closing -> (slot released, freed)
//          |  ^
//          v  | backoff, next address
//        (failed)
#pragma once

#include <cstdint>
#include <string>

#include "base/list.h"
#include "net/conn.h"
#include "pool/backoff.h"

struct proxy;
struct proxy_bucket;
struct client_session;
struct net_target;

enum class server_state : uint8_t {
    connecting, // waiting for an address, for the connect, or for the next try
    serving,    // attached to a client session, or probing
    closing,    // our FIN is sent; waiting for the server's
    released,   // the slot is gone; memory waits for the loop's close callback
    count_
};

struct server_conn {
    list_node<server_conn> node;
    proxy *root = nullptr;
    proxy_bucket *bucket = nullptr;
    client_session *client = nullptr; // both ways by proxy/link only; nullptr: a probe, or orphaned while closing
    net_conn conn;
    uint64_t id = 0;
    uint64_t deadline = 0;    // connecting: give up; closing: release anyway
    uint64_t retry_at = 0;    // connecting, between two tries
    uint64_t try_started = 0; // uv_hrtime of the try under way, for the latency
    backoff retry;
    uint16_t next_address = 0;
    server_state state = server_state::connecting;
    bool has_fd = false;    // a connect is under way or done
    bool connected = false; // the server has a connection that it must close, too
    bool probing = false;
    bool closing_fd = false; // the loop's close callback is due
    bool drop = false;       // free in that callback
};

using server_list = list<server_conn, &server_conn::node>;

// Begins to connect, with a slot already held. Answers with session_server_ready or session_server_failed of its
// client, or the probe's counterparts; never from inside this call. nullptr: out of memory, the slot is the caller's to
// release.
server_conn *server_open(proxy *, proxy_bucket *, client_session *client_or_null);
// Ends it from any state: half-closes, waits for the server's end, releases the slot. Detach the client first.
void server_close(server_conn *, const char *reason);
// The server's FIN or a broken connection was seen by whoever read from it: release at once.
void server_gone(server_conn *, const char *reason);
// Our FIN has been sent release_timeout ago and the server has not closed its end: releases the slot all the same, with
// an RST, and counts it as possible excess.
void server_overdue(server_conn *);
// Deadlines and retries, for connections that connect or close; called by maintenance.
void server_tick(server_conn *, uint64_t now);
// Addresses of the bucket's host arrived (or not).
void server_addresses_ready(proxy *, proxy_bucket *, int status);
