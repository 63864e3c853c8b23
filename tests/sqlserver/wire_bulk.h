// Bulk load data, message type 0x07: COLMETADATA, ROWs, DONE. MS-TDS 2.2.6.1.
#pragma once

#include "engine.h"
#include "wire_bytes.h"
#include "wire_type.h"

namespace sqlserver {

struct bulk_reader : bulk_source {
    reader r;
    tds version;
    std::vector<read_type> columns;
    // `message` has to outlive it.
    bulk_reader(std::string_view message, tds version_) : r(reader_of(message)), version(version_) {}
    bool next(std::vector<value> &row) override;
};

// Reads COLMETADATA. False: malformed, or a type that a bulk load cannot have.
bool bulk_columns(bulk_reader &b, bool column_encryption);

} // namespace sqlserver
