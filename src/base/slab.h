// Objects of one type from chunks that are never given back: an idle client session costs its own size and nothing
// for a heap header, and freed ones are reused last in, first out, while they are still in the cache.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <vector>

template <typename T, size_t ChunkObjects = 64> struct slab {
    union cell {
        cell *next;
        alignas(T) unsigned char object[sizeof(T)];
    };
    std::vector<std::unique_ptr<cell[]>> chunks;
    cell *free_cells = nullptr;
    size_t in_use = 0;

    slab() = default;
    slab(const slab &) = delete;
    slab &operator=(const slab &) = delete;
};

// A value-initialised object, or nullptr when memory is out.
template <typename T, size_t N> T *slab_new(slab<T, N> &s) {
    if (s.free_cells == nullptr) {
        auto *chunk = new (std::nothrow) typename slab<T, N>::cell[N];
        if (chunk == nullptr)
            return nullptr;
        s.chunks.emplace_back(chunk);
        for (size_t i = N; i-- > 0;) {
            chunk[i].next = s.free_cells;
            s.free_cells = &chunk[i];
        }
    }
    auto *cell = s.free_cells;
    s.free_cells = cell->next;
    ++s.in_use;
    return new (cell->object) T{};
}

template <typename T, size_t N> void slab_delete(slab<T, N> &s, T *object) {
    if (object == nullptr)
        return;
    object->~T();
    auto *cell = reinterpret_cast<typename slab<T, N>::cell *>(object);
    cell->next = s.free_cells;
    s.free_cells = cell;
    --s.in_use;
}
