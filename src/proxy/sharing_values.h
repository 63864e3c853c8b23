// Transaction mode: @@IDENTITY, SCOPE_IDENTITY(), @@ROWCOUNT and @@ERROR, which the next request may ask for.
//
// They stay on the connection that the request has run on, the session's *home*, until the connection is needed for
// anything else, a batch of the proxy's own included. Then they are read and kept with the session, and put as literals
// into the text of a request of its that asks for them and runs elsewhere.
//
// Each time they change they get a token, on the connection and in the session: equal tokens, the session's own values.
// Before anything but a lone SELECT runs on a connection that has another session's identity, that is set to what this
// session must find: by an insert into a table variable. So what is read afterwards is always the session's own.
// Where that has no effect (Babelfish) a session keeps its home for a while behind what may have inserted
// (last_values_hold), and what it has changed elsewhere is told by comparing.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

struct client_session;
struct server_conn;
struct last_values;
struct tds_request_info;
struct tds_small_result;

// Whether those of the connection's home have not been kept yet.
bool values_unread(const server_conn *);
// Whether the request under way may change them, or name them where no literal can be put, and the connection has those
// of another session: they can be set.
bool values_foreign(const client_session *, const server_conn *);
// Likewise once the connection has been reset.
bool values_lost_by_reset(const client_session *);
// Whether only a reset helps: SCOPE_IDENTITY() cannot be set to NULL on this server. Where the
// server allows neither, what a write has changed is told by comparing.
bool values_need_reset(const client_session *, const server_conn *);

// The batch that tries whether they can be set, on a connection of nobody's; its answer, or nullptr: an error.
std::string values_try_batch();
void values_tried(server_conn *, const tds_small_result *);

// The request has run where the session's own identity was not, and may have changed it: they must be read before the
// next one asks for them.
bool values_doubtful(const server_conn *);
// The connection's identity is nobody's.
void values_disown(server_conn *);

// The batch that reads them, and leaves the connection with the identity that `next` must find, if its request needs
// one (nullptr: nobody's).
std::string values_keep_batch(const server_conn *, const client_session *next);
// Its answer, or nullptr: they could not be read.
void values_kept(server_conn *, const client_session *next, const tds_small_result *);
// Another batch of the proxy's own has begun with track_values_select, and changed them: its answer, or nullptr. They
// are kept with the connection's home. False: they could not be read.
bool values_taken(server_conn *, const tds_small_result *);
// Another one has read them.
void values_store(server_conn *, const last_values &read);

// The request with this payload is about to be sent: kept values are put into its text. False, and nothing is appended:
// as it is.
[[nodiscard]] bool values_place(client_session *, std::span<const uint8_t> payload, std::vector<uint8_t> &out);
// What it has done to them. `surely`: it ran to its end without an error.
void values_note(client_session *, const tds_request_info &, bool surely);
