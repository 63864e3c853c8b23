// One accepted TDS connection from an application, in passthrough.
//
//      greeting -> waiting -> connecting -> relaying -> (closed)
//          \           \           \         |
//           +-----------+-----------+-> refusing -> lingering -> (closed)
//
//      greeting    its first message is read: PRELOGIN, a LOGIN7 without one (jTDS), or a TLS ClientHello (strict TDS)
//      waiting     in its bucket's queue for a slot
//      connecting  has a slot; the server connection is being made
//      relaying    bytes go both ways untouched
//      refusing    the proxy completes PRELOGIN, TLS and LOGIN7 itself and answers with an error
//      lingering   everything is sent, FIN included; what the client still sends is read and dropped until its FIN
//      comes, so
//                  that no RST destroys the answer on its way
//      closing     memory waits for the loop's close callbacks
//
// A state is a list in the root struct; session_move is the only way from one to another.
#pragma once

#include <cstdint>
#include <string_view>

#include <netinet/in.h>

#include "base/error_table.h"
#include "base/iobuf.h"
#include "base/list.h"
#include "net/conn.h"
#include "proxy/relay.h"
#include "queue/waitq.h"

struct proxy;
struct proxy_bucket;
struct server_conn;
struct client_login;

enum class session_state : uint8_t { greeting, waiting, connecting, relaying, refusing, lingering, closing, count_ };
const char *session_state_name(session_state);

struct client_session {
    list_node<client_session> node;
    proxy *root = nullptr;
    net_conn client;
    uint64_t id = 0;
    uint64_t started = 0;       // loop ms
    uint64_t deadline = 0;      // of the state it is in; 0 none
    uint64_t last_activity = 0; // relaying
    proxy_bucket *bucket = nullptr;
    server_conn *server = nullptr; // both ways by proxy/link only
    waiter wait;
    iobuf greeting; // the client's bytes that no server has yet
    relay_direction up, down;
    client_login *login = nullptr; // refusing
    sockaddr_in6 peer{};           // IPv4 addresses fit too
    session_state state = session_state::greeting;
    proxy_error error = proxy_error::internal;
    const char *detail = "";     // refusing: what follows the error's text; a constant
    const char *reason = "";     // why it lingers; a constant
    bool prelogin = false;       // its first message was a PRELOGIN
    bool answering = false;      // refusing: the login is complete, the answer waits for its deadline
    bool server_spoke = false;   // relaying: the server has answered the first message
    bool client_went_on = false; // relaying: and the client has answered that
};

using session_list = list<client_session, &client_session::node>;

// A new connection on a listener. Takes `fd`.
void session_accept(proxy *, int fd, const sockaddr_storage &peer, proxy_bucket *listener_bucket);
// The queue's answers.
void session_slot_granted(client_session *);
void session_slot_denied(client_session *, proxy_error, const char *detail);
// The server connection's answers.
void session_server_ready(client_session *);
void session_server_failed(client_session *);
// Everything for the client is sent and FIN too: wait a moment for its own end, then close.
void session_linger(client_session *, const char *reason);
// Ends it now. `reason` is a constant for the log. Its slot goes back once the server has closed its end.
void session_close(client_session *, const char *reason, std::string_view detail = {});
// The same, because net_recv of the client gave this `n`: 0 or a negative errno.
void session_client_ended(client_session *, ssize_t n);
// Its client's or its server's descriptor has something to read or to write, while relaying.
void session_relay_event(client_session *, const net_conn *, unsigned events);
// One direction has moved, in this loop turn's batch or alone; `bytes_before`: its count before that.
void session_relay_moved(relay_direction *, relay_result, int error, uint64_t bytes_before);
// Deadlines that have passed at `now`: called for sessions of every state by maintenance.
void session_deadline(client_session *);
// Passthrough relaying: whether it has been silent too long; closes it if so.
void session_check_idle(client_session *, uint64_t now);
