// Transaction mode: prepared statements of a session wherever it runs (proxy/prepared, tds/prepared_call).
//
//      request  -> prepared_look: what it executes; an unknown handle is answered here
//               -> prepared_wanted: where it must run -> prepared_place, or prepared_pass piece by piece -> server
//      answer   -> prepared_returned: each RETURNVALUE -> client
//
// A handle that the session was not given never reaches a server: there it may be another session's statement.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "proxy/prepared.h"
#include "proxy/settings.h"
#include "tds/return_value.h"

struct client_session;
struct server_conn;
struct tds_piece;

// What becomes of the RETURNVALUEs of a call, or of several in a row.
struct prepared_answer {
    enum class kind_t : uint8_t {
        given, // the handle is new: the client gets one of the proxy's
        real,  // likewise, of a statement that cannot move: the client gets the server's, and keeps the connection
        moved, // sp_prepexec in the place of sp_execute
        text,  // sp_executesql likewise
    } kind;
    uint32_t call, count; // the first of them, of the message's
    prepared_ptr statement;
};

struct prepared_session {
    prepared_book book;
    // Of the request under way:
    std::vector<prepared_answer> answers; // in the order of the calls
    size_t answer = 0;                    // the next one
    tds_return_value returning;
    uint32_t calls_returned = 0;        // calls of which a RETURNVALUE has come
    std::vector<uint8_t> tail, passing; // of a request that is read as it passes: not passed on yet; what goes on now
    uint64_t tail_at = 0;               // payload offset of `tail`
};

// The request has been read, all of it. `resets`: it asks for a reset first. Adds what it executes to its effect. True:
// `tokens` answer it, and no server is needed.
[[nodiscard]] bool prepared_look(client_session *, bool resets, std::vector<uint8_t> &tokens);
// The settings that its server connection must be in for the request: the session's, or those of a statement that has
// to be prepared there. `resets`: what is prepared there goes before the request runs.
settings_ptr prepared_wanted(client_session *, bool resets);
// Its text may name handles of the server's: those that others have there must go first.
bool prepared_exposed(const client_session *);
// The request goes to the session's server connection: all of it, with handles that are known there. False: nothing has
// to be changed.
[[nodiscard]] bool prepared_place(client_session *, std::span<const uint8_t> payload, bool resets,
                                  std::vector<uint8_t> &out);
// ... or a piece of it, which the reader has just been fed with: what goes on now.
std::span<const uint8_t> prepared_pass(client_session *, const tds_piece &);
// A chunk of a RETURNVALUE, `ends`: its last: appends what the client gets of it.
void prepared_returned(client_session *, std::span<const uint8_t> chunk, bool ends, std::vector<uint8_t> &out);
// The request is over, or will not be sent.
void prepared_over(client_session *);
// The session has been reset: its handles are dead.
void prepared_reset(client_session *);

// Handles to be ended before the connection goes to the next session.
bool prepared_untidy(const server_conn *);
