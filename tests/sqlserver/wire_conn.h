// One client connection: socket, TLS, packets, phases and the request that runs.
//
//      socket -> raw -(TLS, wire_input.cpp)-> in -(packets)-> message -(wire_session.cpp)-> fiber -> engine
//      socket <- (TLS, wire_output.cpp) <- out <- packets <- tokens <- wire_host.cpp <- engine
//
// The loop owns a connection. It is freed in one place, conn_reap, when both handles are closed and no fiber runs.
#pragma once

#include "engine.h"
#include "fiber.h"
#include "wire_login.h"
#include "wire_tls.h"
#include "wire_token.h"

#include <map>
#include <memory>
#include <uv.h>

namespace sqlserver {

struct server;

constexpr size_t header_size = 8;
constexpr size_t packet_max = 32767;

enum class packet : uint8_t {
    batch = 1,
    rpc = 3,
    result = 4,
    attention = 6,
    bulk = 7,
    fedauth = 8,
    tran = 14,
    login7 = 16,
    sspi = 17,
    prelogin = 18
};
constexpr uint8_t status_eom = 0x01, status_ignore = 0x02, status_reset = 0x08, status_reset_skip_tran = 0x10;

enum class phase : uint8_t {
    first_byte,
    prelogin,
    login,
    sspi,    // an SSPI challenge went out: packet 0x11 is due
    fedauth, // FEDAUTHINFO went out: packet 0x08 is due
    ready,
    routed, // the client was sent to another server: nothing but its close is due
    lingering,
};
enum class transport : uint8_t {
    plain,
    wrapped,    // the handshake runs inside PRELOGIN packets
    login_only, // TLS up to the end of LOGIN7
    tls,        // everything
};
enum class waiting : uint8_t {
    nothing,
    timer,
    drain, // until the client has read some of the output
    turn,  // until the loop has looked at its sockets once
};

struct conn {
    server *srv = nullptr;
    conn *prev = nullptr, *next = nullptr; // server's list
    uint64_t id = 0;
    uint64_t since = 0; // loop time of accept, ms
    uv_tcp_t tcp = {};
    uv_timer_t timer = {}; // host.wait, or the linger
    unsigned handles_open = 0;
    bool closing = false;
    bool counted = false;  // among the connections there are now
    bool admitted = false; // counts against max-connections
    bool paused = false;   // reading stopped: too much pipelined input

    phase ph = phase::first_byte;
    transport tr = transport::plain;
    prelogin_outcome after_handshake = prelogin_outcome::plain;
    bool strict = false;
    bool handshake_done = false;
    tls_engine *tls = nullptr;
    std::string tls_version, sni; // also after login-only TLS has ended
    bool tls_resumed = false;

    std::string raw, in; // from the socket; decrypted, begins at a packet border
    std::string message; // payload of the message being received
    uint8_t message_type = 0, message_status = 0;
    bool message_open = false;

    std::string out;      // packets not yet given to the socket
    size_t packet_at = 0; // header of the packet being filled
    bool packet_open = false;
    uint8_t packet_id = 0;
    packet out_type = packet::result;
    size_t in_flight = 0;    // bytes given to libuv and not yet written
    bool cut_answer = false; // misbehave: half of this answer, then close

    uint32_t packet_size = 4096;
    tds version = tds::v74;
    bool mars_asked = false;
    bool mars = false; // granted: after the login everything is SMP
    std::map<uint16_t, struct mars_stream *> streams;
    conn *carrier = nullptr;              // of a stream: the connection that carries it
    struct mars_stream *stream = nullptr; // ... and itself
    bool fedauth_required = false;        // PRELOGIN answered FEDAUTHREQUIRED 1
    stream_features features;
    // SESSIONRECOVERY: what the login ended with, and what has been reported since.
    bool session_recovery = false;
    std::vector<session_state_item> state_baseline, state_reported;
    std::vector<bool> state_recoverable; // as each was last reported
    uint32_t state_sequence = 0;
    std::unique_ptr<login7> login;
    std::string auth_blob;   // of SSPI: the challenge, later the confirmation
    int64_t login_error = 0; // found before the engine was asked
    session *sess = nullptr;
    uint16_t spid = 0;
    std::string client_address;
    uint64_t requests = 0, resets = 0;

    fiber *fib = nullptr;
    waiting waits = waiting::nothing;
    bool cancelled = false;  // attention came, or the connection goes away
    unsigned attentions = 0; // not yet acknowledged
    bool hang_up = false;    // close when the answer is out
};

// Starts a connection that has been accepted into c->tcp.
void conn_start(conn *);
// Closes the socket now; safe anywhere, also inside a fiber. Freed later.
void conn_close(conn *, const char *reason);
// Sends what is there, shuts down and waits a little for the client, so that no RST overtakes the last bytes.
void conn_linger(conn *, const char *reason);

// wire_input.cpp: takes bytes from the socket and moves through messages as far as possible.
void conn_received(conn *, std::string_view bytes);
void conn_process(conn *);

// wire_output.cpp
void out_append(conn *, std::string_view tokens); // into packets
void out_end(conn *);                             // ends the message
void out_flush(conn *);                           // gives complete packets to the socket
void out_raw(conn *, std::string_view bytes);     // handshake bytes: straight to the socket
void out_smp(conn *, std::string_view packet);    // one SMP packet
void out_wrapped(conn *, std::string_view bytes); // one flight as one message of PRELOGIN packets

// wire_session_login.cpp: one message each, on the loop
void session_prelogin(conn *);
void session_login(conn *);
void session_sspi(conn *);
void session_fedauth(conn *);
void session_start_fiber(conn *, fiber_entry);

// wire_session.cpp
void session_message(conn *);   // c->message is complete
void session_attention(conn *); // an attention packet came
void session_continue(conn *);  // resumes the waiting fiber

} // namespace sqlserver
