// One bucket's account with Redis: every path of one operation at a time with absolute targets.
#include "cmocka_cpp.h"

#include "coord/ledger.h"

static ledger registered_with(uint32_t held) {
    ledger l;
    l.held = l.registered = held;
    l.max = 10;
    return l;
}

static ledger_step send(ledger &l) {
    ledger_step step = ledger_next(l);
    if (step.op != ledger_op::none)
        ledger_sent(l, step);
    return step;
}

static void test_want_is_one_more_and_only_a_reply_grants(void **) {
    ledger l = registered_with(4);
    assert_true(send(l).op == ledger_op::none);
    l.wanted = true;
    ledger_step step = send(l);
    assert_true(step.op == ledger_op::acquire);
    assert_int_equal(step.target, 5);
    assert_int_equal(l.held, 4);
    assert_true(send(l).op == ledger_op::none); // one at a time
    ledger_result r = ledger_acquired(l, 7, 7, 10, true);
    assert_true(r.answer == ledger_answer::granted && !r.must_register);
    assert_int_equal(l.held, 5);
    assert_int_equal(l.registered, 5);
    assert_int_equal(l.count, 7);
    assert_false(l.wanted);
}

static void test_refusals(void **) {
    struct {
        int64_t code;
        ledger_answer answer;
        bool must_register;
    } cases[] = {{-1, ledger_answer::full, false},
                 {-2, ledger_answer::unavailable, true},
                 {-3, ledger_answer::unavailable, true},
                 {-4, ledger_answer::unavailable, true},
                 {0, ledger_answer::unavailable, true}};
    for (auto &c : cases) {
        ledger l = registered_with(2);
        l.wanted = true;
        send(l);
        ledger_result r = ledger_acquired(l, c.code, 10, 10, true);
        assert_true(r.answer == c.answer);
        assert_int_equal(r.must_register, c.must_register);
        assert_int_equal(l.held, 2);
        assert_int_equal(l.registered, 2);
        assert_false(l.wanted);
    }
}

static void test_cancelled_want_gives_the_slot_back(void **) {
    ledger l = registered_with(4);
    l.wanted = true;
    send(l);
    l.wanted = false;
    assert_true(ledger_acquired(l, 5, 5, 10, true).answer == ledger_answer::none);
    assert_int_equal(l.held, 4);
    ledger_step step = send(l);
    assert_true(step.op == ledger_op::release);
    assert_int_equal(step.target, 4);
    assert_true(ledger_released(l, 4, 4).answer == ledger_answer::none);
    assert_int_equal(l.registered, 4);
}

static void test_releases_join_into_one(void **) {
    ledger l = registered_with(4);
    l.held -= 3;
    ledger_step step = send(l);
    assert_true(step.op == ledger_op::release);
    assert_int_equal(step.target, 1);
    l.held -= 1; // while it is in flight
    assert_true(send(l).op == ledger_op::none);
    ledger_released(l, 1, 1);
    step = send(l);
    assert_true(step.op == ledger_op::release);
    assert_int_equal(step.target, 0);
}

static void test_release_while_acquire_is_in_flight(void **) {
    ledger l = registered_with(4);
    l.wanted = true;
    send(l); // target 5
    l.held = 2;
    assert_true(ledger_acquired(l, 5, 5, 10, true).answer == ledger_answer::granted);
    assert_int_equal(l.held, 3);
    ledger_step step = send(l);
    assert_true(step.op == ledger_op::release); // 5 registered, 3 held
    assert_int_equal(step.target, 3);
}

static void test_fenced_reply_grants_nothing(void **) {
    ledger l = registered_with(4);
    l.wanted = true;
    send(l);
    assert_true(ledger_acquired(l, 5, 5, 10, false).answer == ledger_answer::none);
    assert_int_equal(l.held, 4);
    assert_true(l.wanted); // still to be answered
}

static void test_errors_wait_for_register(void **) {
    ledger l = registered_with(4);
    l.held = 3;
    send(l);
    ledger_failed(l);
    assert_true(send(l).op == ledger_op::none);
    ledger_registered(l, 3, 3, 10);
    assert_true(send(l).op == ledger_op::none); // nothing left to do: 3 is registered
    l.held = 2;
    send(l);
    assert_true(ledger_released(l, -1, 0).must_register); // underflow
    assert_true(send(l).op == ledger_op::none);
    ledger_registered(l, 2, 2, 10);
    l.wanted = true;
    assert_int_equal(send(l).target, 3);
}

static void test_report_leaves_out_what_is_in_flight(void **) {
    ledger l = registered_with(4);
    assert_int_equal(ledger_report(l), 4);
    l.wanted = true;
    send(l);
    assert_int_equal(ledger_report(l), -1);
    ledger_registered(l, -1, 6, 10); // the beat's answer: says nothing about ours
    assert_int_equal(l.registered, 4);
    assert_int_equal(l.count, 6);
    ledger_disconnected(l);
    assert_int_equal(ledger_report(l), 4); // the true number, whether or not the acquire was carried out
    assert_true(l.wanted);
}

static void test_share(void **) {
    ledger l = registered_with(1);
    l.wanted = true;
    assert_true(ledger_take_share(l, 2) == ledger_answer::granted);
    assert_int_equal(l.held, 2);
    assert_true(ledger_take_share(l, 5) == ledger_answer::none); // nothing is wanted
    l.wanted = true;
    assert_true(ledger_take_share(l, 2) == ledger_answer::full);
    assert_int_equal(l.held, 2);
}

static void test_odd_numbers_from_redis(void **) {
    ledger l = registered_with(0);
    ledger_registered(l, 0, -5, INT64_MAX);
    assert_int_equal(l.count, 0);
    assert_true(l.max == UINT32_MAX);
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_want_is_one_more_and_only_a_reply_grants),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_cancelled_want_gives_the_slot_back),
        cmocka_unit_test(test_releases_join_into_one),
        cmocka_unit_test(test_release_while_acquire_is_in_flight),
        cmocka_unit_test(test_fenced_reply_grants_nothing),
        cmocka_unit_test(test_errors_wait_for_register),
        cmocka_unit_test(test_report_leaves_out_what_is_in_flight),
        cmocka_unit_test(test_share),
        cmocka_unit_test(test_odd_numbers_from_redis),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
