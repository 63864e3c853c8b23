// Tokens that tell of the session: ERROR, INFO, DONE, ENVCHANGE, LOGINACK, FEATUREEXTACK, SESSIONSTATE.
#include <cstring>

#include "tds/bytes.h"
#include "tds/login7.h"
#include "tds/token_walk_steps.h"
#include "tds/utf16.h"

static constexpr uint8_t recoverable = 0x01; // bit of SESSIONSTATE's status

// --- ERROR and INFO ---

// Some clients go by the token's length, some by those of its texts: they have to agree.
static tds_step_result step_notice_end(tds_walker &w, tds_walk_cursor &) {
    w.counted = false;
    return w.left == 0 ? tds_step_go(w, tds_step_token) : tds_step_fail(w, tds_walk_error::bad_length);
}

static void note_error(tds_walk_message &m, int32_t number, uint8_t state, uint8_t severity) {
    if (m.errors++ == 0) {
        m.first_error = number;
        m.first_error_state = state;
        m.first_error_class = severity;
    }
    if (m.errors == 1 || severity > m.worst_error_class) {
        m.worst_error = number;
        m.worst_error_class = severity;
    }
}

// Length, Number, State, Class; then three texts and the line.
tds_step_result tds_step_notice(tds_walker &w, tds_walk_cursor &c) {
    static constexpr uint32_t head = 6; // behind the length
    const uint8_t *p = tds_step_take(w, c, 2 + head);
    if (p == nullptr)
        return tds_step_result::more;
    uint32_t length = get_u16le(p);
    if (length < head)
        return tds_step_fail(w, tds_walk_error::bad_length);
    if (w.token == tds_token_error)
        note_error(w.message, static_cast<int32_t>(get_u32le(p + 2)), p[6], p[7]);
    else
        ++w.message.infos;
    w.left = length - head;
    w.counted = true;
    return tds_step_over(w, w.wide ? "sbb4" : "sbb2", step_notice_end);
}

// --- DONE, DONEPROC, DONEINPROC; RETURNSTATUS ---

static bool ends_response(const tds_walker &w, uint16_t status) {
    if ((status & tds_done_attention) != 0 && w.token == tds_token_done)
        return true;
    return (status & (tds_done_more | tds_done_rpc_in_batch)) == 0 && w.token != tds_token_doneinproc;
}

tds_step_result tds_step_done(tds_walker &w, tds_walk_cursor &c) {
    const uint8_t *p = tds_step_take(w, c, w.wide ? 12 : 8);
    if (p == nullptr)
        return tds_step_result::more;
    auto &m = w.message;
    uint16_t status = get_u16le(p);
    bool attention = (status & tds_done_attention) != 0 && w.token == tds_token_done;
    if (w.final_done && !attention) // only an acknowledgement may share the message with a finished response
        return tds_step_fail(w, tds_walk_error::after_done, w.token);
    m.has_done = true;
    m.done_token = w.token;
    m.done_status = status;
    m.done_command = get_u16le(p + 2);
    m.done_rows = get_u32le(p + 4);
    if (w.wide)
        m.done_rows |= static_cast<uint64_t>(get_u32le(p + 8)) << 32;
    if ((status & tds_done_count) != 0) {
        ++m.dones_with_count;
        m.last_count = m.done_rows;
    }
    m.calls_done += w.token == tds_token_doneproc ? 1U : 0U;
    m.attentions += attention ? 1U : 0U;
    w.final_done = ends_response(w, status);
    return tds_step_go(w, tds_step_token);
}

tds_step_result tds_step_returnstatus(tds_walker &w, tds_walk_cursor &c) {
    const uint8_t *p = tds_step_take(w, c, 4);
    if (p == nullptr)
        return tds_step_result::more;
    w.message.has_return_status = true;
    w.message.return_status = static_cast<int32_t>(get_u32le(p));
    return tds_step_go(w, tds_step_token);
}

// --- ENVCHANGE ---

static bool begin_transaction(tds_walk_session &s, const tds_envchange &change) {
    // 11: the specification contradicts itself about the side that has the descriptor.
    bool swapped = change.type == tds_env_enlist && change.new_value.empty();
    auto descriptor = swapped ? change.old_value : change.new_value;
    if (descriptor.size() != sizeof s.descriptor)
        return false;
    s.in_transaction = true;
    s.enlisted |= change.type == tds_env_enlist;
    memcpy(s.descriptor, descriptor.data(), sizeof s.descriptor);
    return true;
}

static void end_transaction(tds_walk_session &s, uint8_t type) {
    s.in_transaction = false;
    s.enlisted &= type != tds_env_defect;
    memset(s.descriptor, 0, sizeof s.descriptor);
}

static bool set_collation(tds_walk_session &s, std::span<const uint8_t> value) {
    if (!value.empty() && value.size() != sizeof s.collation)
        return false;
    s.collation_size = static_cast<uint8_t>(value.size());
    if (!value.empty())
        memcpy(s.collation, value.data(), value.size());
    return true;
}

// False: a value that the type cannot have.
static bool apply_change(tds_walk_session &s, tds_walk_message &m, const tds_envchange &change) {
    switch (change.type) {
    case tds_env_database:
        m.database_seen = true;
        s.database = tds_utf8(change.new_value);
        return true;
    case tds_env_language:
        m.language_seen = true;
        s.language = tds_utf8(change.new_value);
        return true;
    case tds_env_packet_size: s.packet_size = tds_envchange_packet_size(change.new_value); return s.packet_size > 0;
    case tds_env_collation: m.collation_seen = true; return set_collation(s, change.new_value);
    case tds_env_begin:
    case tds_env_enlist: m.transaction_seen = true; return begin_transaction(s, change);
    case tds_env_commit:
    case tds_env_rollback:
    case tds_env_defect:
    case tds_env_ended:
        m.transaction_seen = true;
        end_transaction(s, change.type);
        return true;
    case tds_env_reset:
        m.reset_seen = true;
        memset(s.unrecoverable, 0, sizeof s.unrecoverable);
        return true;
    case tds_env_routing:
    case tds_env_routing_enhanced: return tds_routing_parse(change.type, change.new_value, s.routing);
    default: return true;
    }
}

// The old value behind a promote token: empty.
static tds_step_result step_promote_end(tds_walker &w, tds_walk_cursor &c) {
    const uint8_t *p = tds_step_take(w, c, 1);
    if (p == nullptr)
        return tds_step_result::more;
    return p[0] == 0 ? tds_step_go(w, tds_step_token) : tds_step_fail(w, tds_walk_error::bad_value, p[0]);
}

static tds_step_result step_promote(tds_walker &w, tds_walk_cursor &c) {
    const uint8_t *p = tds_step_take(w, c, 4);
    if (p == nullptr)
        return tds_step_result::more;
    w.skip = get_u32le(p);
    if (w.skip > tds_long_token_max)
        return tds_step_fail(w, tds_walk_error::bad_length);
    return tds_step_go(w, step_promote_end);
}

static tds_step_result step_envchange_body(tds_walker &w, tds_walk_cursor &c) {
    auto result = tds_step_result::more;
    const uint8_t *p = tds_step_gather(w, c, static_cast<size_t>(w.left), result);
    if (p == nullptr)
        return result;
    std::span<const uint8_t> rest(p, static_cast<size_t>(w.left));
    bool promote = rest.size() == 1 && rest[0] == tds_env_promote; // whose length counts nothing but the type
    tds_envchange change;
    bool good = true;
    while (good && tds_envchange_next(rest, change))
        good = apply_change(w.session, w.message, change);
    bool whole = rest.empty();
    tds_step_gathered_free(w);
    if (!good || !whole)
        return tds_step_fail(w, good ? tds_walk_error::bad_length : tds_walk_error::bad_value, tds_token_envchange);
    return tds_step_go(w, promote ? step_promote : tds_step_token);
}

tds_step_result tds_step_envchange(tds_walker &w, tds_walk_cursor &c) {
    const uint8_t *p = tds_step_take(w, c, 2);
    if (p == nullptr)
        return tds_step_result::more;
    w.left = get_u16le(p);
    if (w.left == 0)
        return tds_step_fail(w, tds_walk_error::bad_length, tds_token_envchange);
    return tds_step_go(w, step_envchange_body);
}

// --- LOGINACK ---

// 7.0 and 7.1 without service pack have a form of their own.
static uint32_t acknowledged_version(uint32_t value) {
    if (value == 0x07000000)
        return tds_7_0;
    return value == 0x07010000 ? tds_7_1 : tds_version_known(value);
}

// Interface, TDSVersion, ProgName, then four bytes of the server's version.
static tds_walk_error apply_loginack(tds_walker &w, const uint8_t *p, size_t size) {
    if (size < 10 || size != size_t{10} + 2 * size_t{p[5]})
        return tds_walk_error::bad_length;
    uint32_t version =
        acknowledged_version(static_cast<uint32_t>(get_u16be(p + 1)) << 16 | static_cast<uint32_t>(get_u16be(p + 3)));
    if (version == 0)
        return tds_walk_error::bad_value;
    const uint8_t *program = p + size - 4;
    auto &s = w.session;
    s.login_acknowledged = true;
    s.version = version;
    s.server_version = {program[0], program[1], get_u16be(program + 2), 0};
    w.wide = tds_version_is_wide(version);
    return tds_walk_error::none;
}

static tds_step_result step_loginack_body(tds_walker &w, tds_walk_cursor &c) {
    auto result = tds_step_result::more;
    const uint8_t *p = tds_step_gather(w, c, static_cast<size_t>(w.left), result);
    if (p == nullptr)
        return result;
    auto error = apply_loginack(w, p, static_cast<size_t>(w.left));
    tds_step_gathered_free(w);
    return error == tds_walk_error::none ? tds_step_go(w, tds_step_token) : tds_step_fail(w, error, tds_token_loginack);
}

tds_step_result tds_step_loginack(tds_walker &w, tds_walk_cursor &c) {
    const uint8_t *p = tds_step_take(w, c, 2);
    if (p == nullptr)
        return tds_step_result::more;
    w.left = get_u16le(p);
    if (w.left == 0)
        return tds_step_fail(w, tds_walk_error::bad_length, tds_token_loginack);
    return tds_step_go(w, step_loginack_body);
}

// --- FEATUREEXTACK: (id, length of 4 bytes, data) ... 0xFF ---

static constexpr uint8_t features_end = 0xff;

static tds_step_result step_column_encryption(tds_walker &w, tds_walk_cursor &c) {
    const uint8_t *p = tds_step_take(w, c, 1);
    if (p == nullptr)
        return tds_step_result::more;
    w.options.column_encryption = p[0] > 0;
    w.skip = w.left - 1;
    return tds_step_go(w, tds_step_featureextack);
}

// Version, enabled
static tds_step_result step_data_classification(tds_walker &w, tds_walk_cursor &c) {
    const uint8_t *p = tds_step_take(w, c, 2);
    if (p == nullptr)
        return tds_step_result::more;
    w.options.data_classification = p[1] > 0 ? p[0] : uint8_t{0};
    w.skip = w.left - 2;
    return tds_step_go(w, tds_step_featureextack);
}

static tds_step_result step_feature_length(tds_walker &w, tds_walk_cursor &c) {
    const uint8_t *p = tds_step_take(w, c, 4);
    if (p == nullptr)
        return tds_step_result::more;
    w.left = get_u32le(p);
    if (w.left > tds_long_token_max)
        return tds_step_fail(w, tds_walk_error::bad_length, tds_token_featureextack);
    if (w.feature == tds_feature_column_encryption && w.left >= 1)
        return tds_step_go(w, step_column_encryption);
    if (w.feature == tds_feature_data_classification && w.left >= 2)
        return tds_step_go(w, step_data_classification);
    w.skip = w.left;
    return tds_step_go(w, tds_step_featureextack);
}

tds_step_result tds_step_featureextack(tds_walker &w, tds_walk_cursor &c) {
    const uint8_t *p = tds_step_take(w, c, 1);
    if (p == nullptr)
        return tds_step_result::more;
    w.feature = p[0];
    if (w.feature == features_end)
        return tds_step_go(w, tds_step_token);
    if (w.feature < 32)
        w.session.features |= uint32_t{1} << w.feature;
    return tds_step_go(w, step_feature_length);
}

// --- SESSIONSTATE: length, SeqNo, Status, (id, length of 1 byte or 0xFF and 4, value) ... ---

static constexpr uint8_t long_state = 0xff; // in place of a length

static tds_step_result step_state(tds_walker &w, tds_walk_cursor &c);

// The token's end is known all the same.
static tds_step_result state_not_understood(tds_walker &w) {
    w.session.recovery_off = true;
    w.skip = w.left;
    return tds_step_go(w, tds_step_token);
}

static tds_step_result skip_state(tds_walker &w, uint32_t length) {
    if (length > w.left)
        return state_not_understood(w);
    w.left -= length;
    w.skip = length;
    return tds_step_go(w, step_state);
}

static tds_step_result step_long_state(tds_walker &w, tds_walk_cursor &c) {
    const uint8_t *p = tds_step_take(w, c, 4);
    if (p == nullptr)
        return tds_step_result::more;
    w.left -= 4;
    return skip_state(w, get_u32le(p));
}

static tds_step_result step_state(tds_walker &w, tds_walk_cursor &c) {
    if (w.left == 0)
        return tds_step_go(w, tds_step_token);
    if (w.left < 2)
        return state_not_understood(w);
    const uint8_t *p = tds_step_take(w, c, 2);
    if (p == nullptr)
        return tds_step_result::more;
    w.left -= 2;
    uint64_t bit = uint64_t{1} << (p[0] % 64), &bits = w.session.unrecoverable[p[0] / 64];
    bits = w.recoverable ? bits & ~bit : bits | bit;
    if (p[1] != long_state)
        return skip_state(w, p[1]);
    return w.left < 4 ? state_not_understood(w) : tds_step_go(w, step_long_state);
}

tds_step_result tds_step_sessionstate(tds_walker &w, tds_walk_cursor &c) {
    const uint8_t *p = tds_step_take(w, c, 9);
    if (p == nullptr)
        return tds_step_result::more;
    uint32_t length = get_u32le(p);
    if (length < 5 || length > tds_long_token_max)
        return tds_step_fail(w, tds_walk_error::bad_length, tds_token_sessionstate);
    w.message.session_state_seen = true;
    w.session.recovery_off |= get_u32le(p + 4) == UINT32_MAX;
    w.recoverable = (p[8] & recoverable) != 0;
    w.left = length - 5;
    return tds_step_go(w, step_state);
}
