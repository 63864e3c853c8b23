// The fuzzer's corpus of synthetic requests (fuzz/corpus-requests) is what request_samples.h holds.
//
//      tds_test_request_corpus --write      writes it anew
#include "cmocka_cpp.h"

#include <cstring>

#include "tds/captures.h"
#include "tds/request_samples.h"

// One packet; where a client may put the SPID stand version and enclave bit, as fuzz_request.cpp reads them.
static bytes corpus_file(const request_sample &s) {
    static constexpr uint32_t versions[] = {tds_7_4, tds_8_0, tds_7_3b, tds_7_2, tds_7_1, tds_7_0};
    auto at = std::find(std::begin(versions), std::end(versions), s.kind.version) - std::begin(versions);
    auto options = static_cast<uint16_t>(at << 8 | (s.kind.enclave ? 1 : 0));
    bytes file(tds_header_size);
    auto length = static_cast<uint16_t>(tds_header_size + s.payload.size());
    tds_header_write({s.kind.type, tds_status_eom, length, options, 1, 0}, file.data());
    return file + s.payload;
}

static std::string corpus_path(const request_sample &s) {
    return std::string(REPO_DIR "/tests/fuzz/corpus-requests/") + s.name + ".bin";
}

static int write_corpus() {
    for (const request_sample &s : request_samples()) {
        bytes content = corpus_file(s);
        FILE *f = fopen(corpus_path(s).c_str(), "wb");
        if (f == nullptr || fwrite(content.data(), 1, content.size(), f) != content.size() || fclose(f) != 0) {
            perror(corpus_path(s).c_str());
            return 1;
        }
    }
    return 0;
}

static void test_corpus_is_current(void **) {
    for (const request_sample &s : request_samples())
        if (file_read(corpus_path(s)) != corpus_file(s))
            fail_msg("%s differs: run this program with --write", corpus_path(s).c_str());
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "--write") == 0)
        return write_corpus();
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_corpus_is_current),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
