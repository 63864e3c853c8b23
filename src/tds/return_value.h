// RETURNVALUE tokens on their way to the client (MS-TDS 2.2.7.19), when a call stands in the place of another: some
// are taken out, some get another ordinal, and a handle becomes another one. With tds_walk_options.mark_returns the
// walker gives each of them in chunks of its own.
//
//      chunks of one token -> tds_return_begin: its first bytes are here -> fate, by the caller -> bytes to forward
#pragma once

#include <cstdint>
#include <span>
#include <vector>

enum class tds_return_fate : uint8_t {
    pass,     // with another ordinal, maybe
    drop,     // taken out
    exchange, // held back whole: its value, an int, becomes another one
};

struct tds_return_value {
    std::vector<uint8_t> held; // not forwarded yet
    tds_return_fate fate = tds_return_fate::pass;
    bool decided = false;
};

// A chunk of the token; `ends`: its last one. True once: the ordinal is here, and the caller decides by `fate`, and by
// `held` what to change of it, before it asks for bytes.
[[nodiscard]] bool tds_return_feed(tds_return_value &, std::span<const uint8_t> chunk);
// The ordinal; below TDS 7.2 it is none.
uint16_t tds_return_ordinal(const tds_return_value &);
void tds_return_set_ordinal(tds_return_value &, uint16_t);
// The whole token is held: its value, an int of 4 bytes. False: NULL, or of another type.
[[nodiscard]] bool tds_return_int(const tds_return_value &, bool wide, int32_t &value);
void tds_return_set_int(tds_return_value &, int32_t value);
// What goes on to the client now is appended to `out`. At the end of the token everything that is left, and the next
// token may begin.
void tds_return_take(tds_return_value &, bool ends, std::vector<uint8_t> &out);
