// One bucket's account with Redis: what this instance truly holds, what Redis has for it, and the one operation that is
// under way. Pure: it decides, redis_slots.cpp sends.
//
//      want, release ----> held, wanted
//                             |  ledger_next: what is to be sent now?
//                             v
//      acquire/release with an absolute target, one at a time --reply--> granted | full | unavailable
//
// What always holds while registered and not in fallback: held <= what Redis has for us. So held grows only by a reply,
// shrinks at once, and Redis follows. Targets are absolute, so it does not matter whether a lost operation was carried
// out: the next register (always the first on a new connection) says the true number.
#pragma once

#include <cstdint>

enum class ledger_op : uint8_t { none, acquire, release };
enum class ledger_answer : uint8_t { none, granted, full, unavailable };

struct ledger {
    uint32_t held = 0;       // granted to the upper layer and not yet given back
    uint32_t registered = 0; // what Redis has for us, by its last answer
    ledger_op in_flight = ledger_op::none;
    uint32_t target = 0;  // of the operation in flight
    bool wanted = false;  // the upper layer waits for an answer
    bool on_hold = false; // an operation failed: nothing is sent until the next register has put things right
    uint32_t count = 0;   // over all instances, by the last answer
    uint32_t max = 0;     // likewise; configured at first
};

struct ledger_step {
    ledger_op op = ledger_op::none;
    uint32_t target = 0;
};

// What a reply means for the upper layer, and whether this instance has to register at once.
struct ledger_result {
    ledger_answer answer = ledger_answer::none;
    bool must_register = false;
};

// The operation to send now, if any; give it to ledger_sent if it was sent. Surplus goes back before more is asked for.
ledger_step ledger_next(const ledger &);
void ledger_sent(ledger &, ledger_step);

// The reply of acquire.lua. `may_grant` false (fenced): the slot is not handed out, the want stays.
ledger_result ledger_acquired(ledger &, int64_t code, int64_t count, int64_t max, bool may_grant);
// The reply of release.lua.
ledger_result ledger_released(ledger &, int64_t code, int64_t count);
// Redis answered the operation with an error: it has done nothing.
ledger_result ledger_failed(ledger &);
// NOSCRIPT: nothing was done, the same may be sent again at once.
void ledger_unsent(ledger &);
// The connection is gone, and with it any reply.
void ledger_disconnected(ledger &);

// The number for register: the true one, or -1 (left out) while an operation is in flight on this connection.
int64_t ledger_report(const ledger &);
// Register was answered; `reported` is what ledger_report gave when it was sent.
void ledger_registered(ledger &, int64_t reported, int64_t count, int64_t max);

// Fallback: takes a slot if fewer than `share` are held.
ledger_answer ledger_take_share(ledger &, uint32_t share);
