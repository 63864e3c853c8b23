// Fibers on ucontext. See fiber.h.
#include "fiber.h"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <cxxabi.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

namespace sqlserver {

namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr size_t stack_size = 4 * 1024 * 1024; // red zones make frames several times larger
#else
constexpr size_t stack_size = 1024 * 1024; // parsers recurse; pages that are never touched cost nothing
#endif
constexpr size_t guard_size = 4096;
constexpr size_t pooled_max = 256; // stacks kept for reuse

// What the C++ runtime keeps per thread about exceptions in flight: belongs to the fiber, not to the thread.
struct exception_state {
    void *caught = nullptr;
    unsigned uncaught = 0;
};

} // namespace

struct fiber {
    ucontext_t context = {};
    ucontext_t back = {};
    fiber_entry entry = nullptr;
    void *argument = nullptr;
    char *map = nullptr; // guard page, then the stack
    bool finished = false;
    exception_state exceptions;
    void *fake_stack = nullptr; // ASan's
};

namespace {

thread_local fiber *running = nullptr;
thread_local std::vector<char *> pool;
thread_local const void *loop_stack = nullptr; // ASan wants the bounds of the stack it switches back to
thread_local size_t loop_stack_size = 0;

char *stack_take() {
    if (!pool.empty()) {
        char *map = pool.back();
        pool.pop_back();
        return map;
    }
    void *map = mmap(nullptr, guard_size + stack_size, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (map == MAP_FAILED)
        return nullptr;
    if (mprotect(map, guard_size, PROT_NONE) != 0) {
        munmap(map, guard_size + stack_size);
        return nullptr;
    }
    return static_cast<char *>(map);
}

void stack_give(char *map) {
    if (pool.size() < pooled_max)
        pool.push_back(map);
    else
        munmap(map, guard_size + stack_size);
}

void exceptions_swap(exception_state &saved) {
    auto *now = reinterpret_cast<exception_state *>(abi::__cxa_get_globals());
    exception_state kept = *now;
    *now = saved;
    saved = kept;
}

#if defined(__SANITIZE_ADDRESS__)
void asan_leave(void **fake_stack, const void *bottom, size_t size) {
    __sanitizer_start_switch_fiber(fake_stack, bottom, size);
}
void asan_arrive(void *fake_stack, const void **bottom, size_t *size) {
    __sanitizer_finish_switch_fiber(fake_stack, bottom, size);
}
#else
void asan_leave(void **, const void *, size_t) {}
void asan_arrive(void *, const void **, size_t *) {}
#endif

void fiber_main() {
    fiber *self = running;
    asan_arrive(nullptr, &loop_stack, &loop_stack_size);
    self->entry(self->argument);
    self->finished = true;
    asan_leave(nullptr, loop_stack, loop_stack_size); // null: this fiber's fake stack may go
    swapcontext(&self->context, &self->back);
}

// Apart from its caller: getcontext counts as a function that may return twice.
void context_prepare(fiber *self) {
    getcontext(&self->context);
    self->context.uc_stack.ss_sp = self->map + guard_size;
    self->context.uc_stack.ss_size = stack_size;
    self->context.uc_link = nullptr;
    makecontext(&self->context, fiber_main, 0);
}

} // namespace

fiber *fiber_start(fiber_entry entry, void *argument) {
    char *map = stack_take();
    if (map == nullptr)
        return nullptr;
    auto *self = new fiber;
    self->entry = entry;
    self->argument = argument;
    self->map = map;
    context_prepare(self);
    fiber_resume(self);
    return self;
}

void fiber_resume(fiber *self) {
    void *fake_stack = nullptr;
    running = self;
    exceptions_swap(self->exceptions);
    asan_leave(&fake_stack, self->map + guard_size, stack_size);
    swapcontext(&self->back, &self->context);
    asan_arrive(fake_stack, nullptr, nullptr);
    exceptions_swap(self->exceptions);
    running = nullptr;
}

bool fiber_finished(const fiber *self) {
    return self->finished;
}

void fiber_free(fiber *self) {
    stack_give(self->map);
    delete self;
}

void fiber_yield() {
    fiber *self = running;
    asan_leave(&self->fake_stack, loop_stack, loop_stack_size);
    swapcontext(&self->context, &self->back);
    asan_arrive(self->fake_stack, &loop_stack, &loop_stack_size);
}

bool fiber_running() {
    return running != nullptr;
}

void fiber_pool_free() {
    for (char *map : pool)
        munmap(map, guard_size + stack_size);
    pool.clear();
    pool.shrink_to_fit();
}

} // namespace sqlserver
