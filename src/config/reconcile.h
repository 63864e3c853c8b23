// What a reload may change: the configuration in force against the one that was just read. Pure.
#pragma once

#include <string>
#include <vector>

#include "config/config.h"

struct config_change {
    enum class kind : uint8_t {
        applied,       // in force from now on
        needs_restart, // the old value stays
        added,         // a bucket
        removed,       // likewise
    };
    kind what;
    std::string where; // "proxy.queue_timeout", "buckets.b1.max_connections", "buckets.b1"
};

// Every difference, in the order of the option table and then of the buckets, which are known by their ids. Values that
// cannot change while the process runs are put back into `fresh`. No value is told: it may be a secret.
std::vector<config_change> config_reconcile(const config &now, config &fresh);

// The bucket of that id, or nullptr.
const bucket_config *config_find_bucket(const config &, const std::string &id);
