// Records of real logins. Contract in login_record.h.
#include "proxy/login_record.h"

#include <cstring>
#include <new>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/list.h"

namespace {

struct record;

// One answer of a server: of one pool key and language.
struct variant {
    list_node<variant> node;
    record *owner = nullptr;
    std::string pool_key, language;
    uint64_t made_at = 0;
    std::shared_ptr<const tds_login_answer> answer;
};

struct record {
    std::string key; // of the map
    digest password{};
    std::vector<std::unique_ptr<variant>> variants; // few: a login is used by few kinds of driver
};

using variant_list = list<variant, &variant::node>;

} // namespace

struct login_records {
    size_t max_answers = 0;
    std::unordered_map<std::string_view, std::unique_ptr<record>> map; // the view is of the record's key
    variant_list by_age; // front: stored first, and so about the oldest: find compares ages exactly, sweep may be late
};

namespace {

// Lengths in front: no two logins make the same key.
std::string map_key(uint32_t bucket, std::string_view user, std::string_view database) {
    std::string key;
    auto put = [&key](size_t number) { key.append(reinterpret_cast<const char *>(&number), sizeof number); };
    key.reserve(2 * sizeof(size_t) + user.size() + database.size());
    put(bucket);
    put(user.size());
    key += user;
    key += database;
    return key;
}

uint32_t bucket_of(const record &r) {
    size_t bucket = 0;
    memcpy(&bucket, r.key.data(), sizeof bucket);
    return static_cast<uint32_t>(bucket);
}

record *find_record(login_records *records, const std::string &key) {
    auto found = records->map.find(key);
    return found != records->map.end() ? found->second.get() : nullptr;
}

void drop_variants(login_records *records, record *r) {
    for (const std::unique_ptr<variant> &v : r->variants)
        list_remove(records->by_age, *v);
    r->variants.clear();
}

void drop_record(login_records *records, record *r) {
    drop_variants(records, r);
    records->map.erase(records->map.find(r->key));
}

// And its record with its last one.
void drop_variant(login_records *records, variant *v) {
    record *r = v->owner;
    list_remove(records->by_age, *v);
    std::erase_if(r->variants, [v](const std::unique_ptr<variant> &other) { return other.get() == v; });
    if (r->variants.empty())
        drop_record(records, r);
}

variant *find_variant(const record *r, const login_record_key &key) {
    for (const std::unique_ptr<variant> &v : r->variants)
        if (v->pool_key == key.pool_key && v->language == key.language)
            return v.get();
    return nullptr;
}

bool expired(const variant *v, uint64_t now, uint64_t ttl) {
    return now < v->made_at || now - v->made_at >= ttl; // from the future: no use
}

// Whether the record stands for a login sent later than `made_at`.
bool is_younger(const record *r, uint64_t made_at) {
    for (const std::unique_ptr<variant> &v : r->variants)
        if (v->made_at > made_at)
            return true;
    return false;
}

// The record for a success with this password; nullptr if one with another password is younger than that.
record *obtain_record(login_records *records, std::string &&key, const digest &password, uint64_t made_at) {
    record *r = find_record(records, key);
    if (r == nullptr) {
        auto made = std::make_unique<record>();
        r = made.get();
        r->key = std::move(key);
        records->map.emplace(r->key, std::move(made));
    } else if (!digest_equal(r->password, password)) {
        if (is_younger(r, made_at))
            return nullptr;
        drop_variants(records, r); // what the other password has shown is void
    }
    r->password = password;
    return r;
}

} // namespace

login_records *login_records_create(size_t max_answers) {
    auto *records = new (std::nothrow) login_records;
    if (records != nullptr)
        records->max_answers = max_answers;
    return records;
}

void login_records_destroy(login_records *records) {
    delete records;
}

std::shared_ptr<const tds_login_answer> login_record_find(login_records *records, const login_record_key &key,
                                                          const digest &password, uint64_t now, uint64_t ttl) {
    record *r = find_record(records, map_key(key.bucket, key.user, key.database));
    if (r == nullptr)
        return nullptr;
    bool same_password = digest_equal(r->password, password);
    variant *v = find_variant(r, key);
    if (v == nullptr)
        return nullptr;
    if (expired(v, now, ttl)) {
        drop_variant(records, v);
        return nullptr;
    }
    return same_password ? v->answer : nullptr;
}

void login_record_store(login_records *records, const login_record_key &key, const digest &password, uint64_t made_at,
                        std::shared_ptr<const tds_login_answer> answer) {
    if (records->max_answers == 0)
        return;
    record *r = obtain_record(records, map_key(key.bucket, key.user, key.database), password, made_at);
    if (r == nullptr)
        return;
    variant *v = find_variant(r, key);
    if (v == nullptr) {
        v = r->variants.emplace_back(std::make_unique<variant>()).get();
        v->owner = r;
        v->pool_key = key.pool_key;
        v->language = key.language;
    } else if (v->made_at > made_at) {
        return; // a login sent earlier, answered later
    } else {
        list_remove(records->by_age, *v);
    }
    v->made_at = made_at;
    v->answer = std::move(answer);
    list_push_back(records->by_age, *v);
    if (records->by_age.count > records->max_answers)
        drop_variant(records, list_front(records->by_age));
}

void login_record_forget(login_records *records, uint32_t bucket, std::string_view user, std::string_view database) {
    if (record *r = find_record(records, map_key(bucket, user, database)))
        drop_record(records, r);
}

void login_record_forget_bucket(login_records *records, uint32_t bucket) {
    for (auto at = records->map.begin(); at != records->map.end();) {
        record *r = at->second.get();
        ++at;
        if (bucket_of(*r) == bucket)
            drop_record(records, r);
    }
}

void login_records_sweep(login_records *records, uint64_t now, uint64_t ttl) {
    while (variant *v = list_front(records->by_age)) {
        if (!expired(v, now, ttl))
            break;
        drop_variant(records, v);
    }
}

size_t login_records_count(const login_records *records) {
    return records->by_age.count;
}
