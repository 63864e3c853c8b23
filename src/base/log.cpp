#include "base/log.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <memory>
#include <mutex>

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

static constexpr const char *level_names[] = {"debug", "info", "warn", "error"};
static constexpr spdlog::level::level_enum spdlog_levels[] = {spdlog::level::debug, spdlog::level::info,
                                                              spdlog::level::warn, spdlog::level::err};

struct log_state {
    std::atomic<bool> json{false};
    std::mutex lock; // of instance
    std::string instance;
    std::shared_ptr<spdlog::logger> logger;
};

// The one thing of the process that is not reached through the root struct: a log line may come from anywhere.
static log_state &state() {
    static log_state s;
    static std::once_flag once;
    std::call_once(once, [] {
        s.logger = std::make_shared<spdlog::logger>("tdsbouncer", std::make_shared<spdlog::sinks::stderr_sink_mt>());
        s.logger->set_level(spdlog::level::debug);
        s.logger->set_pattern("%v");
        s.logger->flush_on(spdlog::level::info);
    });
    return s;
}

void log_configure(log_level level, bool json, std::string_view instance) {
    log_state &s = state();
    log_lowest.store(level, std::memory_order_relaxed);
    s.json = json;
    log_set_instance(instance);
}

void log_set_instance(std::string_view instance) {
    log_state &s = state();
    std::scoped_lock guard(s.lock);
    s.instance = instance;
}

bool log_level_parse(std::string_view name, log_level &level) {
    for (size_t i = 0; i < std::size(level_names); ++i) {
        if (name != level_names[i])
            continue;
        level = static_cast<log_level>(i);
        return true;
    }
    return false;
}

static void append_unicode_escape(std::string &out, unsigned c) {
    char hex[2 + 8 + 1]; // none that is escaped has more than four digits, but the compiler cannot know
    snprintf(hex, sizeof hex, "\\u%04x", c);
    out += hex;
}

// Size of the well-formed UTF-8 character of two or more bytes that begins `text`, and its code point; 0 when there is
// none.
static size_t utf8_character(std::string_view text, unsigned &c) {
    auto at = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
    unsigned lead = at(0);
    size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || size > text.size())
        return 0;
    c = lead & (0xffU >> (size + 1));
    for (size_t i = 1; i < size; ++i) {
        if ((at(i) & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (at(i) & 0x3fU);
    }
    bool legal = (size == 2 || c >= (size == 3 ? 0x800U : 0x10000U)) && c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
    return legal ? size : 0;
}

// Line separators and what turns the direction of writing: a terminal would show another line than was written.
static bool misleads(unsigned c) {
    return c < 0xa0 || c == 0x2028 || c == 0x2029 || c == 0x200e || c == 0x200f || (c >= 0x202a && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069);
}

// JSON's escapes in both formats. Bytes that are not UTF-8 become U+FFFD: a line is always valid text.
static void append_escaped(std::string &out, std::string_view text) {
    while (!text.empty()) {
        auto byte = static_cast<unsigned char>(text[0]);
        unsigned c = byte;
        size_t size = byte < 0x80 ? 1 : utf8_character(text, c);
        if (size == 0)
            out += "\xef\xbf\xbd";
        else if (byte == '"' || byte == '\\')
            out.append(1, '\\').append(1, text[0]);
        else if (byte < 0x20 || byte == 0x7f || (size > 1 && misleads(c)))
            append_unicode_escape(out, c);
        else
            out.append(text.substr(0, size));
        text.remove_prefix(std::max<size_t>(size, 1));
    }
}

static bool is_plain(std::string_view text) {
    for (char c : text)
        if (static_cast<unsigned char>(c) <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7f)
            return false;
    return !text.empty();
}

static void append_value(std::string &out, const log_field &f, bool json) {
    char number[40];
    switch (f.type) {
    case log_field::kind::integer: out += std::to_string(f.integer); return;
    case log_field::kind::natural: out += std::to_string(f.natural); return;
    case log_field::kind::real:
        snprintf(number, sizeof number, "%.6g", f.real);
        out += number;
        return;
    case log_field::kind::text: break;
    }
    bool quote = json || !is_plain(f.text);
    if (quote)
        out += '"';
    append_escaped(out, f.text);
    if (quote)
        out += '"';
}

static void append_json_pair(std::string &out, const log_field &f) {
    out += ",\"";
    append_escaped(out, f.key);
    out += "\":";
    append_value(out, f, true);
}

std::string log_format(log_level level, std::string_view message, log_fields fields, bool json) {
    const char *name = level_names[static_cast<size_t>(level)];
    std::string out;
    out.reserve(160);
    if (json) {
        out.append("\"level\":\"").append(name).append("\",\"message\":\"");
        append_escaped(out, message);
        out += '"';
        for (const log_field &f : fields)
            append_json_pair(out, f);
        return out;
    }
    out.append(name).append(" ").append(message);
    for (const log_field &f : fields) {
        out.append(" ").append(f.key).append("=");
        append_value(out, f, false);
    }
    return out;
}

static std::string timestamp() {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    tm utc{};
    gmtime_r(&now.tv_sec, &utc);
    char text[40];
    size_t n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text + n, sizeof text - n, ".%03uZ", static_cast<unsigned>(now.tv_nsec / 1000000) % 1000);
    return text;
}

void log_write(log_level level, std::string_view message, log_fields fields) {
    if (!log_enabled(level))
        return;
    log_state &s = state();
    bool json = s.json;
    std::string instance;
    {
        std::scoped_lock guard(s.lock);
        instance = s.instance;
    }
    std::string line = log_format(level, message, fields, json);
    log_field who("instance", std::string_view(instance));
    if (json) {
        if (!instance.empty())
            append_json_pair(line, who);
        line = "{\"time\":\"" + timestamp() + "\"," + line + "}";
    } else {
        line.insert(0, timestamp() + " ");
        if (!instance.empty()) {
            line += " instance=";
            append_value(line, who, false);
        }
    }
    s.logger->log(spdlog_levels[static_cast<size_t>(level)], spdlog::string_view_t(line.data(), line.size()));
}

void log_flush() {
    state().logger->flush();
}
