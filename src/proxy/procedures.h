// What is known of stored procedures: whether a call may leave something behind in the session, found by reading their
// definitions (tds/tsql_scan). Pure; time is an argument.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tds/tsql_effect.h"

inline constexpr uint64_t procedures_ttl = 60'000; // ms; a definition that has changed is noticed after this
inline constexpr size_t procedures_max = 10'000;

struct procedure_known {
    tsql_effect body; // its procedures named as they are found from here
    uint64_t read_at = 0;
};

struct procedure_table {
    std::unordered_map<std::string, procedure_known> known;
};

// A name as a call has it, in its parts without quotes: server, database, schema, procedure; missing ones empty.
struct procedure_name {
    std::string server, database, schema, name;
};
// False: not a name.
[[nodiscard]] bool procedure_name_parse(std::string_view text, procedure_name &out);

// Where the same name means the same procedure: for this login in this database.
std::string procedure_key(std::string_view user, std::string_view database, const procedure_name &);
// nullptr: not known, or read too long ago.
const procedure_known *procedure_find(const procedure_table &, const std::string &key, uint64_t now);
void procedure_store(procedure_table &, const std::string &key, tsql_effect &&body, uint64_t now);

// The batch that reads the schema and the definition of a procedure of the current database, and the row that it
// brings. False: there is no such procedure, its definition is not for this login to see, or it is too long.
std::string procedure_question(const procedure_name &);
[[nodiscard]] bool procedure_read(const std::vector<std::optional<std::string>> &row, std::string &schema,
                                  std::string &definition);
// The effect of a body; what it calls by one name only is looked for in the schema of its own.
struct tsql_scanner;
tsql_effect procedure_effect(tsql_scanner *, std::string_view schema, std::string_view definition);
