// What a T-SQL text may do to the session that runs it, found by reading it once (src/tds/tsql_scan.h).
//
// Nothing here says what a statement means: only whether it may leave something behind, whether the proxy can put that
// back on another server connection, and what else must be asked or kept. In doubt the effect is the larger one.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tds/session_option.h"

struct tsql_set {
    tds_option option;
    std::string value; // canonical
    bool operator==(const tsql_set &) const = default;
};

// State that cannot be replayed: bits.
using tsql_state = uint32_t;
inline constexpr tsql_state tsql_context_info = 1 << 0;    // SET CONTEXT_INFO
inline constexpr tsql_state tsql_session_context = 1 << 1; // sp_set_session_context
inline constexpr tsql_state tsql_impersonation = 1 << 2;   // EXECUTE AS without its REVERT; SETUSER
inline constexpr tsql_state tsql_app_role = 1 << 3;        // sp_setapprole
inline constexpr tsql_state tsql_app_lock = 1 << 4;        // sp_getapplock with owner Session, or one not to be seen
inline constexpr tsql_state tsql_trace_flag = 1 << 5;      // DBCC TRACEON
inline constexpr tsql_state tsql_symmetric_key = 1 << 6;   // OPEN SYMMETRIC KEY
inline constexpr tsql_state tsql_identity_insert = 1 << 7; // SET IDENTITY_INSERT t ON
inline constexpr tsql_state tsql_no_execution = 1
                                                << 8; // NOEXEC, PARSEONLY, FMTONLY, SHOWPLAN_*, STATISTICS PROFILE, XML
inline constexpr tsql_state tsql_spid = 1 << 9;       // @@SPID in anything but a lone SELECT
inline constexpr tsql_state tsql_bound_session =
    1 << 10;                                        // sp_bindsession, sp_getbindtoken; BEGIN DISTRIBUTED TRANSACTION
inline constexpr tsql_state tsql_unknown = 1 << 11; // a SET or a statement nobody knows; text not understood
inline constexpr tsql_state tsql_dynamic = 1 << 12; // dynamic SQL whose text is not there to be read
// Of pin reason `handle`:
inline constexpr tsql_state tsql_handle =
    1 << 16; // sp_xml_preparedocument, sp_prepare and its like inside text, sp_OACreate

// The four values of the last statement that the next request may ask for: bits.
using tsql_last = uint8_t;
inline constexpr tsql_last tsql_last_identity = 1 << 0;       // @@IDENTITY
inline constexpr tsql_last tsql_last_scope_identity = 1 << 1; // SCOPE_IDENTITY()
inline constexpr tsql_last tsql_last_rowcount = 1 << 2;       // @@ROWCOUNT, ROWCOUNT_BIG()
inline constexpr tsql_last tsql_last_error = 1 << 3;          // @@ERROR

// A place in the text that names such a value as the request before has left it.
struct tsql_last_use {
    tsql_last which;
    bool big;           // ROWCOUNT_BIG()
    uint64_t at, units; // in UTF-16 units from the text's beginning: the name, with its parentheses
    bool operator==(const tsql_last_use &) const = default;
};

// One thing that a state is made of, turned on or off: several trace flags may be on, or keys open, at a time.
struct tsql_mark {
    tsql_state state; // one bit
    std::string what; // lower case: an option's, a table's or a key's name, a flag's number; empty: all there is
    bool on;
    bool sure; // neither under a condition nor to be told otherwise; an `off` that is not sure counts as none
    bool operator==(const tsql_mark &) const = default;
};

// What a text that an RPC runs does to the session's settings, and what of it texts inside of others do as well. With
// SQL Server it ends with them. With Babelfish all that the RPC's text does stays, as does a USE in sp_executesql and a
// #table made in EXEC ('...'); procedures leave nothing there either.
struct tsql_inner_effect {
    tds_option_set options = 0; // set, whatever to
    bool place = false;         // USE, SET LANGUAGE
    tsql_state state = 0;       // that a batch would turn on
    std::vector<std::string> temps;

    bool operator==(const tsql_inner_effect &) const = default;
};

struct tsql_effect {
    // Replayable. Only what the text surely does, in its order; without DATEFORMAT and DATEFIRST that a later SET
    // LANGUAGE of the text undoes, so that they are to be applied behind the language.
    std::vector<tsql_set> sets;
    bool uses_database = false;  // USE: the token ENVCHANGE 1 tells the rest
    bool sets_language = false;  // SET LANGUAGE: ENVCHANGE 2 likewise
    tds_option_set doubtful = 0; // options set under a condition, from a variable, or in a way not to be told

    // Not replayable.
    tsql_state turned_on = 0;       // may be on at the text's end, or was for a while
    tsql_state turned_off = 0;      // surely off at its end (SET ... OFF, REVERT, TRACEOFF ...), and not in turned_on
    tsql_state passing = 0;         // of turned_on: surely off again at its end, unless an error ends the text early
    std::vector<tsql_mark> marks;   // of which states, in the text's order; those without an `off` have none
    std::vector<std::string> temps; // #t, ##t that it may make; tables and procedures; names as written, bare
    bool drops_temps = false;
    std::vector<std::string> cursors; // global ones that it declares; bare names
    bool deallocates = false;
    bool bulk_load = false; // INSERT BULK, WRITETEXT BULK, UPDATETEXT BULK: data follows
    tsql_inner_effect inner;

    // What else it runs.
    std::vector<std::string> procedures; // called by name, as written, without those known to leave nothing behind
    bool calls = false;    // anything called at all, dynamic SQL included: a reset is due for the next client
    bool too_many = false; // of temps, cursors, procedures or marks: those left out may be anything

    // Transactions and data.
    bool transactions = false; // not surely free of effect on transactions; statements that write included (triggers)
    bool writes = false;       // may change @@IDENTITY
    bool empty = true;         // no statement at all
    bool lone_select = false;  // one SELECT that writes nothing, and nothing else: @@ROWCOUNT is what its DONE says
    bool no_count = false;     // nothing but USE, SET of options, BEGIN TRAN, COMMIT: as a batch it leaves @@ROWCOUNT 0

    // Last values.
    std::vector<tsql_last_use> last_uses; // each can be replaced by a literal
    tsql_last last_unclear = 0; // named where it may still be an earlier request's, but must not be replaced (loops)

    bool operator==(const tsql_effect &) const = default;
};

inline constexpr size_t tsql_names_max = 16; // of each kind in one effect

// `held`: the marks that are on in a session. Applies a text's to them: what it turned on is held, once for every time
// (EXECUTE AS), what it surely turned off no longer. A session is rid of a state when it holds none of its marks; of
// a REVERT or a TRACEOFF only this tells whether it was the last.
void tsql_marks_apply(std::vector<tsql_mark> &held, const std::vector<tsql_mark> &marks);

// What another text does that runs in the same request, whose words are not in it: a prepared statement's.
void tsql_effect_add(tsql_effect &to, const tsql_effect &more);
