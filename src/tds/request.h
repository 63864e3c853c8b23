// What can be told of a client's request before it is passed on: whether it is all there, whether it was taken back,
// and what it says at its beginning (MS-TDS 2.2.1.7, 2.2.6.6).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

// Whether `payload`, the first bytes of an RPC message, calls the procedure `name` (ASCII, lower case), by this name
// alone or behind those of a database and a schema, in letters of any case and with or without brackets. `version`:
// from 7.2 on ALL_HEADERS come first. False too when the name does not lie in `payload` as a whole.
bool tds_rpc_calls(std::span<const uint8_t> payload, uint32_t version, std::string_view name);

// Where in `payload`, the first bytes of a request of 7.2 or later, the descriptor of its transaction stands
// (ALL_HEADERS, MS-TDS 2.2.5.3). 0: it has none, or not all of that lies in `payload`.
size_t tds_descriptor_at(std::span<const uint8_t> payload);

// What `in`, at the border of two messages, holds of the request that it begins with.
enum class tds_arrival : uint8_t {
    more,    // neither all of it nor `enough` bytes
    enough,  // all of it, or that many
    ignored, // all of it, and the client has taken it back (IGNORE, MS-TDS 2.2.1.7)
    broken,  // its packets are not in order: no server shall see it
};
// `packet_size`: the client's negotiated one. `why`, a constant, with `broken`.
tds_arrival tds_request_arrived(std::span<const uint8_t> in, size_t packet_size, size_t enough, const char *&why);

// Whether `in`, which begins with a request, goes on with an attention; `size` then becomes all of that.
bool tds_find_attention(std::span<const uint8_t> in, size_t &size);
