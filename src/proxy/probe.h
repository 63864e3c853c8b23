// The health probe of a bucket: a connect and a PRELOGIN exchange, or a login and SELECT 1, with a slot like everything
// else (docs/architecture.md). A bucket whose traffic succeeds, or whose slots are all taken, is not probed.
#pragma once

#include <cstdint>

struct proxy;
struct proxy_bucket;
struct server_conn;

// Starts a probe if one is due and none is under way.
void probe_tick(proxy *, proxy_bucket *, uint64_t now);
// There is none: it leaves the queue, so that nobody stands behind it, and comes back later.
void probe_slot_refused(proxy *, proxy_bucket *);
void probe_slot_granted(proxy *, proxy_bucket *);
void probe_connected(server_conn *);
// Bytes from the server, or its end.
void probe_readable(server_conn *);
// With health_probe login: logged in, and then SELECT 1 was answered.
void probe_logged_in(server_conn *);
void probe_done(server_conn *);
// The server is there and does not let the bucket's own login in: shown by /health, but nobody else is kept away by it.
void probe_refused(server_conn *);
void probe_failed(server_conn *, const char *detail);
