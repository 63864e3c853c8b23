// Counts what a process allocates: preloaded (LD_PRELOAD), with COUNT_ALLOC_FILE naming a file of 8 bytes in which the
// number of calls is kept, so that whoever measures can read it before and after. malloc, calloc, realloc, aligned
// memory, and with malloc operator new; what is freed is not counted.

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

// glibc's own, behind the names that are taken here.
extern "C" {
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);
}

static std::atomic<uint64_t> unwatched;
static std::atomic<uint64_t> *calls = &unwatched;

__attribute__((constructor)) static void map_counter() {
    const char *path = getenv("COUNT_ALLOC_FILE");
    int fd = path != nullptr ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *page = mmap(nullptr, sizeof *calls, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (page != MAP_FAILED)
        calls = static_cast<std::atomic<uint64_t> *>(page);
}

static void count() {
    calls->fetch_add(1, std::memory_order_relaxed);
}

extern "C" {

void *malloc(size_t size) {
    count();
    return __libc_malloc(size);
}

void *calloc(size_t count_of, size_t size) {
    count();
    return __libc_calloc(count_of, size);
}

void *realloc(void *p, size_t size) {
    count();
    return __libc_realloc(p, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    count();
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **p, size_t alignment, size_t size) {
    count();
    *p = __libc_memalign(alignment, size);
    return *p != nullptr ? 0 : ENOMEM;
}
}
