// Transaction mode: a BEGIN TRAN alone in its message, on a session without a server connection, is answered by the
// proxy and sent when something has to run in it (drivers with autocommit off begin right after login and commit, and
// then sit idle).
//
//      BEGIN, COMMIT, ROLLBACK alone -> begin_take: counted, answered
//      any other request  -> attach -> begin_batch on its server connection -> begin_done -> the request
//                         -> begin_place: the client's descriptor of the transaction becomes the server's
//      its answer         -> begin_returned: and back
//      COMMIT or ROLLBACK that begins the next one -> begin_split: ends there, begun here
//                         -> begin_renews: may end an inner one; if it has not, the next one is rolled back ->
//                         begin_put_off
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

struct client_session;
struct server_conn;

struct deferred_begin {
    uint32_t count = 0;         // BEGINs that the server has not had
    std::string first;          // the outermost: with its name
    uint64_t given = 0;         // the descriptor that the client knows, 0: none
    uint64_t real = 0;          // the server's; 0: it has not begun there
    bool alone = false;         // real: surely no other one has been begun inside of it
    bool splits = false;        // the request under way ends a transaction; the next one it was to begin waits
    uint8_t isolation = 0;      // of that one
    bool renews = false;        // the request under way does both at the server
    uint64_t renewed = 0;       // what it has begun there: nothing has run in it; before: what it is to end
    std::vector<uint8_t> token; // of an ENVCHANGE on its way, whose end is not here yet
};

// The request has been read, all of it (`in`); the session has no server connection, or one that it keeps for its last
// values alone. True: `tokens` answer it.
[[nodiscard]] bool begin_take(client_session *, std::span<const uint8_t> in, std::vector<uint8_t> &tokens);
// It must begin on its server connection before the request runs there, whether it gets that now or has it. Not for a
// request that needs no transaction.
bool begin_due(const client_session *);
std::string begin_batch(const client_session *);
// That has run. False: the server says that there is no transaction.
[[nodiscard]] bool begin_done(client_session *);
// Puts the server's descriptor of the transaction into a request's payload, or the beginning of one, where it has the
// client's; none, where it has not begun. False: it needs no change.
[[nodiscard]] bool begin_place(const client_session *, std::vector<uint8_t> &payload, uint64_t descriptor, uint64_t at);
bool begin_translates(const client_session *);
// What the request with this payload (empty: too long to be looked at) may begin inside of the transaction.
void begin_note(client_session *, std::span<const uint8_t> payload);
// A transaction manager request that ends a transaction and begins the next (python-tds): only the end goes to the
// server. False: it is none, or it goes as it is.
[[nodiscard]] bool begin_split(client_session *, std::vector<uint8_t> &payload);
// ... and is not split, because it may end one that was begun inside of another: note what it names.
void begin_renews(client_session *, std::span<const uint8_t> payload);
// Its server connection is kept by nothing but the next transaction, which is as new: rolled back there it may wait
// here.
bool begin_may_be_put_off(const client_session *);
// That is done. False: the server says that there is one still.
[[nodiscard]] bool begin_put_off(client_session *);
// Whether ENVCHANGEs of the answer have to be looked at.
bool begin_watches(const client_session *);
// The answer is complete; `good`: without an error.
void begin_answered(client_session *, bool good);
// A chunk of an ENVCHANGE, `ends`: its last: appends what the client gets of it.
void begin_returned(client_session *, std::span<const uint8_t> chunk, bool ends, std::vector<uint8_t> &out);
// Its server connection goes to others: what the descriptor named is over.
void begin_over(client_session *);
