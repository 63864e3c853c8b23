// Transaction mode: which of a session's requests leave its server connection free for others.
//
//      request  -> sharing_begin (read as it passes) ------------------------------> forwarded
//      answer   -> sharing_answered -> sharing_settle -> nothing left behind: detached, to the next
//                                                     -> something to ask: a batch of the proxy's own, then again
//                                                     -> pinned: kept until a later request frees it
//
// What is replayed when the session gets another connection is in dialogue.settings; what pins in session_track; the
// last values (@@IDENTITY ...) are the business of proxy/sharing_values.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "proxy/deferred_begin.h"
#include "proxy/procedures.h"
#include "proxy/session_track.h"
#include "tds/tsql_scan.h"

struct client_session;
struct server_conn;
struct proxy_bucket;
struct tds_piece;
struct prepared_session;
enum class server_task : uint8_t;

struct request_reader_deleter {
    void operator()(tds_request_reader *) const;
};
struct scanner_deleter {
    void operator()(tsql_scanner *) const;
};
using request_reader_ptr = std::unique_ptr<tds_request_reader, request_reader_deleter>;
using scanner_ptr = std::unique_ptr<tsql_scanner, scanner_deleter>;

inline constexpr size_t procedures_of_one_call = 64; // called one by another; more: pinned

// A session's part in it.
struct shared_session {
    session_track track;
    pin_set pins = 0;
    uint64_t pinned_at[pin_reason_count] = {}; // loop ms, of the reasons that hold
    uint64_t pinned_since = 0;                 // of the first of them that does not end by itself
    uint64_t held_until = 0;                   // loop ms: pinned for its last values
    server_conn *home = nullptr;               // the connection that has its last values, if nobody else used it since
    std::unique_ptr<last_values> kept;         // as new: nullptr
    uint64_t identity_token = 0, status_token = 0; // of the values that are its own: proxy/sharing_values; 0: as new
    std::unique_ptr<tds_request_info> request;     // under way
    scanner_ptr scanner;                           // of a request that is read as it passes
    request_reader_ptr reader;
    std::vector<uint8_t> rewritten; // the request's payload, with kept values in its text or other handles; empty: as
                                    // it came
    deferred_begin begun;
    uint64_t descriptor = 0, descriptor_at = 0; // of a request that is read as it passes
    uint64_t passed = 0;                        // of a request that is read as it passes: bytes of its payload so far
    tsql_state foreseen = 0;                    // what the beginning of such a request turns on
    std::unique_ptr<prepared_session> prepared; // proxy/prepared_calls; nullptr: it has prepared nothing
    bool awaits_home = false;      // its last values are being read there, for another client to have the connection
    uint8_t replays_failed = 0;    // of the request under way
    uint8_t request_type = 0;      // of the last one
    bool asking_procedure = false; // settling: rather than what session_track asks
    procedure_name procedure;      // the one asked for

    ~shared_session();
};

bool sharing_mode(const proxy_bucket *);
// Its login is answered: from here on its server connections are shared, unless it has one of its own.
void sharing_start(client_session *);
// Whether server connections of this session are shared between requests.
bool sharing(const client_session *);

// It has no use for its server connection now: the login is done.
void sharing_give_back(client_session *);

// A request stands at the head of `in`: all of it, or its beginning, which is then read as it passes.
void sharing_begin(client_session *, std::span<const uint8_t> in);
// It is about to be sent: a request that is all there is changed where it must be (shared_session.rewritten). `resets`:
// the server resets the connection first.
void sharing_place(client_session *, std::span<const uint8_t> in, bool resets);
// The payload of the request at the head of `in`, as far as it is there.
std::vector<uint8_t> sharing_payload(const client_session *, std::span<const uint8_t> in);
// A piece of it passes: what goes to the server in its place.
std::span<const uint8_t> sharing_pass(client_session *, const tds_piece &);
// It will not be sent.
void sharing_drop_request(client_session *);
// What was read of it is done with: the next request, whoever's, is read into the same memory.
void sharing_keep_spare(client_session *, std::unique_ptr<tds_request_info>);
// The answer to the request is complete; an attention may be owed yet.
void sharing_answered(client_session *);
// The server owes nothing any more: detaches if nothing keeps the connection. The session is active afterwards, or
// settling.
void sharing_settle(client_session *);
// The batch that asks, and what has come of it; nullptr: an error, or nothing to be read.
std::string sharing_question(const client_session *);
void sharing_asked(client_session *, const tds_small_result *);

// Prepared statements have been ended at the server, or one has been made there: result as above.
void sharing_tidied(client_session *, server_task, const tds_small_result *);

// The client resets its session, whose server connection may be in a state that no reset takes back: then nobody else
// gets that. True: neither does this client any more. But a level that nobody knows survives a reset: it is there only.
bool sharing_resets_elsewhere(client_session *);
// What its own reset means for the session, its transaction aside; its connection, if it has one, is the caller's
// business.
void sharing_client_reset(client_session *);
// The server has reset the connection that it has, to its baseline.
void sharing_server_reset(server_conn *);

// The session is served by the connection from here on.
void sharing_take_home(client_session *, server_conn *);
// The connection is no more, or goes to another.
void sharing_leave_home(server_conn *);
// The session's last values are being read on the connection where they are, and another client is to have that: they
// are there in a moment.
bool sharing_home_busy(const client_session *);
// They are: the session goes on if it has waited for them.
void sharing_home_free(server_conn *);

// It keeps its server connection for its last values alone, for a while, and nothing is under way there.
bool sharing_only_held(const client_session *);
// Detaches it if that is over.
void sharing_check_hold(client_session *, uint64_t now);

// The session ends, or loses its connection: nothing pins it any more.
void sharing_unpin(client_session *);
void sharing_end(client_session *);
