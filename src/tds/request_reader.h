// Reads a client's request while it passes through (MS-TDS 2.2.6.6 RPC, 2.2.6.7 SQLBatch, 2.2.6.9 transaction manager),
// for what it may do to the session. Fed with the message's payload in pieces of any size; bounded memory; nothing is
// changed. What it cannot follow it calls broken: the request goes on to the server all the same, and counts as one
// that may have done anything.
//
//      payload -> ALL_HEADERS -> SQLBatch: text ------------------------------------------> scanner -> effect
//                            \-> RPC: calls -> parameters -> the text of those that run one --^
//                            \-> transaction manager: type, isolation level
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tds/rpc_name.h"
#include "tds/tsql_effect.h"

struct tsql_memo;
struct tsql_scanner;

inline constexpr size_t tds_rpc_places = 4; // parameters of a call whose place is kept

struct tds_rpc_call {
    tds_proc proc = tds_proc::other;
    std::string name;        // proc other: as sent
    uint16_t options = 0;    // OptionFlags
    bool skipped = false;    // NoExecFlag behind it: the server does not run it
    bool swapped = false;    // its parameters have names, and by them they are others than by their places
    bool has_first = false;  // the first parameter is an int and not NULL
    bool null_first = false; // it is an int, and NULL
    int32_t first = 0;       // its value: a handle, where the procedure takes one
    bool has_second = false; // likewise
    int32_t second = 0;
    bool has_scroll = false; // SCROLLOPT of a procedure that opens a cursor
    int32_t scroll = 0;
    bool has_concurrency = false; // CCOPT likewise
    int32_t concurrency = 0;

    // Where it lies in the payload, to be put together anew.
    uint32_t index = 0;                         // of the message's calls, from 0
    uint32_t parameters = 0;                    // how many
    uint64_t at = 0;                            // its name or ProcID
    uint64_t options_at = 0;                    // OptionFlags
    uint64_t parameter_at[tds_rpc_places] = {}; // the first parameters, beginning with their names
    uint64_t first_at = 0;                      // with has_first: the bytes of the value
    uint8_t first_size = 0;                     // 1, 2, 4 or 8
    uint64_t end = 0;                           // behind its last parameter; of a head: the last one that was read

    bool operator==(const tds_rpc_call &) const = default;
};

// Of one message. What a call beyond these does is in `effect`; one that makes or ends a handle or a cursor is
// `broken`.
inline constexpr size_t tds_rpc_calls_max = 32;

// Where a text lies that last values may be put into.
struct tds_text_place {
    enum class kind_t : uint8_t { none, batch, parameter } kind = kind_t::none;
    uint64_t value_at = 0; // parameter: payload offset of the value (its length, or PLP header)
    uint64_t at = 0;       // payload offset of the text's first byte
    uint64_t bytes = 0;    // of the text, at least 1; a PLP value in several chunks has no place
    uint8_t type = 0;      // parameter: NVARCHAR (short or PLP), NTEXT
    bool plp = false;
    bool may_be_plp = false; // NVARCHAR: the client's version has NVARCHAR(max)
    uint64_t type_at = 0;    // parameter: payload offset of the type byte

    bool operator==(const tds_text_place &) const = default;
};

struct tds_request_info {
    uint8_t type = 0; // of the message
    bool broken = false;
    uint64_t descriptor = 0;         // of ALL_HEADERS; 0: none
    uint64_t descriptor_at = 0;      // its payload offset; 0: there is none
    std::vector<tds_rpc_call> calls; // at most tds_rpc_calls_max
    uint32_t calls_count = 0;        // of the message
    std::vector<tds_rpc_call> heads; // all calls of prepared statements, as far as tds_proc_kind.head goes; they are
                                     // here as soon as that is read, and may be taken out meanwhile
    tsql_effect effect;              // of all texts and calls of the message together. Its last_uses can be replaced:
                                     // with no `place` they are last_unclear instead
    tds_text_place place;            // of the only text, when no call precedes it
    // Transaction manager request:
    uint16_t tm_type = 0;
    uint8_t tm_isolation = 0;  // of what it begins; 0: leaves the level alone
    bool tm_begins = false;    // begins a transaction, by itself or behind a commit or rollback
    bool tm_savepoint = false; // a rollback that names something: possibly a savepoint
};

inline constexpr uint16_t tds_tm_get_dtc_address = 0;
inline constexpr uint16_t tds_tm_propagate = 1;
inline constexpr uint16_t tds_tm_begin = 5;
inline constexpr uint16_t tds_tm_promote = 6;
inline constexpr uint16_t tds_tm_commit = 7;
inline constexpr uint16_t tds_tm_rollback = 8;
inline constexpr uint16_t tds_tm_save = 9;

// As new again, for another message.
inline void tds_request_renew(tds_request_info &info) {
    auto calls = std::move(info.calls);
    calls.clear();
    info = {};
    info.calls = std::move(calls);
}

struct tds_request_reader; // opaque
// Uses the scanner, and the memo for texts that come whole, if there is one. nullptr: out of memory.
tds_request_reader *tds_request_reader_create(tsql_scanner *, tsql_memo *memo_or_null = nullptr);
void tds_request_reader_destroy(tds_request_reader *);

// `version`: negotiated with the client. `enclave`: COLUMNENCRYPTION was acknowledged with version 2 or later, so that
// requests carry an enclave package. `info` must be new and stay until tds_request_end, or until a message that is
// never ended gives way to the next one.
void tds_request_begin(tds_request_reader *, uint8_t type, uint32_t version, bool enclave, tds_request_info &info);
void tds_request_feed(tds_request_reader *, std::span<const uint8_t> payload);
void tds_request_end(tds_request_reader *);
// All of the payload at once: feed and end.
void tds_request_read(tds_request_reader *, std::span<const uint8_t> payload);

// Between two feeds: from this payload offset on nothing may be passed on, if calls of prepared statements are to be
// changed: one may have begun there whose head is not complete.
uint64_t tds_request_held(const tds_request_reader *);
// That call is passed on as it is: its head will not come. What is known of it; proc `other`: there is none.
tds_rpc_call tds_request_let_go(tds_request_reader *);

// Appends to `out` the payload with other text in the place that `info` names; UTF-16LE. An NVARCHAR that becomes
// longer than 8000 bytes is turned into NVARCHAR(max). False, and nothing is appended: there is no such place, or the
// text does not fit its type.
[[nodiscard]] bool tds_request_put_text(std::span<const uint8_t> payload, const tds_request_info &info,
                                        std::span<const uint8_t> text, std::vector<uint8_t> &out);
