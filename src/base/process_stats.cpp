#include "base/process_stats.h"

#include <cstdio>
#include <cstring>

#include <ctime>
#include <dirent.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static uint64_t resident_bytes() {
    unsigned long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == nullptr)
        return 0;
    int found = fscanf(file, "%*u %llu", &pages);
    fclose(file);
    return found == 1 ? pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE)) : 0;
}

// Since Linux 6.2 the folder's size is their number; before that it is 0 and they are counted.
static uint64_t open_fds() {
    struct stat folder {};
    if (stat("/proc/self/fd", &folder) == 0 && folder.st_size > 0)
        return static_cast<uint64_t>(folder.st_size);
    DIR *d = opendir("/proc/self/fd");
    if (d == nullptr)
        return 0;
    uint64_t count = 0;
    while (const dirent *entry = readdir(d))
        count += entry->d_name[0] != '.';
    closedir(d);
    return count > 0 ? count - 1 : 0; // one is that of the folder
}

static double seconds(const timeval &t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
}

// Field 22 of /proc/self/stat, behind the name, which may hold anything: clock ticks since the system's start.
static double started() {
    char text[1024] = "";
    FILE *file = fopen("/proc/self/stat", "re");
    if (file == nullptr)
        return 0;
    size_t n = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[n] = '\0';
    const char *rest = strrchr(text, ')');
    unsigned long long ticks = 0;
    if (rest == nullptr ||
        sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu", &ticks) !=
            1)
        return 0;
    timespec wall{}, up{};
    clock_gettime(CLOCK_REALTIME, &wall);
    clock_gettime(CLOCK_BOOTTIME, &up);
    double booted = static_cast<double>(wall.tv_sec - up.tv_sec) + static_cast<double>(wall.tv_nsec - up.tv_nsec) / 1e9;
    return booted + static_cast<double>(ticks) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

process_stats process_stats_read() {
    process_stats s;
    rusage usage{};
    rlimit fds{};
    s.resident_bytes = resident_bytes();
    s.open_fds = open_fds();
    if (getrlimit(RLIMIT_NOFILE, &fds) == 0)
        s.max_fds = fds.rlim_cur;
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        s.cpu_seconds = seconds(usage.ru_utime) + seconds(usage.ru_stime);
    static const double began = started(); // clocks drift against each other: asked once
    s.started = began;
    return s;
}
