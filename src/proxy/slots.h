// Between the buckets' queues and the coordinator: sends wants, spreads grants and refusals, gives slots back.
#pragma once

#include "coord/coord.h"
#include "pool/bucket.h"
#include "proxy/proxy.h"

coord_callbacks slots_callbacks(proxy *);
// Puts the waiter into the bucket's queue (or not: the verdict says why) and asks for a slot if none is being asked
// for.
[[nodiscard]] bucket_verdict slots_request(proxy *, proxy_bucket *, waiter &);
// The first waiter for a server connection of this pool, out of the queue and counted as served; nullptr: there is
// none, or those of other pools ahead of it have been passed over often enough.
[[nodiscard]] client_session *slots_match(proxy *, proxy_bucket *, const server_pool *);
// The client that has waited longest, whatever for; a probe or a connection to be opened ahead does not count.
const waiter *slots_first_client(const proxy_bucket *);
// The session that waits for any connection of its pool, or nullptr: it is another kind of waiter.
client_session *slots_waiting_for_pool(waiter *);
// The waiter is served without a slot of its own: out of the queue, counted.
void slots_take_out(proxy *, proxy_bucket *, waiter *);
// The waiter goes. Counts it as cancelled if it was queued.
void slots_cancel(proxy *, proxy_bucket *, waiter &);
// A server connection is gone: its slot goes to the next waiter or back to the coordinator.
void slots_release(proxy *, proxy_bucket *);
// Asks for a slot if somebody waits and it is time; expires waiters, and tells those who wait for long. Called by
// maintenance.
void slots_tick(proxy *, proxy_bucket *, uint64_t now);
// Everybody who waits for this bucket is told.
void slots_deny_all(proxy *, proxy_bucket *, proxy_error, const char *detail);
// ... but for requests of sessions that are there already.
void slots_deny_newcomers(proxy *, proxy_bucket *, proxy_error, const char *detail);
// The bucket's server answered, or a try to reach it failed: keeps its health, logs what is news, and tells everybody
// who waits when it goes down.
void slots_server_up(proxy *, proxy_bucket *, uint64_t latency_us);
void slots_server_failed(proxy *, proxy_bucket *, const char *detail);
// The server has answered with an error that means too many workers or sessions: fewer are held for a while.
void slots_server_busy(proxy *, proxy_bucket *, int32_t number);
// Counts an outcome.
void slots_count(proxy_bucket *, slot_outcome);
// Counts a client session's error (proxy_connection_errors_total). `bucket` may be nullptr.
void slots_count_error(proxy *, proxy_bucket *, const char *error_type);
