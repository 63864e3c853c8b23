// The stand-in server: options, switches that change at run time, counters, the list of connections.
#pragma once

#include "engine.h"
#include "wire_conn.h"
#include "wire_login.h"
#include "wire_tls.h"

#include <string>
#include <uv.h>

namespace sqlserver {

constexpr size_t output_high = 256 * 1024; // a request waits while more than this is queued for its client
constexpr size_t output_low = 128 * 1024;
constexpr size_t output_flush = 32 * 1024; // packets are given to the socket in pieces of about this size

struct server_options {
    std::string address = "127.0.0.1";
    int port = 0, control_port = 0; // 0: any free one
    encrypt encryption = encrypt::off;
    std::string cert_file, key_file;
    bool tls12_only = false;
    uint32_t packet_size_max = packet_max;
    bool verbose = false;
    engine_options engine;
};

// How to misbehave, and limits. All of them may change while the server runs; 0 is off.
struct server_switches {
    int64_t max_connections = 32767;
    int64_t delay_login = 0, delay_request = 0; // ms
    int64_t drop_after_prelogin = 0, drop_at_login = 0;
    int64_t drop_request = 0;      // every Nth request: half of the answer, then close
    int64_t refuse = 0;            // do not listen
    int64_t garbage = 0;           // random bytes instead of the PRELOGIN answer; with MARS wrong headers
    int64_t login_error = 0;       // this error number for every login
    int64_t login_error_count = 0; // above 0: only for so many logins more
    int64_t mars = 0;              // granted to who asks
    int64_t strict_framing = 1;    // close on a short packet that is not the last (TDS 7.3)
    std::string route_host;        // not empty: a login is answered with a routing ENVCHANGE to there
    uint16_t route_port = 0;
    int64_t route_read_only = 0;           // only one with read-only intent
    std::string feature_acks = "\x01\x0A"; // ids of features that are acknowledged when asked for
    std::string encrypt_column;            // its name; encrypted for who negotiated COLUMNENCRYPTION
    std::string classify_column;           // its name; labelled for who negotiated DATACLASSIFICATION
    int64_t utf8_columns = 0;              // char data goes as UTF-8 to who negotiated UTF8_SUPPORT
    int64_t honour_no_metadata = 0;        // as servers up to 2014: fNoMetaData of an RPC
    std::string fedauth_token;             // not empty: federated logins with this token are served
    std::string fedauth_user = "fedauth@standin.invalid";
    int64_t sspi_nonce = 32; // bytes of nonce in the first SSPI answer
};

struct server_stats {
    uint64_t now = 0, peak = 0, total = 0; // connections, from accept until the server has ended them
    uint64_t admitted = 0;                 // of those within max-connections
    uint64_t logins = 0, login_failures = 0, requests = 0, attentions = 0, resets = 0, sessions = 0, refused = 0;
    uint64_t prelogins = 0, routed = 0, sspi_rounds = 0, fedauth_rounds = 0;
    uint64_t tls_full = 0, tls_resumed = 0, tls_1_2 = 0, tls_1_3 = 0; // handshakes that were completed
    uint64_t batches = 0, rpcs = 0, tran_requests = 0, bulk_loads = 0;
    uint64_t resets_skip_tran = 0; // of the resets
};

struct server {
    uv_loop_t loop = {};
    uv_tcp_t listener = {};
    bool listener_open = false; // or about to be closed
    uv_tcp_t control = {};
    uv_signal_t sigterm = {}, sigint = {};
    uv_check_t turn_check = {}; // resumes `turns`, behind the loop's look at its sockets
    uv_idle_t turn_idle = {};   // keeps that look from blocking
    std::vector<conn *> turns;  // requests that compute for long and let others in
    bool stopping = false;
    int port = 0, control_port = 0;
    server_options opt;
    server_switches sw;
    server_stats stats;
    tls_contexts tls;
    engine *eng = nullptr;
    conn *first = nullptr;
    uint64_t next_id = 1;
    struct control_conn *controls = nullptr;
    char buffer[65536]; // one for all reads: the loop has one thread
};

// Opens the ports. False and `error` on failure.
bool server_open(server &, std::string &error);
// Runs until SIGTERM or SIGINT, then frees everything.
void server_run(server &);
// Sets a switch by its command line name ("max-connections"). False and `error`: no such switch, or not its value.
bool server_set(server &, std::string_view name, std::string_view value, std::string &error);
void server_kill_all(server &);
bool server_kill(server &, uint16_t spid); // closes its connection. False: no such session

// server_report.cpp: JSON of one line
std::string report_stats(const server &);
std::string report_sessions(const server &);
std::string report_state(const server &, uint16_t spid); // of one session; empty: no such session

// wire_control.cpp
bool control_open(server &, std::string &error);
void control_close(server &);

// For the connection's files.
void conn_reap(conn *); // frees when nothing is left that uses it
void turn_wait(conn *); // puts it into `turns`
void turn_forget(conn *);
void conn_reading(conn *);                         // stops or starts reading by what is pending
void tls_end_login_only(conn *);                   // from here on plain text; nothing is sent
bool listener_apply(server &, std::string &error); // listens or not, by `refuse`

} // namespace sqlserver
