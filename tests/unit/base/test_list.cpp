// The intrusive list and the slab.
#include <set>
#include <string>

#include "base/list.h"
#include "base/slab.h"

#include "cmocka_cpp.h" // last: it makes `fail` a macro

struct item {
    int value = 0;
    list_node<item> first;
    list_node<item> second;
    item() = default;
    explicit item(int v) : value(v) {}
};

using first_list = list<item, &item::first>;
using second_list = list<item, &item::second>;

template <typename L> static std::string values(const L &l) {
    std::string text;
    for (item *i = list_front(l); i != nullptr; i = list_next(l, *i))
        text += static_cast<char>('0' + i->value);
    return text;
}

static void test_order(void **) {
    item a(1), b(2), c(3);
    first_list l;
    assert_true(list_empty(l));
    assert_null(list_pop_front(l));
    list_push_back(l, b);
    list_push_back(l, c);
    list_push_front(l, a);
    assert_string_equal(values(l).c_str(), "123");
    assert_int_equal(l.count, 3);
    assert_ptr_equal(list_back(l), &c);
    list_remove(l, b);
    assert_string_equal(values(l).c_str(), "13");
    list_remove(l, c);
    assert_ptr_equal(list_back(l), &a);
    assert_ptr_equal(list_pop_front(l), &a);
    assert_true(list_empty(l) && l.count == 0 && list_back(l) == nullptr);
    list_push_back(l, b); // a removed item may be put on again
    assert_string_equal(values(l).c_str(), "2");
}

static void test_two_lists_at_once(void **) {
    item a(1), b(2);
    first_list one;
    second_list two;
    list_push_back(one, a);
    list_push_back(one, b);
    list_push_back(two, b);
    list_push_back(two, a);
    list_remove(one, a);
    assert_string_equal(values(one).c_str(), "2");
    assert_string_equal(values(two).c_str(), "21");
    assert_false(list_contains(one, a));
    assert_true(list_contains(two, a));
}

static void test_container_of(void **) {
    item a(7);
    assert_ptr_equal(container_of(&a.second, item, second), &a);
}

static int alive = 0;
struct counted {
    int value = 5;
    counted() { ++alive; }
    ~counted() { --alive; }
};

static void test_slab_reuses_and_constructs(void **) {
    slab<counted, 4> s;
    counted *a = slab_new(s);
    counted *b = slab_new(s);
    assert_int_equal(alive, 2);
    assert_int_equal(s.in_use, 2);
    a->value = 9;
    slab_delete(s, a);
    assert_int_equal(alive, 1);
    counted *again = slab_new(s);
    assert_ptr_equal(again, a); // last in, first out
    assert_int_equal(again->value, 5);
    slab_delete(s, static_cast<counted *>(nullptr));
    slab_delete(s, b);
    slab_delete(s, again);
    assert_int_equal(alive, 0);
    assert_int_equal(s.in_use, 0);
    assert_int_equal(s.chunks.size(), 1);
}

static void test_slab_of_many(void **) {
    slab<counted, 4> s;
    std::set<counted *> all;
    for (int i = 0; i < 103; ++i)
        assert_true(all.insert(slab_new(s)).second);
    assert_int_equal(s.chunks.size(), 26);
    for (counted *c : all) {
        assert_int_equal(reinterpret_cast<uintptr_t>(c) % alignof(counted), 0);
        slab_delete(s, c);
    }
    for (int i = 0; i < 104; ++i)
        all.insert(slab_new(s));
    assert_int_equal(s.chunks.size(), 26);
    assert_int_equal(all.size(), 104);
    for (counted *c : all)
        slab_delete(s, c);
    assert_int_equal(alive, 0);
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_order),        cmocka_unit_test(test_two_lists_at_once),
        cmocka_unit_test(test_container_of), cmocka_unit_test(test_slab_reuses_and_constructs),
        cmocka_unit_test(test_slab_of_many),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
