// The waiter queue: order, deadlines, removal from anywhere.

#include "cmocka_cpp.h"
#include "queue/waitq.h"

static void first_in_first_out(void **) {
    waitq q;
    waiter a, b, c;
    waitq_push(q, a, 100, 50);
    waitq_push(q, b, 110, 50);
    waitq_push(q, c, 120, 50);
    assert_int_equal(waitq_length(q), 3);
    assert_ptr_equal(waitq_head(q), &a);
    assert_ptr_equal(waitq_pop(q), &a);
    assert_ptr_equal(waitq_pop(q), &b);
    assert_ptr_equal(waitq_pop(q), &c);
    assert_null(waitq_pop(q));
}

static void any_waiter_can_leave(void **) {
    waitq q;
    waiter w[3];
    for (auto &one : w)
        waitq_push(q, one, 0, 10);
    waitq_remove(q, w[1]);
    assert_false(waitq_contains(q, w[1]));
    assert_true(waitq_contains(q, w[0]) && waitq_contains(q, w[2]));
    assert_ptr_equal(waitq_pop(q), &w[0]);
    assert_ptr_equal(waitq_pop(q), &w[2]);
    waitq_push(q, w[1], 5, 10); // and come back
    assert_ptr_equal(waitq_pop(q), &w[1]);
}

static void deadlines_expire_oldest_first_and_not_early(void **) {
    waitq q;
    waiter a, b;
    waitq_push(q, a, 100, 50);
    waitq_push(q, b, 120, 50);
    assert_null(waitq_pop_expired(q, 149));
    assert_ptr_equal(waitq_pop_expired(q, 150), &a);
    assert_null(waitq_pop_expired(q, 169));
    assert_ptr_equal(waitq_pop_expired(q, 1000), &b);
    assert_null(waitq_pop_expired(q, 1000));
}

static void newest_is_the_one_turned_away(void **) {
    waitq q;
    waiter a, b;
    waitq_push(q, a, 0, 10);
    waitq_push(q, b, 1, 10);
    assert_ptr_equal(waitq_pop_newest(q), &b);
    assert_ptr_equal(waitq_pop_newest(q), &a);
    assert_null(waitq_pop_newest(q));
}

static void refusal_marks_those_who_wait_now(void **) {
    waitq q;
    waiter a, b, c;
    waitq_push(q, a, 0, 10);
    waitq_push(q, b, 0, 10);
    waitq_mark_refused(q);
    waitq_push(q, c, 1, 10);
    assert_true(a.refused && b.refused && !c.refused);
    waitq_mark_refused(q);
    assert_true(c.refused);
    assert_ptr_equal(waitq_pop(q), &a);
    waitq_push(q, a, 2, 10);
    assert_false(a.refused); // a new wait begins without it
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(first_in_first_out),
        cmocka_unit_test(any_waiter_can_leave),
        cmocka_unit_test(deadlines_expire_oldest_first_and_not_early),
        cmocka_unit_test(newest_is_the_one_turned_away),
        cmocka_unit_test(refusal_marks_those_who_wait_now),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
