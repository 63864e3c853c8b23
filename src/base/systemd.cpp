#include "base/systemd.h"

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"

static constexpr int first_socket = 3; // SD_LISTEN_FDS_START
static constexpr unsigned long sockets_max = 4096;

void systemd_notify(const std::string &state) {
    const char *path = getenv("NOTIFY_SOCKET");
    sockaddr_un address{};
    if (path == nullptr || strlen(path) < 2 || strlen(path) >= sizeof address.sun_path)
        return;
    address.sun_family = AF_UNIX;
    memcpy(address.sun_path, path, strlen(path));
    auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + strlen(path));
    if (path[0] == '@')
        address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    if (sendto(fd, state.data(), state.size(), MSG_NOSIGNAL, reinterpret_cast<sockaddr *>(&address), size) < 0)
        log_warn("systemd cannot be notified", {{"error", strerror(errno)}});
    close(fd);
}

void systemd_notify_reloading() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t us = static_cast<uint64_t>(now.tv_sec) * 1'000'000 + static_cast<uint64_t>(now.tv_nsec) / 1'000;
    systemd_notify("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(us));
}

// A number of the environment that is meant for this process; 0: none.
static unsigned long number_for_us(const char *name, const char *pid_name) {
    const char *number = getenv(name), *pid = getenv(pid_name);
    if (number == nullptr || (pid != nullptr && strtol(pid, nullptr, 10) != getpid()))
        return 0;
    return strtoul(number, nullptr, 10);
}

uint64_t systemd_watchdog_interval() {
    return number_for_us("WATCHDOG_USEC", "WATCHDOG_PID") / 1'000;
}

std::vector<int> systemd_take_sockets() {
    unsigned long count = getenv("LISTEN_PID") != nullptr ? number_for_us("LISTEN_FDS", "LISTEN_PID") : 0;
    std::vector<int> sockets;
    for (unsigned long i = 0; i < count && i < sockets_max; ++i) {
        int fd = first_socket + static_cast<int>(i);
        if (fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 && fcntl(fd, F_SETFL, O_NONBLOCK) == 0)
            sockets.push_back(fd);
    }
    for (const char *name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"})
        unsetenv(name);
    return sockets;
}
