// What a running request sees of its connection: host of engine.h, as tokens.
#pragma once

#include "wire_conn.h"
#include "wire_token.h"

namespace sqlserver {

struct wire_host final : host {
    explicit wire_host(conn *connection, bool is_login) : c(connection), login(is_login) {}

    void columns(const std::vector<column> &) override;
    void row(const std::vector<value> &) override;
    void browse_info(const std::vector<std::string> &table, const std::vector<column> &) override;
    void order(const std::vector<uint16_t> &) override;
    void done(done_kind, uint16_t status, uint16_t command, uint64_t rows) override;
    void message(int32_t number, uint8_t state, uint8_t severity, std::string_view text, std::string_view procedure,
                 int32_t line) override;
    void env_text(env, std::string_view now, std::string_view before) override;
    void env_tran(env, uint64_t now, uint64_t before) override;
    void return_status(int32_t) override;
    void return_value(uint16_t ordinal, std::string_view name, const type_info &, const value &) override;
    bool wait(uint64_t milliseconds) override;
    bool cancelled() override;
    void close_connection() override;

    conn *c;
    bool login; // the login's answer ends with tokens of its own and has one DONE only
    // One DONE is held back until it is known whether more comes.
    bool has_done = false;
    done_kind kind = done_kind::done;
    uint16_t status = 0, command = 0;
    uint64_t rows = 0;
    bool collation_sent = false; // ENVCHANGE 7 in this login's answer
    bool no_metadata = false;    // COLMETADATA goes out without columns
    bool dropped = false;        // something was not sent because of a cancel
    std::vector<column_format> formats;
    std::string token; // scratch
    unsigned rows_since_look = 0;
    uint64_t slice_began = 0;
};

// Sends ENVCHANGE 7 unless it has gone out with ENVCHANGE 2.
void host_collation(wire_host &);
std::vector<session_state_item> state_items(const session *, bool &recoverable);
// The end of the answer: the last DONE, now without DONE_MORE. Writes one if the engine sent none or was cancelled.
void host_finish(wire_host &, bool rpc);
// Between two RPCs of one message: the DONEPROC so far is not the last.
void host_next_rpc(wire_host &);

} // namespace sqlserver
