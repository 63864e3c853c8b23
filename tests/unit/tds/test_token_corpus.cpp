// The fuzzer's corpus of synthetic messages (fuzz/corpus-tokens) is what token_samples.h holds.
//
//      tds_test_token_corpus --write      writes it anew
#include "cmocka_cpp.h"

#include <cstring>

#include "tds/captures.h"
#include "tds/packet.h"
#include "tds/token_samples.h"

// One packet; where a server puts the SPID stand the options, as fuzz_tokens.cpp reads them.
static bytes corpus_file(const token_sample &s) {
    const auto &o = s.options;
    static constexpr uint32_t versions[] = {tds_7_4, tds_8_0, tds_7_3b, tds_7_2, tds_7_1, tds_7_0};
    auto at = std::find(std::begin(versions), std::end(versions), o.version) - std::begin(versions);
    auto options = static_cast<uint16_t>(at << 8 | (o.column_encryption ? 1 : 0) | o.data_classification << 1);
    bytes file(tds_header_size);
    auto length = static_cast<uint16_t>(tds_header_size + s.payload.size());
    tds_header_write({tds_type_response, tds_status_eom, length, options, 1, 0}, file.data());
    return file + s.payload;
}

static std::string corpus_path(const token_sample &s) {
    return std::string(REPO_DIR "/tests/fuzz/corpus-tokens/") + s.name + ".bin";
}

static int write_corpus() {
    for (const token_sample &s : token_samples()) {
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
    for (const token_sample &s : token_samples())
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
