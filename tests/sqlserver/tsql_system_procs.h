// System procedures: found by name, called with evaluated arguments.
#pragma once

#include "tsql_session.h"

namespace sqlserver {

using system_procedure = flow (*)(frame &f, std::vector<call_argument> &arguments, int32_t &status);
system_procedure find_system_procedure(std::string_view lower_name); // null: none of that name

} // namespace sqlserver
