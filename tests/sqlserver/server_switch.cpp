// Switches by name: numbers in a table, texts each with its own form. See server.h.
#include "server.h"

#include <algorithm>
#include <cstdlib>
#include <optional>

namespace sqlserver {

namespace {

struct number_switch {
    const char *name;
    int64_t server_switches::*member;
};

const number_switch number_switches[] = {
    {"max-connections", &server_switches::max_connections},
    {"delay-login", &server_switches::delay_login},
    {"delay-request", &server_switches::delay_request},
    {"drop-after-prelogin", &server_switches::drop_after_prelogin},
    {"drop-at-login", &server_switches::drop_at_login},
    {"drop-request", &server_switches::drop_request},
    {"refuse", &server_switches::refuse},
    {"garbage", &server_switches::garbage},
    {"login-error", &server_switches::login_error},
    {"login-error-count", &server_switches::login_error_count},
    {"mars", &server_switches::mars},
    {"strict-framing", &server_switches::strict_framing},
    {"route-read-only", &server_switches::route_read_only},
    {"utf8-columns", &server_switches::utf8_columns},
    {"honour-no-metadata", &server_switches::honour_no_metadata},
    {"sspi-nonce", &server_switches::sspi_nonce},
};

struct engine_switch {
    const char *name;
    bool engine_options::*member;
    bool when_on; // the member's value when the switch is not 0
};

const engine_switch engine_switches[] = {
    {"silent-transactions", &engine_options::announce_text_transactions, false},
    {"no-database-reset", &engine_options::reset_keeps_database, true},
    {"inner-outlives", &engine_options::inner_outlives, true},
    {"no-table-variable-identity", &engine_options::table_variable_identity, false},
    {"prepexec-wants-names", &engine_options::prepexec_wants_names, true},
    {"prepare-tells-columns", &engine_options::prepare_tells_columns, true},
    {"no-useroptions", &engine_options::no_useroptions, true},
    {"reset-keeps-context", &engine_options::reset_keeps_context, true},
    {"isolation-first", &engine_options::isolation_first, true},
    {"reset-keeps-count", &engine_options::reset_keeps_count, true},
    {"language-alone", &engine_options::language_alone, true},
    {"fail-reset", &engine_options::fail_reset, true},
    {"strict-descriptors", &engine_options::strict_descriptors, true},
    {"reuse-handles", &engine_options::reuse_handles, true},
};

struct engine_number {
    const char *name;
    int64_t engine_options::*member;
};

const engine_number engine_numbers[] = {{"deadlocks", &engine_options::deadlocks}};

bool parse_number(std::string_view text, int64_t &out) {
    std::string copy(text);
    char *end = nullptr;
    out = strtoll(copy.c_str(), &end, 10);
    return !copy.empty() && *end == '\0' && out >= 0;
}

// HOST:PORT or off.
bool set_route(server &s, std::string_view text) {
    size_t colon = text.rfind(':');
    int64_t port = 0;
    if (text == "off") {
        s.sw.route_host.clear();
        return true;
    }
    if (colon == std::string_view::npos || colon == 0 || !parse_number(text.substr(colon + 1), port) || port < 1 ||
        port > 65535)
        return false;
    s.sw.route_host = text.substr(0, colon);
    s.sw.route_port = static_cast<uint16_t>(port);
    return true;
}

// Ids in hexadecimal, with commas between them, or none.
bool set_feature_acks(server &s, std::string_view text) {
    std::string ids;
    while (text != "none" && !text.empty()) {
        std::string one(text.substr(0, text.find(',')));
        text.remove_prefix(std::min(text.size(), one.size() + 1));
        char *end = nullptr;
        unsigned long id = strtoul(one.c_str(), &end, 16);
        if (one.empty() || *end != '\0' || feature_known.find(static_cast<char>(id)) == std::string_view::npos ||
            id > 0xFF)
            return false;
        ids.push_back(static_cast<char>(id));
    }
    s.sw.feature_acks = ids;
    return true;
}

// Of the ones below: nothing when the name is of another kind, else whether the value is one.
std::optional<bool> set_text(server &s, std::string_view name, std::string_view value) {
    if (name == "route")
        return set_route(s, value);
    if (name == "feature-acks")
        return set_feature_acks(s, value);
    if (name == "encrypt-column")
        s.sw.encrypt_column = value == "off" ? std::string_view() : value;
    else if (name == "classify-column")
        s.sw.classify_column = value == "off" ? std::string_view() : value;
    else if (name == "fedauth-token")
        s.sw.fedauth_token = value == "off" ? std::string_view() : value;
    else if (name == "fedauth-user")
        s.sw.fedauth_user = value;
    else
        return std::nullopt;
    return true;
}

std::optional<bool> set_number(server &s, std::string_view name, std::string_view value) {
    for (const number_switch &x : number_switches) {
        int64_t n = 0;
        if (name != x.name)
            continue;
        if (!parse_number(value, n) || (name == "sspi-nonce" && (n < 16 || n > 60000)))
            return false;
        s.sw.*x.member = n;
        return true;
    }
    return std::nullopt;
}

std::optional<bool> set_engine(server &s, std::string_view name, std::string_view value) {
    engine_options &o = s.eng != nullptr ? engine_settings(s.eng) : s.opt.engine;
    for (const engine_number &x : engine_numbers)
        if (name == x.name)
            return parse_number(value, o.*x.member);
    for (const engine_switch &x : engine_switches) {
        int64_t n = 0;
        if (name != x.name)
            continue;
        if (!parse_number(value, n))
            return false;
        o.*x.member = (n != 0) == x.when_on;
        return true;
    }
    return std::nullopt;
}

} // namespace

bool server_set(server &s, std::string_view name, std::string_view value, std::string &error) {
    std::optional<bool> done = set_text(s, name, value);
    if (!done)
        done = set_number(s, name, value);
    if (!done)
        done = set_engine(s, name, value);
    if (!done)
        error = "no such switch: " + std::string(name);
    else if (!*done)
        error = "not a value for " + std::string(name) + ": " + std::string(value);
    return done.value_or(false);
}

} // namespace sqlserver
