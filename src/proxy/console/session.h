// The inside of the console: what its files have in common. Nobody else includes this.
//
//      console.cpp   the login, the socket, messages
//      request.cpp   a message; run.h: its statements, one after another
//      commands.cpp  the table of commands
//      control.cpp   those that change something
//      show.cpp, show_all.cpp  those that show something
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "proxy/client_session.h"
#include "proxy/console/world.h"
#include "tds/packet.h"
#include "tds/packet_stream.h"

inline constexpr size_t console_message_max = 64 * 1024; // payload of a request
inline constexpr size_t console_prepared_max = 100;      // statements of a session

struct console_prepared {
    std::vector<uint8_t> text; // UTF-16LE
    std::string definition;    // of its parameters
};

struct console_session {
    bool admin = false; // else it may only look
    std::string user, host, application;
    std::string login_database; // a reset brings it back
    uint32_t version = 0;       // of TDS
    uint16_t packet_size = tds_initial_packet_size;
    std::vector<uint8_t> login_answer; // while it waits for its time

    // The message that is coming in.
    tds_packet_cursor up;
    std::vector<uint8_t> message; // its payload
    uint8_t status = 0;           // bits of its first packet
    bool too_long = false;        // what is beyond console_message_max is dropped

    // What its statements have left behind.
    std::map<int32_t, console_prepared> prepared; // by their handles
    console_tables tables;                        // #tables, and variables that are tables
    size_t tables_bytes = 0;                      // what they hold
    std::string database;                         // that USE has chosen
    int32_t last_handle = 0;
    uint32_t transactions = 0;
    uint64_t descriptor = 0;
    int32_t last_error = 0;
    int64_t last_rows = 0;
    unsigned not_run = 0;   // a bit for each SET that is on and keeps statements from being run: NOEXEC and its like
    bool no_rows = false;   // SET FMTONLY ON
    uint64_t most_rows = 0; // SET ROWCOUNT; 0: all

    // PAUSE: its answer waits until the buckets hold no server connection any more.
    std::vector<uint8_t> late_answer;      // tokens
    std::vector<std::string> waits_for;    // buckets; not empty: the answer waits
    std::vector<std::string> paused_by_it; // those that were not paused before
};

// A complete message: the tokens of its answer. Of type SQL batch, RPC or transaction manager.
std::vector<uint8_t> console_answer(client_session *, uint8_t type);
console_facts console_facts_of(const client_session *);
void console_put_error(const client_session *, int32_t number, uint8_t severity, std::string_view text, uint32_t line,
                       std::vector<uint8_t> &tokens);
// The pause that it waits for did not come about: as before.
void console_undo_pause(client_session *);
// Whether none of its buckets holds a server connection any more.
bool console_pause_done(const client_session *);
