// What an idle TLS connection costs. As a test: the heap that engines hold; as a bench: resident memory.
//
//      tls_test_tls_memory                 the tests
//      tls_test_tls_memory 10000 [500]     so many server engines, so many handshakes at a time; prints VmRSS per
//      engine
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <malloc.h>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include "tls/engine_pair.h"
#include "tls/test_pki.h"

// Bytes that are allocated, not those that the allocator keeps for later.
#ifdef __SANITIZE_ADDRESS__
extern "C" { // gcc 12 comes without the headers
int __sanitizer_install_malloc_and_free_hooks(void (*)(const volatile void *, size_t), void (*)(const volatile void *));
size_t __sanitizer_get_allocated_size(const volatile void *);
}
static size_t allocated;
static const int hooks = __sanitizer_install_malloc_and_free_hooks(
    [](const volatile void *, size_t size) { allocated += size; },
    [](const volatile void *p) { allocated -= p != nullptr ? __sanitizer_get_allocated_size(p) : 0; });

static size_t heap_in_use() {
    assert_true(hooks != 0);
    return allocated;
}
#else
static size_t heap_in_use() {
    struct mallinfo2 m = mallinfo2();
    return m.uordblks + m.hblkhd;
}
#endif

static long resident_kib() {
    long kib = 0;
    char line[256];
    FILE *f = fopen("/proc/self/status", "r");
    while (f != nullptr && fgets(line, sizeof line, f) != nullptr && sscanf(line, "VmRSS: %ld", &kib) != 1)
        ;
    if (f != nullptr)
        fclose(f);
    return kib;
}

struct world {
    pki_file file{"memory.pem"};
    tls_context *server = nullptr;
    tls_client_context *client = nullptr;

    world() {
        pki_cert own = pki_make({.alternative = "DNS:db.example"});
        pki_write(file, {own.cert.get()}, own.key.get());
        std::string error;
        server = tls_context_create({.cert_file = file.path}, error);
        client = tls_client_context_create({.verify = tls_verify::full, .ca_file = file.path}, error);
        assert_string_equal(error.c_str(), "");
        // OpenSSL makes much of what it needs when it is first used.
        for (auto mode : {tls_mode::wrapped, tls_mode::strict}) {
            engine_pair first;
            assert_true(pair_connect(first, client, server, {.mode = mode}));
            pair_talk(first, 1000);
        }
    }
    ~world() {
        tls_context_destroy(server);
        tls_client_context_destroy(client);
    }
};

static constexpr size_t kib = 1024;

// `side`: which engine of the pair is kept and weighed.
static size_t weigh(const world &w, tls_mode mode, tls_engine *engine_pair::*side) {
    static constexpr size_t count = 50;
    std::vector<tls_engine *> engines;
    engines.reserve(count);
    size_t before = heap_in_use();
    for (size_t i = 0; i < count; ++i) {
        engine_pair p;
        assert_true(pair_connect(p, w.client, w.server, {.mode = mode}));
        pair_talk(p, 16384);
        pair_talk(p, 16384);
        engines.push_back(std::exchange(p.*side, nullptr));
    }
    size_t each = (heap_in_use() - before) / count;
    for (tls_engine *e : engines)
        tls_engine_destroy(e);
    return each;
}

// All but the first resume, as most connections of a pool do.
static void test_idle_engine_is_small(void **) {
    world w;
    for (auto mode : {tls_mode::wrapped, tls_mode::strict}) {
        bool strict = mode == tls_mode::strict;
        size_t server = weigh(w, mode, &engine_pair::server), client = weigh(w, mode, &engine_pair::client);
        print_message("%s: idle heap of the server's side %zu bytes, of the client's %zu\n",
                      strict ? "TLS 1.3" : "TLS 1.2", server, client);
        assert_in_range(server, 7 * kib, strict ? 15 * kib : 14 * kib);
        assert_in_range(client, 7 * kib, 17 * kib);
    }
}

// All that a transfer needs is given back when it is over, on both sides.
static void test_buffers_are_given_back(void **) {
    world w;
    for (auto mode : {tls_mode::wrapped, tls_mode::strict}) {
        engine_pair p;
        assert_true(pair_connect(p, w.client, w.server, {.mode = mode}));
        // TLS 1.3's tickets leave the client with a buffer until it next writes, as it does with its LOGIN7.
        pair_talk(p, 1);
        pair_talk(p, 1);
        std::vector<uint8_t> plain(16384);
        size_t idle = heap_in_use();
        for (size_t size : {1, 16384, 60000})
            for (size_t piece : {size_t{100}, SIZE_MAX}) {
                pair_talk(p, size, piece);
                assert_int_equal(heap_in_use(), idle);
            }
        assert_true(tls_engine_write(p.server, plain));
        assert_true(heap_in_use() > idle + 16384); // the measure can see a buffer
        tls_engine_sent(p.server, tls_engine_waiting(p.server));
        assert_int_equal(heap_in_use(), idle);
    }
}

static void test_nothing_is_left(void **) {
    world w;
    for (auto mode : {tls_mode::wrapped, tls_mode::strict}) {
        {
            engine_pair p; // its session takes the place of the one before
            assert_true(pair_connect(p, w.client, w.server, {.mode = mode}));
            pair_talk(p, 1000);
        }
        size_t before = heap_in_use();
        for (int i = 0; i < 20; ++i) {
            engine_pair p;
            assert_true(pair_connect(p, w.client, w.server, {.mode = mode}));
            pair_talk(p, 1000);
        }
        assert_in_range(heap_in_use(), before - 512, before + 512); // tickets differ by a few bytes
    }
}

// `batch` handshakes go on at the same time, as in a storm of logins.
static void make_engines(const world &w, tls_mode mode, size_t batch, std::vector<tls_engine *> &engines) {
    std::vector<engine_pair> pairs(batch);
    std::string error; // a context of its own: nobody resumes, and no sessions of clients are counted
    tls_client_context *client = tls_client_context_create({.ca_file = w.file.path}, error);
    for (size_t i = 0; i < batch; ++i) {
        pairs[i].client = tls_engine_create_client(client, mode, "db.example", static_cast<uint16_t>(i));
        pairs[i].server = tls_engine_create(w.server, mode);
        (void)pair_cross(pairs[i].server, pairs[i].client, SIZE_MAX);
    }
    for (engine_pair &p : pairs)
        (void)pair_cross(p.client, p.server, SIZE_MAX);
    for (engine_pair &p : pairs) {
        assert_true(pair_shake(p));
        pair_talk(p, 1000);
        engines.push_back(std::exchange(p.server, nullptr));
    }
    tls_client_context_destroy(client);
}

static void bench(tls_mode mode, size_t count, size_t batch) {
    world w;
    std::vector<tls_engine *> engines;
    engines.reserve(count);
    long resident = resident_kib();
    size_t heap = heap_in_use();
    while (engines.size() < count)
        make_engines(w, mode, std::min(batch, count - engines.size()), engines);
    double after_storm = static_cast<double>(resident_kib() - resident) / static_cast<double>(count);
    malloc_trim(0);
    double trimmed = static_cast<double>(resident_kib() - resident) / static_cast<double>(count);
    double live = static_cast<double>(heap_in_use() - heap) / 1024 / static_cast<double>(count);
    printf("%s, %zu idle engines, %zu handshakes at a time: VmRSS %.2f KiB each, after malloc_trim %.2f; heap %.2f\n",
           tls_engine_version(engines[0]), count, batch, after_storm, trimmed, live);
    for (tls_engine *e : engines)
        tls_engine_destroy(e);
}

int main(int argc, char **argv) {
    if (argc > 1) {
        size_t count = strtoul(argv[1], nullptr, 10), batch = argc > 2 ? strtoul(argv[2], nullptr, 10) : 1;
        for (auto mode : {tls_mode::wrapped, tls_mode::strict}) {
            pid_t child = fork(); // a process each: neither finds the other's freed pages
            if (child == 0) {
                bench(mode, std::max<size_t>(count, 1), std::max<size_t>(batch, 1));
                exit(0);
            }
            waitpid(child, nullptr, 0);
        }
        return 0;
    }
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_idle_engine_is_small),
        cmocka_unit_test(test_buffers_are_given_back),
        cmocka_unit_test(test_nothing_is_left),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
