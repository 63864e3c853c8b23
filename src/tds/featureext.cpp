#include "tds/featureext.h"

#include <algorithm>
#include <utility>

static constexpr size_t feature_limit = 64;

bool tds_features_measure(std::span<const uint8_t> block, size_t &size) {
    bool seen[256] = {};
    auto rest = block;
    tds_feature feature;
    for (size_t count = 0; count <= feature_limit; ++count) {
        if (!rest.empty() && rest[0] == tds_feature_terminator) {
            size = block.size() - rest.size();
            return true;
        }
        if (!tds_feature_next(rest, feature) || std::exchange(seen[feature.id], true))
            return false;
    }
    return false;
}

std::vector<uint8_t> tds_features_keep(std::span<const uint8_t> features, std::span<const uint8_t> keep) {
    std::vector<uint8_t> kept;
    tds_feature feature;
    for (auto begin = features, rest = features; tds_feature_next(rest, feature); begin = rest) {
        auto whole = begin.first(begin.size() - rest.size());
        if (std::find(keep.begin(), keep.end(), feature.id) != keep.end())
            kept.insert(kept.end(), whole.begin(), whole.end());
    }
    return kept;
}

bool tds_feature_find(std::span<const uint8_t> features, uint8_t id, tds_feature &out) {
    while (tds_feature_next(features, out))
        if (out.id == id)
            return true;
    return false;
}
