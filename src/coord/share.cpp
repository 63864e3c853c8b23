#include "coord/share.h"

#include <algorithm>

uint32_t fallback_share(bool enabled, uint32_t max, uint32_t divisor, uint32_t instances) {
    if (!enabled || max == 0)
        return 0;
    return std::max(1U, max / std::max({divisor, instances, 1U}));
}

uint32_t surplus_share(uint32_t held, uint32_t count, uint32_t max) {
    if (count <= max || held == 0)
        return 0;
    uint64_t part = (uint64_t{held} * (count - max) + count - 1) / count;
    return static_cast<uint32_t>(std::min<uint64_t>(part, held));
}

uint64_t jittered(uint64_t ms, uint64_t random) {
    return ms - random % (ms / 10 + 1);
}

uint64_t reconnect_delay(uint32_t attempt, uint64_t random) {
    uint64_t longest = std::min<uint64_t>(1000, uint64_t{50} << std::min(attempt, 5U));
    return longest / 2 + random % (longest / 2 + 1);
}
