// One connection to a Redis (or a Sentinel): hiredis' async context on a uv loop, with what it lacks.
//
//      resolving --uv_getaddrinfo--> connecting --(next address on failure)--> greeting --AUTH, SELECT--> ready
//           \____________________________\_______ dial_timeout __________________/                        |
//                                          any failure, or a command unanswered for read_timeout          |
//                                                       v                                                 v
//                                                    closing  --all handles closed-->  lost() and freed
//
// hiredis 0.14 needs care: its connect resolves names and blocks (so it is given an address), its own uv adapter
// ignores poll errors, it has no timeouts, it leaves keepalive off, it asserts on a reply to nothing, and its context
// may free itself in any of its calls. Here the context belongs to an attachment that outlives it until its poll handle
// is closed, and the link outlives all attachments. Ignore SIGPIPE: hiredis writes with write(2).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <uv.h>

struct redisReply;
struct redis_link;

struct redis_link_options {
    std::string host;
    uint16_t port = 6379;
    std::string username; // empty: AUTH with the password alone
    std::string password; // empty: no AUTH
    uint32_t db = 0;
    uint64_t dial_timeout = 5000; // ms, until ready
    uint64_t read_timeout = 3000; // ms without any reply while one is owed
    uint64_t keepalive = 30'000;  // ms
};

struct redis_link_callbacks {
    void *user;
    // Connected, authenticated, database selected.
    void (*ready)(void *user);
    // Once, from the loop, as the last thing that happens to the link: it frees itself after this. Not called after
    // redis_link_close. `timed_out`: Redis did not answer, as opposed to refusing or closing.
    void (*lost)(void *user, const char *reason, bool timed_out);
    // After redis_link_close, instead of lost.
    void (*closed)(void *user);
};

// `reply` belongs to the link and is null when the connection was lost first (called before `lost` then).
using redis_reply_fn = void (*)(void *user, const redisReply *reply);

redis_link *redis_link_open(uv_loop_t *, const redis_link_options &, const redis_link_callbacks &);

// Sends a command; `reply` is called once, later. False, and `reply` will not be called, if the link is not ready.
bool redis_link_command(redis_link *, const std::vector<std::string> &words, redis_reply_fn reply, void *user);

// SUBSCRIBE to one channel. `message` is called for the confirmation (text null) and every message.
// Repeating it is harmless and, as its confirmation is awaited like any reply, serves as a ping.
using redis_message_fn = void (*)(void *user, const char *text);
bool redis_link_subscribe(redis_link *, const std::string &channel, redis_message_fn message, void *user);

// Ends it because of something the owner has seen; `lost` follows from the loop.
void redis_link_fail(redis_link *, std::string_view reason);
// Ends it without `lost`; `closed` follows from the loop. Replies still owed are reported as null.
void redis_link_close(redis_link *);
