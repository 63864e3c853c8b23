// Parsers of requests. See wire_request.h.
#include "wire_request.h"

namespace sqlserver {

namespace {

constexpr size_t parameters_max = 2100; // SQL Server's limit

bool all_headers(reader &r, tds version, request_headers &headers, std::string &error) {
    if (version < tds::v72)
        return true;
    uint32_t total = rd_u32(r);
    error = "The incoming tabular data stream (TDS) protocol stream is incorrect. The ALL_HEADERS field is invalid.";
    if (r.bad || total < 4)
        return false;
    reader in = reader_of(rd_bytes(r, total - 4));
    if (r.bad)
        return false;
    bool descriptor = false;
    while (in.left > 0) {
        uint32_t length = rd_u32(in);
        uint16_t type = rd_u16(in);
        if (in.bad || length < 6)
            return false;
        reader data = reader_of(rd_bytes(in, length - 6));
        if (in.bad || (type == 2 && (descriptor || length != 18)))
            return false;
        if (type == 2)
            headers.transaction = rd_u64(data);
        descriptor |= type == 2;
    }
    if (descriptor)
        error.clear();
    return descriptor;
}

const char *procedure_name(uint16_t id) {
    static const char *const names[] = {"",
                                        "sp_cursor",
                                        "sp_cursoropen",
                                        "sp_cursorprepare",
                                        "sp_cursorexecute",
                                        "sp_cursorprepexec",
                                        "sp_cursorunprepare",
                                        "sp_cursorfetch",
                                        "sp_cursoroption",
                                        "sp_cursorclose",
                                        "sp_executesql",
                                        "sp_prepare",
                                        "sp_execute",
                                        "sp_prepexec",
                                        "sp_prepexecrpc",
                                        "sp_unprepare"};
    return id < sizeof names / sizeof *names ? names[id] : "";
}

bool read_name(reader &r, rpc_call &call, std::string &error) {
    uint16_t length = rd_u16(r);
    if (length == 0xFFFF)
        call.name = procedure_name(rd_u16(r));
    else
        call.name = utf16_decode(rd_bytes(r, size_t(length) * 2));
    call.no_metadata = (rd_u16(r) & 2) != 0; // OptionFlags: recompile, and two that servers since 2016 ignore
    if (!r.bad && call.name.empty())
        error = "Could not find the stored procedure of this RPC request.";
    return !r.bad && !call.name.empty();
}

bool read_parameter(reader &r, tds version, parameter &p) {
    p.name = utf16_decode(rd_bytes(r, size_t(rd_u8(r)) * 2));
    uint8_t status = rd_u8(r);
    p.output = (status & 0x01) != 0;
    p.use_default = (status & 0x02) != 0;
    return !r.bad && (status & 0x08) == 0 && read_parameter_type_and_value(r, version, p) && !r.bad;
}

bool is_separator(uint8_t byte, tds version) {
    return version < tds::v72 ? byte == 0x80 : byte == 0xFF || byte == 0xFE;
}

bool read_call(reader &r, tds version, rpc_call &call, std::string &error) {
    if (!read_name(r, call, error))
        return false;
    while (r.left > 0 && !is_separator(static_cast<uint8_t>(*r.p), version)) {
        parameter p;
        if (call.parameters.size() >= parameters_max) {
            error = "Too many parameters were provided in this RPC request. The maximum is 2100.";
            return false;
        }
        if (!read_parameter(r, version, p)) {
            error = "The incoming tabular data stream (TDS) remote procedure call (RPC) protocol stream is incorrect. "
                    "Parameter " +
                    std::to_string(call.parameters.size() + 1) + " (\"" + p.name +
                    "\"): Data type is unknown or its value is invalid.";
            return false;
        }
        call.parameters.push_back(std::move(p));
    }
    return true;
}

std::string read_tran_name(reader &r) {
    return utf16_decode(rd_bytes(r, rd_u8(r)));
}

} // namespace

bool batch_parse(std::string_view message, tds version, request_headers &headers, std::string &sql,
                 std::string &error) {
    reader r = reader_of(message);
    if (!all_headers(r, version, headers, error))
        return false;
    if (r.left % 2 != 0) {
        error = "The incoming tabular data stream (TDS) protocol stream is incorrect. The stream ended unexpectedly.";
        return false;
    }
    sql = utf16_decode(rd_bytes(r, r.left));
    return true;
}

bool rpc_parse(std::string_view message, tds version, request_headers &headers, std::vector<rpc_call> &calls,
               std::string &error) {
    reader r = reader_of(message);
    if (!all_headers(r, version, headers, error))
        return false;
    while (r.left > 0) {
        rpc_call call;
        if (!read_call(r, version, call, error)) {
            if (error.empty())
                error =
                    "The incoming tabular data stream (TDS) remote procedure call (RPC) protocol stream is incorrect.";
            return false;
        }
        if (r.left > 0)
            call.skip = rd_u8(r) == 0xFE;
        calls.push_back(std::move(call));
    }
    if (calls.empty())
        error = "The RPC request names no procedure.";
    return !calls.empty();
}

bool tran_parse(std::string_view message, tds version, request_headers &headers, tran_request &out,
                std::string &error) {
    reader r = reader_of(message);
    if (!all_headers(r, version, headers, error))
        return false;
    out.type = rd_u16(r);
    switch (out.type) {
    case 5:
        out.isolation = rd_u8(r);
        out.name = read_tran_name(r);
        break;
    case 7:
    case 8:
        out.name = read_tran_name(r);
        out.begin_next = (rd_u8(r) & 1) != 0;
        if (out.begin_next) {
            out.next_isolation = rd_u8(r);
            out.next_name = read_tran_name(r);
        }
        break;
    case 9: out.name = read_tran_name(r); break;
    default: error = "The transaction manager request is not supported by this server."; return false;
    }
    if (r.bad)
        error = "The incoming tabular data stream (TDS) protocol stream is incorrect. The transaction manager request "
                "is invalid.";
    return !r.bad;
}

} // namespace sqlserver
