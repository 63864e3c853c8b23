// Requests of a tenant that has sent too many. Contract in exchange_steps.h.
#include "base/log.h"
#include "pool/rate.h"
#include "proxy/exchange_steps.h"
#include "proxy/slots.h"
#include "tds/packet.h"

static constexpr uint64_t tell_every = 10'000; // ms, of one tenant

static void tell(client_session *s, uint64_t now) {
    const dialogue &d = *s->talk;
    uint64_t refused = rate_tell(*d.tenant, tell_every, now);
    if (refused == 0)
        return;
    log_warn("requests above rate_limit answered with error", {{"session", s->id},
                                                               {"bucket", session_bucket_id(s)},
                                                               {"user", d.who->user},
                                                               {"database", d.login_settings->database},
                                                               {"rate_limit", s->bucket->conf->rate_limit},
                                                               {"requests", refused}});
}

bool exchange_over_rate(client_session *s, uint8_t type, uint8_t bits) {
    dialogue &d = *s->talk;
    uint32_t limit = s->bucket->conf->rate_limit;
    if (limit == 0 || d.rated || (type != tds_type_sql_batch && type != tds_type_rpc))
        return false;
    d.rated = true;
    uint64_t now = proxy_now(s->root);
    if (!d.tenant)
        d.tenant = rate_find(s->bucket->rates, d.who->user, d.login_settings->database, now);
    bool reset_due = s->server != nullptr && bits != 0; // the driver takes it for done, whatever the answer
    if (!exchange_nothing_held(s) || reset_due) {
        rate_charge(*d.tenant, limit, now);
        return false;
    }
    if (rate_take(*d.tenant, limit, now))
        return false;
    slots_count_error(s->root, s->bucket, "rate_limit");
    tell(s, now);
    exchange_swallow(s, exchange_error_tokens(s, proxy_error::rate_limit, ""), false);
    return true;
}
