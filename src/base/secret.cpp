// The arena of secrets. Contract in secret.h.
//
//      64 MiB of addresses, given to slots of three sizes page by page (4 KiB) as they are needed
//      [ 16 x 256 ][ 1 x 4096 ][ 64 x 64 ] ... not yet used
//
// A slot begins with its secret's size; a free one is overwritten with zeros but for the link to the next.
#include "base/secret.h"

#include <sys/mman.h>

#include <cassert>
#include <cstdint>
#include <cstring>

struct secret {
    uint32_t size;
    uint32_t size_class;
    char text[];
};

namespace {

constexpr size_t arena_size = 64u << 20;
constexpr size_t page_size = 4096;
constexpr size_t slot_sizes[] = {64, 256, page_size};
constexpr size_t class_count = std::size(slot_sizes);

static_assert(sizeof(secret) == 8 && secret_max + sizeof(secret) <= page_size);

struct free_slot {
    free_slot *next;
};

struct arena {
    char *base = nullptr;
    free_slot *free[class_count] = {};
    secret_usage usage;
    bool failed = false;
};

arena the_arena;

bool arena_open(arena &a) {
    if (a.base != nullptr || a.failed)
        return a.base != nullptr;
    void *memory =
        mmap(nullptr, arena_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        a.failed = true;
        return false;
    }
    a.base = static_cast<char *>(memory);
    a.usage.undumped = madvise(memory, arena_size, MADV_DONTDUMP) == 0;
    (void)madvise(memory, arena_size, MADV_WIPEONFORK); // best effort: this process forks nothing that keeps running
    a.usage.locked = true;
    return true;
}

// Cuts the next page into slots of one class.
bool arena_grow(arena &a, size_t size_class) {
    if (!arena_open(a) || a.usage.committed == arena_size)
        return false;
    char *page = a.base + a.usage.committed;
    a.usage.committed += page_size;
    if (mlock(page, page_size) != 0)
        a.usage.locked = false; // over RLIMIT_MEMLOCK: it may be swapped out
    for (size_t at = page_size; at > 0; at -= slot_sizes[size_class]) {
        auto *slot = reinterpret_cast<free_slot *>(page + at - slot_sizes[size_class]);
        slot->next = a.free[size_class];
        a.free[size_class] = slot;
    }
    return true;
}

size_t class_for(size_t bytes) {
    size_t size_class = 0;
    while (size_class + 1 < class_count && slot_sizes[size_class] < bytes)
        ++size_class;
    return size_class;
}

} // namespace

secret *secret_create(std::string_view text) {
    if (text.size() > secret_max)
        return nullptr;
    arena &a = the_arena;
    size_t size_class = class_for(sizeof(secret) + text.size());
    if (a.free[size_class] == nullptr && !arena_grow(a, size_class))
        return nullptr;
    free_slot *slot = a.free[size_class];
    a.free[size_class] = slot->next;
    auto *s = reinterpret_cast<secret *>(slot);
    s->size = static_cast<uint32_t>(text.size());
    s->size_class = static_cast<uint32_t>(size_class);
    if (!text.empty())
        memcpy(s->text, text.data(), text.size());
    ++a.usage.in_use;
    return s;
}

void secret_destroy(secret *s) {
    if (s == nullptr)
        return;
    arena &a = the_arena;
    assert(a.usage.in_use > 0 && reinterpret_cast<char *>(s) >= a.base);
    size_t size_class = s->size_class;
    explicit_bzero(s, slot_sizes[size_class]);
    auto *slot = reinterpret_cast<free_slot *>(s);
    slot->next = a.free[size_class];
    a.free[size_class] = slot;
    --a.usage.in_use;
}

std::string_view secret_view(const secret *s) {
    return {s->text, s->size};
}

secret_usage secret_arena_usage() {
    return the_arena.usage;
}
