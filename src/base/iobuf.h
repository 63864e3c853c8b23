// A byte queue with three cursors, allocated when first written and given back when empty:
//
//      data            done            parsed            filled           capacity
//       | already sent   | parsed, not   | received, not   | free room       |
//       |  or consumed   |  yet consumed |  yet parsed     |                 |
//
// done <= parsed <= filled <= capacity always. A reader fills at `filled`, a parser moves `parsed`, a writer or
// consumer moves `done`. The buffer never grows beyond the limit that the caller names.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

struct iobuf {
    uint8_t *data = nullptr;
    uint32_t done = 0;
    uint32_t parsed = 0;
    uint32_t filled = 0;
    uint32_t capacity = 0;

    iobuf() = default;
    ~iobuf();
    iobuf(const iobuf &) = delete;
    iobuf &operator=(const iobuf &) = delete;
};

// Bytes that wait to be consumed, and bytes that wait to be parsed.
inline std::span<const uint8_t> iobuf_pending(const iobuf &b) {
    return {b.data + b.done, b.filled - b.done};
}
inline std::span<const uint8_t> iobuf_unparsed(const iobuf &b) {
    return {b.data + b.parsed, b.filled - b.parsed};
}
inline size_t iobuf_size(const iobuf &b) {
    return b.filled - b.done;
}

// Room for `want` more bytes, growing (and moving) the buffer up to `limit` bytes of pending data in all.
// Never more room than the limit leaves. An empty span when `want` does not fit or memory is out. Commit with
// iobuf_fill.
std::span<uint8_t> iobuf_room(iobuf &b, size_t want, size_t limit);
void iobuf_fill(iobuf &b, size_t n);

// Append a copy. False when it does not fit under the limit (nothing is appended then).
[[nodiscard]] bool iobuf_append(iobuf &b, std::span<const uint8_t> bytes, size_t limit);

void iobuf_parse(iobuf &b, size_t n);    // move `parsed` forward
void iobuf_consume(iobuf &b, size_t n);  // move `done` forward; `parsed` follows if it was behind. Frees when empty.
void iobuf_move(iobuf &to, iobuf &from); // `to`, empty before, takes over all that `from` has
void iobuf_free(iobuf &b);               // drop everything
void iobuf_wipe(iobuf &b);               // drop everything, overwriting it first (it held a password)
