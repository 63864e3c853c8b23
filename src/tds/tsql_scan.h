// Reads T-SQL, as it comes, for what it may leave behind in the session. Pure; UTF-16LE in any pieces.
//
//      text -> characters -> tokens (comments, '..', N'..', [..]]..], "..", words, numbers) -> statements ->
//      tsql_effect
//
// It is no parser: statements are told by the words that begin them, and what does not begin like one that is known is
// taken for the worst (tsql_unknown). A text that is cut (a comment or quote without end) likewise. Memory is bounded:
// a token's text beyond tsql_token_max units is not kept. Literals that are run, as EXEC ('...') does, are texts of
// their own and read to their end, whatever their length.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "tds/tsql_effect.h"

inline constexpr size_t tsql_token_max = 512; // units of a name or of a text whose content matters

enum class tsql_scope : uint8_t {
    batch, // a SQL batch: its SETs, temp tables, cursors and EXECUTE AS outlive it
    inner, // sp_executesql, EXEC ('...'): SETs, USE, #t and EXECUTE AS end with it (but see effect.inner);
           // ##t, global cursors, locks ... do not
    body,  // a procedure's definition, CREATE to END: as inner, from its AS on
};

struct tsql_scanner; // opaque; one may be used for any number of texts, one after the other

// nullptr: out of memory.
tsql_scanner *tsql_scanner_create();
void tsql_scanner_destroy(tsql_scanner *);

// Begins a text; its effect is added to `effect`, which must stay until tsql_scan_end. The places in
// effect.last_uses count from here.
void tsql_scan_begin(tsql_scanner *, tsql_scope scope, tsql_effect &effect);
void tsql_scan_feed(tsql_scanner *, std::span<const uint8_t> utf16);
// The text is complete. An odd last byte counts as text not understood.
void tsql_scan_end(tsql_scanner *);

// All at once.
void tsql_scan(tsql_scanner *, tsql_scope scope, std::span<const uint8_t> utf16, tsql_effect &effect);

// A procedure called from outside a text, by an RPC: as EXEC <name> in a text of that scope, whose arguments are not to
// be seen. `name`: UTF-8, as sent, with schema and brackets if any.
void tsql_call(tsql_scanner *, tsql_scope scope, std::string_view name, tsql_effect &effect);
