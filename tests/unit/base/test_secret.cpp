// Secrets keep what they were given, leave nothing behind, and cost no page each.
#include "base/secret.h"

#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "cmocka_cpp.h" // last: it defines fail()

static void a_secret_is_what_was_given(void **) {
    for (size_t size :
         {size_t{0}, size_t{1}, size_t{55}, size_t{56}, size_t{57}, size_t{248}, size_t{249}, secret_max}) {
        std::string text(size, 'p');
        secret_ptr s(secret_create(text));
        assert_non_null(s.get());
        assert_true(secret_view(s.get()) == text);
        assert_true(secret_view(s.get()).data() != text.data());
    }
    assert_null(secret_create(std::string(secret_max + 1, 'p')));
    secret_destroy(nullptr);
}

static void secrets_do_not_overlap(void **) {
    std::vector<secret_ptr> all;
    std::vector<std::string> texts;
    for (size_t i = 0; i < 3000; ++i) {
        texts.emplace_back(i % 300, static_cast<char>('a' + i % 26));
        all.emplace_back(secret_create(texts.back()));
        assert_non_null(all.back().get());
        if (i % 7 == 0) { // some go, and their place is used again
            all[i / 2].reset();
            texts[i / 2] = "again" + std::to_string(i);
            all[i / 2].reset(secret_create(texts[i / 2]));
        }
    }
    for (size_t i = 0; i < all.size(); ++i)
        assert_true(secret_view(all[i].get()) == texts[i]);
}

static void nothing_is_left_behind(void **) {
    const char *where;
    {
        secret_ptr s(secret_create("correct horse battery staple"));
        where = secret_view(s.get()).data();
        assert_memory_equal(where, "correct", 7);
    }
    for (size_t i = 0; i < 28; ++i) // the arena stays mapped
        assert_int_equal(where[i], 0);
}

static void small_ones_share_pages(void **) {
    secret_usage before = secret_arena_usage();
    std::vector<secret_ptr> all;
    for (size_t i = 0; i < 6400; ++i)
        all.emplace_back(secret_create("YourStr0ngP@ssword1"));
    secret_usage after = secret_arena_usage();
    assert_int_equal(after.in_use - before.in_use, 6400);
    assert_true(after.committed - before.committed <= 101 * 4096);
    all.clear();
    assert_int_equal(secret_arena_usage().in_use, before.in_use);
    for (size_t i = 0; i < 6400; ++i)
        all.emplace_back(secret_create("YourStr0ngP@ssword2"));
    assert_int_equal(secret_arena_usage().committed, after.committed); // what was freed is used again
}

// The sanitizers' mlock does nothing.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static constexpr bool mlock_works = false;
#else
static constexpr bool mlock_works = true;
#endif

// What the kernel says of the mapping that a secret lies in: "dd": not in a core dump, "wf": wiped in a forked child.
static void the_arena_is_not_dumped(void **) {
    secret_ptr s(secret_create("secret"));
    assert_true(secret_arena_usage().undumped);
    auto address = reinterpret_cast<uintptr_t>(s.get());
    std::ifstream maps("/proc/self/smaps");
    bool inside = false, found = false;
    for (std::string line; std::getline(maps, line);) {
        uintptr_t from = 0, to = 0;
        if (sscanf(line.c_str(), "%lx-%lx ", &from, &to) == 2)
            inside = from <= address && address < to;
        if (!inside || !line.starts_with("VmFlags:"))
            continue;
        found = true;
        assert_non_null(strstr(line.c_str(), " dd"));
        assert_non_null(strstr(line.c_str(), " wf"));
        if (mlock_works && secret_arena_usage().locked)
            assert_non_null(strstr(line.c_str(), " lo"));
    }
    assert_true(found);
}

static void a_full_arena_says_so(void **) {
    std::vector<secret_ptr> all;
    std::string text(secret_max, 'x');
    while (secret *s = secret_create(text))
        all.emplace_back(s);
    assert_true(all.size() > 10'000 && all.size() <= (64u << 20) / 4096);
    all.pop_back();
    secret_ptr again(secret_create(text));
    assert_non_null(again.get());
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(a_secret_is_what_was_given), cmocka_unit_test(secrets_do_not_overlap),
        cmocka_unit_test(nothing_is_left_behind),     cmocka_unit_test(small_ones_share_pages),
        cmocka_unit_test(the_arena_is_not_dumped),    cmocka_unit_test(a_full_arena_says_so),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
