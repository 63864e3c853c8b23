// The commands of the admin console: one table, from which SHOW HELP answers and docs/console.md is made.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tds/result_build.h"

struct proxy;
struct proxy_bucket;
struct client_session;
struct console_call;
struct console_relation;

struct console_column {
    tds_result_column column;
    const char *help;
};

enum class console_argument : uint8_t {
    none,
    optional, // the id of a bucket
    required,
};

struct console_command {
    const char *words;         // "SHOW POOLS"
    const char *argument_name; // "[bucket]"; "" for none
    console_argument argument;
    bool admin_only;
    const char *help;
    std::span<const console_column> columns; // of its result; empty: it has none
    void (*run)(console_call &);
};

std::span<const console_command> console_commands();

// One command under way: what it was given, and its answer.
struct console_call {
    proxy *root;
    client_session *session;
    const console_command *command;
    std::string_view argument;
    proxy_bucket *bucket;         // that an optional argument names; nullptr: all
    std::vector<uint8_t> *tokens; // of the answer: its rows go there,
    console_relation *relation;   // or here
    size_t column = 0;            // the next value's
    uint64_t rows = 0;
    int32_t error = 0; // nothing else has been answered then
    std::string error_text{};
};

// A row's values, in the order of the command's columns.
void console_row(console_call &);
void console_text(console_call &, std::string_view);
void console_text_or_null(console_call &, std::string_view); // empty: NULL
void console_number(console_call &, uint64_t);
void console_null(console_call &);
void console_number_or_null(console_call &, bool there, uint64_t);
void console_fail(console_call &, int32_t error, std::string text);

// The bucket of this id, in letters of any case, or nullptr.
proxy_bucket *console_bucket(proxy *, std::string_view id);
// The buckets that the command is about.
std::vector<proxy_bucket *> console_chosen(const console_call &);

// Those of the table. show*.cpp, control.cpp
void console_show_pools(console_call &);
void console_show_clients(console_call &);
void console_show_servers(console_call &);
void console_show_buckets(console_call &);
void console_show_queue(console_call &);
void console_show_instances(console_call &);
void console_show_stats(console_call &);
void console_show_config(console_call &);
void console_show_version(console_call &);
void console_show_help(console_call &);
void console_pause(console_call &);
void console_resume(console_call &);
void console_reload(console_call &);
void console_kill(console_call &);
void console_drain(console_call &);
