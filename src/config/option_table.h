// The option table: one row for every key of proxy.yaml and buckets.yaml. The loader, --check-config and the documents
// (docs/configuration.md, README) read it and nothing else.
#pragma once

#include "config/config.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

// read_only: the mapping under a bucket's key read_only. It fills in a bucket_config of its own.
enum class option_section : uint8_t { proxy, redis, fallback, bucket, read_only };

enum class option_type : uint8_t {
    text,
    secret,      // text that no message shows
    secret_file, // name of a file that holds the secret of the row named without "_file"
    file,        // name of a readable file
    name,        // identifier: A-Z a-z 0-9 . _ -
    host,
    ip,
    ipv4,
    host_port,
    number, // ports included; min and max say which
    boolean,
    duration,
    size,
    version,
    choice,
    choice_list, // each a member of type bool
    host_list,
    host_port_list,
    pattern_list, // names with * and ?
    keys,         // a mapping: the rows of section read_only
};

enum option_flag : uint8_t {
    option_required = 1, // no default
    option_inherits = 2, // buckets[]: proxy's value when not given
    option_restart = 4,  // a reload leaves it as it is
};

struct option_choice {
    const char *text; // nullptr ends the list
    uint8_t value = 0;
};

struct host_port_target {
    std::string *host;
    uint16_t *port;
};

// Where a value goes. The kind of pointer decides the width; std::string for a choice keeps its text.
using option_target = std::variant<std::string *, uint16_t *, uint32_t *, uint64_t *, bool *, pool_mode *,
                                   health_probe *, client_tls *, server_tls *, mars_mode *, opaque_procedures *,
                                   host_port_target, std::vector<std::string> *, std::vector<sentinel_address> *>;

struct option_row {
    option_section section;
    const char *name;
    const char *alias = nullptr; // older spelling with the same meaning
    option_type type = option_type::text;
    const char *default_text = ""; // as it would stand in the file
    uint64_t min = 0;              // of numbers, durations (ms) and sizes (bytes)
    uint64_t max = UINT64_MAX;
    const option_choice *choices = nullptr;
    uint8_t flags = 0;
    option_target (*target)(void *section) = nullptr; // `section`: proxy_config *, redis_config *, ...; null for keys
    const char *help = "";
};

std::span<const option_row> option_table();

// The row of a key (alias included), or nullptr.
const option_row *option_find(option_section section, std::string_view name);
size_t option_index(const option_row &row); // its place in option_table()

// As it stands in the file: a constant.
const char *option_mode_name(pool_mode mode);

// "proxy", "redis", "fallback", "buckets[]", "buckets[].read_only".
const char *option_section_name(option_section section);

// What a value of this row looks like, for messages and documents: "a duration, 1ms to 24h".
std::string option_expected(const option_row &row);
bool option_is_list(const option_row &row);
bool option_is_secret(const option_row &row); // a value that no message may show

// Checks `text` and stores it in `section` (list rows: appends one element). On failure returns false and says in
// `what` what is wrong with it, without the value if it is a secret. Reads files for secret_file rows.
[[nodiscard]] bool option_store(const option_row &row, void *section, std::string_view text, std::string &what);
