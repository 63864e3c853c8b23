// Another configuration for a proxy that runs: buckets added, removed and changed, limits, timeouts, certificates. No
// session is dropped for it, but those of a bucket that is there no more, as they come to rest.
#pragma once

#include <memory>
#include <string>

#include "config/config.h"

struct proxy;
struct proxy_bucket;

// `now` is root->conf, which is overwritten; every change is logged, and what needs a restart is told and left alone.
// False, with the reason in `error`: nothing has changed (a certificate cannot be read, say).
[[nodiscard]] bool reload_apply(proxy *root, config &now, std::unique_ptr<config> fresh, std::string &error);
// Of a bucket that was removed: closes what has come to rest, and lets it go with its last connection.
void reload_removed_tick(proxy *, proxy_bucket *);
