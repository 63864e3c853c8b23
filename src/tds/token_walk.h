// Walks the tokens of what a server sends (MS-TDS 2.2.7) while they pass through: where tokens end, and what they say
// of the session. Nothing is scanned for and nothing but small tokens is copied; values are stepped over.
//
//      server packets --(headers taken off)--> tds_walk ----------------> spans to forward, in order
//                                                 |  \--- taken out: SESSIONSTATE, ENVCHANGE 18 (if asked for)
//                                                 v
//                                    session and message (read at any time)
//
// Fed with payload in pieces of any size. Memory: one byte per column of the last COLMETADATA, plus the one token being
// assembled when it is cut by a piece's end (ENVCHANGE and LOGINACK, under 64 KiB).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "tds/envchange.h"
#include "tds/featureext.h"
#include "tds/prelogin.h"
#include "tds/row_layout.h"

inline constexpr uint8_t tds_token_offset = 0x78;
inline constexpr uint8_t tds_token_returnstatus = 0x79;
inline constexpr uint8_t tds_token_colmetadata = 0x81;
inline constexpr uint8_t tds_token_altmetadata = 0x88;
inline constexpr uint8_t tds_token_dataclassification = 0xa3;
inline constexpr uint8_t tds_token_tabname = 0xa4;
inline constexpr uint8_t tds_token_colinfo = 0xa5;
inline constexpr uint8_t tds_token_order = 0xa9;
inline constexpr uint8_t tds_token_returnvalue = 0xac;
inline constexpr uint8_t tds_token_featureextack = 0xae;
inline constexpr uint8_t tds_token_row = 0xd1;
inline constexpr uint8_t tds_token_nbcrow = 0xd2;
inline constexpr uint8_t tds_token_altrow = 0xd3;
inline constexpr uint8_t tds_token_sessionstate = 0xe4;
inline constexpr uint8_t tds_token_sspi = 0xed;
inline constexpr uint8_t tds_token_fedauthinfo = 0xee;

inline constexpr uint16_t tds_done_rpc_in_batch = 0x0080;
inline constexpr uint16_t tds_done_server_error = 0x0100;

// SESSIONSTATE, FEDAUTHINFO, one feature's data, a promote token: more is taken for lost synchronisation.
inline constexpr uint32_t tds_long_token_max = 1024 * 1024;

struct tds_walk_options {
    uint32_t version = 0; // asked for in LOGIN7; LOGINACK's takes its place
    // Learnt from FEATUREEXTACK too, when the walker sees the login's answer.
    bool column_encryption = false;
    uint8_t data_classification = 0; // version 1 or 2; 0: not acknowledged, the token is then unknown
    // May be changed between messages.
    bool drop_session_state = false; // take SESSIONSTATE out
    bool mark_returns = false;       // forward each RETURNVALUE in calls of its own: tds_walker.in_marked
    bool mark_changes = false;       // ... each ENVCHANGE; not together with drop_reset
    bool drop_reset = false;         // take the first ENVCHANGE 18 of a message out (the token holding just that)
};

// What the tokens said of the connection. Lives as long as the connection.
struct tds_walk_session {
    // Set by ENVCHANGE 8 and 11, cleared by 9, 10, 12, 17. Not by 18: the caller knows which reset it asked for.
    bool in_transaction = false;
    bool enlisted = false; // DTC: since 11, until 12
    uint8_t descriptor[8] = {};

    std::string database, language; // UTF-8, empty: never told
    uint8_t collation[5] = {};
    uint8_t collation_size = 0; // 0 or 5
    uint32_t packet_size = 0;   // header included; 0: never told
    tds_routing routing;

    uint32_t version = 0; // negotiated; until LOGINACK the one asked for
    tds_product_version server_version;
    bool login_acknowledged = false;
    uint32_t features = 0; // bit n: feature n (under 32) was acknowledged

    // SESSIONSTATE: bit n of the 256, state n was last told without fRecoverable; all again with ENVCHANGE 18.
    uint64_t unrecoverable[4] = {};
    bool recovery_off = false; // by its last sequence number, or a form that is not understood: nothing more is told
};

// A RETURNVALUE: an output parameter, or what a function returned.
struct tds_walk_return {
    uint32_t call = 0;    // of the calls in the message: DONEPROCs in front of it
    uint16_t ordinal = 0; // of the parameter; below 7.2 there is none, and this is a length
    bool is_int = false;  // INTN or INT4, not NULL, not encrypted, and its value an int's
    int32_t value = 0;
};
inline constexpr uint32_t tds_walk_returns_kept = 4;

// Of the message being walked, or of the last one until the next begins.
struct tds_walk_message {
    uint64_t bytes = 0; // payload, what was taken out included
    uint32_t errors = 0, infos = 0;
    int32_t first_error = 0, worst_error = 0;             // numbers; the first of the highest class is the worst
    uint8_t first_error_class = 0, worst_error_class = 0; // 20 and above: the server closes after this message
    uint8_t first_error_state = 0;
    bool has_done = false;
    uint8_t done_token = 0;                                                    // the last of DONE, DONEPROC, DONEINPROC
    uint16_t done_status = 0;                                                  // the last one's
    uint16_t done_command = 0;                                                 // the last one's
    uint64_t done_rows = 0;                                                    // the last one's, as sent
    uint32_t dones_with_count = 0;                                             // those with tds_done_count
    uint64_t last_count = 0;                                                   // the last of those: its rows
    uint32_t calls_done = 0;                                                   // DONEPROCs
    uint32_t attentions = 0;                                                   // DONEs with tds_done_attention
    bool reset_seen = false;                                                   // ENVCHANGE 18
    bool database_seen = false, language_seen = false, collation_seen = false; // ENVCHANGE 1, 2, 7
    bool transaction_seen = false;                                             // any of ENVCHANGE 8 to 12 and 17
    bool session_state_seen = false;
    bool has_return_status = false;
    int32_t return_status = 0;
    uint32_t returns_count = 0;                     // RETURNVALUEs
    tds_walk_return returns[tds_walk_returns_kept]; // the first of them
    uint8_t last_token = 0;                         // 0: none yet
};

enum class tds_walk_error : uint8_t {
    none,
    unknown_token, // its id is in tds_walker.bad_byte
    unknown_type,  // of a column or value; its id is in tds_walker.bad_byte
    no_columns,    // a row without COLMETADATA, or an ALTROW without its ALTMETADATA
    bad_length,    // a length too small, too large or leading out of its token
    bad_value,     // a field that has no such value
    too_many,      // columns or ALTMETADATA tokens
    after_done,    // something but a DONE acknowledging an attention behind the last DONE or DONEPROC
    inside_token,  // the message ends inside a token
    no_done,       // the message ends without its last DONE (SSPI and FEDAUTHINFO need none)
    empty,         // the message has no token
    memory,
};

const char *tds_walk_error_text(tds_walk_error error);

struct tds_walk_cursor; // of token_walk_steps.h
enum class tds_step_result : uint8_t;

// The server has said of some state that a session could not be given it elsewhere.
inline bool tds_walk_unrecoverable(const tds_walk_session &s) {
    return s.recovery_off || (s.unrecoverable[0] | s.unrecoverable[1] | s.unrecoverable[2] | s.unrecoverable[3]) != 0;
}

// Everything but options, session and message is the walker's own.
struct tds_walker {
    tds_walk_options options;
    tds_walk_session session;
    tds_walk_message message;
    tds_walk_error error = tds_walk_error::none;
    uint8_t bad_byte = 0;

    using step_function = tds_step_result (*)(tds_walker &w, tds_walk_cursor &c);
    step_function step = nullptr; // what is expected next
    uint64_t skip = 0;            // bytes to step over first
    uint64_t left = 0;            // of a token whose length is known: bytes still to come
    bool counted = false;         // `left` counts
    bool wide = true;             // TDS 7.2 or later
    bool message_over = true;     // the next byte begins a message
    bool final_done = false;      // the message's last DONE was seen
    bool dropping = false;        // the current token is taken out
    bool in_marked = false;       // what was forwarded last is of a token that is marked (tds_walker.token)
    bool cut_clean = false;       // where an error stopped the forwarded stream is between tokens

    uint8_t token = 0;       // current
    uint8_t feature = 0;     // current of FEATUREEXTACK
    bool recoverable = true; // current SESSIONSTATE
    uint8_t small_have = 0;  // bytes of an integer or head cut by a piece's end
    uint8_t held = 0;        // bytes of what may be an ENVCHANGE 18, not yet forwarded
    uint8_t small[24] = {};
    uint8_t *gathered = nullptr; // a token cut by a piece's end
    uint32_t gathered_have = 0, gathered_capacity = 0;

    const char *script = nullptr; // items to step over, see token_walk_steps.h
    step_function after_script = nullptr;

    // Metadata
    tds_row_layout layout;
    tds_column_run filling;                                 // columns being read
    uint32_t keys_left = 0, items_left = 0, parts_left = 0; // of lists, and of lists inside them
    uint16_t flags = 0;                                     // of the column
    const tds_coltype *type = nullptr;
    tds_value_kind kind = tds_value_kind::fixed_1;   // of the type, then of the value
    tds_value_kind cipher = tds_value_kind::fixed_1; // of an encrypted column or value
    bool keys_known = false;                         // this COLMETADATA has column encryption keys
    bool columns_told = false;                       // the message had a COLMETADATA
    step_function after_type = nullptr, after_crypto = nullptr;

    // Rows and values
    const tds_column_run *row = nullptr;
    uint32_t column = 0;
    bool has_nulls = false; // the row is an NBCROW
    step_function after_value = nullptr;

    tds_walker() = default;
    ~tds_walker();
    tds_walker(const tds_walker &) = delete;
    tds_walker &operator=(const tds_walker &) = delete;
};

// Makes the walker ready for a new connection. No memory is taken.
void tds_walk_init(tds_walker &w, const tds_walk_options &options);

enum class tds_walk_result : uint8_t { ok, error };

// Walks bytes off the front of `in` and says which bytes to forward: part of `in`, or up to three bytes held back
// earlier (constants, valid for ever; such a call may take nothing off `in`). Call again until `in` is empty; when
// nothing is taken out one call takes it all and forwards it whole:
//
//      while (!in.empty()) {
//          if (tds_walk(w, in, forward) != tds_walk_result::ok) { retire the connection }
//          send(forward);               // may be empty
//      }
//
// On error `forward` holds what precedes the bad token if that began in this call, tds_walk_between_tokens tells
// whether the stream forwarded so far ends between tokens, and every further call gives the same error.
[[nodiscard]] tds_walk_result tds_walk(tds_walker &w, std::span<const uint8_t> &in, std::span<const uint8_t> &forward);

// The message ends here (packet with EOM). Error: inside_token, no_done, empty, or one found before.
[[nodiscard]] tds_walk_result tds_walk_end(tds_walker &w);

// True when the forwarded stream ends between tokens: a token of the proxy's own may be put in.
bool tds_walk_between_tokens(const tds_walker &w);
