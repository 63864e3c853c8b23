// The values of a call's parameters (MS-TDS 2.2.6.6), of the types that clients give the catalog and texts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

struct tds_rpc_value {
    std::string name; // UTF-8, with its @; "" for none
    bool output = false;
    enum class kind_t : uint8_t { null, number, real, text, binary } kind = kind_t::null;
    int64_t number = 0;
    double real = 0;
    std::string text; // UTF-8; of binary its bytes
};

// From `at`, where the first parameter begins (tds_rpc_call.parameter_at), up to `end`. False: one is of another type
// (date and time, table, CLR ...), encrypted, or the payload ends first.
[[nodiscard]] bool tds_rpc_values(std::span<const uint8_t> payload, uint64_t at, uint64_t end, uint32_t version,
                                  std::vector<tds_rpc_value> &values);
