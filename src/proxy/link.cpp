#include "proxy/link.h"

#include <cassert>

#include "proxy/authenticate.h"
#include "proxy/client_session.h"
#include "proxy/server_conn.h"

void link_attach(client_session *s, server_conn *c) {
    assert(s->server == nullptr && c->client == nullptr);
    s->server = c;
    c->client = s;
}

void link_detach(client_session *s, server_conn *c) {
    assert(s->server == c && c->client == s);
    authenticate_unpin(s);
    s->server = nullptr;
    c->client = nullptr;
}
