#include "tds/login_answer.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "tds/bytes.h"
#include "tds/envchange.h"
#include "tds/error_number.h"
#include "tds/featureext.h"
#include "tds/login7.h"
#include "tds/packet.h"
#include "tds/response.h"
#include "tds/token_walk.h"
#include "tds/utf16.h"

static constexpr uint32_t smallest_packet_size = 512;

const char *tds_answer_error_text(tds_answer_error error) {
    switch (error) {
    case tds_answer_error::none: return "no error";
    case tds_answer_error::empty: return "login response without tokens";
    case tds_answer_error::too_long: return "login response too long";
    case tds_answer_error::truncated: return "login response ends inside a token";
    case tds_answer_error::bad_token: return "unexpected token in the login response";
    case tds_answer_error::bad_field: return "malformed token in the login response";
    case tds_answer_error::bad_features: return "malformed FEATUREEXTACK";
    case tds_answer_error::no_end: return "login response without final DONE";
    case tds_answer_error::after_end: return "bytes behind the final DONE of the login response";
    }
    return "unknown";
}

// ---- fields

// What is left to read. Reading over its end gives zeros and sets `short_of`, which the caller checks at the end.
struct cursor {
    std::span<const uint8_t> rest;
    bool short_of = false;
};

static std::span<const uint8_t> take(cursor &c, size_t n) {
    if (n > c.rest.size()) {
        c.short_of = true;
        c.rest = {};
        return {};
    }
    auto taken = c.rest.first(n);
    c.rest = c.rest.subspan(n);
    return taken;
}

static uint8_t take_u8(cursor &c) {
    auto b = take(c, 1);
    return b.empty() ? uint8_t{0} : b[0];
}
static uint16_t take_u16(cursor &c) {
    auto b = take(c, 2);
    return b.empty() ? uint16_t{0} : get_u16le(b.data());
}
static uint32_t take_u32(cursor &c) {
    auto b = take(c, 4);
    return b.empty() ? 0 : get_u32le(b.data());
}

// B_VARCHAR and US_VARCHAR
static std::string take_name(cursor &c) {
    size_t units = take_u8(c);
    return tds_utf8(take(c, units * 2));
}
static std::string take_text(cursor &c) {
    size_t units = take_u16(c);
    return tds_utf8(take(c, units * 2));
}

// ---- tokens

struct answer_parser {
    cursor in; // the payload
    uint32_t version;
    tds_login_answer &out;
    uint16_t done_status = 0; // of the last DONE
    bool ended = false;
    bool has_token = false; // SSPI or FEDAUTHINFO
    uint8_t changed = 0;    // the token before was an ENVCHANGE of this type
};

static tds_answer_error result_of(const cursor &body) {
    return body.short_of || !body.rest.empty() ? tds_answer_error::bad_field : tds_answer_error::none;
}

static uint8_t subject_of(int32_t number, uint8_t changed) {
    if (number == tds_info_database)
        return tds_env_database;
    if (number == tds_info_language)
        return tds_env_language;
    return changed == tds_env_database || changed == tds_env_language ? changed : uint8_t{0};
}

static tds_answer_error take_notice(answer_parser &p, cursor body) {
    tds_login_notice n;
    n.number = static_cast<int32_t>(take_u32(body));
    n.about = subject_of(n.number, p.changed);
    n.state = take_u8(body);
    n.severity = take_u8(body);
    n.text = take_text(body);
    n.server_name = take_name(body);
    n.procedure = take_name(body);
    // Two or four bytes: a server older than what was asked says so in LOGINACK only, which may come later.
    n.line = body.rest.size() == 2 ? take_u16(body) : take_u32(body);
    p.out.notices.push_back(std::move(n));
    return result_of(body);
}

// LOGINACK's value in LOGIN7's form.
static uint32_t acknowledged_version(uint32_t value) {
    if (value == 0x07000000)
        return tds_7_0;
    return value == 0x07010000 ? tds_7_1 : tds_version_known(value);
}

static tds_answer_error take_loginack(answer_parser &p, cursor body) {
    take_u8(body); // Interface: FreeTDS knows 1 and 5, MS-TDS 0 and 1
    uint32_t value = __builtin_bswap32(take_u32(body));
    p.out.program = take_name(body);
    p.out.program_version.major = take_u8(body);
    p.out.program_version.minor = take_u8(body);
    p.out.program_version.build = __builtin_bswap16(take_u16(body));
    p.out.tds_version = p.version = acknowledged_version(value);
    return p.version == 0 ? tds_answer_error::bad_field : result_of(body);
}

static bool take_collation(std::span<const uint8_t> value, tds_login_answer &out) {
    if (value.empty()) // none
        return true;
    if (value.size() != sizeof out.collation)
        return false;
    memcpy(out.collation, value.data(), value.size());
    out.has_collation = true;
    out.collation_last = !out.language.empty();
    return true;
}

static bool take_routing(const tds_envchange &change, tds_login_routing &out) {
    tds_routing to;
    if (!tds_routing_parse(change.type, change.new_value, to))
        return false;
    out = {true, to.port, std::move(to.server), std::move(to.database)};
    return true;
}

// What is not named here is of no use to a client of another connection (mirroring partner), or nothing of a login.
static bool take_change(const tds_envchange &change, tds_login_answer &out) {
    auto text = [](std::span<const uint8_t> value) { return tds_utf8(value); };
    switch (change.type) {
    case tds_env_database:
        out.database = text(change.new_value);
        out.old_database = text(change.old_value);
        return true;
    case tds_env_language:
        out.language = text(change.new_value);
        out.old_language = text(change.old_value);
        return true;
    case tds_env_charset: out.charset = text(change.new_value); return true;
    case tds_env_locale: out.locale = text(change.new_value); return true;
    case tds_env_compare_flags: out.compare_flags = text(change.new_value); return true;
    case tds_env_user_instance: out.user_instance = text(change.new_value); return true;
    case tds_env_packet_size:
        out.packet_size = tds_envchange_packet_size(change.new_value);
        return out.packet_size >= smallest_packet_size;
    case tds_env_collation: return take_collation(change.new_value, out);
    case tds_env_routing:
    case tds_env_routing_enhanced: return take_routing(change, out.routing);
    default: return true;
    }
}

static tds_answer_error take_envchange(answer_parser &p, cursor body) {
    tds_envchange change;
    bool good = !body.rest.empty();
    while (good && tds_envchange_next(body.rest, change)) {
        good = take_change(change, p.out);
        p.changed = change.type;
    }
    return good && body.rest.empty() ? tds_answer_error::none : tds_answer_error::bad_field;
}

// ---- the others

static tds_answer_error take_features(answer_parser &p) {
    size_t size = 0;
    if (!tds_features_measure(p.in.rest, size))
        return tds_answer_error::bad_features;
    auto run = take(p.in, size);
    take(p.in, 1); // terminator
    p.out.feature_acks.assign(run.begin(), run.end());
    tds_feature feature;
    p.out.session_recovery = tds_feature_find(run, tds_feature_session_recovery, feature);
    return tds_answer_error::none;
}

static tds_answer_error take_blob(answer_parser &p, std::span<const uint8_t> body, std::vector<uint8_t> &out) {
    out.assign(body.begin(), body.end());
    p.has_token = true;
    return tds_answer_error::none;
}

static tds_answer_error take_done(answer_parser &p) {
    p.done_status = take_u16(p.in);
    take_u16(p.in);                                     // CurCmd
    take(p.in, tds_version_is_wide(p.version) ? 8 : 4); // count
    p.ended = (p.done_status & tds_done_more) == 0;
    return tds_answer_error::none;
}

static tds_answer_error take_token(answer_parser &p) {
    uint8_t token = take_u8(p.in);
    switch (token) {
    case tds_token_done:
    case tds_token_doneproc:
    case tds_token_doneinproc: return take_done(p);
    case tds_token_featureextack: return take_features(p);
    case tds_token_sessionstate: take(p.in, take_u32(p.in)); return tds_answer_error::none;
    case tds_token_fedauthinfo: return take_blob(p, take(p.in, take_u32(p.in)), p.out.fedauth_info);
    case tds_token_sspi: return take_blob(p, take(p.in, take_u16(p.in)), p.out.sspi);
    default: break;
    }
    bool known = token == tds_token_error || token == tds_token_info || token == tds_token_loginack ||
                 token == tds_token_envchange;
    if (!known)
        return tds_answer_error::bad_token;
    cursor body{take(p.in, take_u16(p.in))};
    if (p.in.short_of)
        return tds_answer_error::truncated;
    if (token == tds_token_envchange)
        return take_envchange(p, body);
    auto error = token == tds_token_loginack ? take_loginack(p, body) : take_notice(p, body);
    p.changed = 0;
    return error;
}

// ---- the whole

static tds_answer_error conclude(answer_parser &p) {
    bool acknowledged = p.out.tds_version != 0;
    bool refused = (p.done_status & tds_done_error) != 0 || (!acknowledged && tds_login_answer_error(p.out) != nullptr);
    if (p.has_token && !acknowledged && !refused)
        p.out.outcome = tds_login_outcome::token;
    else if (!p.ended)
        return tds_answer_error::no_end;
    else
        p.out.outcome = acknowledged && !refused ? tds_login_outcome::accepted : tds_login_outcome::refused;
    return tds_answer_error::none;
}

tds_answer_error tds_login_answer_parse(std::span<const uint8_t> payload, uint32_t version, tds_login_answer &out) {
    if (payload.empty())
        return tds_answer_error::empty;
    if (payload.size() > tds_login_answer_max)
        return tds_answer_error::too_long;
    answer_parser p{{payload}, version, out};
    while (!p.in.rest.empty()) {
        if (p.ended)
            return tds_answer_error::after_end;
        auto error = take_token(p);
        if (p.in.short_of)
            return tds_answer_error::truncated;
        if (error != tds_answer_error::none)
            return error;
    }
    return conclude(p);
}

// ---- questions

static bool is_error(const tds_login_notice &n) {
    return n.severity > 10;
}

const tds_login_notice *tds_login_answer_error(const tds_login_answer &answer) {
    auto found = std::find_if(answer.notices.begin(), answer.notices.end(), is_error);
    return found == answer.notices.end() ? nullptr : &*found;
}

bool tds_login_answer_transient(const tds_login_answer &answer) {
    return answer.outcome == tds_login_outcome::refused &&
           std::any_of(answer.notices.begin(), answer.notices.end(), [](const tds_login_notice &n) {
               tds_error_kind kind = tds_error_kind_of(n.number);
               return is_error(n) && (kind == tds_error_kind::transient || kind == tds_error_kind::busy);
           });
}

uint32_t tds_login_answer_version(const tds_login_answer &answer, uint32_t client_version) {
    uint32_t client = tds_version_known(client_version);
    uint32_t server = answer.tds_version == tds_8_0 ? tds_7_4 : answer.tds_version;
    if (client == tds_8_0)
        return server == tds_7_4 ? tds_8_0 : server;
    return std::min(client, server);
}
