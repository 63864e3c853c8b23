// Ciphertext out of an engine by copy: what a socket that takes `out.size()` bytes does.
#pragma once

#include <algorithm>
#include <cstring>
#include <span>

#include "tls/tls_engine.h"

// Returns the bytes moved.
inline size_t tls_engine_take(tls_engine *e, std::span<uint8_t> out) {
    auto waiting = tls_engine_output(e);
    size_t n = std::min(waiting.size(), out.size());
    std::copy_n(waiting.begin(), n, out.begin());
    tls_engine_sent(e, n);
    return n;
}
