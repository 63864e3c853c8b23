#include "http/http.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static bool give_up(int fd, std::string &error, const std::string &why) {
    if (fd >= 0)
        close(fd);
    error = why;
    return false;
}

static sockaddr_in address_of(const std::string &text, uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    if (inet_pton(AF_INET, text.c_str(), &address.sin_addr) != 1 || address.sin_addr.s_addr == INADDR_ANY)
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

// The beginning of the answer, as far as it comes in one piece: the status line.
static std::string status_line(int fd, const char *path) {
    std::string request = std::string("GET ") + path + " HTTP/1.0\r\nHost: localhost\r\n\r\n";
    char answer[64] = "";
    if (send(fd, request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size()))
        return {};
    ssize_t n = recv(fd, answer, sizeof answer - 1, MSG_WAITALL);
    return n > 0 ? std::string(answer, static_cast<size_t>(n)) : std::string();
}

bool http_ask(const std::string &address, uint16_t port, const char *path, std::string &error) {
    static constexpr timeval patience{3, 0};
    if (port == 0)
        return give_up(-1, error, "health_check_port is 0: there is nobody to ask");
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return give_up(fd, error, strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    sockaddr_in to = address_of(address, port);
    if (connect(fd, reinterpret_cast<sockaddr *>(&to), sizeof to) != 0)
        return give_up(fd, error, strerror(errno));
    std::string line = status_line(fd, path);
    size_t space = line.find(' ');
    if (space == std::string::npos)
        return give_up(fd, error, "no answer");
    if (atoi(line.c_str() + space) != 200)
        return give_up(fd, error, line.substr(0, line.find('\r')));
    close(fd);
    return true;
}
