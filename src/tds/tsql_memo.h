// What texts do that have been read before. Applications send few texts again and again: drivers put values into
// parameters, not into the text. To find one here costs a hash and a comparison instead of reading it.
//
//      text -> hash -> its slot: new         -> read, the hash is kept
//                                seen once   -> read, text and effect are kept
//                                the same    -> effect
//
// A text is found only if its scope and all of its bytes are the same: nothing else has a say in what is read of it.
// Memory is bounded; a text takes the slot of another with as many low bits of its hash in common. What may hold a
// password is not kept. Pure.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "tds/tsql_effect.h"
#include "tds/tsql_scan.h"

inline constexpr size_t tsql_memo_text_max = 16 * 1024;        // bytes of a text
inline constexpr size_t tsql_memo_bytes_max = 8 * 1024 * 1024; // of all of them

struct tsql_memo_text {
    tsql_scope scope;
    std::vector<uint8_t> utf16;
    tsql_effect effect;
};

struct tsql_memo_slot {
    uint64_t hash = 0;
    std::unique_ptr<const tsql_memo_text> text;
};

struct tsql_memo {
    std::vector<tsql_memo_slot> slots; // none before the first text
    size_t bytes = 0;                  // of all texts
};

// As tsql_scan. `effect` must be new. Texts longer than tsql_memo_text_max are read each time.
void tsql_memo_scan(tsql_memo &, tsql_scanner *, tsql_scope, std::span<const uint8_t> utf16, tsql_effect &effect);
