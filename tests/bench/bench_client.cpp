#include "bench_client.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "proxy/server_login.h"
#include "tds/login7_build.h"
#include "tls/tls_client_context.h"

void bench_die(const char *what, std::string_view why) {
    fprintf(stderr, "%s: %s: %.*s\n", program_invocation_short_name, what, static_cast<int>(why.size()), why.data());
    exit(1);
}

server_tls bench_tls(const char *word) {
    if (strcmp(word, "none") == 0)
        return server_tls::disable;
    if (strcmp(word, "full") == 0)
        return server_tls::require;
    if (strcmp(word, "strict") == 0)
        return server_tls::strict;
    bench_die("TLS is none, full or strict, not", word);
}

static bench_client *client_of(net_conn *conn) {
    return reinterpret_cast<bench_client *>(reinterpret_cast<char *>(conn) - offsetof(bench_client, stream.conn));
}

void bench_client_end(bench_client *c) {
    stream_free(&c->stream);
    server_login_destroy(c->login);
    tls_client_context_destroy(c->tls);
    net_conn_close(&c->stream.conn, [](net_conn *conn) {
        bench_client *gone = client_of(conn);
        ++gone->b->closed;
        if (gone->ended != nullptr)
            gone->ended(gone);
        delete gone;
    });
}

// ---- login -----------------------------------------------------------------------------------------------------

static std::vector<uint8_t> login7(const bench_plan &p, const std::string &database) {
    tds_login7_request r;
    r.flags1 = 0xe0;
    r.flags2 = 0x03;
    r.host_name = "bench";
    r.app_name = r.library_name = "tdsbouncer-bench";
    r.server_name = "127.0.0.1";
    r.user_name = p.user;
    r.password = p.password;
    r.database = database;
    std::vector<uint8_t> payload;
    if (!tds_login7_build(r, payload))
        bench_die("LOGIN7", "too long");
    return payload;
}

static void login_step(bench_client *c, server_login_result result) {
    while (!server_login_output(c->login).empty()) {
        auto out = server_login_output(c->login);
        ssize_t n = net_send(&c->stream.conn, out);
        if (n == net_again)
            break;
        if (n < 0)
            bench_die("login", strerror(static_cast<int>(-n)));
        server_login_sent(c->login, static_cast<size_t>(n));
    }
    net_conn_watch(&c->stream.conn, net_readable | (server_login_output(c->login).empty() ? 0 : net_writable));
    if (result == server_login_result::more)
        return;
    if (result != server_login_result::done)
        bench_die("login", result == server_login_result::refused
                               ? std::string_view(tds_login_answer_error(server_login_answer(c->login))->text)
                               : server_login_error_text(c->login));
    stream_set_tls(&c->stream, server_login_take_engine(c->login));
    server_login_destroy(c->login);
    c->login = nullptr;
    tls_client_context_destroy(c->tls);
    c->tls = nullptr;
    c->now = bench_stage::idle;
    ++c->b->ready;
    c->logged_in(c);
}

static void login_event(bench_client *c, unsigned events) {
    server_login_result result = server_login_result::more;
    if (events & net_readable) {
        ssize_t n = net_recv(&c->stream.conn, c->b->room);
        if (n == net_again)
            return;
        if (n <= 0)
            bench_die("login", n == 0 ? "closed by the peer" : strerror(static_cast<int>(-n)));
        std::span<const uint8_t> in(c->b->room.data(), static_cast<size_t>(n));
        size_t consumed = 0;
        do {
            result = server_login_feed(c->login, in, &consumed);
            in = in.subspan(consumed);
        } while (result == server_login_result::more && consumed > 0 && !in.empty());
    }
    login_step(c, result);
}

static void connected(bench_client *c) {
    if (int error = net_connect_result(&c->stream.conn); error != 0)
        bench_die("connect", strerror(error));
    server_login_options o;
    o.tls_policy = c->b->plan.tls;
    o.tls = c->tls;
    o.host = "127.0.0.1";
    o.port = c->b->plan.port;
    c->login = server_login_create(o, login7(c->b->plan, c->database.empty() ? c->b->plan.database : c->database));
    c->now = bench_stage::login;
    login_step(c, server_login_result::more);
}

// ---- requests --------------------------------------------------------------------------------------------------

void bench_client_ask(bench_client *c, std::span<const uint8_t> packets) {
    c->now = bench_stage::asking;
    c->answer.clear();
    c->asked = uv_hrtime();
    if (stream_send(&c->stream, packets) != 0 || stream_unsent(&c->stream) > 0)
        bench_die("send", "failed");
    net_conn_watch(&c->stream.conn, net_readable);
}

static void take_answer(bench_client *c, std::span<const uint8_t> in) {
    while (!in.empty()) {
        tds_piece piece;
        const char *why = "";
        switch (tds_next_piece(c->down, in, tds_packet_size_max, piece, why)) {
        case tds_piece_result::more: return;
        case tds_piece_result::error: bench_die("answer", why);
        case tds_piece_result::piece: break;
        }
        c->answer.insert(c->answer.end(), piece.payload.begin(), piece.payload.end());
        if (!piece.ends)
            continue;
        if (c->now != bench_stage::asking || !in.empty())
            bench_die("answer", "nobody asked for it");
        c->now = bench_stage::idle;
        return c->answered(c);
    }
}

static void answer_event(bench_client *c) {
    ssize_t n = stream_recv(&c->stream, c->b->room, c->b->cipher);
    if (n == net_again)
        return;
    if (n <= 0)
        bench_die("answer", n == 0 ? "closed by the peer" : strerror(static_cast<int>(-n)));
    take_answer(c, {c->b->room.data(), static_cast<size_t>(n)});
}

// ---- connection ------------------------------------------------------------------------------------------------

static void client_event(net_conn *conn, unsigned events) {
    bench_client *c = client_of(conn);
    if (c->now == bench_stage::connecting)
        return connected(c);
    if (c->now == bench_stage::login)
        return login_event(c, events);
    answer_event(c);
}

static tls_client_context *make_tls(const bench_plan &p) {
    tls_client_options options;
    options.ca_file = p.ca_file;
    if (p.tls == server_tls::strict)
        options.verify = tls_verify::full;
    std::string error;
    tls_client_context *tls = tls_client_context_create(options, error);
    if (tls == nullptr)
        bench_die("TLS", error);
    return tls;
}

bench_client *bench_client_open(bench_loop *b, void (*logged_in)(bench_client *), void (*answered)(bench_client *)) {
    auto *c = new bench_client;
    c->b = b;
    c->begun = uv_hrtime();
    c->logged_in = logged_in;
    c->answered = answered;
    if (b->plan.tls != server_tls::disable)
        c->tls = make_tls(b->plan);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(b->plan.port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = net_socket_connect(reinterpret_cast<sockaddr *>(&address), 0);
    if (fd < 0 || net_conn_open(&b->loop, &c->stream.conn, fd, client_event) != 0)
        bench_die("connect", strerror(errno));
    ++b->opened;
    net_conn_watch(&c->stream.conn, net_writable);
    return c;
}

double bench_percentile(std::vector<double> &v, double p) {
    if (v.empty())
        return 0;
    auto at = v.begin() + static_cast<ptrdiff_t>(p * static_cast<double>(v.size() - 1));
    std::nth_element(v.begin(), at, v.end());
    return *at;
}
