// Requests after login: ALL_HEADERS, SQLBatch, RPC, transaction manager. MS-TDS 2.2.5.3, 2.2.6.6, 2.2.6.7, 2.2.6.9.
#pragma once

#include "engine.h"
#include "wire_bytes.h"
#include "wire_type.h"

namespace sqlserver {

struct rpc_call {
    std::string name;
    std::vector<parameter> parameters;
    bool skip = false; // NoExecFlag
};

struct tran_request {
    uint16_t type = 0;
    uint8_t isolation = 0;
    std::string name;
    bool begin_next = false;
    uint8_t next_isolation = 0;
    std::string next_name;
};

// All give false for a malformed message; `error` then says what SQL Server would complain about.
bool batch_parse(std::string_view message, tds version, std::string &sql, std::string &error);
bool rpc_parse(std::string_view message, tds version, std::vector<rpc_call> &calls, std::string &error);
bool tran_parse(std::string_view message, tds version, tran_request &out, std::string &error);

} // namespace sqlserver
