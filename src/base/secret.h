// One copy of a password, kept for as long as it is needed to log in again.
//
// Secrets live in an arena of their own: left out of core dumps, wiped in a forked child, locked in memory as far as
// RLIMIT_MEMLOCK allows, and shared by all secrets, so that one costs its length and a few bytes, not a page. The arena
// is the process's, as the heap is; it is used by one thread (the loop's).
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

inline constexpr size_t secret_max = 4080; // bytes of one secret

struct secret; // lives in the arena, never copied

// Copies `text` into the arena. nullptr when it is longer than secret_max or the arena (64 MiB) is full. The caller
// wipes its own copy.
[[nodiscard]] secret *secret_create(std::string_view text);
// Overwrites and frees it. nullptr is fine.
void secret_destroy(secret *);
// Valid until secret_destroy. Not terminated. An empty secret is a secret too (an empty password).
std::string_view secret_view(const secret *);

struct secret_deleter {
    void operator()(secret *s) const { secret_destroy(s); }
};
using secret_ptr = std::unique_ptr<secret, secret_deleter>;

struct secret_usage {
    size_t in_use = 0;     // secrets alive
    size_t committed = 0;  // bytes of the arena that hold or held secrets
    bool locked = false;   // all of `committed` is locked in memory
    bool undumped = false; // it stays out of core dumps
};
secret_usage secret_arena_usage();
