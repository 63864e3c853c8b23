// A terminated client's login: PRELOGIN, TLS and LOGIN7 with the proxy, the bucket, the password, the answer.
//
//      login -> route -> record of a real login -------------------------------------> answered, active
//                     -> admission -> waiting -> connecting: a real login, recorded -> answered, active and attached
//                                                tokens of SSPI and federated logins go both ways meanwhile
//                     -> database tdsbouncer: proxy/console
//      Any refusal, the server's or the proxy's, answers the login and ends the session.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

struct proxy;
struct proxy_bucket;
struct client_session;
struct server_conn;
struct tds_login_answer;

// Something happened on its socket: in state login, or admission to connecting while its login is under way.
void authenticate_event(client_session *, unsigned events);
// Logins that an earlier loop turn had no time for.
void authenticate_deferred(proxy *);
// A login that waited for its answer's time.
void authenticate_answer_now(client_session *);

// The server connection for its login is logged in, was refused, or could not be had.
void authenticate_server_ready(client_session *, const std::shared_ptr<const tds_login_answer> &);
void authenticate_refused(client_session *, const tds_login_answer &);
void authenticate_server_failed(client_session *, const char *detail);
// The server cannot do for this client what PRELOGIN has promised it.
void authenticate_without_mars(client_session *, const char *detail);
// The server wants the client's next token: `payload` is its message.
void authenticate_token(client_session *, std::span<const uint8_t> payload);

// Its login is no longer under way, however it ended: the next one of the bucket may begin, unless the login's server
// connection is still to be closed.
void authenticate_end(client_session *);
// The session's login goes on with this connection: it is one of max_concurrent_logins until it is logged in or its
// slot is released.
void authenticate_hand_over(client_session *, server_conn *);
// The connection has logged in, or is no more: harmless when it checks no client's password.
void authenticate_connection_done(server_conn *);
// It loses its server connection: the pin of one that was its alone ends.
void authenticate_unpin(client_session *);
// The packet size that the client asks for, as far as it may be granted.
uint16_t authenticate_packet_size(const client_session *);
// The client's password in clear, while its login is under way.
std::string_view authenticate_password(const client_session *);
