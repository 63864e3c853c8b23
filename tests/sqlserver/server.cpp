// Listener, accept, life and death of connections. See server.h.
#include "server.h"
#include "wire_mars.h"

#include <arpa/inet.h>
#include <cstdio>

namespace sqlserver {

namespace {

constexpr size_t input_high = 4 * 1024 * 1024;
constexpr uint64_t linger_ms = 2000;

uv_handle_t *handle_of(void *h) {
    return static_cast<uv_handle_t *>(h);
}

void on_alloc(uv_handle_t *h, size_t, uv_buf_t *buffer) {
    server *s = static_cast<conn *>(h->data)->srv;
    *buffer = uv_buf_init(s->buffer, sizeof s->buffer);
}

void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer) {
    auto *c = static_cast<conn *>(stream->data);
    if (n < 0)
        conn_close(c, n == UV_EOF ? "client closed" : uv_strerror(static_cast<int>(n)));
    else if (n > 0)
        conn_received(c, std::string_view(buffer->base, static_cast<size_t>(n)));
}

void list_remove(server *s, conn *c) {
    (c->prev != nullptr ? c->prev->next : s->first) = c->next;
    if (c->next != nullptr)
        c->next->prev = c->prev;
}

void list_add(server *s, conn *c) {
    c->next = s->first;
    if (c->next != nullptr)
        c->next->prev = c;
    s->first = c;
}

void count_open(conn *c) {
    server_stats &st = c->srv->stats;
    st.total++;
    c->counted = true;
    if (++st.now > st.peak)
        st.peak = st.now;
    c->admitted = st.admitted < static_cast<uint64_t>(c->srv->sw.max_connections);
    st.admitted += c->admitted;
}

// Also when the server has ended it and only waits for the client's FIN: the session is over then.
void count_closed(conn *c) {
    server_stats &st = c->srv->stats;
    if (!c->counted)
        return;
    c->counted = false;
    st.now--;
    st.admitted -= c->admitted;
}

void on_handle_closed(uv_handle_t *h) {
    auto *c = static_cast<conn *>(h->data);
    c->handles_open--;
    conn_reap(c);
}

std::string address_of(const uv_tcp_t *tcp) {
    sockaddr_storage addr = {};
    int n = sizeof addr;
    char text[INET6_ADDRSTRLEN] = "";
    if (uv_tcp_getpeername(tcp, reinterpret_cast<sockaddr *>(&addr), &n) != 0)
        return text;
    if (addr.ss_family == AF_INET)
        uv_ip4_name(reinterpret_cast<sockaddr_in *>(&addr), text, sizeof text);
    else
        uv_ip6_name(reinterpret_cast<sockaddr_in6 *>(&addr), text, sizeof text);
    return text;
}

void on_connection(uv_stream_t *listener, int status) {
    auto *s = static_cast<server *>(listener->data);
    if (status < 0)
        return;
    auto *c = new conn;
    c->srv = s;
    c->id = s->next_id++;
    c->since = uv_now(&s->loop);
    uv_tcp_init(&s->loop, &c->tcp);
    uv_timer_init(&s->loop, &c->timer);
    c->tcp.data = c->timer.data = c;
    c->handles_open = 2;
    list_add(s, c);
    count_open(c);
    if (uv_accept(listener, reinterpret_cast<uv_stream_t *>(&c->tcp)) != 0)
        conn_close(c, "accept failed");
    else
        conn_start(c);
}

bool listen_on(server &s, uv_tcp_t *tcp, const std::string &address, int port, uv_connection_cb callback, int &bound,
               std::string &error) {
    sockaddr_storage addr = {};
    bool v6 = address.find(':') != std::string::npos;
    int rc = v6 ? uv_ip6_addr(address.c_str(), port, reinterpret_cast<sockaddr_in6 *>(&addr))
                : uv_ip4_addr(address.c_str(), port, reinterpret_cast<sockaddr_in *>(&addr));
    rc = rc != 0 ? rc : uv_tcp_init(&s.loop, tcp);
    if (rc == 0) {
        tcp->data = &s;
        rc = uv_tcp_bind(tcp, reinterpret_cast<sockaddr *>(&addr), 0);
        rc = rc != 0 ? rc : uv_listen(reinterpret_cast<uv_stream_t *>(tcp), 4096, callback);
        int n = sizeof addr;
        uv_tcp_getsockname(tcp, reinterpret_cast<sockaddr *>(&addr), &n);
        bound = ntohs(reinterpret_cast<sockaddr_in *>(&addr)->sin_port); // the same place in both families
    }
    if (rc != 0)
        error = address + ":" + std::to_string(port) + ": " + uv_strerror(rc);
    return rc == 0;
}

void server_stop(server &s) {
    if (s.stopping)
        return;
    s.stopping = true;
    if (s.listener_open && !uv_is_closing(handle_of(&s.listener)))
        uv_close(handle_of(&s.listener), nullptr);
    control_close(s);
    server_kill_all(s);
    uv_close(handle_of(&s.turn_check), nullptr);
    uv_close(handle_of(&s.turn_idle), nullptr);
    uv_close(handle_of(&s.sigterm), nullptr);
    uv_close(handle_of(&s.sigint), nullptr);
}

void on_signal(uv_signal_t *signal, int) {
    server_stop(*static_cast<server *>(signal->data));
}

void on_listener_closed(uv_handle_t *h) {
    auto *s = static_cast<server *>(h->data);
    s->listener_open = false;
    std::string error;
    if (!s->stopping && !listener_apply(*s, error))
        fprintf(stderr, "cannot listen again: %s\n", error.c_str());
}

void on_turn(uv_check_t *check) {
    auto *s = static_cast<server *>(check->data);
    std::vector<conn *> now;
    now.swap(s->turns);
    if (s->turns.empty())
        uv_idle_stop(&s->turn_idle);
    for (conn *c : now) { // none of them can be freed here: that happens in close callbacks
        session_continue(c);
        conn_process(c);
    }
}

} // namespace

void conn_start(conn *c) {
    uv_tcp_nodelay(&c->tcp, 1);
    c->client_address = address_of(&c->tcp);
    int rc = uv_read_start(reinterpret_cast<uv_stream_t *>(&c->tcp), on_alloc, on_read);
    if (rc != 0)
        conn_close(c, uv_strerror(rc));
}

void conn_reading(conn *c) {
    bool pause = c->fib != nullptr && c->in.size() + c->raw.size() > input_high;
    if (pause == c->paused)
        return;
    c->paused = pause;
    if (pause)
        uv_read_stop(reinterpret_cast<uv_stream_t *>(&c->tcp));
    else
        uv_read_start(reinterpret_cast<uv_stream_t *>(&c->tcp), on_alloc, on_read);
}

void conn_close(conn *c, const char *reason) {
    if (c->carrier != nullptr)
        c = c->carrier;
    if (c->closing)
        return;
    if (c->srv->opt.verbose)
        fprintf(stderr, "connection %llu spid %u: %s\n", static_cast<unsigned long long>(c->id), c->spid, reason);
    c->closing = true;
    c->cancelled = true;
    uv_close(handle_of(&c->tcp), on_handle_closed); // closes the descriptor at once
    uv_close(handle_of(&c->timer), on_handle_closed);
    count_closed(c);
    mars_close(c);
}

void conn_linger(conn *c, const char *reason) {
    if (c->carrier != nullptr)
        c = c->carrier;
    if (c->closing || c->ph == phase::lingering)
        return;
    if (c->srv->opt.verbose)
        fprintf(stderr, "connection %llu spid %u: hanging up: %s\n", static_cast<unsigned long long>(c->id), c->spid,
                reason);
    c->ph = phase::lingering;
    count_closed(c);
    auto *shutdown = new uv_shutdown_t;
    int rc = uv_shutdown(shutdown, reinterpret_cast<uv_stream_t *>(&c->tcp), [](uv_shutdown_t *r, int) { delete r; });
    if (rc != 0) {
        delete shutdown;
        conn_close(c, uv_strerror(rc));
        return;
    }
    uv_timer_start(
        &c->timer, [](uv_timer_t *t) { conn_close(static_cast<conn *>(t->data), "lingered long enough"); }, linger_ms,
        0);
}

void conn_reap(conn *c) {
    if (c->handles_open > 0 || !c->streams.empty())
        return;
    if (c->fib != nullptr) // cancelled: every wait fails now, so it runs to its end
        session_continue(c);
    if (c->fib != nullptr)
        return;
    server *s = c->srv;
    if (c->sess != nullptr) {
        s->stats.sessions--;
        session_close(c->sess);
    }
    tls_close(c->tls);
    list_remove(s, c);
    delete c;
}

void tls_end_login_only(conn *c) {
    tls_close(c->tls);
    c->tls = nullptr;
    c->tr = transport::plain;
}

bool listener_apply(server &s, std::string &error) {
    if (s.sw.refuse != 0) {
        if (s.listener_open && !uv_is_closing(handle_of(&s.listener)))
            uv_close(handle_of(&s.listener), on_listener_closed);
        return true;
    }
    if (s.listener_open)
        return true;
    int port = s.port != 0 ? s.port : s.opt.port;
    s.listener_open = true;
    if (listen_on(s, &s.listener, s.opt.address, port, on_connection, s.port, error))
        return true;
    uv_close(handle_of(&s.listener), [](uv_handle_t *h) { static_cast<server *>(h->data)->listener_open = false; });
    return false;
}

void turn_wait(conn *c) {
    server *s = c->srv;
    s->turns.push_back(c);
    if (!s->stopping)
        uv_idle_start(&s->turn_idle, [](uv_idle_t *) {});
}

void turn_forget(conn *c) {
    std::erase(c->srv->turns, c);
}

bool server_open(server &s, std::string &error) {
    uv_loop_init(&s.loop);
    uv_idle_init(&s.loop, &s.turn_idle);
    uv_check_init(&s.loop, &s.turn_check);
    s.turn_check.data = &s;
    uv_check_start(&s.turn_check, on_turn);
    if (s.opt.encryption != encrypt::none &&
        !tls_contexts_open(s.tls, s.opt.cert_file, s.opt.key_file, s.opt.tls12_only, error))
        return false;
    s.eng = engine_create(s.opt.engine, error);
    if (s.eng == nullptr || !listener_apply(s, error) || !control_open(s, error))
        return false;
    for (uv_signal_t *signal : {&s.sigterm, &s.sigint}) {
        uv_signal_init(&s.loop, signal);
        signal->data = &s;
    }
    uv_signal_start(&s.sigterm, on_signal, SIGTERM);
    uv_signal_start(&s.sigint, on_signal, SIGINT);
    return true;
}

void server_run(server &s) {
    uv_run(&s.loop, UV_RUN_DEFAULT);
    uv_loop_close(&s.loop);
    engine_destroy(s.eng);
    tls_contexts_close(s.tls);
    fiber_pool_free();
}

bool server_kill(server &s, uint16_t spid) {
    conn *c = s.first;
    while (c != nullptr && (c->sess == nullptr || c->spid != spid))
        c = c->next;
    if (c != nullptr)
        conn_close(c, "kill");
    return c != nullptr;
}

void server_kill_all(server &s) {
    for (conn *c = s.first; c != nullptr; c = c->next)
        conn_close(c, "kill-all");
}

} // namespace sqlserver
