// The two configuration files of a test, in a folder of their own that goes with the test.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <unistd.h>

struct temp_files {
    std::string folder;
    std::string proxy, buckets, secret; // paths

    temp_files() {
        char name[] = "/tmp/tdsbouncer-config-XXXXXX";
        folder = mkdtemp(name);
        proxy = folder + "/proxy.yaml";
        buckets = folder + "/buckets.yaml";
        secret = folder + "/secret";
    }
    ~temp_files() {
        for (const std::string &path : {proxy, buckets, secret})
            unlink(path.c_str());
        rmdir(folder.c_str());
    }
    temp_files(const temp_files &) = delete;
    temp_files &operator=(const temp_files &) = delete;
};

inline void write_file(const std::string &path, std::string_view content) {
    FILE *file = fopen(path.c_str(), "we");
    if (file == nullptr || fwrite(content.data(), 1, content.size(), file) != content.size() || fclose(file) != 0)
        abort();
}
