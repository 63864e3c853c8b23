// Runs a libFuzzer target without libFuzzer: every file of the corpus as it is and cut off everywhere, then mutations
// of them from a fixed seed. The short form of the fuzzers, for every compiler and every test run.
//
//      fuzz_tds_smoke <rounds> <file or directory>...
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

using bytes = std::vector<uint8_t>;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t seed = 0x9e3779b97f4a7c15;

static size_t below(size_t n) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return n == 0 ? 0 : static_cast<size_t>(seed % n);
}

static void load(const std::filesystem::path &path, std::vector<bytes> &corpus) {
    if (std::filesystem::is_directory(path)) {
        std::vector<std::filesystem::path> files;
        for (const auto &entry : std::filesystem::directory_iterator(path))
            files.push_back(entry.path());
        std::sort(files.begin(), files.end());
        for (const auto &file : files)
            load(file, corpus);
        return;
    }
    std::ifstream in(path, std::ios::binary);
    corpus.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
}

// An exact heap copy, so that AddressSanitizer sees any read behind the input.
static void run(const bytes &input) {
    bytes copy(input);
    copy.shrink_to_fit();
    LLVMFuzzerTestOneInput(copy.data(), copy.size());
}

static uint8_t interesting() {
    static constexpr uint8_t values[] = {0, 1, 2, 7, 8, 0x10, 0x12, 0x16, 0x17, 0x7f, 0x80, 0xff};
    return below(2) == 0 ? values[below(sizeof values)] : static_cast<uint8_t>(below(256));
}

static void mutate(bytes &b, const bytes &other) {
    size_t at = below(b.size());
    auto here = b.begin() + static_cast<long>(at);
    switch (below(6)) {
    case 0: b.resize(at); break;
    case 1: b.insert(here, 1 + below(64), interesting()); break;
    case 2: b.erase(here, here + static_cast<long>(below(std::min<size_t>(b.size() - at, 32)))); break;
    case 3: b.insert(b.end(), other.begin(), other.end()); break;
    default:
        if (!b.empty())
            b[at] = interesting();
    }
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fprintf(stderr, "usage: %s <rounds> <file or directory>...\n", argv[0]);
        return 2;
    }
    std::vector<bytes> corpus;
    for (int i = 2; i < argc; ++i)
        load(argv[i], corpus);
    if (corpus.empty()) {
        fprintf(stderr, "the corpus is empty\n");
        return 1;
    }
    size_t runs = 0;
    for (const bytes &input : corpus)
        for (size_t n = 0; n <= input.size(); ++n, ++runs)
            run({input.begin(), input.begin() + static_cast<long>(n)});
    for (long rounds = strtol(argv[1], nullptr, 10); rounds-- > 0; ++runs) {
        bytes input = corpus[below(corpus.size())];
        for (size_t changes = 1 + below(8); changes-- > 0;)
            mutate(input, corpus[below(corpus.size())]);
        run(input);
    }
    printf("%zu inputs, %zu runs\n", corpus.size(), runs);
    return 0;
}
