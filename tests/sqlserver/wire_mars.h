// MARS: several streams of requests over one connection (MC-SMP). A stream is a conn of its own without a socket: its
// input and output are SMP packets of the connection that carries it, its session is that connection's.
//
//      carrier.in -> SMP packets -> stream.in -> requests, as on any connection
//      carrier's socket <- SMP packets, as many as the window allows <- queue <- packets of answers
//
// One request of a session runs at a time, to its end; what the client's window keeps back waits in the stream's queue
// and the other streams go on. Every field is checked: a wrong one closes the connection.
#pragma once

#include "wire_conn.h"

#include <deque>

namespace sqlserver {

constexpr uint32_t smp_window = 4;

struct mars_stream {
    conn c;
    uint16_t sid = 0;
    uint32_t sent = 0, may_send = smp_window;    // sequence numbers of DATA: the last sent; the client's WNDW
    uint32_t received = 0, granted = smp_window; // the last received; our WNDW, as last told
    std::deque<std::string> queue;               // TDS packets
    bool client_fin = false;
};

// Takes one SMP packet off the connection's `in`. False: none is complete, or the connection is closed.
bool mars_take(conn *carrier);
// Complete TDS packets of a stream's answer.
void mars_send(conn *stream, std::string_view packets);
// A request of another stream runs.
bool mars_busy(const conn *stream);
// A stream has nothing to do: its window, the other streams, its end.
void mars_idle(conn *stream);
// The carrier closes.
void mars_close(conn *carrier);
// All handles of the stream are closed.
void mars_reap(conn *stream);
bool mars_running(const conn *carrier);

} // namespace sqlserver
