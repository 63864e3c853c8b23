// What a session's requests have left behind, as far as it keeps the server connection: pins, and what must be asked
// before the connection may be given to another. Pure: fed with what was read of the request (tds/request_reader) and
// of its answer (tds/token_walk).
//
//      request, answer -> track_request -> pins, questions
//      questions -> one batch of the proxy's own -> track_answers -> fewer pins, the settings as they are
//
// What can be replayed is not here but in tds_session_state: it pins nobody.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tds/request_reader.h"
#include "tds/session_option.h"
#include "tds/small_result.h"
#include "tds/token_walk.h"

// Why a session keeps its server connection beyond the end of a request: label pin_reason.
enum class pin_reason : uint8_t {
    transaction,
    cursor,
    temp_table,
    bulk_load,
    session_state,
    handle,
    last_values,
    auth,
    mars,
    prepared, // kept for dashboards, always 0
    count_
};
inline constexpr size_t pin_reason_count = static_cast<size_t>(pin_reason::count_);
const char *pin_reason_name(pin_reason);

using pin_set = uint16_t; // bit n: reason n
inline constexpr pin_set pin_bit(pin_reason r) {
    return static_cast<pin_set>(1U << static_cast<unsigned>(r));
}

// @@IDENTITY, SCOPE_IDENTITY(), @@ROWCOUNT and @@ERROR as a session's last request has left them. As new: those of a
// new session.
struct last_values {
    std::optional<std::string> identity, scope_identity; // decimal
    std::string rowcount = "0", error = "0";
};

struct session_track {
    // Pins.
    bool transaction = false;
    bool bulk_load = false;
    tsql_state state = 0;                    // for good; what can be turned off again is in marks
    std::vector<tsql_mark> marks;            // that are on
    std::vector<std::string> temps, cursors; // names that may still stand for something
    std::vector<std::string> dropped_temps;  // in the transaction that is open: a rollback brings them back
    std::vector<int32_t> open_cursors, prepared_cursors;
    std::vector<int32_t> prepared;    // handles of the server's that the client has: proxy/prepared_calls
    tsql_inner_effect prepared_inner; // of all texts of prepared cursors so far (track_outcome.inner_outlives)
    bool level_unknown = false;       // the isolation level could not be read; no reset takes it back
    bool temps_unknown = false, cursors_unknown = false, handles_unknown = false; // more than can be kept apart

    // To be asked.
    bool ask_transaction = false, ask_temps = false, ask_cursors = false;
    bool unrecoverable = false; // the server says that a session like this could not be had elsewhere
    bool ask_database = false;  // and the language: no token told where a USE or SET LANGUAGE led
    tds_option_set doubtful = 0;
    std::vector<std::string> procedures; // called, and not known to leave nothing behind
};

// What the proxy knows of the answer besides the walker's message.
struct track_outcome {
    bool cancelled = false;      // an attention was sent: the text may have run in part
    bool announced = false;      // the connection announces transactions that text begins
    bool in_transaction = false; // as the tokens say
    bool implicit = false;       // IMPLICIT_TRANSACTIONS is or may be ON
    bool unrecoverable = false;  // by SESSIONSTATE, where the server sends it
    bool inner_outlives = false; // what a text that is run by an RPC sets may outlive it
};

// Of a transaction manager request; "": none, or one that is not known.
const char *track_isolation_name(uint8_t level);
// Whether the request may have changed what can be replayed. If not, track_request leaves `settings` alone.
bool track_sets(const tds_request_info &, const tds_walk_message &);
// The request's answer is complete. `settings` becomes what the session's state is by it, as far as that is known.
void track_request(session_track &, const tds_request_info &, const tds_walk_message &, const track_outcome &,
                   tds_session_state &settings);
// The session has been reset: nothing is left but an isolation level that nobody knows, and the transaction if that was
// to be kept.
void track_reset(session_track &, bool keeps_transaction);
pin_set track_pins(const session_track &);
// All of its state that cannot be replayed.
tsql_state track_state(const session_track &);
// Something must be asked before the connection can be given back. Nothing can be while the session's state keeps a
// batch of the proxy's own from running.
bool track_asks(const session_track &);

// The SELECT by which a batch of the proxy's own reads the last values, in the order of track_read_values.
std::string track_values_select();
// Reads them off a row, from `column` on. False: the row is not of that form.
[[nodiscard]] bool track_read_values(const std::vector<std::optional<std::string>> &row, size_t column, last_values &);

// The batch that asks, which reads the last values as well.
std::string track_question(const session_track &);
// Its answer. False: it does not say what was asked (the caller pins the session for good by track_give_up).
[[nodiscard]] bool track_answers(session_track &, const tds_small_result &, tds_session_state &settings, last_values &);
// Nobody can tell what the session's state is.
void track_give_up(session_track &);
// The server has no DBCC USEROPTIONS, which fails the whole batch: what only that tells stays unknown. False: nothing
// of the kind is asked.
[[nodiscard]] bool track_ask_less(session_track &);

// What is known of a procedure now: the effect of its body.
void track_procedure(session_track &, const tsql_effect &body);
