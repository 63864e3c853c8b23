// Typed intrusive doubly linked list. An object embeds a list_node<T> for each list it can be on; the list never
// allocates. A state is a list: an object is on exactly one list per node, and `list_remove` of a node that is on none
// is an error caught by assertion.
//
//      list<waiter, &waiter::node> queue;
//      list_push_back(queue, *w);   list_front(queue);   list_remove(queue, *w);
#pragma once

#include <cassert>
#include <cstddef>

template <typename T> struct list_node {
    T *prev = nullptr;
    T *next = nullptr;
    const void *owner = nullptr; // the list it is on, nullptr when on none
};

template <typename T, list_node<T> T::*Node> struct list {
    T *head = nullptr;
    T *tail = nullptr;
    size_t count = 0;
};

template <typename T, list_node<T> T::*Node> bool list_empty(const list<T, Node> &l) {
    return l.head == nullptr;
}
template <typename T, list_node<T> T::*Node> T *list_front(const list<T, Node> &l) {
    return l.head;
}
template <typename T, list_node<T> T::*Node> T *list_back(const list<T, Node> &l) {
    return l.tail;
}
template <typename T, list_node<T> T::*Node> T *list_next(const list<T, Node> &, const T &item) {
    return (item.*Node).next;
}
template <typename T, list_node<T> T::*Node> bool list_contains(const list<T, Node> &l, const T &item) {
    return (item.*Node).owner == &l;
}

template <typename T, list_node<T> T::*Node> void list_push_back(list<T, Node> &l, T &item) {
    list_node<T> &node = item.*Node;
    assert(node.owner == nullptr);
    node = {l.tail, nullptr, &l};
    (l.tail ? (l.tail->*Node).next : l.head) = &item;
    l.tail = &item;
    ++l.count;
}

template <typename T, list_node<T> T::*Node> void list_push_front(list<T, Node> &l, T &item) {
    list_node<T> &node = item.*Node;
    assert(node.owner == nullptr);
    node = {nullptr, l.head, &l};
    (l.head ? (l.head->*Node).prev : l.tail) = &item;
    l.head = &item;
    ++l.count;
}

template <typename T, list_node<T> T::*Node> void list_remove(list<T, Node> &l, T &item) {
    list_node<T> &node = item.*Node;
    assert(node.owner == &l);
    (node.prev ? (node.prev->*Node).next : l.head) = node.next;
    (node.next ? (node.next->*Node).prev : l.tail) = node.prev;
    node = {};
    --l.count;
}

template <typename T, list_node<T> T::*Node> T *list_pop_front(list<T, Node> &l) {
    T *item = l.head;
    if (item != nullptr)
        list_remove(l, *item);
    return item;
}

// The whole of which `part` is the member at `member`.
#define container_of(part, type, member)                                                                               \
    reinterpret_cast<type *>(reinterpret_cast<char *>(part) - offsetof(type, member))
