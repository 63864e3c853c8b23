#include "proxy/deferred_begin.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "proxy/proxy.h"
#include "proxy/server_task.h"
#include "proxy/sharing.h"
#include "tds/bytes.h"
#include "tds/envchange.h"
#include "tds/packet.h"
#include "tds/response.h"
#include "tds/tsql_lone.h"

static constexpr uint64_t descriptors_base = uint64_t{0x7464} << 48; // no server's: they count from 0x100000000 or so
static constexpr uint32_t count_max = 32;
static constexpr size_t all_headers = 22;
static constexpr size_t descriptor_size = 8;

// What the request asks for, and nothing else.
struct asked {
    tsql_lone kind = tsql_lone::none;
    std::string name;
    uint8_t isolation = 0;
};

static asked by_text(const client_session *s, std::span<const uint8_t> in) {
    const tds_request_info &info = *s->talk->shared->request;
    asked a;
    bool possible = info.effect.transactions && !info.effect.writes && !info.effect.calls &&
                    info.place.kind == tds_text_place::kind_t::batch && info.place.bytes <= 2 * tsql_lone_units_max;
    if (!possible)
        return a;
    std::vector<uint8_t> payload = sharing_payload(s, in);
    if (info.place.at + info.place.bytes <= payload.size())
        a.kind = tsql_lone_transaction(std::span(payload).subspan(info.place.at, info.place.bytes), a.name);
    return a;
}

// Without a name, and not beginning the next one: then nothing follows the headers but four bytes.
static asked by_manager(const client_session *s, std::span<const uint8_t> in) {
    const tds_request_info &info = *s->talk->shared->request;
    asked a;
    if (info.descriptor_at == 0 || sharing_payload(s, in).size() != all_headers + 4)
        return a;
    if (info.tm_type == tds_tm_begin) {
        a.kind = tsql_lone::begin;
        a.isolation = info.tm_isolation;
    } else if (!info.tm_begins) {
        a.kind = info.tm_type == tds_tm_commit     ? tsql_lone::commit
                 : info.tm_type == tds_tm_rollback ? tsql_lone::rollback
                                                   : tsql_lone::none;
    }
    return a;
}

// With IMPLICIT_TRANSACTIONS a BEGIN is another one inside of the one that it makes; STATISTICS tell of each statement.
static bool is_more(const client_session *s) {
    const tds_session_state &now = *s->talk->settings;
    for (tds_option o : {tds_option::implicit_transactions, tds_option::statistics_time, tds_option::statistics_io})
        if (now[o] == "ON" || (s->talk->shared->track.doubtful & tds_option_bit(o)))
            return true;
    return false;
}

// ---- answered here ---------------------------------------------------------------------------------------------

static void put_change(std::vector<uint8_t> &tokens, uint8_t type, uint64_t descriptor) {
    put_u8(tokens, tds_token_envchange);
    put_u16le(tokens, 3 + descriptor_size);
    put_u8(tokens, type);
    put_u8(tokens, type == tds_env_begin ? descriptor_size : 0);
    if (type != tds_env_begin)
        put_u8(tokens, descriptor_size);
    put_u64le(tokens, descriptor);
    if (type == tds_env_begin)
        put_u8(tokens, 0);
}

static void put_done(const client_session *s, std::vector<uint8_t> &tokens, uint16_t command) {
    tds_put_done(tokens, s->talk->who->version, tds_token_done, 0, command, 0);
}

// They set @@ROWCOUNT and @@ERROR to 0, and leave the identity alone.
static void note_values(client_session *s) {
    shared_session &sh = *s->talk->shared;
    if (!s->bucket->conf->keep_last_values)
        return;
    if (!sh.kept)
        sh.kept = std::make_unique<last_values>();
    sh.kept->rowcount.assign(1, '0');
    sh.kept->error.assign(1, '0');
    sh.status_token = ++s->root->values_token;
    if (sh.home != nullptr)
        sh.home->status_unread = false;
}

static void set_isolation(client_session *s, uint8_t level) {
    if (const char *name = track_isolation_name(level); *name != '\0') {
        tds_session_state now = *s->talk->settings;
        now[tds_option::isolation_level] = name;
        s->talk->settings = settings_intern(s->root->settings, std::move(now));
    }
}

static void take_begin(client_session *s, const asked &a, bool announced, std::vector<uint8_t> &tokens) {
    deferred_begin &b = s->talk->shared->begun;
    if (b.count++ == 0) {
        b.first = "BEGIN TRANSACTION";
        if (!a.name.empty())
            b.first.append(" ").append(a.name);
        b.real = 0;
        b.given = announced ? descriptors_base + ++s->root->descriptors : 0;
        if (announced)
            put_change(tokens, tds_env_begin, b.given);
    }
    set_isolation(s, a.isolation);
    put_done(s, tokens, 0xd4);
}

static void take_end(client_session *s, tsql_lone kind, std::vector<uint8_t> &tokens) {
    deferred_begin &b = s->talk->shared->begun;
    bool commits = kind == tsql_lone::commit;
    b.count = commits ? b.count - 1 : 0;
    if (b.count == 0 && b.given != 0)
        put_change(tokens, commits ? tds_env_commit : tds_env_rollback, b.given);
    put_done(s, tokens, commits ? 0xd5 : 0xd2);
}

bool begin_take(client_session *s, std::span<const uint8_t> in, std::vector<uint8_t> &tokens) {
    shared_session &sh = *s->talk->shared;
    const tds_request_info &info = *sh.request;
    deferred_begin &b = sh.begun;
    bool manager = info.type == tds_type_transaction;
    if (!s->bucket->conf->defer_begin || info.broken || (!manager && info.type != tds_type_sql_batch))
        return false;
    uint32_t version = s->talk->who->version;
    announcing tells = tds_version_is_wide(version) ? server_task_announcing(s->bucket, version) : announcing::no;
    bool announced = tells == announcing::yes;
    if (tells == announcing::unknown || (manager && !announced) || is_more(s) ||
        info.descriptor != (b.count > 0 ? b.given : 0))
        return false;
    asked a = manager ? by_manager(s, in) : by_text(s, in);
    if (a.kind == tsql_lone::none || (a.kind != tsql_lone::begin && b.count == 0) || b.count == count_max)
        return false;
    if (a.kind == tsql_lone::begin)
        take_begin(s, a, announced, tokens);
    else
        take_end(s, a.kind, tokens);
    note_values(s);
    return true;
}

// ---- begun at the server ---------------------------------------------------------------------------------------

// What is the same inside of a transaction and outside, and locks nothing: ODBC asks for it as soon as it is logged in.
static bool runs_outside(const tds_request_info &info) {
    return !info.broken && info.calls_count > 0 && info.calls_count == info.calls.size() &&
           std::all_of(info.calls.begin(), info.calls.end(),
                       [](const tds_rpc_call &call) { return call.proc == tds_proc::datatype_info; });
}

bool begin_due(const client_session *s) {
    if (!sharing(s) || s->talk->shared->begun.count == 0)
        return false;
    const auto &request = s->talk->shared->request;
    return !request || !runs_outside(*request);
}

std::string begin_batch(const client_session *s) {
    const deferred_begin &b = s->talk->shared->begun;
    std::string sql = b.first;
    for (uint32_t i = 1; i < b.count; ++i)
        sql.append(";BEGIN TRANSACTION");
    return sql;
}

bool begin_done(client_session *s) {
    shared_session &sh = *s->talk->shared;
    const tds_walk_session &w = s->server->walker.session;
    bool tells = server_task_announces(s->server);
    if (tells && !w.in_transaction)
        return false;
    if (w.in_transaction)
        memcpy(&sh.begun.real, w.descriptor, sizeof sh.begun.real);
    sh.begun.alone = sh.begun.count == 1;
    sh.begun.count = 0;
    sh.track.transaction = true;
    return true;
}

bool begin_translates(const client_session *s) {
    const deferred_begin &b = s->talk->shared->begun;
    return b.given != 0 && (b.real != 0 || b.count > 0);
}

bool begin_place(const client_session *s, std::vector<uint8_t> &payload, uint64_t descriptor, uint64_t at) {
    const deferred_begin &b = s->talk->shared->begun;
    if (!begin_translates(s) || at == 0 || at + descriptor_size > payload.size() || descriptor != b.given)
        return false;
    memcpy(payload.data() + at, &b.real, descriptor_size);
    return true;
}

// Where its flags are: type, name, flags; with the flag isolation level and name of the next one. Names are of no use
// here. 0: it is another request.
static size_t flags_of_next(const client_session *s, std::span<const uint8_t> payload) {
    static constexpr uint8_t begins_next = 1;
    const tds_request_info &info = *s->talk->shared->request;
    size_t name = all_headers + 2;
    bool possible = s->bucket->conf->defer_begin && info.type == tds_type_transaction && !info.broken &&
                    info.tm_begins && info.tm_type != tds_tm_begin && !info.tm_savepoint && !is_more(s) &&
                    info.descriptor_at != 0 && payload.size() > name;
    size_t flags = possible ? name + 1 + payload[name] : 0;
    bool good = possible && payload.size() == flags + 3 && payload[flags] == begins_next && payload[flags + 2] == 0;
    return good ? flags : 0;
}

bool begin_split(client_session *s, std::vector<uint8_t> &payload) {
    shared_session &sh = *s->talk->shared;
    size_t flags = begin_translates(s) && sh.begun.alone ? flags_of_next(s, payload) : 0;
    if (flags == 0)
        return false;
    sh.begun.splits = true;
    sh.begun.isolation = payload[flags + 1];
    sh.request->tm_isolation = 0; // not there yet
    payload[flags] = 0;
    payload.resize(flags + 1);
    return true;
}

static uint64_t descriptor_there(const server_conn *c) {
    uint64_t descriptor = 0;
    if (c->walker.session.in_transaction)
        memcpy(&descriptor, c->walker.session.descriptor, sizeof descriptor);
    return descriptor;
}

void begin_renews(client_session *s, std::span<const uint8_t> payload) {
    deferred_begin &b = s->talk->shared->begun;
    b.renews = flags_of_next(s, payload) != 0 && server_task_announces(s->server);
    b.renewed = descriptor_there(s->server);
}

bool begin_may_be_put_off(const client_session *s) {
    const shared_session &sh = *s->talk->shared;
    return sh.begun.renewed != 0 && track_pins(sh.track) == pin_bit(pin_reason::transaction);
}

bool begin_put_off(client_session *s) {
    shared_session &sh = *s->talk->shared;
    deferred_begin &b = sh.begun;
    if (s->server->walker.session.in_transaction)
        return false;
    b.count = 1;
    b.first = "BEGIN TRANSACTION";
    b.given = b.renewed; // the client has been told that one
    b.real = b.renewed = 0;
    sh.track.transaction = false;
    sh.track.unrecoverable = tds_walk_unrecoverable(s->server->walker.session); // with one open it always is
    return true;
}

// Whether these letters, in lower case, stand in the text in any case.
static bool has(std::span<const uint8_t> payload, std::string_view word) {
    size_t matched = 0;
    for (uint8_t byte : payload) {
        if (byte == 0) // of UTF-16
            continue;
        uint8_t lower = byte | 0x20;
        matched = lower == static_cast<uint8_t>(word[matched]) ? matched + 1
                  : lower == static_cast<uint8_t>(word[0])     ? 1
                                                               : 0;
        if (matched == word.size())
            return true;
    }
    return false;
}

void begin_note(client_session *s, std::span<const uint8_t> payload) {
    shared_session &sh = *s->talk->shared;
    const tds_request_info &info = *sh.request;
    bool executes = !info.heads.empty() && info.effect.transactions;
    bool may_begin =
        payload.empty() || info.effect.calls || executes || (has(payload, "begin") && has(payload, "tran"));
    sh.begun.alone &= info.type == tds_type_transaction || !may_begin;
}

bool begin_watches(const client_session *s) {
    return begin_translates(s) || s->talk->shared->begun.splits;
}

// The end has been announced, to be followed by the next beginning.
static void begin_next(client_session *s, std::vector<uint8_t> &out) {
    deferred_begin &b = s->talk->shared->begun;
    b.count = 1;
    b.first = "BEGIN TRANSACTION";
    b.real = 0;
    b.given = descriptors_base + ++s->root->descriptors;
    put_change(out, tds_env_begin, b.given);
}

void begin_answered(client_session *s, bool good) {
    deferred_begin &b = s->talk->shared->begun;
    uint64_t now = descriptor_there(s->server);
    b.renewed = b.renews && good && now != b.renewed ? now : 0; // of an inner one nothing would have been said
    b.renews = false;
    if (b.splits && good)
        set_isolation(s, b.isolation);
    b.splits = false;
}

// ENVCHANGE 9, 10 or 17 with the descriptor as its old value: E3, length, type, 00, 08, descriptor.
// Whether it is one.
static bool translate_end(const deferred_begin &b, std::vector<uint8_t> &token) {
    static constexpr size_t at = 6;
    uint64_t old = 0;
    bool whole = token.size() == at + descriptor_size && token[4] == 0 && token[5] == descriptor_size;
    if (!whole || (token[3] != tds_env_commit && token[3] != tds_env_rollback && token[3] != tds_env_ended))
        return false;
    memcpy(&old, token.data() + at, sizeof old);
    if (b.real != 0 && old == b.real)
        memcpy(token.data() + at, &b.given, sizeof b.given);
    return true;
}

void begin_returned(client_session *s, std::span<const uint8_t> chunk, bool ends, std::vector<uint8_t> &out) {
    static constexpr size_t longest = 14;
    deferred_begin &b = s->talk->shared->begun;
    b.token.insert(b.token.end(), chunk.begin(), chunk.end());
    if (!ends && b.token.size() < longest)
        return;
    bool ended = ends && translate_end(b, b.token);
    out.insert(out.end(), b.token.begin(), b.token.end());
    b.token.clear();
    if (ended && b.splits && b.count == 0)
        begin_next(s, out);
}

void begin_over(client_session *s) {
    deferred_begin &b = s->talk->shared->begun;
    if (b.count == 0)
        b.given = b.real = 0;
}
