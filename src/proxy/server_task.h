// Batches of the proxy's own on a server connection, each read to its end and thrown away but for what it tells.
//
//      after login     capability, identity (once per server and TDS version)
//      before a client check, keep, roll_back and reset (below TDS 7.2), prepare
//      between         client_reset
//      after a request ask, procedure, put_off (transaction mode)
//      after a client  cancel -> roll_back -> reset -> back to the pool
//
// While one runs the connection is `working`. Whoever waits for it is told when it ends; never from inside
// server_task_start.
#pragma once

#include <cstdint>

struct server_conn;
struct proxy_bucket;
enum class announcing : uint8_t;

// Starts the batch of `task`. `status`: RESET bits for it (client_reset).
void server_task_start(server_conn *, server_task task, uint8_t status = 0);
void server_task_event(server_conn *, unsigned events);
// Its deadline has passed: the connection is given up.
void server_task_overdue(server_conn *);

// Whether it announces transactions begun in SQL text; a server at this TDS version, from 7.2 on.
bool server_task_announces(const server_conn *);
announcing server_task_announcing(const proxy_bucket *, uint32_t version);
// Whether it is known to be a server that does not, whatever the TDS version of this connection.
bool server_task_silent(const server_conn *);
// Whether what a text run by an RPC sets may outlive the call, as with Babelfish: so with those that announce nothing.
bool server_task_inner_outlives(const server_conn *);
// Whether nobody has asked this server yet, at this TDS version, if it announces transactions begun in SQL text.
bool server_task_capability_due(const server_conn *);

// Its client has left it, is detached from it and has `awaiting` an answer, or `attentions` acknowledgements: brings it
// into a known state and back to its pool, or closes it.
void server_task_recycle(server_conn *, bool awaiting, uint8_t attentions);
