// Who gives a slot to an instance that waits for one.
#include "cmocka_cpp.h"

#include <algorithm>
#include <map>
#include <string>

#include "coord/want.h"

static void test_message_is_read(void **) {
    slot_want w;
    assert_true(slot_want_parse("a4 0 1200 30 a1 10 a2 20", w));
    assert_string_equal(w.asker.id.c_str(), "a4");
    assert_int_equal(w.asker.slots, 0);
    assert_int_equal(w.oldest_wait, 1200);
    assert_int_equal(w.max, 30);
    assert_int_equal(w.others.size(), 2);
    assert_string_equal(w.others[1].id.c_str(), "a2");
    assert_int_equal(w.others[1].slots, 20);
    assert_true(slot_want_parse("a4 7 0 7", w));
    assert_int_equal(w.others.size(), 0);
}

static void test_other_messages_are_refused(void **) {
    slot_want w;
    for (const char *text : {"", " ", "a4", "a4 0", "a4 0 1", "a4 0 1 ", "a4 x 1 30", "a4 -1 1 30", "a4 0 1 30 a1",
                             "a4 0 1 30 a1 ", "a4 0 1 30 a1 1x", "a4 0 1 30  a1 1", "a4 0 1 99999999999", " 0 1 30"})
        assert_false(slot_want_parse(text, w));
    std::string whole = "a4 0 1200 30 a1 10";
    for (size_t n = 0; n < whole.size(); ++n) // cut anywhere: refused, or fewer others
        if (slot_want_parse(whole.substr(0, n), w))
            assert_true(w.others.size() <= 1);
}

static slot_want want(uint32_t asker, uint32_t max, const std::map<std::string, uint32_t> &others) {
    slot_want w{{"asker", asker}, 100, max, {}};
    for (const auto &[id, slots] : others)
        w.others.push_back({id, slots});
    return w;
}

static int answer(const slot_want &w, const char *id, uint32_t held) {
    return static_cast<int>(slot_want_answer(w, id, held));
}

static constexpr int nothing = static_cast<int>(want_answer::nothing);
static constexpr int leave = static_cast<int>(want_answer::leave);
static constexpr int give = static_cast<int>(want_answer::give);

static void test_two_more_than_the_asker_and_more_than_the_share(void **) {
    assert_int_equal(answer(want(4, 10, {{"a", 6}}), "a", 6), give);
    assert_int_equal(answer(want(5, 10, {{"a", 5}}), "a", 5), nothing); // equal
    assert_int_equal(answer(want(4, 9, {{"a", 5}}), "a", 5), nothing);  // one more: it would only change places
    slot_want w = want(1, 25, {{"a", 20}, {"b", 4}});
    assert_int_equal(answer(w, "a", 20), give);
    assert_int_equal(answer(w, "b", 4), nothing); // two more, but below its share
    assert_int_equal(answer(w, "asker", 1), nothing);
}

static void test_as_many_give_as_the_asker_lacks(void **) {
    slot_want w = want(1, 10, {{"a", 3}, {"b", 3}, {"c", 3}}); // its share is two
    assert_int_equal(answer(w, "a", 3), give);
    assert_int_equal(answer(w, "b", 3), leave);
    assert_int_equal(answer(w, "c", 3), leave);
    w = want(0, 30, {{"a", 10}, {"b", 10}, {"c", 10}});
    for (const char *id : {"a", "b", "c"})
        assert_int_equal(answer(w, id, 10), give);
    w = want(0, 2, {{"a", 2}}); // no whole slot for everybody, but one can be spared
    assert_int_equal(answer(w, "a", 2), give);
}

static void test_what_is_held_now_counts(void **) {
    slot_want w = want(0, 20, {{"a", 20}});
    assert_int_equal(answer(w, "a", 1), nothing); // it has given since
    assert_int_equal(answer(w, "late", 15), leave);
}

static void test_hopeful(void **) {
    assert_true(slot_want_hopeful(want(0, 2, {{"a", 2}})));
    assert_false(slot_want_hopeful(want(0, 3, {{"a", 1}, {"b", 1}, {"c", 1}})));
    assert_false(slot_want_hopeful(want(5, 10, {{"a", 5}})));
    assert_false(slot_want_hopeful(want(10, 10, {})));
}

// Round after round until nobody gives: everybody's share is there, and nothing goes to and fro.
static void settle(std::map<std::string, uint32_t> slots, uint32_t max) {
    uint32_t moved = 0;
    for (bool news = true; news;) {
        news = false;
        for (auto &[asker, asker_slots] : slots) {
            slot_want w{{asker, asker_slots}, 100, max, {}};
            for (const auto &[id, n] : slots)
                if (id != asker && n > 0)
                    w.others.push_back({id, n});
            for (auto &[id, n] : slots) {
                if (slot_want_answer(w, id, n) != want_answer::give)
                    continue;
                --n;
                ++asker_slots;
                ++moved;
                news = true;
            }
        }
        assert_true(moved < 1000);
    }
    for (const auto &[id, n] : slots) {
        assert_true(n >= max / slots.size());
        assert_true(n <= max / slots.size() + 1);
    }
}

static void test_ends_in_equal_shares(void **) {
    settle({{"a", 10}, {"b", 10}, {"c", 10}, {"d", 0}}, 30);
    settle({{"a", 33}, {"b", 33}, {"c", 34}, {"d", 0}}, 100);
    settle({{"a", 7}, {"b", 0}, {"c", 0}}, 7);
    settle({{"a", 1}, {"b", 9}, {"c", 5}, {"d", 2}, {"e", 0}}, 17);
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_message_is_read),
        cmocka_unit_test(test_other_messages_are_refused),
        cmocka_unit_test(test_two_more_than_the_asker_and_more_than_the_share),
        cmocka_unit_test(test_as_many_give_as_the_asker_lacks),
        cmocka_unit_test(test_what_is_held_now_counts),
        cmocka_unit_test(test_hopeful),
        cmocka_unit_test(test_ends_in_equal_shares),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
