// A client of the benchmarks: logs in as a driver does, with the proxy's own client side of TDS, and asks what it is
// given. Whatever goes wrong ends the process with a word on stderr: figures of broken runs are worth nothing.
//
//      bench_client_open -> logged_in -> bench_client_ask -> answered -> bench_client_ask ... -> bench_client_end
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "net/stream.h"
#include "tds/packet_stream.h"

struct server_login;
struct tls_client_context;

struct bench_plan {
    uint16_t port = 0; // on 127.0.0.1
    std::string user, password, database;
    server_tls tls = server_tls::disable; // disable, require or strict; no resumption: every handshake is a whole one
    std::string ca_file;                  // strict: whom it trusts
};

// What the clients of one loop share.
struct bench_loop {
    uv_loop_t loop;
    bench_plan plan;
    std::vector<uint8_t> room = std::vector<uint8_t>(128 * 1024), cipher = std::vector<uint8_t>(32 * 1024);
    size_t opened = 0; // sessions begun
    size_t ready = 0;  // ... logged in
    size_t closed = 0; // ... ended, memory freed
};

enum class bench_stage : uint8_t { connecting, login, asking, idle };

struct bench_client {
    net_stream stream;
    bench_loop *b = nullptr;
    bench_stage now = bench_stage::connecting;
    tls_client_context *tls = nullptr;
    server_login *login = nullptr;
    tds_packet_cursor down;
    std::vector<uint8_t> answer;   // payload of the last one, complete in `answered`
    uint64_t begun = 0, asked = 0; // hrtime: of bench_client_open, of the last request
    size_t number = 0;             // the caller's
    std::string database;          // another than the plan's; set before the loop runs
    void (*logged_in)(bench_client *) = nullptr;
    void (*answered)(bench_client *) = nullptr;
    void (*ended)(bench_client *) = nullptr; // the memory is freed behind it; may be nullptr
};

[[noreturn]] void bench_die(const char *what, std::string_view why);

// "none", "full" or "strict", of a command line.
server_tls bench_tls(const char *word);

bench_client *bench_client_open(bench_loop *, void (*logged_in)(bench_client *), void (*answered)(bench_client *));
// One request: complete packets. The last one must have been answered.
void bench_client_ask(bench_client *, std::span<const uint8_t> packets);
void bench_client_end(bench_client *);

// The element that the share `p` of all others is under; 0 of none. Reorders `v`.
double bench_percentile(std::vector<double> &v, double p);
