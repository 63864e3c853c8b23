// Calls of prepared statements, put together anew (MS-TDS 2.2.6.6): a server connection has handles of its own, and one
// that has none for a statement prepares it with the call.
//
//      sp_execute h, values    -> sp_execute H, values                             where the connection has a handle
//                              -> sp_prepexec NULL out, params, stmt, values       where it has none
//      sp_prepare, sp_prepexec -> the same without a handle to be replaced
//
// Only the head of a call is looked at, tds_rpc_call as it stands in tds_request_info.heads; what follows it stays as
// it is. `head` is always its bytes: from tds_rpc_call.at to .end.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tds/request_reader.h"

// Two parameters as they are written in a call, each without a name: status, TYPE_INFO, value.
struct tds_prepared_text {
    std::vector<uint8_t> declaration, statement;
    bool operator==(const tds_prepared_text &) const = default;
};

// From the head of sp_prepare or sp_prepexec. False: it is not all there, or not in this order.
[[nodiscard]] bool tds_prepared_text_read(const tds_rpc_call &, std::span<const uint8_t> head, tds_prepared_text &);

// The head with this handle in place of its own, which must be an int of 4 or 8 bytes.
void tds_put_handle(const tds_rpc_call &, std::span<const uint8_t> head, int32_t handle, std::vector<uint8_t> &out);
// The head of sp_prepare or sp_prepexec with NULL for a handle.
void tds_put_no_handle(const tds_rpc_call &, std::span<const uint8_t> head, std::vector<uint8_t> &out);
// sp_execute, which must have its handle, as sp_prepexec. Of its options only WITH RECOMPILE stays.
void tds_put_prepexec(const tds_rpc_call &, std::span<const uint8_t> head, const tds_prepared_text &,
                      std::vector<uint8_t> &out);
// sp_unprepare, which must have its handle, as a call that does nothing and is answered alike.
void tds_put_nothing(const tds_rpc_call &, std::span<const uint8_t> head, std::vector<uint8_t> &out);
// A call whose handle cannot be read, as one of a procedure that does not exist. `head` may be the beginning only.
void tds_put_no_procedure(const tds_rpc_call &, std::span<const uint8_t> head, std::vector<uint8_t> &out);

// How much smaller the ordinal of a value is in sp_execute than in sp_prepexec.
inline constexpr uint16_t tds_prepexec_shift = 2;

// The payload of an RPC that runs one of the two as a statement, to be read (tds/request_reader).
std::vector<uint8_t> tds_prepared_payload(std::span<const uint8_t> bare_parameter, uint32_t version);
