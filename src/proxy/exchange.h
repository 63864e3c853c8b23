// Requests and answers of a terminated session, between two connections that have their own packet sizes and TLS.
//
//      client -> decrypted -> [in: what no server may have yet] -> pieces -> packets of the server's size -> server
//      client <- packets of the client's size <- tokens walked <- pieces <- decrypted <- server
//
// A request waits in `in` until its session has a server connection: all of it, or its first 64 KiB. While an answer is
// owed only an attention passes; the next request stays in `in`, and reading stops at buffer_high. Either side is read
// only while the other takes what it is sent.
#pragma once

#include <cstdint>
#include <span>

#include "base/error_table.h"

struct client_session;
struct server_conn;
struct tds_login_answer;

// Something happened on the client's socket: active, or waiting or connecting for a request.
void exchange_client_event(client_session *, unsigned events);
// ... or on that of the server connection that serves a session.
void exchange_server_event(server_conn *, unsigned events);
// The session has got its server connection: goes on with what is in `in`.
void exchange_attached(client_session *);
// What had to be asked behind an answer is known: goes on likewise.
void exchange_settled(client_session *);
// The server connection was lost, or is no good any more (`gone` false), while something was asked there.
void exchange_server_lost(client_session *, const char *why, bool gone);
// Its request has waited for long: the answer begins with that news, whatever it will be.
void exchange_tell_waiting(client_session *);
// The request cannot be served: it is answered with the error. The session lives on, unless the error is of
// severity 20. It must be detached.
void exchange_fail_request(client_session *, proxy_error, const char *error_type, const char *detail);
// The same with the errors of a server that refused the login; the session ends.
void exchange_refuse_request(client_session *, const tds_login_answer &);
// What the client has sent, in the loop's read buffer. Empty: nothing yet, or the session has ended.
std::span<const uint8_t> exchange_receive(client_session *);
// Sends bytes that are packets already, and what waits; the session ends if that fails. False then.
[[nodiscard]] bool exchange_send_client(client_session *, std::span<const uint8_t> packets);
// Between two requests, with nothing under way and nothing that would be lost: no transaction, no pin.
[[nodiscard]] bool exchange_at_rest(const client_session *);
// Nothing more is to be said: the session ends when everything has been sent.
void exchange_finish(client_session *, const char *reason);
// Arms both sockets for what comes next.
void exchange_watch(client_session *);
