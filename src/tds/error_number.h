// What the numbers of SQL Server's errors mean to a proxy that opens connections, and keeps them.
#pragma once

#include <cstdint>

enum class tds_error_kind : uint8_t {
    permanent, // the same again would fail again
    transient, // may pass: try again on a new connection, with backoff
    in_use,    // a database that must be exclusive is somebody's: nobody should be there who does not work
    busy,      // transient, and the server has too many workers or sessions: hold fewer connections for a while
};

// 4060 (cannot open database) counts as permanent: drivers retry it by themselves, and a wrong name is the usual cause.
tds_error_kind tds_error_kind_of(int32_t number);
