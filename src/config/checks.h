// What is wrong between keys: each is fine by itself, together they are not. Runs after both files are read.
#pragma once

#include "config/config.h"
#include "config/option_table.h"
#include "config/report.h"

#include <string>
#include <vector>

// The lines on which the keys of one section stand, by option_index; 0: not given.
using key_lines = std::vector<int>;

struct config_lines {
    std::string proxy_file;
    std::string buckets_file;
    int proxy = 0, redis = 0;       // of the sections
    key_lines keys;                 // of proxy, redis and fallback
    std::vector<key_lines> buckets; // for a read-only target: of the mapping's keys
};

void config_check(const config &c, const config_lines &lines, report &to);
