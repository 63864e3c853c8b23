// The inside of the scanner, for the files that it is made of.
//
//      tsql_token -> tsql_scan.cpp        statements, token by token
//                    tsql_clause.cpp      where one ends: what is a clause of it, what begins the next
//                    tsql_flow.cpp        IF, WHILE, BEGIN, TRY: what is surely run; what the last values are by then
//                    tsql_statement.cpp   what a statement of each kind does, when it is complete
//                    tsql_statement_set, _exec, _define ...   those that say more than by their first word
//
// Of a statement the first tokens are kept (its head), enough for all that matters; what may stand anywhere in it (INTO
// #t, @@IDENTITY) is seen as it passes.
#pragma once

#include <initializer_list>
#include <memory>
#include <string>

#include "tds/tsql_effect.h"
#include "tds/tsql_scan.h"
#include "tds/tsql_token.h"

enum class tsql_kind : uint8_t {
    none,
    with, // a common table expression; becomes what follows it
    select,
    insert,
    update,
    delete_,
    merge,
    exec,
    called, // a procedure's name at the beginning of a batch
    set,
    use,
    declare,
    if_, // its condition
    while_,
    begin, // until the next token tells what begins
    end,
    begin_tran, // BEGIN TRANSACTION, and what else BEGIN begins that is no block
    end_tran,   // COMMIT, ROLLBACK, SAVE
    create,
    alter,
    drop,
    definition, // of a procedure, which takes all that follows
    grant,      // DENY, REVOKE
    dbcc,
    open,
    close,
    deallocate,
    fetch,
    print,
    raiserror,
    throw_,
    return_,
    jump, // GOTO, BREAK, CONTINUE
    waitfor,
    truncate,
    bulk,
    text_pointer, // READTEXT, WRITETEXT, UPDATETEXT
    setuser,
    revert,
    broker,
    quiet, // known to do nothing to the session: atomic's options, LINENO
    admin, // likewise to the server only
    unknown,
    count_
};

// What has become of a last value since the request began.
enum class tsql_value : uint8_t { kept, maybe, changed };
enum class tsql_value_index : uint8_t { identity, scope_identity, rowcount, error, count_ };
inline constexpr size_t tsql_value_count = static_cast<size_t>(tsql_value_index::count_);
struct tsql_values {
    tsql_value at[tsql_value_count];
    tsql_value &operator[](tsql_value_index i) { return at[static_cast<size_t>(i)]; }
};

enum class tsql_frame_kind : uint8_t {
    block,
    if_cond,
    if_then,
    if_wait_else, // its first branch is over
    if_else,
    while_body,
    try_,
    try_wait_catch,
    catch_,
};

struct tsql_frame {
    tsql_frame_kind kind;
    tsql_values before; // where the branches part
    tsql_values first;  // at the end of the first one
};

inline constexpr size_t tsql_frames_max = 64;
inline constexpr size_t tsql_head_max = 48;        // tokens
inline constexpr size_t tsql_head_text_max = 2048; // units of their texts together
inline constexpr unsigned tsql_nesting_max = 8;    // of literals in literals

struct tsql_head_token {
    tsql_token_kind kind;
    tsql_word word;
    char16_t symbol;
    bool cut; // not all of its text is here
    uint16_t text_at, text_size;
};

// A call with parentheses, SCOPE_IDENTITY(), while it is read.
struct tsql_value_call {
    tsql_value_index index;
    bool big;
    uint8_t tokens; // of it so far; 0: none
    uint64_t at;
};

struct tsql_statement {
    tsql_kind kind;
    unsigned depth;  // of parentheses
    unsigned cases;  // of CASE without END
    size_t tokens;   // so far
    bool keeps;      // tokens go to the head
    bool into;       // SELECT INTO: the head is the name
    bool inserts;    // INSERT ... EXEC
    bool sourced;    // INSERT: VALUES, SELECT or EXEC has been seen
    bool has_values; // INSERT: VALUES it is
    bool set_seen;   // UPDATE: its SET
    bool cursor;     // DECLARE or SET: of a cursor
    bool queried;    // the cursor's SELECT, a SELECT's FROM has been seen
    bool assigns;    // DECLARE @v ... =
    bool rowset;     // OPENROWSET and its like
    bool sorted;     // ORDER BY or GROUP BY has been seen, where a literal is not what a name is
    bool granted;    // GRANT: TO or FROM has been seen
    bool at_server;  // EXEC (...) AT
    bool waits;      // EXEC p; maybe with a number
    bool literal;    // EXEC (...), sp_executesql: nothing but literals
    bool inner;      // the literal has begun
};

struct tsql_scanner {
    tsql_tokenizer tokens;
    tsql_scope scope;
    tsql_effect *effect;

    // The text.
    bool nested;         // a literal in another text
    bool defining;       // scope body: before its AS
    bool skipping;       // the rest is a definition and not run
    bool was_empty;      // the effect, when the text began
    bool escaped;        // GOTO, RETURN, TRY ...: nothing from here on is surely run
    bool implicit_on;    // IMPLICIT_TRANSACTIONS may be
    bool spid;           // @@SPID was named
    uint32_t unexecuted; // NOEXEC and its like that are on: bit by option
    size_t statements;
    bool only_select, no_count;

    tsql_values values;
    tsql_frame frames[tsql_frames_max];
    size_t depth; // of frames

    tsql_statement s;
    tsql_token_kind last_kind; // the token before
    tsql_word last_word;
    tsql_word word_before; // that
    char16_t last_symbol;
    tsql_word opened_by; // in front of the last parenthesis
    tsql_value_call call;

    tsql_head_token head[tsql_head_max];
    size_t head_count;
    bool head_full; // tokens are missing at its end
    char16_t head_text[tsql_head_text_max];
    size_t head_text_size;

    unsigned level;                      // of nesting
    std::unique_ptr<tsql_scanner> inner; // for literals; made when first needed
    tsql_effect inner_effect;
};

// --- the head

inline tsql_word tsql_head_word(const tsql_scanner &s, size_t i) {
    return i < s.head_count ? s.head[i].word : tsql_word::none;
}
inline char16_t tsql_head_symbol(const tsql_scanner &s, size_t i) {
    return i < s.head_count ? s.head[i].symbol : char16_t{0};
}
inline bool tsql_head_is(const tsql_scanner &s, size_t i, tsql_token_kind kind) {
    return i < s.head_count && s.head[i].kind == kind;
}
std::u16string_view tsql_head_text(const tsql_scanner &s, size_t i);
std::string tsql_head_utf8(const tsql_scanner &s, size_t i);
std::string tsql_head_lower(const tsql_scanner &s, size_t i); // ASCII letters
bool tsql_head_spells(const tsql_scanner &s, size_t i, std::string_view upper);
bool tsql_head_is_name(const tsql_scanner &s, size_t i); // word, [..] or ".."

// A name of up to four parts that begins at token `i`. False: there is none, or not all of it. `i` is then behind it.
struct tsql_object_name {
    std::string bare;    // the last part
    std::string lower;   // the same in lower case
    std::string written; // all of it, quoted as it was
    std::string folded;  // all of it, in lower case and quoted only where it has to be
    std::string schema;  // in lower case
    size_t parts;
};
[[nodiscard]] bool tsql_head_name(const tsql_scanner &s, size_t &i, tsql_object_name &name);

void tsql_head_clear(tsql_scanner &);
void tsql_head_keep(tsql_scanner &, const tsql_token &);

// --- what statements leave behind

inline bool tsql_in_batch(const tsql_scanner &s) {
    return s.scope == tsql_scope::batch;
}
// A text of its own, not one inside of another.
inline bool tsql_of_rpc(const tsql_scanner &s) {
    return s.scope == tsql_scope::inner && !s.nested;
}
void tsql_add_name(tsql_scanner &, std::vector<std::string> &, std::string &&);
void tsql_add_mark(tsql_scanner &, tsql_state, std::string &&what, bool on, bool sure = true);
void tsql_turn_on(tsql_scanner &, tsql_state);
void tsql_not_understood(tsql_scanner &);
// turned_on, turned_off and passing, from the marks of the whole effect.
void tsql_sum_marks(tsql_effect &);

// --- where a statement ends

bool tsql_begins_another(const tsql_scanner &, const tsql_token &);
// Whether the token before is one of these words.
bool tsql_last_word_is(const tsql_scanner &, std::initializer_list<tsql_word>);
// WITH ... SELECT
bool tsql_follows_with(tsql_word);

// --- control flow

// Whether what stands here is surely run, whatever else happens.
bool tsql_flow_sure(const tsql_scanner &);
// The same, with NOEXEC and its like left aside.
bool tsql_flow_reached(const tsql_scanner &);
void tsql_flow_begin(tsql_scanner &);                   // a text
void tsql_flow_statement(tsql_scanner &, bool is_else); // a statement begins
void tsql_flow_completed(tsql_scanner &);               // one is over, or a block
void tsql_flow_if(tsql_scanner &);
void tsql_flow_while(tsql_scanner &);
void tsql_flow_condition_over(tsql_scanner &);
void tsql_flow_else(tsql_scanner &);
void tsql_flow_block(tsql_scanner &);
void tsql_flow_end_block(tsql_scanner &);
void tsql_flow_try(tsql_scanner &);
void tsql_flow_end_try(tsql_scanner &);
void tsql_flow_catch(tsql_scanner &);
void tsql_flow_end_catch(tsql_scanner &);
void tsql_flow_jump(tsql_scanner &);
void tsql_flow_label(tsql_scanner &);
void tsql_flow_end(tsql_scanner &);

// --- last values

void tsql_value_named(tsql_scanner &, tsql_value_index, bool big, uint64_t at, uint64_t end);
// Looks for them in every token that is no part of a definition.
void tsql_value_token(tsql_scanner &, const tsql_token &);

// --- statements

// The statement is complete: records what it does.
void tsql_statement_finish(tsql_scanner &);
void tsql_finish_set(tsql_scanner &);
void tsql_finish_exec(tsql_scanner &);
void tsql_finish_create(tsql_scanner &);
void tsql_finish_definition(tsql_scanner &);
void tsql_finish_select_into(tsql_scanner &);
void tsql_finish_declare(tsql_scanner &);
void tsql_finish_dbcc(tsql_scanner &);
void tsql_finish_open(tsql_scanner &);
void tsql_finish_close(tsql_scanner &);

// --- literals that are run

bool tsql_wants_content(tsql_scanner &);
void tsql_inner_content(tsql_scanner &, std::span<const uint8_t> utf16);
// While EXEC (...) is read.
void tsql_exec_token(tsql_scanner &, const tsql_token &);
// The literal's effect becomes part of the text's. `sure`: it was all of what is run.
void tsql_inner_merge(tsql_scanner &, bool sure);
