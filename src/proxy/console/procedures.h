// The catalog procedures that drivers and GUI tools call: one table of what they take and of the T-SQL that answers,
// which the console runs itself. Pure.
#pragma once

#include <span>
#include <string>
#include <string_view>

struct console_procedure {
    const char *name;
    const char *parameters; // their names in order: "@TABLE_NAME @TABLE_OWNER"
    const char *text;
};

std::span<const console_procedure> console_procedures();
// By its last part; nullptr: there is none.
const console_procedure *console_find_procedure(std::string_view last_part);
// Its n-th parameter, from 0; "" when it has not as many.
std::string console_parameter(const console_procedure &, size_t n);
