// What a client's request says at its beginning (MS-TDS 2.2.6.6).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

// Whether `payload`, the first bytes of an RPC message, calls the procedure `name` (ASCII, lower case), by this name
// alone or behind those of a database and a schema, in letters of any case and with or without brackets. `version`:
// from 7.2 on ALL_HEADERS come first. False too when the name does not lie in `payload` as a whole.
bool tds_rpc_calls(std::span<const uint8_t> payload, uint32_t version, std::string_view name);
