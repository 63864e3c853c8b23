// What the root is made of, at start and at a reload. For proxy.cpp and reload.cpp only.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "proxy/proxy.h"

inline constexpr uint32_t setup_shared_port = UINT32_MAX; // in place of a bucket's index

// A bucket of this index, without TLS contexts and pools.
std::unique_ptr<proxy_bucket> setup_bucket(proxy *, const bucket_config &, uint32_t index);
// Takes over what its configuration says, at once or from the next use on. The slots' limit is the coordinator's.
void setup_configure(proxy *, proxy_bucket *, const bucket_config &);
// Opens a TDS port. False, with the reason in `error`.
[[nodiscard]] bool setup_listener(proxy *, uint16_t port, uint32_t index, std::string &error);
// Closes it; who is in the kernel's queue is the caller's business.
void setup_close_listener(net_listener *);
// The context towards servers that this bucket needs; shared by those that trust alike. True without one where it needs
// none. False, with the reason in `error`.
[[nodiscard]] bool setup_server_tls(proxy *, const bucket_config &, tls_client_context *&out, std::string &error);
// The certificate towards clients, anew. False, with the reason in `error`: what was there stays.
[[nodiscard]] bool setup_client_tls(proxy *, const proxy_config &, std::string &error);
// What PRELOGIN tells where no server's version is known.
void setup_own_version(proxy *);
// root->routed by root->conf.
void setup_routes(proxy *);
