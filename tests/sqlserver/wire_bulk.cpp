// Bulk load data. See wire_bulk.h.
#include "wire_bulk.h"

namespace sqlserver {

namespace {

constexpr unsigned columns_max = 1024;

void skip_text(reader &r, size_t characters) {
    rd_bytes(r, characters * 2);
}

void skip_table_name(reader &r, tds version) {
    unsigned parts = version >= tds::v72 ? rd_u8(r) : 1;
    for (unsigned i = 0; i < parts; i++)
        skip_text(r, rd_u16(r));
}

bool read_column(bulk_reader &b) {
    read_type t;
    rd_bytes(b.r, b.version >= tds::v72 ? 6 : 4); // user type, flags
    if (!read_type_info(b.r, t))
        return false;
    if (t.layout == shape::len4) { // text, ntext, image: a row has a text pointer
        t.layout = shape::text_pointer;
        skip_table_name(b.r, b.version);
    }
    skip_text(b.r, rd_u8(b.r));
    b.types.push_back(t.info);
    b.columns.push_back(t);
    return !b.r.bad;
}

} // namespace

bool bulk_columns(bulk_reader &b, bool column_encryption) {
    if (rd_u8(b.r) != 0x81)
        return false;
    unsigned count = rd_u16(b.r);
    if (count > columns_max || (column_encryption && rd_u16(b.r) != 0))
        return false;
    for (unsigned i = 0; i < count; i++)
        if (!read_column(b))
            return false;
    return !b.r.bad && count > 0;
}

bool bulk_reader::next(std::vector<value> &row) {
    if (r.left == 0) // FreeTDS ends without a DONE
        return false;
    uint8_t token = rd_u8(r);
    broken = token != 0xD1 && token != 0xFD;
    if (token != 0xD1)
        return false;
    row.assign(columns.size(), value());
    for (size_t i = 0; i < columns.size(); i++)
        if (!read_value(r, columns[i], row[i])) {
            broken = true;
            return false;
        }
    return true;
}

} // namespace sqlserver
