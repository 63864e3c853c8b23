// Every error that the proxy itself answers to a client, and what else it tells one, in one table: number, severity and
// text.
// README and docs/ are checked against this table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

enum class proxy_error : uint16_t {
    internal = 50000,
    no_slot = 50001,
    no_bucket = 50002,
    server_lost = 50003,
    queue_timeout = 50004,
    queue_full = 50005,
    rate_limit = 50006,
    refused = 50007,
    shutdown = 50008,
    still_waiting = 50010,
};

struct error_info {
    proxy_error number;
    uint8_t severity; // 20: the client's connection ends; 10 and below: no error
    const char *text; // what the client reads; may be followed by ": detail"
};

inline constexpr error_info error_table[] = {
    {proxy_error::internal, 16, "tdsbouncer: internal error"},
    {proxy_error::no_slot, 16, "tdsbouncer: no server connection is free and queueing is off"},
    {proxy_error::no_bucket, 16, "tdsbouncer: no bucket fits this login"},
    {proxy_error::server_lost, 20, "tdsbouncer: the SQL Server is unreachable or was lost"},
    {proxy_error::queue_timeout, 16, "tdsbouncer: timed out waiting for a server connection"},
    {proxy_error::queue_full, 16, "tdsbouncer: the queue for server connections is full"},
    {proxy_error::rate_limit, 16, "tdsbouncer: rate limit of this tenant exceeded"},
    {proxy_error::refused, 16, "tdsbouncer: this protocol feature is refused"},
    {proxy_error::shutdown, 20, "tdsbouncer: the proxy is shutting down"},
    {proxy_error::still_waiting, 0, "tdsbouncer: still waiting for a server connection"},
};

inline const error_info &error_find(proxy_error number) {
    for (const error_info &e : error_table)
        if (e.number == number)
            return e;
    return error_table[0];
}
