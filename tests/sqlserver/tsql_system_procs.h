// System procedures: found by name, called with evaluated arguments.
#pragma once

#include "tsql_session.h"

namespace sqlserver {

using system_procedure = flow (*)(frame &f, std::vector<call_argument> &arguments, int32_t &status);
system_procedure find_system_procedure(std::string_view lower_name); // null: none of that name

// By name, or by position; `otherwise` where it is not given, NULL or DEFAULT.
std::string text_argument(const std::vector<call_argument> &arguments, size_t position, const char *name,
                          const char *otherwise = "");

// --- tsql_client_procs.cpp: what SqlClient asks on behalf of its users
flow sp_tablecollations(frame &f, std::vector<call_argument> &arguments, int32_t &status);
flow sp_procedure_params(frame &f, std::vector<call_argument> &arguments, int32_t &status);

} // namespace sqlserver
