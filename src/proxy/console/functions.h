// The functions and @@names of T-SQL that the admin console knows: one table each. Pure.
#pragma once

#include <span>

#include "proxy/console/world.h"

struct console_function {
    const char *name; // in upper case
    console_type type;
    int8_t type_of; // of that argument instead; -1: `type`
    console_value (*value)(console_world &, std::span<const console_value> arguments);
};

// nullptr: not known.
const console_function *console_find_function(const std::string &upper); // called with brackets
const console_function *console_find_global(const std::string &upper);   // @@NAME
const console_function *console_find_niladic(const std::string &name);   // CURRENT_USER: without brackets

// What SERVERPROPERTY knows by that name, or nullptr.
const console_function *console_find_property(const std::string &name);

// The tables that console_find_function looks into. console_functions_*.cpp
std::span<const console_function> console_text_functions();
std::span<const console_function> console_catalog_functions();
