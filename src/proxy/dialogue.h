// What a terminated session is from its LOGIN7 on: who it is, what it was told, and where its request stands.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "proxy/mars.h"
#include "proxy/settings.h"
#include "tds/login7.h"
#include "tds/packet_stream.h"
#include "tls/digest.h"

struct rate_tenant;
struct server_pool;
struct shared_session;

// A LOGIN7 without its secrets. Shared by the session, its pool and the server connections that were opened with it.
struct login_identity : tds_login7_fixed {
    uint32_t version = 0; // tds_version_known of what was sent
    uint32_t packet_size = 0;
    std::string host_name, user, app_name, library_name, language, database; // user: as the server is told
    std::vector<uint8_t> features;                                           // all that were asked for
};

struct dialogue {
    std::shared_ptr<const login_identity> who;
    server_pool *pool = nullptr; // a reference of proxy/pools; nullptr: dedicated
    std::string pool_key;        // until it has its pool
    digest password_digest{};
    bool enclave = false;               // its requests carry an enclave package
    bool dedicated = false;             // its server connection is of no use to others
    std::unique_ptr<mars_streams> mars; // granted: once logged in it multiplexes
    bool dedicated_pin = false;         // it is counted as a pin
    uint64_t dedicated_since = 0;       // loop ms
    bool checking_password = false;     // one of the bucket's max_concurrent_logins
    bool stream = false;                // client_login has handed over: bytes go through client_session.client
    settings_ptr login_settings;        // what its session begins with
    settings_ptr settings;              // and what it is in now: its server connection is, or will be when it gets one
    shared_session *shared = nullptr;   // transaction mode: proxy/sharing's

    uint16_t packet_size = tds_initial_packet_size; // the client's, in both directions
    tds_packet_cursor up;                           // the client's packets
    tds_packet_writer to_client;
    bool sending = false;      // the request is not complete yet
    bool awaiting = false;     // the server owes the request's answer
    bool answer_begun = false; // and the client has a part of it
    bool reset_sent = false;   // a reset bit went to the server with it, the client's or the proxy's
    bool taken_back = false;   // the client has ended the request with IGNORE, after a part of it was sent
    bool told = false;         // the next message to the client is begun: it has been told that its request waits
    bool reset_ack = false;    // ENVCHANGE 18 is due at the head of the next answer
    uint64_t ended = 0;        // the transaction that a reset of the client's has ended and that it may still name
    bool ended_due = false;    // the beginning of a request that may is still to be passed on
    bool ended_named = false;  // it did: the answer says that it is over
    bool reset_named = false;  // the last request called sp_reset_connection
    bool reset_done = false;   // what the reset bit of the request asks for has been done
    bool rated = false;        // the request has been counted for its tenant's rate_limit
    bool taking = false;       // the client's bytes are being looked at
    bool swallowing = false;   // the request has failed: its rest is read and dropped, then answered
    uint8_t attentions = 0;    // acknowledgements that the server owes
    uint64_t request_sent = 0; // hrtime: the request was complete
    uint64_t attach_until = 0; // loop ms: after this no further server connection is tried for the request
    std::vector<uint8_t>
        late_answer;         // swallowing: the tokens of its answer; a login that waits for its answer: packets
    bool ends_after = false; // and whether the session ends with it
    std::shared_ptr<rate_tenant> tenant;       // once one of its requests has been counted
    std::unique_ptr<tds_message_reader> token; // dedicated login: the client's next message
};
