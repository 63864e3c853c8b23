// Errors of a login that come from a switch or from a limit and not from the login itself.
#pragma once

#include "wire_host.h"

namespace sqlserver {

// Sends the ERROR tokens with the text and severity that SQL Server or Azure SQL Database gives them; 4060 brings
// 18456.
void send_login_error(wire_host &, int64_t number, const login_request &);

} // namespace sqlserver
