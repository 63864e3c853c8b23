// Transaction mode: prepared statements of a session wherever it runs (proxy/prepared, tds/prepared_call).
//
//      request  -> prepared_look: what it executes; an unknown handle is answered here
//               -> prepared_needs: what must be there first -> prepared_place, or prepared_pass piece by piece ->
//               server
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

// What becomes of the RETURNVALUEs of a call.
struct prepared_answer {
    enum class kind_t : uint8_t {
        given, // the handle is new: the client gets one of the proxy's
        real,  // likewise, of a statement that cannot move: the client gets the server's, and keeps the connection
        moved, // sp_prepexec in the place of sp_execute
    } kind;
    uint32_t call; // of the message's
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
    std::vector<prepared_ptr> ahead;    // executed by the beginning of a request that is read as it passes
    prepared_ptr needed;                // being prepared by a batch of the proxy's own
    bool unpreparable = false;          // that has failed
};

// The request has been read, all of it. `resets`: it asks for a reset first. Adds what it executes to its effect. True:
// `tokens` answer it, and no server is needed.
[[nodiscard]] bool prepared_look(client_session *, bool resets, std::vector<uint8_t> &tokens);
// The beginning of a request has been read that is too long to be looked at as a whole.
void prepared_foresee(client_session *);
// Its text may name handles of the server's.
bool prepared_by_text(const client_session *);
// What must be done on the session's server connection before the request at the head of `in` runs there. Where a text
// may name handles the statements of others must be gone; what it names, and what cannot be prepared by a call
// (prepared_session.needed), must be there; a reset that rides on the request goes first then.
enum class prepared_need : uint8_t { nothing, reset_first, end_others, prepare };
prepared_need prepared_needs(client_session *, std::span<const uint8_t> in);
// The text with the server's handles in it. False: it names none.
[[nodiscard]] bool prepared_place_text(client_session *, std::span<const uint8_t> payload, std::vector<uint8_t> &out);
// A batch of the proxy's own has ended the unused ones, or prepared what was needed: `handle`, 0: it could not.
void prepared_ended(client_session *, bool good);
void prepared_made(client_session *, int32_t handle);
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
