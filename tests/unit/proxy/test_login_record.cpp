// Who is let in from a record of a real login, and for how long.
#include "proxy/login_record.h"

#include <memory>
#include <random>
#include <string>

#include "tds/login_answer.h"

#include "cmocka_cpp.h" // last: it defines fail()

using answer_ptr = std::shared_ptr<const tds_login_answer>;

constexpr uint64_t ttl = 60'000;

struct records_deleter {
    void operator()(login_records *r) const { login_records_destroy(r); }
};
using records_ptr = std::unique_ptr<login_records, records_deleter>;

static digest digest_of(uint8_t first) {
    digest d{};
    d[0] = first;
    d[31] = 7;
    return d;
}
static const digest password = digest_of(1), other_password = digest_of(2);

static answer_ptr an_answer(const char *database = "db") {
    auto a = std::make_shared<tds_login_answer>();
    a->database = database;
    return a;
}

static login_record_key key_of(const char *user = "sa", const char *database = "db") {
    return {.bucket = 1, .user = user, .database = database, .language = "", .pool_key = "k"};
}

static void a_login_is_found_again(void **) {
    records_ptr r(login_records_create());
    answer_ptr a = an_answer();
    assert_null(login_record_find(r.get(), key_of(), password, 1000, ttl).get());
    login_record_store(r.get(), key_of(), password, 1000, a);
    assert_ptr_equal(login_record_find(r.get(), key_of(), password, 1000, ttl).get(), a.get());
    assert_null(login_record_find(r.get(), key_of(), other_password, 1000, ttl).get());
    assert_ptr_equal(login_record_find(r.get(), key_of(), password, 1000, ttl).get(),
                     a.get());                                                  // a wrong one does no harm
    assert_null(login_record_find(r.get(), key_of(), password, 1000, 0).get()); // ttl 0: never
}

static void everything_asked_for_counts(void **) {
    records_ptr r(login_records_create());
    login_record_store(r.get(), key_of(), password, 0, an_answer());
    login_record_key keys[] = {key_of(), key_of("sb"), key_of("sa", ""), key_of("sad", "b"), key_of(), key_of()};
    keys[0].bucket = 2;
    keys[4].language = "Deutsch";
    keys[5].pool_key = "k2";
    for (const login_record_key &key : keys)
        assert_null(login_record_find(r.get(), key, password, 0, ttl).get());
    assert_non_null(login_record_find(r.get(), key_of(), password, 0, ttl).get());
}

static void variants_of_one_login_live_side_by_side(void **) {
    records_ptr r(login_records_create());
    login_record_key other = key_of();
    other.pool_key = "k2";
    answer_ptr a = an_answer(), b = an_answer();
    login_record_store(r.get(), key_of(), password, 0, a);
    login_record_store(r.get(), other, password, 0, b);
    assert_int_equal(login_records_count(r.get()), 2);
    assert_ptr_equal(login_record_find(r.get(), key_of(), password, 0, ttl).get(), a.get());
    assert_ptr_equal(login_record_find(r.get(), other, password, 0, ttl).get(), b.get());
}

// The busiest tenant must not be let in for ever with a password that the server has long changed.
static void never_older_than_ttl_however_often_used(void **) {
    records_ptr r(login_records_create());
    login_record_store(r.get(), key_of(), password, 5000, an_answer());
    for (uint64_t now = 5000; now < 5000 + ttl; now += 7)
        assert_non_null(login_record_find(r.get(), key_of(), password, now, ttl).get());
    assert_non_null(login_record_find(r.get(), key_of(), password, 5000 + ttl - 1, ttl).get());
    assert_null(login_record_find(r.get(), key_of(), password, 5000 + ttl, ttl).get());
    assert_null(login_record_find(r.get(), key_of(), password, 5000 + ttl - 1, ttl).get()); // gone for good
    assert_int_equal(login_records_count(r.get()), 0);
}

// Each kind of driver has its own real login: one's does not make another's younger.
static void a_real_login_renews_its_own_variant_only(void **) {
    records_ptr r(login_records_create());
    login_record_key other = key_of();
    other.pool_key = "k2";
    login_record_store(r.get(), key_of(), password, 0, an_answer());
    login_record_store(r.get(), other, password, 0, an_answer());
    login_record_store(r.get(), key_of(), password, ttl / 2, an_answer());
    assert_non_null(login_record_find(r.get(), key_of(), password, ttl, ttl).get());
    assert_null(login_record_find(r.get(), other, password, ttl, ttl).get());
}

static void an_answer_that_comes_late_makes_nothing_older(void **) {
    records_ptr r(login_records_create());
    answer_ptr young = an_answer();
    login_record_store(r.get(), key_of(), password, 1000, young);
    login_record_store(r.get(), key_of(), password, 500, an_answer());
    assert_ptr_equal(login_record_find(r.get(), key_of(), password, 1000, ttl).get(), young.get());
    login_record_store(r.get(), key_of(), other_password, 500, an_answer()); // sent before, with the old password
    assert_null(login_record_find(r.get(), key_of(), other_password, 1000, ttl).get());
    assert_ptr_equal(login_record_find(r.get(), key_of(), password, 1000, ttl).get(), young.get());
}

static void another_password_replaces_the_whole_record(void **) {
    records_ptr r(login_records_create());
    login_record_key other = key_of();
    other.pool_key = "k2";
    login_record_store(r.get(), key_of(), password, 0, an_answer());
    login_record_store(r.get(), other, password, 0, an_answer());
    login_record_store(r.get(), key_of("sb"), password, 0, an_answer());
    login_record_store(r.get(), key_of(), other_password, 10, an_answer());
    assert_int_equal(login_records_count(r.get()), 2);
    assert_null(login_record_find(r.get(), key_of(), password, 10, ttl).get());
    assert_null(login_record_find(r.get(), other, password, 10, ttl).get());
    assert_non_null(login_record_find(r.get(), key_of(), other_password, 10, ttl).get());
    assert_non_null(login_record_find(r.get(), key_of("sb"), password, 10, ttl).get());
}

static void a_refusal_forgets(void **) {
    records_ptr r(login_records_create());
    login_record_key other = key_of();
    other.language = "Deutsch";
    login_record_store(r.get(), key_of(), password, 0, an_answer());
    login_record_store(r.get(), other, password, 0, an_answer());
    login_record_store(r.get(), key_of("sa", "db2"), password, 0, an_answer());
    login_record_forget(r.get(), 1, "sa", "db");
    login_record_forget(r.get(), 1, "sa", "db"); // nothing there: fine
    assert_null(login_record_find(r.get(), key_of(), password, 0, ttl).get());
    assert_null(login_record_find(r.get(), other, password, 0, ttl).get());
    assert_non_null(login_record_find(r.get(), key_of("sa", "db2"), password, 0, ttl).get());
}

static void a_changed_bucket_forgets(void **) {
    records_ptr r(login_records_create());
    login_record_key elsewhere = key_of();
    elsewhere.bucket = 2;
    for (int i = 0; i < 100; ++i)
        login_record_store(r.get(), key_of(("u" + std::to_string(i)).c_str()), password, 0, an_answer());
    login_record_store(r.get(), elsewhere, password, 0, an_answer());
    login_record_forget_bucket(r.get(), 1);
    assert_int_equal(login_records_count(r.get()), 1);
    assert_non_null(login_record_find(r.get(), elsewhere, password, 0, ttl).get());
}

static void the_number_is_bounded_and_the_oldest_go(void **) {
    records_ptr r(login_records_create(10));
    for (int i = 0; i < 15; ++i)
        login_record_store(r.get(), key_of(("u" + std::to_string(i)).c_str()), password, static_cast<uint64_t>(i),
                           an_answer());
    assert_int_equal(login_records_count(r.get()), 10);
    for (int i = 0; i < 15; ++i) {
        bool found =
            login_record_find(r.get(), key_of(("u" + std::to_string(i)).c_str()), password, 15, ttl) != nullptr;
        assert_int_equal(found, i >= 5);
    }
}

static void what_has_expired_is_swept(void **) {
    records_ptr r(login_records_create());
    std::weak_ptr<const tds_login_answer> watched;
    {
        answer_ptr a = an_answer();
        watched = a;
        login_record_store(r.get(), key_of("first"), password, 0, std::move(a));
    }
    login_record_store(r.get(), key_of("second"), password, 100, an_answer());
    login_records_sweep(r.get(), ttl - 1, ttl);
    assert_int_equal(login_records_count(r.get()), 2);
    login_records_sweep(r.get(), ttl, ttl);
    assert_int_equal(login_records_count(r.get()), 1);
    assert_true(watched.expired());
    login_records_sweep(r.get(), ttl, 0);
    assert_int_equal(login_records_count(r.get()), 0);
}

// Against a plain model: an answer is given if and only if a real login with this password, no older than ttl, is the
// last one recorded.
static void random_use_agrees_with_a_model(void **) {
    struct fact {
        bool there = false;
        uint8_t password = 0;
        uint64_t made_at = 0;
    } facts[4];
    records_ptr r(login_records_create());
    std::minstd_rand random(3);
    const char *users[] = {"a", "b", "c", "d"};
    size_t hits = 0;
    for (uint64_t now = 0; now < 200'000; now += 1 + random() % 20) {
        size_t u = random() % 4;
        auto pw = static_cast<uint8_t>(random() % 2);
        fact &f = facts[u];
        switch (random() % 40) {
        case 0:
            login_record_store(r.get(), key_of(users[u]), digest_of(pw), now, an_answer());
            f = {true, pw, now};
            break;
        case 1:
            login_record_forget(r.get(), 1, users[u], "db");
            f.there = false;
            break;
        case 2: login_records_sweep(r.get(), now, 3000); break;
        default: {
            bool expected = f.there && f.password == pw && now - f.made_at < 3000;
            assert_int_equal(login_record_find(r.get(), key_of(users[u]), digest_of(pw), now, 3000) != nullptr,
                             expected);
            hits += expected;
        }
        }
    }
    assert_true(hits > 500);
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(a_login_is_found_again),
        cmocka_unit_test(everything_asked_for_counts),
        cmocka_unit_test(variants_of_one_login_live_side_by_side),
        cmocka_unit_test(never_older_than_ttl_however_often_used),
        cmocka_unit_test(a_real_login_renews_its_own_variant_only),
        cmocka_unit_test(an_answer_that_comes_late_makes_nothing_older),
        cmocka_unit_test(another_password_replaces_the_whole_record),
        cmocka_unit_test(a_refusal_forgets),
        cmocka_unit_test(a_changed_bucket_forgets),
        cmocka_unit_test(the_number_is_bounded_and_the_oldest_go),
        cmocka_unit_test(what_has_expired_is_swept),
        cmocka_unit_test(random_use_agrees_with_a_model),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
