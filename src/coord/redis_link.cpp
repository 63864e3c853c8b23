#include "coord/redis_link.h"

#include <cassert>
#include <memory>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <hiredis/async.h>

enum class link_state : uint8_t { resolving, connecting, greeting, ready, closing };

// One hiredis context and its poll handle: one attempt to connect to one address.
struct redis_attachment {
    uv_poll_t poll;
    redis_link *link;
    redisAsyncContext *context; // null once hiredis has freed it
    int events;
};

struct pending_command {
    redis_link *link;
    redis_reply_fn reply;
    void *user;
};

struct subscription {
    redis_link *link;
    std::string channel;
    redis_message_fn message;
    void *user;
};

struct redis_link {
    uv_loop_t *loop;
    redis_link_options options;
    redis_link_callbacks callbacks;
    link_state state = link_state::resolving;
    uv_getaddrinfo_t resolve;
    uv_timer_t timer; // dial timeout, then read timeout
    int open = 0;     // handles and requests that still have to end before the link may be freed
    redis_attachment *attachment = nullptr;
    std::vector<std::string> addresses;
    size_t next_address = 0;
    uint32_t owed = 0;   // replies
    bool silent = false; // closed by its owner: no `lost`
    bool timed_out = false;
    std::string reason; // of the first failure
    std::vector<std::unique_ptr<subscription>> subscriptions;
};

// --- The end
// -----------------------------------------------------------------------------------------------------------

static void let_go(redis_link *l) {
    assert(l->open > 0);
    if (--l->open > 0)
        return;
    std::unique_ptr<redis_link> owner(l);
    if (!l->silent)
        l->callbacks.lost(l->callbacks.user, l->reason.c_str(), l->timed_out);
    else if (l->callbacks.closed)
        l->callbacks.closed(l->callbacks.user);
}

static void begin_close(redis_link *l, std::string_view reason) {
    if (l->state == link_state::closing)
        return;
    bool resolving = l->state == link_state::resolving;
    l->state = link_state::closing;
    l->reason = reason;
    uv_close(reinterpret_cast<uv_handle_t *>(&l->timer),
             [](uv_handle_t *h) { let_go(static_cast<redis_link *>(h->data)); });
    if (resolving)
        uv_cancel(reinterpret_cast<uv_req_t *>(&l->resolve));
    if (l->attachment != nullptr && l->attachment->context != nullptr)
        redisAsyncFree(l->attachment->context); // later, when hiredis is in a callback of ours
}

void redis_link_fail(redis_link *l, std::string_view reason) {
    begin_close(l, reason);
}

void redis_link_close(redis_link *l) {
    l->silent = true;
    begin_close(l, "closed");
}

static void on_timeout(uv_timer_t *timer) {
    auto *l = static_cast<redis_link *>(timer->data);
    l->timed_out = true;
    begin_close(l,
                l->state == link_state::ready ? "no reply within read_timeout" : "not connected within dial_timeout");
}

// --- hiredis on uv_poll
// ------------------------------------------------------------------------------------------------

// hiredis would assert on a reply that nobody has asked for; an error (-ERR max number of clients reached) it can take.
static bool unsolicited(const redisAsyncContext *context) {
    if (context->replies.head != nullptr || (context->c.flags & REDIS_SUBSCRIBED) != 0)
        return false;
    char first = '-';
    return recv(context->c.fd, &first, 1, MSG_PEEK | MSG_DONTWAIT) == 1 && first != '-';
}

static const char *poll_error(const redis_attachment *a, int status) {
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(a->context->c.fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error != 0)
        return uv_strerror(-error);
    return uv_strerror(status);
}

static void attachment_failed(redis_link *l, const char *reason);

static void on_poll(uv_poll_t *poll, int status, int events) {
    auto *a = static_cast<redis_attachment *>(poll->data);
    if (a->context == nullptr)
        return;
    if (status != 0) {
        attachment_failed(a->link, poll_error(a, status));
        return;
    }
    if ((events & UV_READABLE) != 0) {
        if (unsolicited(a->context)) {
            begin_close(a->link, "protocol error: a reply to nothing");
            return;
        }
        redisAsyncHandleRead(a->context);
    }
    if (a->context != nullptr && (events & UV_WRITABLE) != 0)
        redisAsyncHandleWrite(a->context);
}

static void want_events(redis_attachment *a, int events) {
    if (events == a->events)
        return;
    a->events = events;
    if (events != 0)
        uv_poll_start(&a->poll, events, on_poll);
    else
        uv_poll_stop(&a->poll);
}

static redis_attachment *attachment_of(void *data) {
    return static_cast<redis_attachment *>(data);
}
static void add_read(void *data) {
    want_events(attachment_of(data), attachment_of(data)->events | UV_READABLE);
}
static void del_read(void *data) {
    want_events(attachment_of(data), attachment_of(data)->events & ~UV_READABLE);
}
static void add_write(void *data) {
    want_events(attachment_of(data), attachment_of(data)->events | UV_WRITABLE);
}
static void del_write(void *data) {
    want_events(attachment_of(data), attachment_of(data)->events & ~UV_WRITABLE);
}

static void connect_next(redis_link *l);

static void on_poll_closed(uv_handle_t *handle) {
    std::unique_ptr<redis_attachment> a(static_cast<redis_attachment *>(handle->data));
    redis_link *l = a->link;
    l->attachment = nullptr;
    if (l->state == link_state::connecting) // the attempt failed
        connect_next(l);
    let_go(l);
}

// hiredis is about to free the context, for whatever reason.
static void cleanup(void *data) {
    redis_attachment *a = attachment_of(data);
    redis_link *l = a->link;
    std::string reason = a->context->c.errstr;
    a->context = nullptr;
    uv_close(reinterpret_cast<uv_handle_t *>(&a->poll), on_poll_closed);
    if (l->state == link_state::connecting)
        l->reason = reason;
    else
        begin_close(l, reason.empty() ? "connection closed" : reason);
}

static void attachment_failed(redis_link *l, const char *reason) {
    if (l->state != link_state::connecting) {
        begin_close(l, reason);
        return;
    }
    redisAsyncFree(l->attachment->context); // cleanup, then the next address
    l->reason = reason;
}

// --- Connecting
// --------------------------------------------------------------------------------------------------------

static void set_keepalive(int fd, uint64_t ms) {
    int on = 1, idle = static_cast<int>(ms / 1000 > 0 ? ms / 1000 : 1), interval = 5, probes = 3;
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

static void become_ready(redis_link *l) {
    l->state = link_state::ready;
    uv_timer_stop(&l->timer);
    l->callbacks.ready(l->callbacks.user);
}

static void send(redis_link *l, const std::vector<std::string> &words, redis_reply_fn reply, void *user);

static bool greeting_failed(redis_link *l, const redisReply *reply, const char *what) {
    if (reply != nullptr && reply->type != REDIS_REPLY_ERROR)
        return false;
    if (reply != nullptr)
        begin_close(l, std::string(what) + " refused: " + reply->str);
    return true;
}

static void on_greeted(void *user, const redisReply *reply) {
    auto *l = static_cast<redis_link *>(user);
    if (!greeting_failed(l, reply, l->options.db == 0 ? "PING" : "SELECT"))
        become_ready(l);
}

// Always one command at least: `ready` must not be called from hiredis' connect callback, where nothing may be freed.
// PING rather than SELECT 0, which a Sentinel does not know.
static void select_db(redis_link *l) {
    if (l->options.db == 0)
        send(l, {"PING"}, on_greeted, l);
    else
        send(l, {"SELECT", std::to_string(l->options.db)}, on_greeted, l);
}

static void on_auth(void *user, const redisReply *reply) {
    auto *l = static_cast<redis_link *>(user);
    if (!greeting_failed(l, reply, "AUTH"))
        select_db(l);
}

static void on_connect(const redisAsyncContext *context, int status) {
    auto *a = static_cast<redis_attachment *>(context->data);
    redis_link *l = a->link;
    if (status != REDIS_OK || l->state != link_state::connecting)
        return; // hiredis frees the context now: cleanup goes on
    l->state = link_state::greeting;
    const redis_link_options &o = l->options;
    if (o.password.empty())
        select_db(l);
    else if (o.username.empty())
        send(l, {"AUTH", o.password}, on_auth, l);
    else
        send(l, {"AUTH", o.username, o.password}, on_auth, l);
}

static bool attach(redis_link *l, redisAsyncContext *context) {
    auto a = std::make_unique<redis_attachment>();
    if (uv_poll_init(l->loop, &a->poll, context->c.fd) != 0)
        return false;
    a->poll.data = a.get();
    a->link = l;
    a->context = context;
    a->events = 0;
    context->data = a.get();
    context->ev = {a.get(), add_read, del_read, add_write, del_write, cleanup};
    l->attachment = a.release();
    ++l->open;
    set_keepalive(context->c.fd, l->options.keepalive);
    redisAsyncSetConnectCallback(context, on_connect); // asks for writability, so after attaching
    return true;
}

static void connect_next(redis_link *l) {
    while (l->next_address < l->addresses.size()) {
        const std::string &address = l->addresses[l->next_address++];
        redisAsyncContext *context = redisAsyncConnect(address.c_str(), l->options.port);
        if (context == nullptr)
            break;
        if (context->err == 0 && attach(l, context))
            return;
        l->reason = context->errstr != nullptr ? context->errstr : "cannot watch the socket";
        redisAsyncFree(context);
    }
    std::string reason = l->reason.empty() ? "no address" : l->reason;
    begin_close(l, reason);
}

static void on_resolved(uv_getaddrinfo_t *request, int status, addrinfo *list) {
    auto *l = static_cast<redis_link *>(request->data);
    for (addrinfo *i = list; i != nullptr; i = i->ai_next) {
        char text[INET6_ADDRSTRLEN] = "";
        if (i->ai_family == AF_INET)
            uv_ip4_name(reinterpret_cast<sockaddr_in *>(i->ai_addr), text, sizeof text);
        else if (i->ai_family == AF_INET6)
            uv_ip6_name(reinterpret_cast<sockaddr_in6 *>(i->ai_addr), text, sizeof text);
        if (text[0] != '\0')
            l->addresses.emplace_back(text);
    }
    uv_freeaddrinfo(list);
    if (l->state == link_state::resolving) {
        l->state = link_state::connecting;
        if (status != 0)
            l->reason = std::string("cannot resolve ") + l->options.host + ": " + uv_strerror(status);
        connect_next(l);
    }
    let_go(l);
}

redis_link *redis_link_open(uv_loop_t *loop, const redis_link_options &options, const redis_link_callbacks &callbacks) {
    auto *l = new redis_link{};
    l->loop = loop;
    l->options = options;
    l->callbacks = callbacks;
    uv_timer_init(loop, &l->timer);
    l->timer.data = l;
    l->open = 2; // the timer and the request
    uv_timer_start(&l->timer, on_timeout, options.dial_timeout, 0);
    l->resolve.data = l;
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    int status = uv_getaddrinfo(loop, &l->resolve, on_resolved, l->options.host.c_str(), nullptr, &hints);
    if (status != 0) {
        l->state = link_state::connecting; // no request is under way
        --l->open;
        begin_close(l, uv_strerror(status));
    }
    return l;
}

// --- Commands
// ----------------------------------------------------------------------------------------------------------

static void expect_reply(redis_link *l) {
    if (l->owed++ == 0 && l->state == link_state::ready)
        uv_timer_start(&l->timer, on_timeout, l->options.read_timeout, 0);
}

static void got_reply(redis_link *l) {
    assert(l->owed > 0);
    --l->owed;
    if (l->state != link_state::ready)
        return;
    if (l->owed == 0)
        uv_timer_stop(&l->timer);
    else
        uv_timer_start(&l->timer, on_timeout, l->options.read_timeout, 0);
}

static void on_reply(redisAsyncContext *, void *reply, void *data) {
    std::unique_ptr<pending_command> p(static_cast<pending_command *>(data));
    got_reply(p->link);
    // What arrives while closing is not believed any more: the owner has been told, or will be, that it is lost.
    bool believed = p->link->state != link_state::closing;
    p->reply(p->user, believed ? static_cast<redisReply *>(reply) : nullptr);
}

static int send_words(redis_link *l, const std::vector<std::string> &words, redisCallbackFn *fn, void *data) {
    std::vector<const char *> text;
    std::vector<size_t> size;
    for (const std::string &w : words) {
        text.push_back(w.data());
        size.push_back(w.size());
    }
    return redisAsyncCommandArgv(l->attachment->context, fn, data, static_cast<int>(words.size()), text.data(),
                                 size.data());
}

static void send(redis_link *l, const std::vector<std::string> &words, redis_reply_fn reply, void *user) {
    auto p = std::make_unique<pending_command>(pending_command{l, reply, user});
    if (send_words(l, words, on_reply, p.get()) != REDIS_OK) {
        reply(user, nullptr);
        return;
    }
    (void)p.release(); // on_reply takes it over
    expect_reply(l);
}

// hiredis refuses commands on a context that is being freed.
static bool usable(const redis_link *l) {
    return l->state == link_state::ready && l->attachment != nullptr && l->attachment->context != nullptr &&
           (l->attachment->context->c.flags & (REDIS_DISCONNECTING | REDIS_FREEING)) == 0;
}

bool redis_link_command(redis_link *l, const std::vector<std::string> &words, redis_reply_fn reply, void *user) {
    if (!usable(l))
        return false;
    send(l, words, reply, user);
    return true;
}

static void on_message(redisAsyncContext *, void *data, void *user) {
    auto *s = static_cast<subscription *>(user);
    auto *reply = static_cast<redisReply *>(data);
    if (reply == nullptr || s->link->state == link_state::closing || reply->type != REDIS_REPLY_ARRAY ||
        reply->elements < 3 || reply->element[0]->type != REDIS_REPLY_STRING)
        return;
    std::string_view kind = reply->element[0]->str;
    if (kind == "subscribe") {
        got_reply(s->link);
        s->message(s->user, nullptr);
    } else if (kind == "message" && reply->element[2]->type == REDIS_REPLY_STRING) {
        s->message(s->user, reply->element[2]->str);
    }
}

static subscription *find_subscription(redis_link *l, const std::string &channel) {
    for (auto &s : l->subscriptions)
        if (s->channel == channel)
            return s.get();
    return nullptr;
}

bool redis_link_subscribe(redis_link *l, const std::string &channel, redis_message_fn message, void *user) {
    if (!usable(l))
        return false;
    subscription *s = find_subscription(l, channel);
    if (s == nullptr) {
        l->subscriptions.push_back(std::make_unique<subscription>(subscription{l, channel, message, user}));
        s = l->subscriptions.back().get();
    }
    if (send_words(l, {"SUBSCRIBE", channel}, on_message, s) != REDIS_OK)
        return false;
    expect_reply(l);
    return true;
}
