// What SELECT without FROM says in the admin console: what drivers and tools ask of any server. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/console_parse.h"

// What is known of the session and the proxy.
struct console_facts {
    std::string user, host, application;
    std::string server_name;     // @@SERVERNAME
    std::string version;         // @@VERSION
    std::string product_version; // 16.0.1000.0
    uint8_t product_major = 16;
    uint16_t spid = 0;
    uint32_t transactions = 0; // @@TRANCOUNT
    int32_t last_error = 0;    // @@ERROR
    int64_t unix_time = 0;     // ms
};

struct console_value {
    enum class kind_t : uint8_t { null, number, text } kind = kind_t::null;
    int64_t number = 0;
    std::string text;
};

struct console_problem {
    int32_t number = 0; // 0: none
    std::string text;
};

// Null, and a problem, for names that nobody knows.
console_value console_evaluate(const console_expression &, const console_facts &, console_problem &);
// The condition of an IF; NULL compares to nothing.
bool console_holds(const console_statement &, const console_facts &, console_problem &);
// Appends the result set of a SELECT, without its DONE. Nothing, with a problem.
void console_put_select(const console_statement &, const console_facts &, uint32_t version, console_problem &,
                        std::vector<uint8_t> &out);
// "2026-11-29 17:02:03.123", UTC.
std::string console_time(int64_t unix_ms);
