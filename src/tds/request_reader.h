// Reads a client's request while it passes through (MS-TDS 2.2.6.6 RPC, 2.2.6.7 SQLBatch, 2.2.6.9 transaction manager),
// for what it may do to the session. Fed with the message's payload in pieces of any size; bounded memory; nothing is
// changed. What it cannot follow it calls broken: the request goes on to the server all the same, and counts as one that
// may have done anything.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tds/tsql_effect.h"

struct tsql_scanner;

// Special procedures, numbered as in an RPC; by name too ("sp_execute", "sys.sp_execute", "[master]..sp_executesql").
enum class tds_proc : uint8_t {
    other = 0,
    cursor = 1,
    cursor_open = 2,
    cursor_prepare = 3,
    cursor_execute = 4,
    cursor_prepexec = 5,
    cursor_unprepare = 6,
    cursor_fetch = 7,
    cursor_option = 8,
    cursor_close = 9,
    execute_sql = 10,
    prepare = 11,
    execute = 12,
    prepexec = 13,
    prepexec_rpc = 14,
    unprepare = 15,
    reset_connection = 100, // by name only: python-tds's pool
};

struct tds_rpc_call {
    tds_proc proc = tds_proc::other;
    std::string name;                  // proc other: as sent
    uint16_t options = 0;              // OptionFlags
    bool has_first = false;            // the first parameter is an int and not NULL
    int32_t first = 0;                 // its value: a handle, where the procedure takes one
    bool has_second = false;           // likewise
    int32_t second = 0;
};

inline constexpr size_t tds_rpc_calls_max = 32; // of one message; more: `broken`

// Where a text lies that last values may be put into.
struct tds_text_place {
    enum class kind_t : uint8_t { none, batch, parameter } kind = kind_t::none;
    uint64_t value_at = 0;  // parameter: payload offset of the value (its length, or PLP header)
    uint64_t at = 0;        // payload offset of the text's first byte
    uint64_t bytes = 0;     // of the text; a PLP value in several chunks has no place
    uint8_t type = 0;       // parameter: NVARCHAR (short or PLP), NTEXT
    bool plp = false;
    uint64_t type_at = 0;   // parameter: payload offset of the type byte
};

struct tds_request_info {
    uint8_t type = 0; // of the message
    bool broken = false;
    uint64_t descriptor = 0;    // of ALL_HEADERS; 0: none
    uint64_t descriptor_at = 0; // its payload offset; 0: there is none
    std::vector<tds_rpc_call> calls;
    tsql_effect effect;   // of all texts of the message together
    tds_text_place place; // of the first text, when there is one text only
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

struct tds_request_reader; // opaque
tds_request_reader *tds_request_reader_create(tsql_scanner *); // uses the scanner; nullptr: out of memory
void tds_request_reader_destroy(tds_request_reader *);

// `version`: negotiated with the client. `enclave`: COLUMNENCRYPTION was acknowledged with version 2 or later, so that
// requests carry an enclave package. `info` must be new and stay until tds_request_end.
void tds_request_begin(tds_request_reader *, uint8_t type, uint32_t version, bool enclave, tds_request_info &info);
void tds_request_feed(tds_request_reader *, std::span<const uint8_t> payload);
void tds_request_end(tds_request_reader *);

// Appends to `out` the payload with other text in the place that `info` names; UTF-16LE. False: there is no such place,
// or the text does not fit its type.
[[nodiscard]] bool tds_request_put_text(std::span<const uint8_t> payload, const tds_request_info &info,
                                        std::span<const uint8_t> text, std::vector<uint8_t> &out);
