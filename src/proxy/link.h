// The only place that sets client_session.server and server_conn.client: always both together.
#pragma once

struct client_session;
struct server_conn;

void link_attach(client_session *, server_conn *);
void link_detach(client_session *, server_conn *);
