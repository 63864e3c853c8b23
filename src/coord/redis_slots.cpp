// acquire.lua and release.lua for one bucket, as its ledger decides.
#include "coord/redis_coord.h"

#include "base/log.h"
#include "coord/redis_reply.h"

void give_answer(redis_coord &c, redis_bucket &b, ledger_answer answer) {
    switch (answer) {
    case ledger_answer::none: return;
    case ledger_answer::granted: c.callbacks.granted(c.callbacks.user, b.index); return;
    case ledger_answer::full: c.callbacks.refused(c.callbacks.user, b.index, coord_refusal::full); return;
    case ledger_answer::unavailable:
        b.try_again = true;
        c.callbacks.refused(c.callbacks.user, b.index, coord_refusal::unavailable);
        return;
    }
}

static redis_outcome outcome_of(int64_t code) {
    switch (code) {
    case -1: return redis_outcome::full;
    case -3: return redis_outcome::stale;
    case -4: return redis_outcome::settling;
    default: return code < 0 ? redis_outcome::error : redis_outcome::ok;
    }
}

// NOSCRIPT (after SCRIPT FLUSH): the scripts are on their way, so the same may follow at once. Other errors wait for
// the next register.
static void operation_failed(redis_coord &c, redis_bucket &b, const redisReply *reply, const char *operation) {
    if (reply_is_noscript(reply)) {
        ledger_unsent(b.account);
        load_scripts(c);
    } else {
        log_warn("redis refused an operation",
                 {{"operation", operation}, {"bucket", b.id}, {"error", reply_text(reply)}});
        give_answer(c, b, ledger_failed(b.account).answer);
    }
    schedule_turn(c);
}

static void after_reply(redis_coord &c, redis_bucket &b, ledger_result result) {
    if (c.mode == coord_mode::normal && b.account.count <= b.account.max)
        b.surplus = 0; // the others have given back enough
    give_answer(c, b, result.answer);
    if (result.must_register)
        register_now(c);
    schedule_turn(c);
}

static void on_acquired(void *user, const redisReply *reply) {
    auto &b = *static_cast<redis_bucket *>(user);
    redis_coord &c = *b.owner;
    if (reply == nullptr || c.stopping)
        return; // the loss of the connection is dealt with as a whole
    const redisReply *code = reply_element(reply, 0);
    if (reply_is_error(reply) || code == nullptr) {
        count_operation(c, redis_op::acquire, redis_outcome::error);
        operation_failed(c, b, reply, "acquire");
        return;
    }
    int64_t result = reply_integer(code, -2);
    count_operation(c, redis_op::acquire, outcome_of(result));
    log_debug("acquire", {{"bucket", b.id}, {"target", b.account.target}, {"code", result}});
    // After a pause replies may be read before any timer has run: a slot granted before it is not to be believed.
    bool may_grant = !check_fence(c);
    after_reply(c, b,
                ledger_acquired(b.account, result, reply_integer(reply_element(reply, 1), 0),
                                reply_integer(reply_element(reply, 2), 0), may_grant));
}

static void on_released(void *user, const redisReply *reply) {
    auto &b = *static_cast<redis_bucket *>(user);
    redis_coord &c = *b.owner;
    if (reply == nullptr || c.stopping)
        return;
    const redisReply *code = reply_element(reply, 0);
    if (reply_is_error(reply) || code == nullptr) {
        count_operation(c, redis_op::release, redis_outcome::error);
        operation_failed(c, b, reply, "release");
        return;
    }
    int64_t result = reply_integer(code, -1);
    count_operation(c, redis_op::release, result == -1 ? redis_outcome::error : outcome_of(result));
    log_debug("release", {{"bucket", b.id}, {"target", b.account.target}, {"code", result}});
    if (result == -1)
        log_warn("release found fewer slots in redis than held", {{"bucket", b.id}});
    after_reply(c, b, ledger_released(b.account, result, reply_integer(reply_element(reply, 1), 0)));
}

void send_next(redis_coord &c, redis_bucket &b) {
    ledger_step step = ledger_next(b.account);
    if (step.op == ledger_op::none)
        return;
    std::string conns = instance_key(c, c.id, "conns"), heartbeat = instance_key(c, c.id, "heartbeat");
    std::string epoch = std::to_string(c.epoch), target = std::to_string(step.target);
    bool sent = false;
    if (step.op == ledger_op::acquire)
        sent = run_script(c, script::acquire,
                          {b.count_key, b.max_key, conns, heartbeat, c.configuration->redis.key_prefix + ":epoch"},
                          {b.id, c.id, c.token, epoch, target}, on_acquired, &b);
    else
        sent = run_script(c, script::release, {b.count_key, conns, heartbeat},
                          {b.id, b.channel, c.id, c.token, epoch, target}, on_released, &b);
    if (sent)
        ledger_sent(b.account, step);
}
