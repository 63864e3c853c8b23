// Transaction manager requests (MS-TDS 2.2.6.9): a type, and what belongs to it.
#include "tds/bytes.h"
#include "tds/request_reader_steps.h"

using result = tds_request_step;

static constexpr uint8_t flag_begin = 0x01;
static constexpr uint8_t isolation_max = 5;

static result step_end(tds_request_reader &, tds_request_cursor &c) {
    return c.p == c.end ? result::more : result::failed;
}

bool tds_request_transaction_may_end(const tds_request_reader &r) {
    return r.step == step_end;
}

// A name, B_VARBYTE, the last thing there is.
static result step_last_name(tds_request_reader &r, tds_request_cursor &c) {
    const uint8_t *p = tds_request_take(r, c, 1);
    if (p == nullptr)
        return result::more;
    r.skip = p[0];
    return tds_request_go(r, step_end);
}

static result step_begin(tds_request_reader &r, tds_request_cursor &c) {
    const uint8_t *p = tds_request_take(r, c, 1);
    if (p == nullptr)
        return result::more;
    if (p[0] > isolation_max)
        return result::failed;
    r.info->tm_isolation = p[0];
    r.info->tm_begins = true;
    return tds_request_go(r, step_last_name);
}

static result step_flags(tds_request_reader &r, tds_request_cursor &c) {
    const uint8_t *p = tds_request_take(r, c, 1);
    if (p == nullptr)
        return result::more;
    return tds_request_go(r, (p[0] & flag_begin) != 0 ? step_begin : step_end);
}

// The name of what is committed or rolled back.
static result step_ended_name(tds_request_reader &r, tds_request_cursor &c) {
    const uint8_t *p = tds_request_take(r, c, 1);
    if (p == nullptr)
        return result::more;
    r.skip = p[0];
    r.info->tm_savepoint = p[0] > 0 && r.info->tm_type == tds_tm_rollback;
    return tds_request_go(r, step_flags);
}

// US_VARBYTE
static result step_cookie(tds_request_reader &r, tds_request_cursor &c) {
    const uint8_t *p = tds_request_take(r, c, 2);
    if (p == nullptr)
        return result::more;
    r.skip = get_u16le(p);
    return tds_request_go(r, step_end);
}

tds_request_step tds_request_step_transaction(tds_request_reader &r, tds_request_cursor &c) {
    const uint8_t *p = tds_request_take(r, c, 2);
    if (p == nullptr)
        return result::more;
    r.info->tm_type = get_u16le(p);
    r.info->effect.transactions = true;
    switch (r.info->tm_type) {
    case tds_tm_get_dtc_address:
    case tds_tm_propagate: return tds_request_go(r, step_cookie);
    case tds_tm_begin: return tds_request_go(r, step_begin);
    case tds_tm_promote: return tds_request_go(r, step_end);
    case tds_tm_commit:
    case tds_tm_rollback: return tds_request_go(r, step_ended_name);
    case tds_tm_save: return tds_request_go(r, step_last_name);
    default: return result::failed;
    }
}
