// One TDS connection from the proxy to a SQL Server, from slot to slot: it owns one slot of its bucket from the moment
// it exists until the server's FIN or RST has been seen (or release_timeout has passed, which counts as possible
// excess).
//
//      connecting -> logging_in -> working <-> serving
//          |  ^           |          ^  |
//          v  | backoff,  |          |  v           any -> closing -> (slot released, freed)
//        (failed) next    |         idle
//             \  address  /
//              +---------+
//
// In passthrough and for a probe there is no login: connecting -> serving.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/list.h"
#include "net/resolver.h"
#include "net/stream.h"
#include "pool/backoff.h"
#include "pool/server_pool.h"
#include "proxy/dialogue.h"
#include "proxy/meters.h"
#include "proxy/prepared.h"
#include "proxy/settings.h"
#include "tds/packet_stream.h"
#include "tds/token_walk.h"

struct proxy;
struct proxy_bucket;
struct client_session;
struct server_login;
struct tds_login_answer;
struct server_conn;

enum class server_state : uint8_t {
    connecting, // waiting for an address, for the connect, or for the next try
    logging_in, // PRELOGIN, TLS, LOGIN7
    serving,    // attached to a client session, or probing
    working,    // a batch of the proxy's own runs on it (proxy/server_task)
    idle,       // in its pool
    closing,    // our FIN is sent; waiting for the server's
    released,   // the slot is gone; memory waits for the loop's close callback
    count_
};
const char *server_state_name(server_state);

enum class server_purpose : uint8_t {
    passthrough, // relays for its client
    probe,       // looks whether the server answers PRELOGIN
    pooled,      // logs in, serves the sessions of a pool one after another
    dedicated,   // logs in for one session, closes with it
};

enum class server_task : uint8_t {
    none,
    capability,   // does this server announce transactions begun in text?
    identity,     // if not: can @@IDENTITY be set?
    check,        // SELECT 1, after a pause or for health
    keep,         // its last client's last values, before anything else runs on it
    prepare,      // to the settings of the client
    client_reset, // what a client's own reset does, for it to go on
    ask,          // before it may be taken from its client: what nobody told
    procedure,    // likewise: the definition of a procedure that has run
    unprepare,    // likewise, or before a request: prepared statements that nobody needs there
    make,         // before a request: a prepared statement that its text names
    begin,        // likewise: the transaction that its client believes to be in
    put_off,      // behind a request: the next transaction, begun with the end of the last one, waits in the proxy
    cancel,       // the client is gone: attention, drain
    roll_back,    // then its transaction
    reset,        // then all the rest
};

struct server_conn {
    list_node<server_conn> node;
    proxy *root = nullptr;
    proxy_bucket *bucket = nullptr;
    client_session *client = nullptr; // both ways by proxy/link only; nullptr: nobody's
    net_stream conn;
    uint64_t id = 0;
    uint64_t deadline = 0;    // connecting to working: give up; closing: release anyway
    uint64_t retry_at = 0;    // connecting, between two tries
    uint64_t try_until = 0;   // connecting, and there is another address to be tried then; 0: none
    uint64_t try_started = 0; // uv_hrtime of the try under way, for the latency
    backoff retry;
    uint16_t next_address = 0;
    server_state state = server_state::connecting;
    server_purpose purpose = server_purpose::passthrough;
    bool has_fd = false;                   // a connect is under way or done
    bool connected = false;                // the server has a connection that it must close, too
    bool again = false;                    // closing: a new try follows on the same slot
    bool closing_fd = false;               // the loop's close callback is due
    bool drop = false;                     // free in that callback
    bool counted = false;                  // as acquired, not yet as released
    bool checks_password = false;          // one of the bucket's max_concurrent_logins
    attach_how found = attach_how::count_; // how its client's request came to it, until that is counted; else count_

    // From logging_in on.
    server_login *login = nullptr;
    uint64_t auth_started = 0;                       // loop ms
    std::shared_ptr<const tds_login_answer> answer;  // until its owner is told
    std::shared_ptr<const tds_login_answer> refusal; // of the last try, if that was refused
    std::shared_ptr<const login_identity> who;       // whose LOGIN7 it was opened with
    std::unique_ptr<net_target> route;               // where a routing ENVCHANGE has sent it
    uint8_t hops = 0;
    uint8_t logins_lost = 0; // tries that ended after the server's PRELOGIN
    pool_member member;      // pooled
    uint32_t version = 0;
    uint16_t packet_size = tds_initial_packet_size;
    settings_ptr baseline;  // what a reset takes it back to
    settings_ptr settings;  // what it is in
    tds_packet_cursor down; // the server's packets
    tds_packet_writer to_server;
    tds_walker walker;
    bool pristine = true;    // nothing of a client's has run on it since its login or its last reset
    bool unpoolable = false; // to be closed when its client is done: a state that nobody can name

    // Transaction mode.
    bool dirty = false;             // something has run since its last reset whose effect nobody can name
    bool check_due = false;         // it has been idle for long
    prepared_list prepared;         // statements that it has handles for
    bool reset_rides = false;       // the reset that is due goes with the client's request
    const char *retire = nullptr;   // to be closed once its last values are kept, and why
    uint64_t last_client = 0;       // id of the session that used it last
    client_session *home = nullptr; // likewise, while that lives and has used no other since
    uint64_t identity_token = 0;    // of its @@IDENTITY and SCOPE_IDENTITY(): proxy/sharing_values; 0: a new session's
    uint64_t status_token = 0;      // ... @@ROWCOUNT and @@ERROR; 0: a batch of the proxy's own has changed them
    bool identity_unread = false;   // they may differ from what its home has kept
    bool status_unread = false;
    bool identity_blind = false;                // its home wrote without finding its own identity there
    std::optional<std::string> identity_before; // @@IDENTITY when it was last read
    server_task task = server_task::none;
    uint8_t task_attentions = 0; // acknowledgements that the server owes to the proxy
    bool task_failed = false;    // an ERROR came
    int32_t task_error = 0;      // its number
    uint8_t task_status = 0;     // bits of its batch: RESET
    bool client_resets = false;  // the client's own reset is under way
    bool midway = false;         // the task runs between two requests of its client, which keeps it whatever comes
    uint8_t client_reset_bits = 0;
    std::unique_ptr<std::vector<uint8_t>> task_rows; // the answer, of tasks that ask for something
};

using server_list = list<server_conn, &server_conn::node>;

// Begins to connect, with a slot already held. Answers its client (or the probe) later; never from inside this call.
// nullptr: out of memory, the slot is the caller's to release.
server_conn *server_open(proxy *, proxy_bucket *, server_purpose, client_session *client_or_null);
void server_move(server_conn *, server_state to);
// Where it connects to: the bucket's server, or where that has routed it.
net_target *server_target(server_conn *);
void server_set_route(server_conn *, std::unique_ptr<net_target>);
// Ends it from any state: half-closes, waits for the server's end, releases the slot. Detach the client first.
void server_close(server_conn *, const char *reason);
// The server's FIN or a broken connection was seen by whoever read from it: release at once.
void server_gone(server_conn *, const char *reason);
// Our FIN has been sent release_timeout ago and the server has not closed its end: releases the slot all the same, with
// an RST, and counts it as possible excess.
void server_overdue(server_conn *);
// The try has failed after the connect: closes this connection, and tries again on the same slot once the server has
// closed it too, after a backoff or at once. Nobody is told.
void server_try_again(server_conn *, bool at_once, const char *reason);
// Nothing more will be tried: tells its owner, who closes it.
void server_give_up(server_conn *, const char *error_type, const char *detail);
// Deadlines and retries; called by maintenance.
void server_tick(server_conn *, uint64_t now);
// Addresses of a host arrived (or not).
void server_addresses_ready(proxy *, net_target *, int status);
