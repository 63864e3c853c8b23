// The HTTP side: health and the status page on one port, metrics on another, one civetweb context with a few threads.
//
// The loop publishes a snapshot; the HTTP threads only read it and the metrics registry. They never touch loop state,
// but before they read the registry they may ask for what has been counted since the registry was last told.
#pragma once

#include <cstdint>
#include <string>

#include "base/snapshot.h"

struct metrics;

struct http_options {
    std::string listen_addr;
    uint16_t health_port;  // 0: off
    uint16_t metrics_port; // 0: off; may equal health_port
    uint32_t threads;
    std::string version;
    void (*before_metrics)(void *user) = nullptr; // called on an HTTP thread
    void *user = nullptr;
};

struct http_server;

// Starts the threads. On failure returns nullptr and says why in `error` (port taken, bad address).
http_server *http_start(const http_options &, metrics *, std::string &error);
// Replaces the snapshot that the HTTP threads read, and keeps a sample of it for the status page's history. Loop thread
// only.
void http_publish(http_server *, proxy_snapshot &&);
// Waits for the threads and frees.
void http_stop(http_server *);

// Asks an HTTP server on this machine, the wildcard address for the loopback, and waits for at most three seconds.
// False unless it answers 200; `error` says what it did.
[[nodiscard]] bool http_ask(const std::string &address, uint16_t port, const char *path, std::string &error);
