// Giving a server connection to a client session that has a request, and taking it back.
//
//      attach_request -> idle in its pool, its home or in the right state  ------------+
//                     -> a free slot: opened, logged in  ------------------------------+
//                     -> idle in its pool, in another state ---------------------------+
//                     -> a slot taken over from another pool's idle connection: opened +
//                     -> queue                                                         v
//      check, after a pause; keep, another's last values; clean, below TDS 7.2; prepare, its settings -> attached
//
// Nothing of the client's has been sent before it is attached: what fails before is tried again on another connection.
#pragma once

#include <cstdint>
#include <string>

struct client_session;
struct server_conn;
struct tds_login_answer;
enum class server_task : uint8_t;

// Its request needs a server connection. True: it is attached now. Else exchange_attached is called later, or the
// request fails; the session may have ended.
[[nodiscard]] bool attach_request(client_session *);
// This connection of its pool is for it; counted as acquired by the caller. As attach_request.
[[nodiscard]] bool attach_with(client_session *, server_conn *);
// What kept it from looking for one is over.
void attach_again(client_session *);
// A step on the way to the request is done: the connection opened for it is logged in, checked, cleaned, or in its
// settings.
void attach_go_on(client_session *);
// What the session's own reset asked for is done, or what was put right between two of its requests: it goes on with
// the request.
void attach_reset_done(client_session *);
// The batch that puts the connection into its client's settings, behind a reset or not.
std::string attach_prepare_batch(const server_conn *, bool reset);
// ... or the server has refused that login.
void attach_refused(client_session *, const tds_login_answer &);
// ... or lets nobody in for having too many sessions: another connection will do.
void attach_server_busy(client_session *);
// A batch of the proxy's own has failed: `gone`, the server has closed its end.
void attach_task_failed(client_session *, server_task, const char *why, int32_t number, bool gone);
// The session ends, or its request was cancelled before it was sent: the connection goes back to its pool, or closes.
void attach_give_back(client_session *, const char *reason);
