// The control port: one command per line, one line of answer. Loopback only.
//
//      stats | sessions | state <spid> | peak-reset | kill <spid> | kill-all | set <switch> <value>
//      login add <user>:<password> | login password <user> <new> | login <what> <user>
#include "server.h"

#include <algorithm>
#include <charconv>

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

constexpr const char *help =
    "error: stats | sessions | state <spid> | peak-reset | kill <spid> | kill-all | set <switch> <value> | login add "
    "<user>:<password> | login password <user> <new> | login "
    "lock|unlock|disable|enable|expire|must-change|drop <user>";

// Cuts the first word off.
std::string_view take_word(std::string_view &text) {
    size_t end = std::min(text.find(' '), text.size());
    std::string_view word = text.substr(0, end);
    text.remove_prefix(std::min(text.size(), end + 1));
    return word;
}

std::string set_switch(server &s, std::string_view arguments) {
    std::string_view name = take_word(arguments);
    std::string error;
    if (arguments.empty())
        return "error: set <switch> <value>";
    if (!server_set(s, name, arguments, error))
        return "error: " + error;
    if (name == "refuse" && !listener_apply(s, error))
        return "error: " + error;
    return "ok";
}

std::string add_login(server &s, std::string_view text) {
    size_t colon = text.find(':');
    if (colon == 0 || colon == std::string_view::npos)
        return help;
    login_add(s.eng, text.substr(0, colon), text.substr(colon + 1));
    return "ok";
}

std::string change_login(server &s, std::string_view arguments) {
    struct change {
        const char *word;
        bool sql_login::*member;
        bool value;
    };
    static const change changes[] = {
        {"lock", &sql_login::locked, true},      {"unlock", &sql_login::locked, false},
        {"disable", &sql_login::disabled, true}, {"enable", &sql_login::disabled, false},
        {"expire", &sql_login::expired, true},   {"must-change", &sql_login::must_change, true},
    };
    std::string_view what = take_word(arguments);
    if (what == "add")
        return add_login(s, arguments);
    std::string_view user = take_word(arguments);
    sql_login *l = login_find(s.eng, user);
    if (l == nullptr)
        return "error: no such login: " + std::string(user);
    if (what == "drop")
        return login_drop(s.eng, user) ? "ok" : help;
    if (what == "password") {
        l->password = arguments;
        l->any_password = l->expired = l->must_change = false;
        return "ok";
    }
    for (const change &c : changes)
        if (what == c.word)
            return l->*c.member = c.value, "ok";
    return help;
}

uint16_t spid_of(std::string_view text) { // 0: none
    uint16_t spid = 0;
    auto [end, bad] = std::from_chars(text.data(), text.data() + text.size(), spid);
    return bad == std::errc() ? spid : uint16_t{0};
}

std::string run_command(server &s, std::string_view line) {
    std::string_view arguments = line, command = take_word(arguments);
    if (line == "stats")
        return report_stats(s);
    if (line == "sessions")
        return report_sessions(s);
    if (line == "peak-reset") {
        s.stats.peak = s.stats.now;
        return "ok";
    }
    if (line == "kill-all") {
        server_kill_all(s);
        return "ok";
    }
    if (command == "kill")
        return server_kill(s, spid_of(arguments)) ? "ok" : "error: no such session";
    if (command == "state") {
        std::string state = report_state(s, spid_of(arguments));
        return state.empty() ? "error: no such session" : state;
    }
    if (command == "set")
        return set_switch(s, arguments);
    return command == "login" ? change_login(s, arguments) : help;
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
