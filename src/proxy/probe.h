// The health probe of a bucket: a connect and a PRELOGIN exchange, with a slot like everything else
// (docs/architecture.md). A bucket whose traffic succeeds, or whose slots are all taken, is not probed.
#pragma once

#include <cstdint>

struct proxy;
struct proxy_bucket;
struct server_conn;

// Starts a probe if one is due and none is under way.
void probe_tick(proxy *, proxy_bucket *, uint64_t now);
void probe_slot_granted(proxy *, proxy_bucket *);
void probe_connected(server_conn *);
// Bytes from the server, or its end.
void probe_readable(server_conn *);
void probe_failed(server_conn *, const char *detail);
