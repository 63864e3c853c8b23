// What the control port tells: counters and sessions as JSON. See server.h.
#include "server.h"
#include "wire_mars.h"

#include <cstdio>

namespace sqlserver {

namespace {

void json_text(std::string &o, std::string_view s) {
    o += '"';
    for (char c : s) {
        if (c == '"' || c == '\\') {
            o += '\\';
            o += c;
        } else if (static_cast<unsigned char>(c) < 0x20) {
            char code[8];
            snprintf(code, sizeof code, "\\u%04x", static_cast<unsigned>(c));
            o += code;
        } else {
            o += c;
        }
    }
    o += '"';
}

void json_name(std::string &o, const char *name) {
    if (o.back() != '{')
        o += ',';
    json_text(o, name);
    o += ':';
}

void json_number(std::string &o, const char *name, uint64_t v) {
    json_name(o, name);
    o += std::to_string(v);
}

void json_bool(std::string &o, const char *name, bool v) {
    json_name(o, name);
    o += v ? "true" : "false";
}

void json_string(std::string &o, const char *name, std::string_view v) {
    json_name(o, name);
    json_text(o, v);
}

std::string hex(std::string_view bytes) {
    static const char digits[] = "0123456789ABCDEF";
    std::string o;
    for (char c : bytes) {
        auto b = static_cast<uint8_t>(c);
        o += digits[b >> 4];
        o += digits[b & 15];
    }
    return o;
}

// {"0A": "01", ...}: what was asked for, not what was acknowledged.
void json_features(std::string &o, const login7 &l) {
    std::string all = "{";
    for (const login_feature &f : l.features) {
        bool secret = f.id == 0x02; // the token
        json_string(all, hex(std::string_view(reinterpret_cast<const char *>(&f.id), 1)).c_str(),
                    secret ? "" : hex(f.data));
    }
    json_name(o, "features");
    o += all + "}";
}

const char *encryption_of(const conn *c) {
    if (c->strict)
        return "strict";
    if (c->tr == transport::tls)
        return "full";
    return c->after_handshake == prelogin_outcome::login_only ? "login" : "none";
}

const char *authentication_of(const login7 &l) {
    return l.integrated ? "sspi" : login_feature_of(l, 0x02) != nullptr ? "fedauth" : "sql";
}

void json_login(std::string &o, const login7 &l) {
    const login_request &q = l.request;
    char version[16];
    snprintf(version, sizeof version, "0x%08X", l.version);
    json_string(o, "user", q.user);
    json_string(o, "authentication", authentication_of(l));
    json_string(o, "login_database", q.database);
    json_string(o, "language", q.language);
    json_string(o, "app_name", q.app_name);
    json_string(o, "host_name", q.host_name);
    json_string(o, "server_name", l.server_name);
    json_string(o, "library", q.library_name);
    json_string(o, "attach_file", l.attach_file);
    json_string(o, "tds_version", version);
    json_string(o, "flags", hex(std::string_view(reinterpret_cast<const char *>(l.flags), sizeof l.flags)));
    json_bool(o, "read_only_intent", q.read_only_intent);
    json_features(o, l);
    json_number(o, "packet_size_asked", l.packet_size);
}

std::string session_json(const conn *c) {
    std::string o = "{";
    json_number(o, "id", c->id);
    json_number(o, "spid", c->spid);
    json_login(o, *c->login);
    json_string(o, "database", session_database(c->sess));
    json_string(o, "address", c->client_address);
    json_string(o, "encryption", encryption_of(c));
    json_string(o, "tls_version", c->tls_version);
    json_bool(o, "tls_resumed", c->tls_resumed);
    json_string(o, "sni", c->sni);
    json_bool(o, "mars_asked", c->mars_asked);
    json_number(o, "packet_size", c->packet_size);
    json_number(o, "requests", c->requests);
    json_number(o, "resets", c->resets);
    json_bool(o, "mars", c->mars);
    json_number(o, "streams", c->streams.size());
    json_number(o, "running", c->fib != nullptr || mars_running(c));
    return o + "}";
}

} // namespace

std::string report_stats(const server &s) {
    const server_stats &st = s.stats;
    engine_counters counted = engine_counted(s.eng);
    const std::pair<const char *, uint64_t> all[] = {
        {"connections_now", st.now},
        {"connections_peak", st.peak},
        {"connections_total", st.total},
        {"connections_refused", st.refused},
        {"prelogins_total", st.prelogins},
        {"tls_full_total", st.tls_full},
        {"tls_resumed_total", st.tls_resumed},
        {"tls_1_2_total", st.tls_1_2},
        {"tls_1_3_total", st.tls_1_3},
        {"logins_total", st.logins},
        {"login_failures_total", st.login_failures},
        {"logins_routed_total", st.routed},
        {"sspi_rounds_total", st.sspi_rounds},
        {"fedauth_rounds_total", st.fedauth_rounds},
        {"password_changes_total", counted.password_changes},
        {"sessions", st.sessions},
        {"requests_total", st.requests},
        {"batches_total", st.batches},
        {"rpcs_total", st.rpcs},
        {"tran_requests_total", st.tran_requests},
        {"bulk_loads_total", st.bulk_loads},
        {"attentions_total", st.attentions},
        {"resets_total", st.resets},
        {"resets_skip_tran_total", st.resets_skip_tran},
        {"resets_failed_total", counted.resets_failed},
        {"reset_calls_total", counted.reset_calls},
    };
    std::string o = "{";
    for (const auto &[name, value] : all)
        json_number(o, name, value);
    return o + "}";
}

std::string report_sessions(const server &s) {
    std::string o = "[";
    for (const conn *c = s.first; c != nullptr; c = c->next) {
        if (c->sess == nullptr || c->closing)
            continue;
        if (o.size() > 1)
            o += ',';
        o += session_json(c);
    }
    return o + "]";
}

std::string report_state(const server &s, uint16_t spid) {
    for (const conn *c = s.first; c != nullptr; c = c->next) {
        if (c->sess == nullptr || c->closing || c->spid != spid)
            continue;
        std::string o = "{";
        for (const auto &[name, value] : session_state(c->sess))
            json_string(o, name.c_str(), value);
        return o + "}";
    }
    return "";
}

} // namespace sqlserver
