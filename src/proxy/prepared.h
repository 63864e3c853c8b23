// Prepared statements belong to client sessions, not to server connections. Pure.
//
//      session:     handle of the proxy's own -> statement       (prepared_book)
//      connection:  statement -> handle of the server's          (prepared_list)
//
// Statements are kept once each: two sessions that prepare the same text in the same database share what a connection
// has prepared.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "tds/prepared_call.h"
#include "tds/session_option.h"
#include "tds/tsql_effect.h"

struct prepared_statement {
    tds_prepared_text text;
    std::string declaration, statement; // `text` as it is read, UTF-8; no statement: it cannot be read
    std::string database;               // where it was prepared, and where it runs, wherever the session is meanwhile
    tsql_effect effect;                 // of one execution
};
using prepared_ptr = std::shared_ptr<const prepared_statement>;

struct prepared_table {
    std::unordered_map<std::string, std::weak_ptr<const prepared_statement>> known;
};

// `settings`: of the session that prepares it. Reads the text for its effect when it is new.
prepared_ptr prepared_intern(prepared_table &, tds_request_reader *, uint32_t version, tds_prepared_text &&,
                             const tds_session_state &settings);
// Forgets those that nobody has. Call it about once a second.
void prepared_sweep(prepared_table &);

// Servers count prepared handles from 1, cursors from 0x0ABCDEF1, prepared cursors from 0x40000001.
inline constexpr int32_t prepared_first_handle = 0x20000001;
inline constexpr int32_t prepared_last_handle = 0x3fffffff;
inline constexpr size_t prepared_handles_max = 16'384;          // of one session
inline constexpr size_t prepared_bytes_max = size_t{4} << 20;   // of their texts
inline constexpr size_t prepared_text_max = size_t{64} << 10;   // of one, in a call
inline constexpr size_t prepared_answers_max = size_t{1} << 16; // calls of one message that are answered otherwise

struct prepared_book {
    std::unordered_map<int32_t, prepared_ptr> known;
    size_t bytes = 0;
    int32_t next = prepared_first_handle;
};

prepared_ptr prepared_find(const prepared_book &, int32_t handle); // nullptr: not this session's
// Its new handle, or 0: it has too many.
int32_t prepared_give(prepared_book &, prepared_ptr);
void prepared_forget(prepared_book &, int32_t handle);
// After a reset: all handles are dead, and their numbers are not used again soon.
void prepared_forget_all(prepared_book &);

struct prepared_on_server {
    prepared_ptr statement;
    int32_t handle;
    uint64_t used;
};

struct prepared_list {
    std::vector<prepared_on_server> known;
    std::vector<int32_t> unused; // handles to be ended at the server
    uint64_t clock = 0;
};

// The server's handle, or 0: it is not prepared here.
int32_t prepared_here(prepared_list &, const prepared_statement *);
// It is now. One that it had before, and those used least recently beyond `most`, become unused.
void prepared_add(prepared_list &, prepared_ptr, int32_t handle, size_t most);
void prepared_clear(prepared_list &);
// All but these become unused. False: there were no others.
[[nodiscard]] bool prepared_retire(prepared_list &, const std::vector<prepared_ptr> &but);
void prepared_remove(prepared_list &, const prepared_statement *);
// The batch that ends the unused ones: statements, each with a semicolon.
std::string prepared_end_batch(const prepared_list &);
// The batch that prepares one on a connection that is in `database`; its last row is the handle.
std::string prepared_make_batch(const prepared_statement &, const std::string &database);
