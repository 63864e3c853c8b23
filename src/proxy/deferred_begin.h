// Transaction mode: a BEGIN TRAN alone in its message, on a session without a server connection, is answered by the
// proxy and sent when something has to run in it (drivers with autocommit off begin right after login and commit, and
// then sit idle).
//
//      BEGIN, COMMIT, ROLLBACK alone -> begin_take: counted, answered
//      any other request  -> attach -> begin_batch on its server connection -> begin_done -> the request
//                         -> begin_place: the client's descriptor of the transaction becomes the server's
//      its answer         -> begin_returned: and back
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
    std::vector<uint8_t> token; // of an ENVCHANGE on its way, whose end is not here yet
};

// The request has been read, all of it (`in`); the session has no server connection. True: `tokens` answer it.
[[nodiscard]] bool begin_take(client_session *, std::span<const uint8_t> in, std::vector<uint8_t> &tokens);
// It must begin on its server connection before the request runs there.
bool begin_due(const client_session *);
std::string begin_batch(const client_session *);
// That has run. False: the server says that there is no transaction.
[[nodiscard]] bool begin_done(client_session *);
// Puts the server's descriptor of the transaction into a request's payload, or the beginning of one, where it has the
// client's. False: it needs no change.
[[nodiscard]] bool begin_place(const client_session *, std::vector<uint8_t> &payload, uint64_t descriptor, uint64_t at);
bool begin_translates(const client_session *);
// A chunk of an ENVCHANGE, `ends`: its last: appends what the client gets of it.
void begin_returned(client_session *, std::span<const uint8_t> chunk, bool ends, std::vector<uint8_t> &out);
// Its server connection goes to others: what the descriptor named is over.
void begin_over(client_session *);
