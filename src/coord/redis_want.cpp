// Fairness between instances: want.lua says that clients wait here, the others' wants are heard on the subscription.
// coord/want decides; who gives way tells its upper layer by `shrink`.
#include "coord/redis_coord.h"

#include <algorithm>

#include "base/log.h"
#include "coord/redis_reply.h"
#include "coord/share.h"
#include "coord/want.h"

static constexpr uint64_t hopeless = 4; // intervals between two wants when nobody can give

static uint64_t interval(const redis_coord &c) {
    return c.configuration->proxy.fairness_interval;
}

static void on_said(void *user, const redisReply *reply) {
    redis_coord &c = *static_cast<redis_coord *>(user);
    if (reply == nullptr || c.stopping)
        return;
    int64_t code = reply_integer(reply, -2);
    if (reply_is_noscript(reply))
        load_scripts(c);
    count_operation(c, redis_op::publish,
                    code == -3 ? redis_outcome::stale : (code < -1 ? redis_outcome::error : redis_outcome::ok));
}

void say_waiting(redis_coord &c, redis_bucket &b, uint64_t oldest_wait) {
    uint64_t now = uv_now(c.loop);
    if (c.mode != coord_mode::normal || !c.registered || interval(c) == 0 || now < b.says_at)
        return;
    b.says_at = now + jittered(interval(c), random_u64());
    run_script(
        c, script::want,
        {b.count_key, b.max_key, instance_key(c, c.id, "heartbeat"), c.configuration->redis.key_prefix + ":instances"},
        {b.id, b.want_channel, c.id, c.token, std::to_string(c.epoch), std::to_string(oldest_wait),
         c.configuration->redis.key_prefix},
        on_said, &c);
}

bool leaves_to_others(const redis_coord &c, const redis_bucket &b) {
    return c.mode == coord_mode::normal && uv_now(c.loop) < b.leaves_until;
}

void stop_giving(redis_bucket &b) {
    b.gives = false;
}

static void watch_giving(redis_coord &c);

static void on_giving(uv_timer_t *timer) {
    redis_coord &c = *static_cast<redis_coord *>(timer->data);
    uint64_t now = uv_now(c.loop);
    for (redis_bucket &b : c.buckets)
        if (b.gives && now >= b.gives_until)
            stop_giving(b);
    watch_giving(c);
    schedule_turn(c);
}

// Wakes when the first that is to give need not do so any more.
static void watch_giving(redis_coord &c) {
    uint64_t first = UINT64_MAX, now = uv_now(c.loop);
    for (const redis_bucket &b : c.buckets)
        if (b.gives)
            first = std::min(first, b.gives_until);
    if (first != UINT64_MAX)
        uv_timer_start(&c.giving, on_giving, first > now ? first - now : 0, 0);
}

// One slot at a time, and not again before an interval has passed; what no client has let go of by the end of the next
// interval is not given at all, unless the other still asks.
static void give_one(redis_coord &c, redis_bucket &b, const slot_want &w) {
    uint64_t now = uv_now(c.loop);
    if (!b.gives && b.gave_at != 0 && now - b.gave_at < interval(c))
        return;
    if (!b.gives) {
        b.gave_at = now;
        log_debug("gives a slot to another instance", {{"bucket", b.id},
                                                       {"other", w.asker.id},
                                                       {"other_holds", w.asker.slots},
                                                       {"other_waits_ms", w.oldest_wait},
                                                       {"held", b.account.held}});
    }
    b.gives = true;
    b.gives_until = now + 2 * interval(c);
    watch_giving(c);
    schedule_turn(c);
}

void heard_waiting(redis_coord &c, redis_bucket &b, std::string_view text) {
    slot_want w;
    if (!slot_want_parse(text, w)) {
        log_warn("not understood on the channel of wants", {{"bucket", b.id}});
        return;
    }
    if (c.mode != coord_mode::normal || interval(c) == 0)
        return;
    if (w.asker.id == c.id && !slot_want_hopeful(w))
        b.says_at = std::max(b.says_at, uv_now(c.loop) + hopeless * interval(c));
    want_answer answer = slot_want_answer(w, c.id, b.account.held);
    if (answer == want_answer::nothing)
        return;
    b.leaves_until = uv_now(c.loop) + interval(c);
    if (answer == want_answer::give)
        give_one(c, b, w);
}
