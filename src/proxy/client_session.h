// One accepted TDS connection from an application.
//
//      passthrough                                             terminated (transaction and session mode)
//
//      greeting                                                login -> admission -+
//         |                                                      |                 |
//      waiting -> connecting -> relaying                         +-----> waiting -> connecting -> active <-> settling
//                                                                                     ^  |          |
//                                                               a request needs a     |  +----------+
//                                                               server connection     +-- waiting <-+
//
//      login -> console: database tdsbouncer
//
//      from any of them: -> refusing -> lingering -> (closed)
//
//      greeting    passthrough: its first message is read: PRELOGIN, a LOGIN7 without one (jTDS), or a TLS ClientHello
//      login       PRELOGIN, TLS and LOGIN7 with the proxy itself
//      admission   its login must be checked by the server, and max_concurrent_logins others are under way
//      waiting     in its bucket's queue, for a slot or a server connection
//      connecting  its server connection is being made, logged in or prepared
//      relaying    passthrough: bytes go both ways untouched
//      active      logged in: between two requests, or in one (proxy/exchange)
//      settling    transaction mode: its request is answered; what must be known before its server connection may go
//                  to another is being asked (proxy/sharing)
//      console     logged in to the admin console: the proxy answers by itself (proxy/console)
//      refusing    the login is answered with an error; in passthrough after PRELOGIN, TLS and LOGIN7 with the proxy
//      lingering   everything is sent, FIN included; what the client still sends is read and dropped until its FIN
//                  comes, so that no RST destroys the answer on its way
//      closing     memory waits for the loop's close callbacks
//
// A state is a list in the root struct; session_move is the only way from one to another.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include <netinet/in.h>

#include "base/error_table.h"
#include "base/iobuf.h"
#include "base/list.h"
#include "net/stream.h"
#include "proxy/dialogue.h"
#include "proxy/relay.h"
#include "queue/waitq.h"

struct proxy;
struct proxy_bucket;
struct server_conn;
struct client_login;
struct console_session;

enum class session_state : uint8_t {
    greeting,
    login,
    admission,
    waiting,
    connecting,
    relaying,
    active,
    settling,
    console,
    refusing,
    lingering,
    closing,
    count_
};
const char *session_state_name(session_state);

// What it wants a server connection for, while waiting and connecting.
enum class session_need : uint8_t {
    passthrough, // to relay to
    login,       // a new one, to check its password
    request,     // any of its pool
};

struct client_session {
    list_node<client_session> node;
    list_node<client_session> turn; // admission: its bucket's list; login, put off to the next loop turn: the root's
    proxy *root = nullptr;
    net_stream client;
    uint64_t id = 0;
    uint64_t started = 0;       // loop ms
    uint64_t deadline = 0;      // of the state it is in; 0 none
    uint64_t last_activity = 0; // relaying and active
    proxy_bucket *bucket = nullptr;
    server_conn *server = nullptr; // both ways by proxy/link only
    waiter wait;
    iobuf in;                           // the client's bytes that no server has yet; once logged in, decrypted
    client_login *login = nullptr;      // login to connecting, and refusing
    std::unique_ptr<dialogue> talk;     // terminated: from LOGIN7 on
    console_session *console = nullptr; // logged in to the admin console; proxy/console's
    relay_direction up, down;           // passthrough
    sockaddr_in6 peer{};                // IPv4 addresses fit too
    session_state state = session_state::greeting;
    session_need need = session_need::passthrough;
    proxy_error error = proxy_error::internal;
    const char *detail = "";     // refusing: what follows the error's text; a constant
    const char *reason = "";     // why it lingers; a constant
    bool prelogin = false;       // passthrough: its first message was a PRELOGIN
    bool answering = false;      // the login is complete, the answer waits for its deadline
    bool server_spoke = false;   // relaying: the server has answered the first message
    bool client_went_on = false; // relaying: and the client has answered that
};

using session_list = list<client_session, &client_session::node>;
using session_turns = list<client_session, &client_session::turn>;

// A new connection on a listener. Takes `fd`. `listener_bucket`: the bucket whose own port it is, or nullptr.
void session_accept(proxy *, int fd, const sockaddr_storage &peer, proxy_bucket *listener_bucket);
void session_move(client_session *, session_state to);
// The bucket that it is for; nullptr: none. It may be chosen anew.
void session_choose(client_session *, proxy_bucket *);
// For the log and the error counter: "none" when no bucket is known.
std::string_view session_bucket_id(const client_session *);

// What it is told as its SPID.
uint16_t session_spid(const client_session *);
// In state refusing: answers the login with talk->late_answer, complete packets, or with error and detail.
void session_answer_refusal(client_session *);

// Answers the login with an error, counts and logs it.
void session_refuse(client_session *, proxy_error, const char *error_type, const char *detail);
// Queues for a slot (or, in need of any server connection of its pool, for one of those).
void session_request_slot(client_session *);
// The queue's answers. `taken_over`: the slot was that of another connection of this instance until now.
void session_slot_granted(client_session *, bool taken_over);
void session_slot_denied(client_session *, proxy_error, const char *detail);
// The server connection that it waits for could not be had.
void session_server_failed(client_session *, const char *detail);

// Sessions at rest are closed: of this bucket, or of all (nullptr). Others are for the next time.
void session_close_resting(proxy *, const proxy_bucket *, const char *reason);
// Everything for the client is sent and FIN too: wait a moment for its own end, then close.
void session_linger(client_session *, const char *reason);
// Ends it now. `reason` is a constant for the log. Its server connection is given back or closed.
void session_close(client_session *, const char *reason, std::string_view detail = {});
// The same, because reading from the client gave this `n`: 0 or a negative errno.
void session_client_ended(client_session *, ssize_t n);
// The same, because the client broke the protocol.
void session_protocol_error(client_session *, const char *what);
// Deadlines that have passed at `now`: called for sessions of every state by maintenance.
void session_deadline(client_session *);
// Relaying and active: whether it has been silent too long; closes it if so.
void session_check_idle(client_session *, uint64_t now);
