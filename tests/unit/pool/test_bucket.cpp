// A bucket's decisions: who gets a slot, who is turned away, when one is asked for, when the server counts as down.

#include <random>
#include <vector>

#include "cmocka_cpp.h"
#include "pool/bucket.h"

static bucket make(uint32_t max_queue, uint64_t timeout) {
    bucket b;
    b.id = "b1";
    b.limits = {max_queue, timeout, 500, 3};
    return b;
}

static void head_asks_once(void **) {
    bucket b = make(10, 1000);
    waiter w[2];
    assert_false(bucket_should_want(b, 0));
    assert_int_equal(bucket_request(b, w[0], 0), bucket_verdict::wait);
    assert_true(bucket_should_want(b, 0));
    bucket_want_sent(b);
    assert_int_equal(bucket_request(b, w[1], 0), bucket_verdict::wait);
    assert_false(bucket_should_want(b, 0));
    assert_ptr_equal(bucket_slot_granted(b), &w[0]);
    assert_int_equal(b.used, 1);
    assert_true(bucket_should_want(b, 0)); // for the next one
}

// 30 arrive while the first want is under way and 20 slots are free: nobody may be turned away on suspicion.
static void burst_is_not_turned_away_before_the_answer(void **) {
    bucket b = make(5, 1000);
    std::vector<waiter> w(30);
    for (auto &one : w)
        assert_int_equal(bucket_request(b, one, 0), bucket_verdict::wait);
    bool off = true;
    for (int i = 0; i < 20; ++i) {
        bucket_want_sent(b);
        assert_ptr_equal(bucket_slot_granted(b), &w[static_cast<size_t>(i)]);
        assert_null(bucket_pop_excess(b, off));
    }
    bucket_want_sent(b);
    bucket_slot_refused(b, true, 10, 0);
    for (size_t i = 30; i-- > 25;)
        assert_ptr_equal(bucket_pop_excess(b, off), &w[i]);
    assert_false(off);
    assert_null(bucket_pop_excess(b, off));
    waiter late;
    assert_int_equal(bucket_request(b, late, 10), bucket_verdict::queue_full);
    bucket_slot_maybe_free(b);
    assert_int_equal(bucket_request(b, late, 10), bucket_verdict::wait);
}

// "Cannot decide now" (settling) is not "full": nobody is turned away for it.
static void undecided_turns_nobody_away(void **) {
    bucket b = make(1, 1000);
    waiter w[3];
    for (auto &one : w)
        assert_int_equal(bucket_request(b, one, 0), bucket_verdict::wait);
    bucket_want_sent(b);
    bucket_slot_refused(b, false, 0, 0);
    bool off = false;
    assert_null(bucket_pop_excess(b, off));
    assert_false(bucket_should_want(b, 100));
    assert_true(bucket_should_want(b, 500));
}

static void queueing_off_denies_everybody_on_refusal(void **) {
    bucket b = make(0, 0);
    waiter w[2];
    for (auto &one : w)
        assert_int_equal(bucket_request(b, one, 0), bucket_verdict::wait);
    assert_null(waitq_pop_expired(b.queue, 100)); // the answer may take a moment
    bucket_want_sent(b);
    bucket_slot_refused(b, true, 0, 0);
    bool off = false;
    assert_ptr_equal(bucket_pop_excess(b, off), &w[0]);
    assert_true(off);
    assert_ptr_equal(bucket_pop_excess(b, off), &w[1]);
    assert_null(bucket_pop_excess(b, off));
}

static void freed_slot_goes_to_the_oldest_waiter_without_asking(void **) {
    bucket b = make(10, 1000);
    waiter w[3];
    (void)bucket_request(b, w[0], 0);
    bucket_want_sent(b);
    assert_ptr_equal(bucket_slot_granted(b), &w[0]);
    (void)bucket_request(b, w[1], 0);
    (void)bucket_request(b, w[2], 0);
    assert_ptr_equal(bucket_slot_free(b, true), &w[1]);
    assert_int_equal(b.used, 1);
    assert_null(bucket_slot_free(b, false)); // fenced: it must go back
    assert_int_equal(b.used, 0);
}

static void surplus_slots_are_not_handed_over(void **) {
    bucket b = make(10, 1000);
    waiter w[2];
    (void)bucket_request(b, w[0], 0);
    bucket_want_sent(b);
    (void)!bucket_slot_granted(b);
    (void)bucket_request(b, w[1], 0);
    b.surplus = 1;
    assert_false(bucket_should_want(b, 10'000));
    assert_null(bucket_slot_free(b, true));
    b.surplus = 0;
    assert_true(bucket_should_want(b, 10'000));
}

static void grant_without_waiter_goes_back(void **) {
    bucket b = make(10, 1000);
    waiter w;
    (void)bucket_request(b, w, 0);
    bucket_want_sent(b);
    bucket_cancel(b, w);
    bucket_cancel(b, w); // harmless
    assert_null(bucket_slot_granted(b));
    assert_int_equal(b.used, 0);
}

static void server_goes_down_after_failures_in_a_row_only(void **) {
    bucket b = make(10, 1000);
    b.retry = {100, 5000, 0};
    assert_false(bucket_server_failed(b, 0, 0, "refused"));
    assert_false(bucket_server_failed(b, 0, 0, "refused"));
    assert_true(bucket_server_ok(b, 1, 10));
    assert_false(bucket_server_failed(b, 2, 0, "refused"));
    assert_false(bucket_server_failed(b, 2, 0, "refused"));
    assert_true(bucket_server_failed(b, 2, 0, "refused"));
    assert_false(bucket_server_failed(b, 3, 0, "refused")); // no news
    waiter client, probe;
    probe.kind = waiter_kind::probe;
    assert_int_equal(bucket_request(b, client, 3), bucket_verdict::server_down);
    assert_int_equal(bucket_request(b, probe, 3), bucket_verdict::wait);
    assert_true(b.probe_at > 3);
    assert_true(bucket_server_ok(b, 4, 10));
    assert_int_equal(bucket_request(b, client, 4), bucket_verdict::wait);
}

static void backoff_doubles_up_to_its_end_and_jitters_down(void **) {
    backoff b = {100, 1000, 0};
    uint64_t expected[] = {100, 200, 400, 800, 1000, 1000};
    for (uint64_t e : expected)
        assert_int_equal(backoff_next(b, 0), e);
    for (uint32_t r = 0; r < 0x10000; r += 257) {
        uint64_t delay = backoff_next(b, r);
        assert_true(delay > 500 - 1 && delay <= 1000);
    }
    backoff_reset(b);
    assert_int_equal(backoff_next(b, 0), 100);
}

// Random requests, cancels, grants, refusals and releases against the plainest model: every waiter ends exactly once
// and `used` is what was granted and not given back.
static void random_model(void **) {
    std::minstd_rand random(20261121);
    for (int round = 0; round < 200; ++round) {
        bucket b = make(4, 1000);
        std::vector<waiter> w(200);
        std::vector<int> ended(w.size());
        size_t next = 0;
        uint32_t used = 0;
        uint64_t now = 0;
        bool off = false;
        auto end = [&](waiter *one) { ++ended[static_cast<size_t>(one - w.data())]; };
        while (next < w.size()) {
            now += random() % 50;
            switch (random() % 6) {
            case 0:
            case 1:
                if (bucket_request(b, w[next], now) != bucket_verdict::wait)
                    end(&w[next]);
                ++next;
                break;
            case 2:
                if (bucket_should_want(b, now))
                    bucket_want_sent(b);
                break;
            case 3:
                if (!b.want_outstanding)
                    break;
                if (waiter *one = bucket_slot_granted(b)) {
                    end(one);
                    ++used;
                }
                break;
            case 4:
                if (!b.want_outstanding)
                    break;
                bucket_slot_refused(b, random() % 2, now, static_cast<uint32_t>(random()));
                while (waiter *one = bucket_pop_excess(b, off))
                    end(one);
                break;
            case 5:
                if (used > 0) {
                    waiter *one = bucket_slot_free(b, random() % 2);
                    one != nullptr ? end(one) : (void)--used;
                }
                while (waiter *one = waitq_pop_expired(b.queue, now))
                    end(one);
                break;
            }
            assert_int_equal(b.used, used);
            if (b.full)
                assert_true(waitq_length(b.queue) <= 4);
        }
        size_t waiting = waitq_length(b.queue);
        size_t ends = 0;
        for (int e : ended) {
            assert_true(e <= 1);
            ends += static_cast<size_t>(e);
        }
        assert_int_equal(ends + waiting, w.size());
    }
}

// Paused: whoever asks waits, nothing is asked for, a slot that comes or comes free goes back.
static void paused_serves_nobody(void **) {
    bucket b = make(2, 1000);
    waiter w[4];
    assert_int_equal(bucket_request(b, w[0], 0), bucket_verdict::wait);
    bucket_want_sent(b);
    assert_ptr_equal(bucket_slot_granted(b), &w[0]);
    assert_int_equal(bucket_request(b, w[1], 0), bucket_verdict::wait);
    bucket_want_sent(b);
    bucket_pause(b);
    assert_null(bucket_slot_granted(b)); // was under way
    assert_int_equal(b.used, 1);
    assert_false(bucket_should_want(b, 10'000));
    assert_null(bucket_slot_free(b, true));
    assert_int_equal(b.used, 0);
    assert_int_equal(bucket_request(b, w[2], 5), bucket_verdict::wait);
    assert_int_equal(bucket_request(b, w[3], 5), bucket_verdict::queue_full);
    assert_ptr_equal(waitq_pop_expired(b.queue, 1000), &w[1]); // queue_timeout holds
    bucket_resume(b);
    assert_true(bucket_should_want(b, 1000));
    bucket_want_sent(b);
    assert_ptr_equal(bucket_slot_granted(b), &w[2]);
}

// An operator restarts the server: nobody is told that it is down meanwhile, nor just afterwards.
static void paused_waits_for_a_server_that_is_down(void **) {
    bucket b = make(10, 1000);
    waiter w[2];
    for (int i = 0; i < 3; ++i)
        (void)bucket_server_failed(b, 0, 0, "refused");
    assert_int_equal(bucket_request(b, w[0], 0), bucket_verdict::server_down);
    bucket_pause(b);
    assert_int_equal(bucket_request(b, w[0], 0), bucket_verdict::wait);
    bucket_resume(b);
    assert_true(b.health == server_health::unknown && b.failures == 0);
    assert_int_equal(bucket_request(b, w[1], 0), bucket_verdict::wait);
    assert_false(bucket_server_failed(b, 0, 0, "refused")); // three in a row, as ever
}

// "Too many workers": one fewer than are held, and what has too many gives them up, for a while.
static void busy_server_lowers_the_ceiling_for_a_while(void **) {
    bucket b = make(10, 1000);
    b.max = 20;
    b.used = 10;
    assert_true(bucket_server_busy(b, 0, 0)); // the tenth's login was refused
    assert_int_equal(b.ceiling, 9);
    assert_true(bucket_above_ceiling(b, 0));
    assert_false(bucket_above_ceiling(b, 1)); // that connection is closing
    waiter w;
    assert_int_equal(bucket_request(b, w, 0), bucket_verdict::wait);
    assert_null(bucket_slot_free(b, true)); // its slot is not for the next one
    assert_false(bucket_server_busy(b, 0, 5'000));
    assert_int_equal(b.ceiling, 8);
    assert_null(bucket_slot_free(b, true));
    assert_int_equal(b.used, 8);
    assert_ptr_equal(bucket_slot_free(b, true), &w); // below it slots are handed over as ever
    assert_false(bucket_ceiling_tick(b, 14'999));
    for (uint32_t expected : {9U, 10U, 11U, 12U, 13U, 14U, 15U, 16U, 18U}) {
        assert_true(bucket_ceiling_tick(b, b.ceiling_at));
        assert_int_equal(b.ceiling, expected);
    }
    assert_true(bucket_ceiling_tick(b, b.ceiling_at));
    assert_int_equal(b.ceiling, UINT32_MAX);
    assert_false(bucket_ceiling_tick(b, UINT64_MAX));
}

// Seven of eleven are refused before the first of them has closed: the four that are good are what the server bears.
static void refused_at_once_they_count_once(void **) {
    bucket b = make(10, 1000);
    b.max = 20;
    b.used = 11;
    for (uint32_t closing = 0; closing < 7; ++closing)
        (void)bucket_server_busy(b, closing, 0);
    assert_int_equal(b.ceiling, 4);
}

static void busy_server_keeps_one_slot(void **) {
    bucket b = make(10, 1000);
    for (uint32_t used : {1U, 0U, 2U}) {
        b.used = used;
        (void)bucket_server_busy(b, 0, 0);
        assert_int_equal(b.ceiling, 1);
    }
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(head_asks_once),
        cmocka_unit_test(burst_is_not_turned_away_before_the_answer),
        cmocka_unit_test(undecided_turns_nobody_away),
        cmocka_unit_test(queueing_off_denies_everybody_on_refusal),
        cmocka_unit_test(freed_slot_goes_to_the_oldest_waiter_without_asking),
        cmocka_unit_test(surplus_slots_are_not_handed_over),
        cmocka_unit_test(busy_server_lowers_the_ceiling_for_a_while),
        cmocka_unit_test(busy_server_keeps_one_slot),
        cmocka_unit_test(refused_at_once_they_count_once),
        cmocka_unit_test(grant_without_waiter_goes_back),
        cmocka_unit_test(server_goes_down_after_failures_in_a_row_only),
        cmocka_unit_test(backoff_doubles_up_to_its_end_and_jitters_down),
        cmocka_unit_test(paused_serves_nobody),
        cmocka_unit_test(paused_waits_for_a_server_that_is_down),
        cmocka_unit_test(random_model),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
