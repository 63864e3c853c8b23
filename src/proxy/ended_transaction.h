// A transaction that the client left open and that its own reset has ended. The client does not know that yet: the
// request that the reset came with still names it (SqlClient's pool, behind a BEGIN TRAN in text). A server that is
// asked for both lets the request run, and says in its answer that the transaction is over. Where the proxy has seen to
// the reset, the server knows nothing of that transaction, so the proxy does the same:
//
//      RESETCONNECTION, descriptor D  ->  ended_by_reset: D was open
//      to the server: descriptor 0    <-  ended_place
//      ENVCHANGE 18                   <-  exchange
//      INFO 3926, ENVCHANGE 17 of D   <-  ended_tell
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "proxy/proxy.h"

// Before the reset is done: what is open, as the client knows it, ends with it.
void ended_by_reset(client_session *);
// A piece of a request as it is to be sent: `payload`, or `changed`, which is that without the name of what has ended.
// Only the beginning of the first request behind the reset can be otherwise (dialogue.ended_due).
[[nodiscard]] std::span<const uint8_t> ended_place(client_session *, std::span<const uint8_t> payload,
                                                   std::vector<uint8_t> &changed);
// The request named it (dialogue.ended_named): what its answer begins with.
void ended_tell(client_session *, std::vector<uint8_t> &tokens);
