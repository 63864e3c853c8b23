// The byte queue with three cursors: against a model, and its limits.
#include "cmocka_cpp.h"

#include <cstring>
#include <deque>
#include <vector>

#include "base/iobuf.h"

using bytes = std::vector<uint8_t>;

static void check_cursors(const iobuf &b) {
    assert_true(b.done <= b.parsed && b.parsed <= b.filled && b.filled <= b.capacity);
    assert_true((b.data == nullptr) == (b.capacity == 0));
}

static void test_lazy(void **) {
    iobuf b;
    check_cursors(b);
    assert_null(b.data);
    assert_true(iobuf_append(b, {}, 10));
    assert_null(b.data);
    const uint8_t x[] = {1, 2, 3};
    assert_true(iobuf_append(b, x, 10));
    assert_int_equal(iobuf_size(b), 3);
    iobuf_consume(b, 2);
    assert_int_equal(iobuf_pending(b)[0], 3);
    iobuf_consume(b, 1);
    assert_null(b.data); // given back when empty
    check_cursors(b);
}

static void test_limit(void **) {
    iobuf b;
    bytes many(100);
    assert_false(iobuf_append(b, many, 99));
    assert_null(b.data);
    assert_true(iobuf_append(b, many, 100));
    assert_false(iobuf_append(b, std::span(many).first(1), 100));
    assert_int_equal(iobuf_size(b), 100);
    iobuf_consume(b, 40);
    assert_false(iobuf_append(b, std::span(many).first(41), 100));
    assert_true(iobuf_append(b, std::span(many).first(40), 100));
    assert_int_equal(iobuf_size(b), 100);
    assert_true(iobuf_room(b, SIZE_MAX, 100).empty());
    assert_true(iobuf_room(b, 1, SIZE_MAX).size() >= 1);
    assert_true(iobuf_room(b, SIZE_MAX, SIZE_MAX).empty());
}

// Whoever fills all the room that was given stays under the limit.
static void test_room_is_never_over_the_limit(void **) {
    iobuf b;
    auto room = iobuf_room(b, 10, 700);
    assert_true(room.size() >= 10 && room.size() <= 700);
    while (!(room = iobuf_room(b, 1, 700)).empty())
        iobuf_fill(b, room.size());
    assert_int_equal(iobuf_size(b), 700);
}

static void test_parsed_follows(void **) {
    iobuf b;
    bytes ten(10);
    for (uint8_t i = 0; i < 10; ++i)
        ten[i] = i;
    assert_true(iobuf_append(b, ten, 100));
    iobuf_parse(b, 4);
    assert_int_equal(iobuf_unparsed(b).size(), 6);
    assert_int_equal(iobuf_unparsed(b)[0], 4);
    iobuf_consume(b, 2);
    assert_int_equal(iobuf_unparsed(b)[0], 4);
    iobuf_consume(b, 5);
    assert_int_equal(iobuf_unparsed(b)[0], 7);
    check_cursors(b);
}

static void test_against_a_model(void **) {
    iobuf b;
    std::deque<uint8_t> model;
    uint32_t seed = 42;
    uint8_t next = 0;
    for (int round = 0; round < 20000; ++round) {
        seed = seed * 1664525u + 1013904223u;
        size_t n = seed >> 22;
        if (seed & 0x100) {
            bytes more(n % 300);
            for (uint8_t &x : more)
                x = next++;
            bool fits = model.size() + more.size() <= 2000;
            assert_int_equal(iobuf_append(b, more, 2000), fits || more.empty());
            if (fits)
                model.insert(model.end(), more.begin(), more.end());
        } else {
            n = std::min(n % 500, model.size());
            iobuf_consume(b, n);
            model.erase(model.begin(), model.begin() + static_cast<long>(n));
        }
        check_cursors(b);
        auto pending = iobuf_pending(b);
        assert_int_equal(pending.size(), model.size());
        if (!model.empty())
            assert_true(pending.front() == model.front() && pending.back() == model.back());
        assert_true(b.capacity <= 4096);
    }
}

static void test_free_and_wipe(void **) {
    iobuf b;
    bytes secret(100, 's');
    assert_true(iobuf_append(b, secret, 100));
    iobuf_wipe(b);
    assert_null(b.data);
    iobuf_wipe(b);
    assert_true(iobuf_append(b, secret, 100));
    iobuf_free(b);
    assert_int_equal(iobuf_size(b), 0);
    check_cursors(b);
}

static void move_hands_everything_over(void **) {
    iobuf from, to;
    const uint8_t four[] = {1, 2, 3, 4};
    assert_true(iobuf_append(from, four, 100));
    iobuf_parse(from, 2);
    iobuf_consume(from, 1);
    iobuf_move(to, from);
    assert_null(from.data);
    assert_int_equal(iobuf_size(from), 0);
    assert_int_equal(iobuf_size(to), 3);
    assert_memory_equal(iobuf_pending(to).data(), four + 1, 3);
    assert_int_equal(iobuf_unparsed(to).size(), 2);
    iobuf_free(to);
}

// Blocks go round, but two buffers never have the same one, and a wiped one shows nothing.
static void blocks_are_given_out_once(void **) {
    const bytes secret(400, 0x5e);
    for (int round = 0; round < 3; ++round) {
        std::deque<iobuf> buffers(200);
        for (size_t i = 0; i < buffers.size(); ++i)
            assert_true(iobuf_append(buffers[i], bytes(300, static_cast<uint8_t>(i)), 1000));
        for (size_t i = 0; i < buffers.size(); ++i)
            assert_true(iobuf_pending(buffers[i])[299] == i && iobuf_pending(buffers[i])[0] == i);
        iobuf b, next;
        assert_true(iobuf_append(b, secret, 1000));
        const uint8_t *block = b.data;
        iobuf_wipe(b);
        auto room = iobuf_room(next, 400, 1000);
        if (room.data() == block)
            assert_memory_not_equal(room.data(), secret.data(), 16);
    }
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_lazy),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_room_is_never_over_the_limit),
        cmocka_unit_test(test_parsed_follows),
        cmocka_unit_test(test_against_a_model),
        cmocka_unit_test(test_free_and_wipe),
        cmocka_unit_test(move_hands_everything_over),
        cmocka_unit_test(blocks_are_given_out_once),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
