// Requests after login: ALL_HEADERS, SQLBatch, RPC, transaction manager. MS-TDS 2.2.5.3, 2.2.6.6, 2.2.6.7, 2.2.6.9.
#pragma once

#include "engine.h"
#include "wire_bytes.h"
#include "wire_type.h"

namespace sqlserver {

struct rpc_call {
    std::string name;
    std::vector<parameter> parameters;
    bool skip = false;        // NoExecFlag
    bool no_metadata = false; // fNoMetaData
};

struct request_headers {
    uint64_t transaction = 0; // descriptor
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
// Below TDS 7.2 there are no headers, and `headers` is left alone.
bool batch_parse(std::string_view message, tds version, request_headers &headers, std::string &sql, std::string &error);
bool rpc_parse(std::string_view message, tds version, request_headers &headers, std::vector<rpc_call> &calls,
               std::string &error);
bool tran_parse(std::string_view message, tds version, request_headers &headers, tran_request &out, std::string &error);

} // namespace sqlserver
