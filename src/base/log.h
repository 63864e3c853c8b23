// The log: one line per event, a fixed message and key=value fields (or one JSON object per line), to standard error.
//
//      log_info("slot acquired", {{"session", s->id}, {"bucket", b->id}, {"count", n}});
//      2026-11-21T03:30:00.123Z info slot acquired session=17 bucket=bucket-001 count=12
//
// Messages are constants that operators search for; what varies is a field. No password, token or query text is ever a
// field. Values with blanks or quotes are quoted and escaped, control characters too, so that a client's bytes cannot
// forge a line. May be called from any thread.
#pragma once

#include <atomic>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

enum class log_level : uint8_t { debug, info, warn, error };

struct log_field {
    enum class kind : uint8_t { text, integer, natural, real } type;
    std::string_view key;
    std::string_view text;
    union {
        int64_t integer;
        uint64_t natural;
        double real;
    };

    log_field(std::string_view k, std::string_view v) : type(kind::text), key(k), text(v), integer(0) {}
    log_field(std::string_view k, const std::string &v) : log_field(k, std::string_view(v)) {}
    log_field(std::string_view k, const char *v) : log_field(k, std::string_view(v ? v : "")) {}
    log_field(std::string_view k, bool v) : log_field(k, std::string_view(v ? "true" : "false")) {}
    log_field(std::string_view k, std::floating_point auto v) : type(kind::real), key(k), real(v) {}
    log_field(std::string_view k, std::signed_integral auto v) : type(kind::integer), key(k), integer(v) {}
    log_field(std::string_view k, std::unsigned_integral auto v) : type(kind::natural), key(k), natural(v) {}
};

using log_fields = std::initializer_list<log_field>;

// `json`: one object per line instead of key=value. `instance` is on every line once set ("" leaves it out).
void log_configure(log_level level, bool json, std::string_view instance);
void log_set_instance(std::string_view instance);
bool log_level_parse(std::string_view name, log_level &level);       // debug, info, warn, error
inline constinit std::atomic<log_level> log_lowest{log_level::info}; // set by log_configure
inline bool log_enabled(log_level level) {
    return level >= log_lowest.load(std::memory_order_relaxed);
}
void log_write(log_level level, std::string_view message, log_fields fields = {});
void log_flush();

// The line without its time, for tests and for log_write itself.
std::string log_format(log_level level, std::string_view message, log_fields fields, bool json);

// A macro, because it stands on the path of every request: its fields are made only if the line is written.
#define log_debug(...) (log_enabled(log_level::debug) ? log_write(log_level::debug, __VA_ARGS__) : void())
inline void log_info(std::string_view message, log_fields fields = {}) {
    log_write(log_level::info, message, fields);
}
inline void log_warn(std::string_view message, log_fields fields = {}) {
    log_write(log_level::warn, message, fields);
}
inline void log_error(std::string_view message, log_fields fields = {}) {
    log_write(log_level::error, message, fields);
}
