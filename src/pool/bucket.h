// One bucket on this instance: who waits for a slot, whether one should be asked for, and whether the server is up.
// It decides; the proxy acts. Pure: time (milliseconds, monotonic) and randomness are arguments.
//
//      client session ---bucket_request---> [ waiters, FIFO ] ---head---> "want" at the coordinator
//                                                 ^                              |
//      server connection gone --bucket_slot_free--+------- granted / refused ----+
//
// At most one want is outstanding. A slot that comes free here goes straight to the head of the queue, without asking.
#pragma once

#include <cstdint>
#include <string>

#include "pool/backoff.h"
#include "queue/waitq.h"

struct bucket_limits {
    uint32_t max_queue_size = 0; // 0: unlimited
    uint64_t queue_timeout = 0;  // ms; 0: queueing is off
    uint64_t queue_poll = 500;   // ms between two tries of the head
    uint32_t down_after = 3;     // failed connects in a row that make the bucket fail fast
};

enum class server_health : uint8_t { unknown, up, down };

struct bucket {
    uint32_t index = 0;
    std::string id;
    bucket_limits limits;

    waitq queue;
    bool want_outstanding = false; // the coordinator owes an answer
    bool full = false;             // the last answer was a refusal and nothing has come free since
    uint64_t ask_at = 0;           // the head does not ask again before this
    uint32_t used = 0;             // slots held: connecting, serving, closing
    uint32_t surplus = 0;          // slots that the coordinator wants back as they come free
    uint32_t max = 0;              // the limit over all instances, as last told
    bool paused = false;           // by an operator: nobody gets a slot, who asks waits
    uint32_t ceiling = UINT32_MAX; // slots that this instance may hold after the server has said that it has too many
    uint64_t ceiling_at = 0;       // when that is raised next

    server_health health = server_health::unknown;
    backoff retry;           // of background probes while down
    uint32_t failures = 0;   // failed connects in a row
    uint64_t last_ok = 0;    // when the server last answered
    uint64_t probe_at = 0;   // when the next probe is due
    uint64_t latency_us = 0; // of the last successful probe or connect
    std::string last_error;  // for /health
};

enum class bucket_verdict : uint8_t {
    wait,        // queued; the answer comes later
    queue_full,  // 50005
    server_down, // 50003: failing fast
};

// A client session (or probe) wants a slot. It is queued even if a slot is surely free: the head of the queue asks.
// The queue's limit turns a newcomer away only while the bucket is known to be full; else bucket_slot_refused does.
[[nodiscard]] bucket_verdict bucket_request(bucket &b, waiter &w, uint64_t now);
// The waiter goes (client vanished, timed out). Harmless if it is not queued.
void bucket_cancel(bucket &b, waiter &w);

// Whether a want should be sent now. The caller sends it and sets want_outstanding by bucket_want_sent.
[[nodiscard]] bool bucket_should_want(const bucket &b, uint64_t now);
void bucket_want_sent(bucket &b);

// The coordinator granted a slot: the waiter that gets it, out of the queue, or nullptr: give the slot back.
[[nodiscard]] waiter *bucket_slot_granted(bucket &b);
// The coordinator refused; `full` false means that it could not decide now. The head may ask again after queue_poll.
void bucket_slot_refused(bucket &b, bool full, uint64_t now, uint32_t random);
// After a refusal, again and again until nullptr: the next waiter to be turned away, out of the queue, and whether it
// is because queueing is off (50001) or the queue is too long (50005). Newest first, so that the oldest keep their
// place.
[[nodiscard]] waiter *bucket_pop_excess(bucket &b, bool &queueing_off);
// Something came free somewhere.
void bucket_slot_maybe_free(bucket &b);
// A slot in use here came free. Returns the waiter that takes it over, out of the queue (`used` is unchanged), or
// nullptr: the caller gives the slot back to the coordinator (`used` is one less).
[[nodiscard]] waiter *bucket_slot_free(bucket &b, bool may_hand_over);

// No slot is asked for, taken or handed over until the bucket is resumed: everybody waits, as long as queue_timeout
// lets them, even while the server is down.
void bucket_pause(bucket &b);
// The server counts as not known to be down: an operator says that it is there.
void bucket_resume(bucket &b);

// More slots are held than the server bears: a connection that comes free is to be closed. `closing` are already.
[[nodiscard]] bool bucket_above_ceiling(const bucket &b, uint32_t closing);
// The server has answered that it has too many workers or sessions: one slot fewer than are held now, those of
// connections that are closing aside, at least one, until bucket_ceiling_tick raises it step by step. True if there was
// no ceiling before.
bool bucket_server_busy(bucket &b, uint32_t closing, uint64_t now);
// True if the ceiling has changed: one step in ten seconds; UINT32_MAX, none, once it has reached the limit.
bool bucket_ceiling_tick(bucket &b, uint64_t now);

// The server took a connection or answered; true if it was not known to be up.
bool bucket_server_ok(bucket &b, uint64_t now, uint64_t latency_us);
// A connect failed. True if the bucket goes down by this: waiters should be told.
bool bucket_server_failed(bucket &b, uint64_t now, uint32_t random, std::string error);
