// The rows of a query of the proxy's own, all of whose columns are nvarchar (CAST ... AS nvarchar(n) or (max)).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tds/token_walk.h"

struct tds_small_result {
    std::vector<std::vector<std::optional<std::string>>> rows; // UTF-8; of all result sets, one after the other
    bool cut = false;                                          // there was more than `limit` bytes of values
};

// Reads the complete payload of a response, which must have been walked to its end without error with `options` and
// `version`. Columns of another type are no harm as long as no row comes with them: sp_prepare tells those of what it
// prepares. False: a row of such, or not well formed.
[[nodiscard]] bool tds_small_result_read(std::span<const uint8_t> payload, const tds_walk_options &options,
                                         uint32_t version, size_t limit, tds_small_result &out);
