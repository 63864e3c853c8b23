// The HTTP side: health on one port, metrics on another, one civetweb context with a few threads.
//
// The loop publishes a snapshot; the HTTP threads only read it and the metrics registry. They never touch loop state.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

struct metrics;

struct health_component {
    std::string name; // "redis", "sqlserver-<bucket id>"
    bool healthy = false;
    bool required = true; // counts for /health/ready
    std::string message;
    uint64_t latency_us = 0;
};

struct health_snapshot {
    std::string instance_id;
    bool accepting = false; // false while starting and draining
    std::vector<health_component> components;
};

struct http_options {
    std::string listen_addr;
    uint16_t health_port;  // 0: off
    uint16_t metrics_port; // 0: off; may equal health_port
    uint32_t threads;
    std::string version;
};

struct http_server;

// Starts the threads. On failure returns nullptr and says why in `error` (port taken, bad address).
http_server *http_start(const http_options &, metrics *, std::string &error);
// Replaces the snapshot that the HTTP threads read. Loop thread only.
void http_publish(http_server *, health_snapshot &&);
// Waits for the threads and frees.
void http_stop(http_server *);

// Asks an HTTP server on this machine, the wildcard address for the loopback, and waits for at most three seconds. False
// unless it answers 200; `error` says what it did.
[[nodiscard]] bool http_ask(const std::string &address, uint16_t port, const char *path, std::string &error);

// The JSON bodies, pure, for tests: {"status":"healthy"|"unhealthy","timestamp":RFC 3339,"instance_id":..,
// "components":[{"name","status","message","latency":"1.2ms"}]}
std::string health_json(const health_snapshot &, int64_t unix_ms);
bool health_ready(const health_snapshot &); // every required component is healthy
