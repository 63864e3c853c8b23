// The second connection: SUBSCRIBE to the release channel of every bucket, so that waiters ask again at once.
// Losing it loses nothing but time: the upper layer polls.
#include "coord/redis_coord.h"

#include "base/log.h"
#include "coord/share.h"

static void on_message(void *user, const char *text) {
    auto &b = *static_cast<redis_bucket *>(user);
    if (text == nullptr)
        count_operation(*b.owner, redis_op::subscribe, redis_outcome::ok);
    if (b.owner->stopping || (text == nullptr && b.subscribed))
        return;          // the answer to a ping
    b.subscribed = true; // if a confirmation: what was published before it has been missed
    b.freed = true;
    schedule_turn(*b.owner);
}

static void on_want(void *user, const char *text) {
    auto &b = *static_cast<redis_bucket *>(user);
    if (text != nullptr && !b.owner->stopping)
        heard_waiting(*b.owner, b, text);
}

void subscribe_bucket(redis_coord &c, redis_bucket &b) {
    b.subscribed = false;
    if (c.subscription == nullptr)
        return;
    redis_link_subscribe(c.subscription, b.channel, on_message, &b);
    redis_link_subscribe(c.subscription, b.want_channel, on_want, &b);
}

static void on_ready(void *user) {
    redis_coord &c = *static_cast<redis_coord *>(user);
    c.subscribe_attempts = 0;
    for (redis_bucket &b : c.buckets)
        subscribe_bucket(c, b);
}

static void on_retry(uv_timer_t *timer) {
    redis_coord &c = *static_cast<redis_coord *>(timer->data);
    if (c.registered)
        subscribe(c);
}

static void on_lost(void *user, const char *reason, bool timed_out) {
    redis_coord &c = *static_cast<redis_coord *>(user);
    c.subscription = nullptr;
    link_gone(c);
    if (c.stopping)
        return;
    count_operation(c, redis_op::subscribe, timed_out ? redis_outcome::timeout : redis_outcome::error);
    if (c.registered) // else the command connection is lost too, and tells
        log_warn("redis subscription lost", {{"reason", reason}});
    uv_timer_start(&c.resubscribe, on_retry, reconnect_delay(c.subscribe_attempts++, random_u64()), 0);
}

void subscribe(redis_coord &c) {
    if (c.subscription != nullptr) {
        redis_link_subscribe(c.subscription, c.buckets[0].channel, on_message, &c.buckets[0]);
        return;
    }
    const redis_config &o = c.configuration->redis;
    redis_link_options options{c.host, c.port,         o.username,     o.password,
                               o.db,   o.dial_timeout, o.read_timeout, c.configuration->proxy.keepalive};
    ++c.open_links;
    c.subscription = redis_link_open(
        c.loop, options, {&c, on_ready, on_lost, [](void *user) { link_gone(*static_cast<redis_coord *>(user)); }});
}

void unsubscribe(redis_coord &c) {
    if (c.subscription != nullptr)
        redis_link_close(c.subscription);
    c.subscription = nullptr;
}
