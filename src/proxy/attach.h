// Giving a server connection to a client session that has a request, and taking it back.
//
//      attach_request -> idle in its pool, in the right state  ------------------------+-> attached
//                     -> a free slot: opened, logged in  ------------------------------+
//                     -> idle in its pool, in another state: prepare  -----------------+
//                     -> a slot taken over from another pool's idle connection: opened +
//                     -> queue
//
// Nothing of the client's has been sent before it is attached: what fails before is tried again on another connection.
#pragma once

#include <cstdint>

struct client_session;
struct server_conn;
struct tds_login_answer;
enum class server_task : uint8_t;

// Its request needs a server connection. True: it is attached now. Else exchange_attached is called later, or the
// request fails; the session may have ended.
[[nodiscard]] bool attach_request(client_session *);
// This connection of its pool is for it; counted as acquired by the caller. As attach_request.
[[nodiscard]] bool attach_with(client_session *, server_conn *);
// The connection opened for its request is logged in.
void attach_opened(client_session *);
// ... or the server has refused that login.
void attach_refused(client_session *, const tds_login_answer &);
// The batch before the request has ended well, or not: `gone`, the server has closed its end.
void attach_checked(client_session *);
void attach_prepared(client_session *);
void attach_task_failed(client_session *, server_task, const char *why, int32_t number, bool gone);
// The session ends, or its request was cancelled before it was sent: the connection goes back to its pool, or closes.
void attach_give_back(client_session *, const char *reason);
