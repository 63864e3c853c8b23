// Records of real logins, from which the same login is answered again without asking the server
// (docs/architecture.md). Pure: time (milliseconds, monotonic) is an argument.
//
//      (bucket, user, database asked for) -> password digest
//                                            (pool key, language asked for) -> when the real login was, its answer
//
// Only a success of a server makes a record, and its age counts from that login and is never extended, however often it
// is used. A success with another password replaces the whole record.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "tls/digest.h"

struct tds_login_answer;
struct login_records; // opaque

inline constexpr size_t login_records_max = 100'000; // answers kept by one instance; the oldest go first

// What a login asks for. Nothing of it is kept but copies.
struct login_record_key {
    uint32_t bucket = 0;       // index; a read-only target is a bucket of its own
    std::string_view user;     // "@bucket" removed
    std::string_view database; // as asked for in LOGIN7; empty: the login's default
    std::string_view language; // likewise
    std::string_view pool_key; // pool_key_make
};

// nullptr when memory is out.
login_records *login_records_create(size_t max_answers = login_records_max);
void login_records_destroy(login_records *);

// The answer of a real login no older than `ttl` (ms; 0: never) with this very password, or null. The password is
// compared in constant time. What has expired goes.
std::shared_ptr<const tds_login_answer> login_record_find(login_records *, const login_record_key &key,
                                                          const digest &password, uint64_t now, uint64_t ttl);

// A real login succeeded. `made_at`: when it was sent, so that a record is never younger than what the server checked.
void login_record_store(login_records *, const login_record_key &key, const digest &password, uint64_t made_at,
                        std::shared_ptr<const tds_login_answer> answer);

// A refusal, or a reset that failed: nobody is let in from a record of this bucket, user and database any more.
void login_record_forget(login_records *, uint32_t bucket, std::string_view user, std::string_view database);
// The bucket's definition has changed.
void login_record_forget_bucket(login_records *, uint32_t bucket);

// Drops what is older than `ttl`. Cheap: call it about once a second.
void login_records_sweep(login_records *, uint64_t now, uint64_t ttl);

size_t login_records_count(const login_records *); // answers kept
