#include "base/iobuf.h"

#include <algorithm>
#include <cassert>
#include <cstdlib>
#include <cstring>

static constexpr size_t smallest = 512;

// Blocks of the smallest size go round: most messages fit in one, and with as many as come and go in a turn of the loop
// the heap is slow.
static constexpr size_t spare_max = 128;
struct spare_blocks {
    size_t count = 0;
    uint8_t *block[spare_max];
    ~spare_blocks() {
        while (count > 0)
            free(block[--count]);
    }
};
static thread_local spare_blocks spare;

#if defined(__SANITIZE_ADDRESS__)
static constexpr bool keeps_spare = false; // a block that is used after it was given back shall be found
#else
static constexpr bool keeps_spare = true;
#endif

static uint8_t *block_get(size_t capacity) {
    if (capacity == smallest && spare.count > 0)
        return spare.block[--spare.count];
    return static_cast<uint8_t *>(malloc(capacity));
}

static void block_put(uint8_t *data, size_t capacity) {
    if (keeps_spare && capacity == smallest && spare.count < spare_max)
        spare.block[spare.count++] = data;
    else
        free(data);
}

iobuf::~iobuf() {
    iobuf_free(*this);
}

static void iobuf_compact(iobuf &b) {
    if (b.done == 0)
        return;
    memmove(b.data, b.data + b.done, b.filled - b.done);
    b.filled -= b.done;
    b.parsed -= b.done;
    b.done = 0;
}

// Not by realloc: what moves may hold a password, and nothing may be left of it where it was.
static bool iobuf_grow(iobuf &b, size_t need) {
    size_t capacity = std::max<size_t>(smallest, b.capacity);
    while (capacity < need)
        capacity *= 2;
    uint8_t *data = block_get(capacity);
    if (data == nullptr)
        return false;
    if (b.data != nullptr) {
        memcpy(data, b.data, b.filled);
        explicit_bzero(b.data, b.capacity);
        block_put(b.data, b.capacity);
    }
    b.data = data;
    b.capacity = static_cast<uint32_t>(capacity);
    return true;
}

std::span<uint8_t> iobuf_room(iobuf &b, size_t want, size_t limit) {
    size_t pending = iobuf_size(b);
    limit = std::min<size_t>(limit, UINT32_MAX / 2);
    if (want > limit || pending > limit - want)
        return {};
    if (b.capacity - b.filled < want)
        iobuf_compact(b);
    if (b.capacity - b.filled < want && !iobuf_grow(b, pending + want))
        return {};
    return {b.data + b.filled, std::min<size_t>(b.capacity - b.filled, limit - pending)};
}

void iobuf_fill(iobuf &b, size_t n) {
    assert(n <= b.capacity - b.filled);
    b.filled += static_cast<uint32_t>(n);
}

bool iobuf_append(iobuf &b, std::span<const uint8_t> bytes, size_t limit) {
    if (bytes.empty())
        return true;
    auto room = iobuf_room(b, bytes.size(), limit);
    if (room.empty())
        return false;
    memcpy(room.data(), bytes.data(), bytes.size());
    iobuf_fill(b, bytes.size());
    return true;
}

void iobuf_parse(iobuf &b, size_t n) {
    assert(n <= b.filled - b.parsed);
    b.parsed += static_cast<uint32_t>(n);
}

void iobuf_consume(iobuf &b, size_t n) {
    assert(n <= b.filled - b.done);
    b.done += static_cast<uint32_t>(n);
    b.parsed = std::max(b.parsed, b.done);
    if (b.done == b.filled)
        iobuf_free(b);
}

void iobuf_move(iobuf &to, iobuf &from) {
    assert(to.data == nullptr);
    std::swap(to.data, from.data);
    std::swap(to.done, from.done);
    std::swap(to.parsed, from.parsed);
    std::swap(to.filled, from.filled);
    std::swap(to.capacity, from.capacity);
}

void iobuf_free(iobuf &b) {
    if (b.data == nullptr)
        return;
    block_put(b.data, b.capacity);
    b.data = nullptr;
    b.done = b.parsed = b.filled = b.capacity = 0;
}

void iobuf_wipe(iobuf &b) {
    if (b.data != nullptr)
        explicit_bzero(b.data, b.capacity);
    iobuf_free(b);
}
