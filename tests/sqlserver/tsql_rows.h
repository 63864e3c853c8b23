// Rows of a table: values made fit for its columns, constraints with their names, insert, update and delete by rowid.
#pragma once

#include "tsql_bind.h"

namespace sqlserver {

std::string table_text(const resolved &r);          // SQLite: "d5"."orders"
std::string full_name(frame &f, const resolved &r); // tenant_db.dbo.orders
value column_value(frame &f, const resolved &r, size_t column, const value &v, const type_info &from);
// `verb` is INSERT or UPDATE. Throws 515, 547.
void check_row(frame &f, const resolved &r, const std::vector<value> &row, const char *verb);
void row_insert(frame &f, const resolved &r, const std::vector<value> &row);
void row_update(frame &f, const resolved &r, int64_t rowid, const std::vector<value> &before,
                const std::vector<value> &after, const std::vector<size_t> &changed);
void row_delete(frame &f, const resolved &r, int64_t rowid, const std::vector<value> &before);
void load_identity(frame &f, const resolved &r);
value eval_default(frame &f, const resolved &r, size_t column);
void fill_computed(frame &f, const resolved &r, std::vector<value> &row);

} // namespace sqlserver
