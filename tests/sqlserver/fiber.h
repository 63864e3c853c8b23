// Fibers: cooperative threads on the one loop thread, so that the T-SQL half may be written as blocking code.
//
//      loop  -- fiber_start, fiber_resume -->  fiber
//      loop  <-- fiber_yield, return --------  fiber
//
// A fiber exists only while a request runs. Stacks are mmap'ed with a guard page and kept for reuse, so an idle
// session has none.
#pragma once

namespace sqlserver {

struct fiber;
using fiber_entry = void (*)(void *argument);

// Runs `entry(argument)` until it yields or returns. Null when no stack could be mapped.
fiber *fiber_start(fiber_entry entry, void *argument);

// Continues a fiber that has yielded. Only from the loop, never from a fiber.
void fiber_resume(fiber *);

// True when its entry has returned: call fiber_free then.
bool fiber_finished(const fiber *);

// Gives the stack back to the pool. The fiber must have finished.
void fiber_free(fiber *);

// Leaves the running fiber; returns when somebody resumes it. Only inside a fiber.
void fiber_yield();

// True inside a fiber.
bool fiber_running();

// Unmaps the pooled stacks (at exit).
void fiber_pool_free();

} // namespace sqlserver
