// The control port: one command per line, one line of answer. Loopback only.
//
//      stats | sessions | peak-reset | kill-all | set <switch> <value>
#include "server.h"

#include <cstdio>
#include <cstdlib>

namespace sqlserver {

struct control_conn {
    uv_tcp_t tcp = {};
    server *srv = nullptr;
    control_conn *next = nullptr;
    std::string line;
    char buffer[1024];
};

namespace {

struct control_write {
    uv_write_t uv = {};
    std::string bytes;
};

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

void json_number(std::string &o, const char *name, uint64_t v) {
    if (o.back() != '{')
        o += ',';
    json_text(o, name);
    o += ':' + std::to_string(v);
}

void json_string(std::string &o, const char *name, std::string_view v) {
    if (o.back() != '{')
        o += ',';
    json_text(o, name);
    o += ':';
    json_text(o, v);
}

std::string stats_json(const server &s) {
    const server_stats &st = s.stats;
    std::string o = "{";
    json_number(o, "connections_now", st.now);
    json_number(o, "connections_peak", st.peak);
    json_number(o, "connections_total", st.total);
    json_number(o, "connections_refused", st.refused);
    json_number(o, "logins_total", st.logins);
    json_number(o, "login_failures_total", st.login_failures);
    json_number(o, "requests_total", st.requests);
    json_number(o, "attentions_total", st.attentions);
    json_number(o, "resets_total", st.resets);
    json_number(o, "sessions", st.sessions);
    return o + "}";
}

std::string session_json(const conn *c) {
    const login_request &q = c->login->request;
    char version[16];
    snprintf(version, sizeof version, "0x%08X", c->login->version);
    std::string o = "{";
    json_number(o, "id", c->id);
    json_number(o, "spid", c->spid);
    json_string(o, "user", q.user);
    json_string(o, "login_database", q.database);
    json_string(o, "app_name", q.app_name);
    json_string(o, "host_name", q.host_name);
    json_string(o, "library", q.library_name);
    json_string(o, "address", c->client_address);
    json_string(o, "tds_version", version);
    json_string(o, "encryption",
                c->strict                                            ? "strict"
                : c->tr == transport::tls                            ? "full"
                : c->after_handshake == prelogin_outcome::login_only ? "login"
                                                                     : "none");
    json_number(o, "packet_size", c->packet_size);
    json_number(o, "requests", c->requests);
    json_number(o, "running", c->fib != nullptr);
    return o + "}";
}

std::string sessions_json(const server &s) {
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

std::string set_switch(server &s, std::string_view arguments) {
    size_t space = arguments.find(' ');
    if (space == std::string_view::npos)
        return "error: set <switch> <value>";
    std::string name(arguments.substr(0, space)), text(arguments.substr(space + 1)), error;
    char *end = nullptr;
    long long value = strtoll(text.c_str(), &end, 10);
    if (text.empty() || *end != '\0' || value < 0)
        return "error: not a number: " + text;
    if (!server_set(s, name, value))
        return "error: no such switch: " + name;
    if (name == "refuse" && !listener_apply(s, error))
        return "error: " + error;
    return "ok";
}

std::string run_command(server &s, std::string_view line) {
    if (line == "stats")
        return stats_json(s);
    if (line == "sessions")
        return sessions_json(s);
    if (line == "peak-reset") {
        s.stats.peak = s.stats.now;
        return "ok";
    }
    if (line == "kill-all") {
        server_kill_all(s);
        return "ok";
    }
    if (line.substr(0, 4) == "set ")
        return set_switch(s, line.substr(4));
    return "error: stats | sessions | peak-reset | kill-all | set <switch> <value>";
}

void on_closed(uv_handle_t *h) {
    auto *k = static_cast<control_conn *>(h->data);
    for (control_conn **p = &k->srv->controls; *p != nullptr; p = &(*p)->next) {
        if (*p != k)
            continue;
        *p = k->next;
        break;
    }
    delete k;
}

void close_control(control_conn *k) {
    auto *h = reinterpret_cast<uv_handle_t *>(&k->tcp);
    if (!uv_is_closing(h))
        uv_close(h, on_closed);
}

void answer(control_conn *k, std::string text) {
    auto *w = new control_write;
    w->bytes = std::move(text) + "\n";
    w->uv.data = w;
    uv_buf_t buffer = uv_buf_init(w->bytes.data(), static_cast<unsigned>(w->bytes.size()));
    auto done = [](uv_write_t *uv, int) { delete static_cast<control_write *>(uv->data); };
    if (uv_write(&w->uv, reinterpret_cast<uv_stream_t *>(&k->tcp), &buffer, 1, done) != 0)
        delete w;
}

void on_alloc(uv_handle_t *h, size_t, uv_buf_t *buffer) {
    auto *k = static_cast<control_conn *>(h->data);
    *buffer = uv_buf_init(k->buffer, sizeof k->buffer);
}

void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *) {
    auto *k = static_cast<control_conn *>(stream->data);
    if (n < 0 || k->line.size() > 65536) {
        close_control(k);
        return;
    }
    k->line.append(k->buffer, static_cast<size_t>(n));
    for (size_t end; (end = k->line.find('\n')) != std::string::npos;) {
        std::string line = k->line.substr(0, end);
        k->line.erase(0, end + 1);
        if (!line.empty() && line.back() == '\r')
            line.pop_back();
        answer(k, run_command(*k->srv, line));
    }
}

void on_connection(uv_stream_t *listener, int status) {
    if (status < 0)
        return;
    auto *s = static_cast<server *>(listener->data);
    auto *k = new control_conn;
    k->srv = s;
    k->next = s->controls;
    s->controls = k;
    uv_tcp_init(&s->loop, &k->tcp);
    k->tcp.data = k;
    auto *stream = reinterpret_cast<uv_stream_t *>(&k->tcp);
    if (uv_accept(listener, stream) != 0 || uv_read_start(stream, on_alloc, on_read) != 0)
        close_control(k);
}

} // namespace

bool control_open(server &s, std::string &error) {
    sockaddr_in addr = {};
    uv_ip4_addr("127.0.0.1", s.opt.control_port, &addr);
    uv_tcp_init(&s.loop, &s.control);
    s.control.data = &s;
    int rc = uv_tcp_bind(&s.control, reinterpret_cast<sockaddr *>(&addr), 0);
    rc = rc != 0 ? rc : uv_listen(reinterpret_cast<uv_stream_t *>(&s.control), 64, on_connection);
    if (rc != 0) {
        error = "control port " + std::to_string(s.opt.control_port) + ": " + uv_strerror(rc);
        return false;
    }
    int n = sizeof addr;
    uv_tcp_getsockname(&s.control, reinterpret_cast<sockaddr *>(&addr), &n);
    s.control_port = ntohs(addr.sin_port);
    return true;
}

void control_close(server &s) {
    uv_close(reinterpret_cast<uv_handle_t *>(&s.control), nullptr);
    for (control_conn *k = s.controls; k != nullptr; k = k->next)
        close_control(k);
}

} // namespace sqlserver
