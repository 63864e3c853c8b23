// What the loop publishes: base/snapshot.h, filled.
#pragma once

#include "base/snapshot.h"

struct proxy;

proxy_snapshot snapshot_take(const proxy *);
