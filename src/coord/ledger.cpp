#include "coord/ledger.h"

#include <algorithm>
#include <cassert>

// Redis' numbers can be anything that an operator has set.
static uint32_t to_count(int64_t n) {
    return static_cast<uint32_t>(std::clamp<int64_t>(n, 0, UINT32_MAX));
}

ledger_step ledger_next(const ledger &l) {
    if (l.in_flight != ledger_op::none || l.on_hold)
        return {};
    if (l.registered > l.held)
        return {ledger_op::release, l.held};
    if (l.wanted)
        return {ledger_op::acquire, l.held + 1};
    return {};
}

void ledger_sent(ledger &l, ledger_step step) {
    assert(l.in_flight == ledger_op::none && step.op != ledger_op::none);
    l.in_flight = step.op;
    l.target = step.target;
}

static ledger_result answered(ledger &l, ledger_answer answer, bool must_register) {
    if (!l.wanted)
        return {ledger_answer::none, must_register};
    l.wanted = false;
    return {answer, must_register};
}

ledger_result ledger_acquired(ledger &l, int64_t code, int64_t count, int64_t max, bool may_grant) {
    assert(l.in_flight == ledger_op::acquire);
    l.in_flight = ledger_op::none;
    if (code > 0 || code == -1) {
        l.count = to_count(count);
        l.max = to_count(max);
    }
    if (code > 0) {
        l.registered = l.target;
        if (!l.wanted || !may_grant)
            return {};
        ++l.held;
        return answered(l, ledger_answer::granted, false);
    }
    if (code == -1)
        return answered(l, ledger_answer::full, false);
    return answered(l, ledger_answer::unavailable, true);
}

ledger_result ledger_released(ledger &l, int64_t code, int64_t count) {
    assert(l.in_flight == ledger_op::release);
    l.in_flight = ledger_op::none;
    if (code >= 0) {
        l.count = to_count(count);
        l.registered = l.target;
        return {};
    }
    // Not registered, or Redis has less than we thought: only a register with the true number helps.
    l.on_hold = true;
    return {ledger_answer::none, true};
}

ledger_result ledger_failed(ledger &l) {
    l.in_flight = ledger_op::none;
    l.on_hold = true;
    return answered(l, ledger_answer::unavailable, false);
}

void ledger_unsent(ledger &l) {
    l.in_flight = ledger_op::none;
}

void ledger_disconnected(ledger &l) {
    l.in_flight = ledger_op::none;
    l.on_hold = false;
}

int64_t ledger_report(const ledger &l) {
    return l.in_flight == ledger_op::none ? int64_t{l.held} : -1;
}

void ledger_registered(ledger &l, int64_t reported, int64_t count, int64_t max) {
    l.count = to_count(count);
    l.max = to_count(max);
    l.on_hold = false;
    // Replies come in order: nothing sent after that register has been answered yet.
    if (reported >= 0)
        l.registered = static_cast<uint32_t>(reported);
}

ledger_answer ledger_take_share(ledger &l, uint32_t share) {
    if (!l.wanted)
        return ledger_answer::none;
    l.wanted = false;
    if (l.held >= share)
        return ledger_answer::full;
    ++l.held;
    return ledger_answer::granted;
}
