// Which bucket a client's login goes to. Pure: configuration and login in, bucket or error number out.
//
// The rules, in this order; the first that gives exactly one bucket wins:
//   1  the listener's own bucket, or TLS SNI            4  Login7 database, when only one bucket lists it
//   2  Login7 ServerName                                5  user name and password are one bucket's credentials
//   3  user@bucket in the user name                     6  default_bucket
// Read-only targets (bucket_config.read_only_of) are never chosen by a rule, only by a login's intent afterwards.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error_table.h"
#include "config/config.h"
#include "tds/login7.h"

enum class route_rule : uint8_t {
    none,
    listener,
    sni,
    server_name,
    user_suffix,
    database,
    credentials,
    default_bucket
};

// "listener", "SNI", "ServerName", "user@bucket", "database", "credentials", "default_bucket": for the log.
const char *route_rule_name(route_rule rule);

struct route_request {
    int32_t listener_bucket = -1;      // index of the bucket whose listen_port was connected to, -1: the shared port
    std::string_view sni;              // of the client's TLS, strict or wrapped; empty: none
    const tds_login7 *login = nullptr; // nullptr: none to be seen (passthrough): only rules 1 and 6 apply
};

struct route {
    int32_t bucket = -1;    // where the login goes: the bucket itself or its read-only target; -1: `error`
    int32_t candidate = -1; // the bucket that a rule found, also when it is refused with 50007
    bool read_only = false; // `bucket` is the read-only target, since the login asked for ReadOnly
    route_rule rule = route_rule::none;
    proxy_error error = proxy_error::no_bucket; // if bucket < 0: no_bucket (50002) or refused (50007)
    const char *reason = "";                    // if bucket < 0, in words fit for the client: what did not fit
    std::string user_name; // the login's, "@bucket" taken off where it names a bucket (rule 3); empty without a login
};

// Never fails otherwise. A bucket in passthrough is given for its own listener and where there is no login; a login
// that rules 2 to 6, or SNI on a terminated port, send to one is refused with 50007.
route router_route(const config &conf, const route_request &request);

// The bucket of this id or alias, without regard to case; -1: none. Read-only targets have no such name.
int32_t router_find_name(const config &conf, std::string_view name);

// Whether a name fits a pattern of `*` and `?`, without regard to case.
bool router_fits_pattern(std::string_view name, std::string_view pattern);
