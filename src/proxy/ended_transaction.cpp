// A transaction that the client's own reset has ended. See the header.
#include "proxy/ended_transaction.h"

#include <cstring>

#include "proxy/deferred_begin.h"
#include "proxy/sharing.h"
#include "tds/envchange.h"
#include "tds/login7.h"
#include "tds/request.h"
#include "tds/response.h"
#include "tds/result_build.h"

static uint64_t known_to_client(const client_session *s) {
    if (sharing(s) && begin_translates(s))
        return s->talk->shared->begun.given;
    uint64_t descriptor = 0;
    if (s->server != nullptr && s->server->walker.session.in_transaction)
        memcpy(&descriptor, s->server->walker.session.descriptor, sizeof descriptor);
    return descriptor;
}

void ended_by_reset(client_session *s) {
    if (uint64_t open = known_to_client(s); open != 0)
        s->talk->ended = open;
}

std::span<const uint8_t> ended_place(client_session *s, std::span<const uint8_t> payload,
                                     std::vector<uint8_t> &changed) {
    dialogue &d = *s->talk;
    if (!d.ended_due || payload.empty())
        return payload;
    d.ended_due = false;
    size_t at = tds_version_is_wide(d.who->version) ? tds_descriptor_at(payload) : 0;
    d.ended_named = at != 0 && memcmp(payload.data() + at, &d.ended, sizeof d.ended) == 0;
    if (!d.ended_named) { // it knows by itself
        d.ended = 0;
        return payload;
    }
    changed.assign(payload.begin(), payload.end());
    memset(changed.data() + at, 0, sizeof d.ended);
    return changed;
}

void ended_tell(client_session *s, std::vector<uint8_t> &tokens) {
    dialogue &d = *s->talk;
    tds_notice notice;
    notice.number = 3926;
    notice.severity = 10;
    notice.text = "The transaction active in this session has been committed or aborted by another session.";
    notice.server_name = "tdsbouncer";
    notice.line = 1;
    tds_put_notice(tokens, d.who->version, notice);
    tds_put_transaction(tokens, tds_env_ended, d.ended);
    d.ended = 0;
    d.ended_named = false;
}
