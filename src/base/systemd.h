// What systemd and a service tell each other: readiness, the watchdog, sockets that were opened beforehand. Without
// systemd nothing happens.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

// sd_notify's protocol: one datagram to NOTIFY_SOCKET. `state`: lines NAME=value.
void systemd_notify(const std::string &state);
// RELOADING=1, with the time that Type=notify-reload wants to see.
void systemd_notify_reloading();
// How often, in ms, systemd wants to hear WATCHDOG=1; 0: it does not.
uint64_t systemd_watchdog_interval();
// Descriptors of LISTEN_FDS, close-on-exec and non-blocking from now on. At most once: the variables are taken away.
std::vector<int> systemd_take_sockets();
