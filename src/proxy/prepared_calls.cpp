#include "proxy/prepared_calls.h"

#include <algorithm>

#include "base/log.h"
#include "proxy/proxy.h"
#include "proxy/server_task.h"
#include "proxy/sharing.h"
#include "tds/bytes.h"
#include "tds/handle_text.h"
#include "tds/packet.h"
#include "tds/packet_stream.h"
#include "tds/response.h"
#include "tds/utf16.h"

using kind_t = prepared_answer::kind_t;
using bytes = std::span<const uint8_t>;

static constexpr int32_t nobodys_handle = 0x7fffffff; // no server gives it out

static prepared_session &prepared_of(client_session *s) {
    shared_session &sh = *s->talk->shared;
    if (!sh.prepared)
        sh.prepared = std::make_unique<prepared_session>();
    return *sh.prepared;
}

static prepared_ptr statement_of(const client_session *s, const tds_rpc_call &call) {
    const shared_session &sh = *s->talk->shared;
    return call.has_first && sh.prepared ? prepared_find(sh.prepared->book, call.first) : nullptr;
}

// A server's handle, which keeps the session on its connection.
static bool is_real(const client_session *s, const tds_rpc_call &call) {
    const session_track &t = s->talk->shared->track;
    if (s->server == nullptr || !call.has_first)
        return false;
    bool given = std::find(t.prepared.begin(), t.prepared.end(), call.first) != t.prepared.end();
    return given || t.handles_unknown || (track_state(t) & tsql_handle);
}

static void assume_the_worst(tsql_effect &effect) {
    effect.calls = effect.transactions = effect.writes = effect.inner.place = true;
    effect.inner.options = ~tds_option_set{0};
    effect.lone_select = false;
}

// ---- before it has a server connection -------------------------------------------------------------------------

static void note_executed(const client_session *s, const tds_rpc_call &call, tsql_effect &effect, bool alone) {
    if (prepared_ptr statement = statement_of(s, call); statement != nullptr) {
        tsql_effect_add(effect, statement->effect);
        effect.lone_select = alone && statement->effect.lone_select;
    } else if (is_real(s, call)) {
        assume_the_worst(effect);
    }
}

static void put_unknown(const client_session *s, int32_t handle, std::vector<uint8_t> &tokens) {
    std::string text = "Could not find prepared statement with handle ";
    text.append(std::to_string(handle)).append(".");
    tds_notice notice;
    notice.number = 8179;
    notice.state = 3;
    notice.severity = 16;
    notice.text = text;
    notice.server_name = s->bucket->server_name;
    notice.line = 1;
    uint32_t version = s->talk->who->version;
    tds_put_notice(tokens, version, notice);
    tds_put_done(tokens, version, tds_token_doneinproc, tds_done_error | tds_done_more, 0, 0);
    tds_put_done(tokens, version, tds_token_doneproc, tds_done_error, 0, 0);
}

static void put_ended(const client_session *s, bool last, std::vector<uint8_t> &tokens) {
    put_u8(tokens, tds_token_returnstatus);
    put_u32le(tokens, 0);
    uint16_t status = last ? uint16_t{0} : tds_done_rpc_in_batch;
    tds_put_done(tokens, s->talk->who->version, tds_token_doneproc, status, 0, 0);
}

// Calls of sp_unprepare and nothing else, each with a handle of the session's.
static bool ends_only(const client_session *s, const tds_request_info &info) {
    return std::all_of(info.heads.begin(), info.heads.end(), [&](const tds_rpc_call &call) {
        return call.proc == tds_proc::unprepare && !call.skipped && statement_of(s, call) != nullptr;
    });
}

static bool is_unknown(const client_session *s, const tds_rpc_call &call) {
    bool takes_one = call.proc == tds_proc::execute || call.proc == tds_proc::unprepare;
    return takes_one && call.has_first && statement_of(s, call) == nullptr && !is_real(s, call);
}

bool prepared_look(client_session *s, bool resets, std::vector<uint8_t> &tokens) {
    tds_request_info &info = *s->talk->shared->request;
    if (info.heads.empty() || info.broken)
        return false;
    for (const tds_rpc_call &call : info.heads)
        if (call.proc == tds_proc::execute)
            note_executed(s, call, info.effect, info.calls_count == 1);
    // With a transaction's descriptor it may be another error: the server's.
    if (resets || info.descriptor != 0 || info.calls_count != info.heads.size())
        return false;
    bool in_transaction = begin_due(s) || s->talk->shared->track.transaction; // which an error may end
    if (info.calls_count == 1 && !in_transaction && is_unknown(s, info.heads.front())) {
        count_prepared(s->bucket->tallies, prepared_how::unknown);
        put_unknown(s, info.heads.front().first, tokens);
        return true;
    }
    if (!ends_only(s, info))
        return false;
    for (const tds_rpc_call &call : info.heads) {
        prepared_forget(prepared_of(s).book, call.first);
        put_ended(s, &call == &info.heads.back(), tokens);
    }
    return true;
}

// ---- what it needs ---------------------------------------------------------------------------------------------

bool prepared_by_text(const client_session *s) {
    static constexpr tsql_state by_number = tsql_handle | tsql_dynamic | tsql_unknown;
    const shared_session &sh = *s->talk->shared;
    return sh.request && ((sh.request->effect.turned_on | sh.foreseen) & by_number);
}

static bytes text_in(const shared_session &sh, bytes payload) {
    const tds_text_place &place = sh.request->place;
    if (sh.reader || place.kind == tds_text_place::kind_t::none || place.at + place.bytes > payload.size())
        return {};
    return payload.subspan(static_cast<size_t>(place.at), static_cast<size_t>(place.bytes));
}

// Statements that the text names.
static std::vector<prepared_ptr> named_in_text(const shared_session &sh, bytes payload) {
    std::vector<prepared_ptr> named;
    for (const tds_handle_use &use : tds_handles_in_text(text_in(sh, payload)))
        if (prepared_ptr statement = prepared_find(sh.prepared->book, use.handle); statement != nullptr)
            named.push_back(std::move(statement));
    return named;
}

// Statements that the calls execute, and that cannot be prepared by a call where they are not: one that runs in another
// database, one that runs several times; any on Babelfish, whose sp_prepexec takes no values without names, while
// sp_execute does.
static void add_called(client_session *s, std::vector<prepared_ptr> &needed) {
    const shared_session &sh = *s->talk->shared;
    std::vector<prepared_ptr> called;
    bool all = server_task_inner_outlives(s->server);
    for (const tds_rpc_call &call : sh.request->heads) {
        prepared_ptr statement = call.proc == tds_proc::execute ? statement_of(s, call) : nullptr;
        if (statement == nullptr)
            continue;
        bool again = std::find(called.begin(), called.end(), statement) != called.end();
        if (all || again || statement->database != s->talk->settings->database)
            needed.push_back(statement);
        if (!again && called.size() < prepared_handles_max / 16)
            called.push_back(std::move(statement));
    }
}

prepared_need prepared_needs(client_session *s, std::span<const uint8_t> in) {
    shared_session &sh = *s->talk->shared;
    bool text = prepared_by_text(s);
    if (!text && !sh.prepared)
        return prepared_need::nothing;
    std::vector<prepared_ptr> needed;
    if (text && sh.prepared)
        needed = named_in_text(sh, sharing_payload(s, in));
    if (text && !s->server->reset_rides && prepared_retire(s->server->prepared, needed))
        return prepared_need::end_others;
    if (!sh.prepared)
        return prepared_need::nothing;
    needed.insert(needed.end(), sh.prepared->ahead.begin(), sh.prepared->ahead.end());
    add_called(s, needed);
    for (prepared_ptr &statement : needed) {
        if (sh.prepared->unpreparable || statement->statement.empty())
            continue;
        if (s->server->reset_rides)
            return prepared_need::reset_first;
        if (prepared_here(s->server->prepared, statement.get()) != 0)
            continue;
        sh.prepared->needed = std::move(statement);
        return prepared_need::prepare;
    }
    return prepared_need::nothing;
}

void prepared_foresee(client_session *s) {
    const shared_session &sh = *s->talk->shared;
    if (!sh.prepared)
        return;
    for (const tds_rpc_call &call : sh.request->heads)
        if (prepared_ptr statement = call.proc == tds_proc::execute ? statement_of(s, call) : nullptr; statement)
            sh.prepared->ahead.push_back(std::move(statement));
}

bool prepared_place_text(client_session *s, bytes payload, std::vector<uint8_t> &out) {
    shared_session &sh = *s->talk->shared;
    if (!sh.prepared)
        return false;
    bytes text = text_in(sh, payload);
    std::vector<uint8_t> placed;
    size_t from = 0;
    for (const tds_handle_use &use : tds_handles_in_text(text)) {
        prepared_ptr statement = prepared_find(sh.prepared->book, use.handle);
        int32_t here = statement ? prepared_here(s->server->prepared, statement.get()) : 0;
        if (here == 0)
            continue;
        placed.insert(placed.end(), text.begin() + static_cast<ptrdiff_t>(from),
                      text.begin() + static_cast<ptrdiff_t>(use.at));
        std::string number = std::to_string(here);
        tds_utf16_append(number, number.size(), placed);
        from = use.at + use.bytes;
        if (!use.ends)
            continue;
        prepared_forget(sh.prepared->book, use.handle);
        prepared_remove(s->server->prepared, statement.get());
    }
    placed.insert(placed.end(), text.begin() + static_cast<ptrdiff_t>(from), text.end());
    return from > 0 && tds_request_put_text(payload, *sh.request, placed, out);
}

void prepared_ended(client_session *s, bool good) {
    if (!good)
        s->server->dirty = true; // a reset ends them
    s->server->prepared.unused.clear();
}

static void log_moved(const client_session *s) {
    log_debug("prepared statement is prepared again", {{"session", s->id}, {"server", s->server->id}});
}

void prepared_made(client_session *s, int32_t handle) {
    prepared_session &p = prepared_of(s);
    if (handle != 0) {
        count_prepared(s->bucket->tallies, prepared_how::ahead);
        log_moved(s);
        prepared_add(s->server->prepared, p.needed, handle, s->bucket->conf->max_prepared_per_connection);
    }
    p.unpreparable = handle == 0;
    p.needed.reset();
}

// ---- the request -----------------------------------------------------------------------------------------------

// A message on its way.
struct placing {
    client_session *s;
    prepared_session &p;
    bool resets; // what is prepared there goes first
    std::vector<uint8_t> &out;
};

static void expect(placing &m, kind_t kind, const tds_rpc_call &call, prepared_ptr statement) {
    m.p.answers.push_back({kind, call.index, std::move(statement)});
}

static void put_nobodys(placing &m, const tds_rpc_call &call, bytes head) {
    if (call.first >= prepared_first_handle)
        m.out.insert(m.out.end(), head.begin(), head.end());
    else if (call.has_first && call.first_size >= 4)
        tds_put_handle(call, head, nobodys_handle, m.out);
    else if (call.null_first)
        m.out.insert(m.out.end(), head.begin(), head.end());
    else
        tds_put_no_procedure(call, head, m.out);
}

static void put_execute(placing &m, const tds_rpc_call &call, bytes head) {
    prepared_ptr statement = statement_of(m.s, call);
    int32_t here = statement && !m.resets ? prepared_here(m.s->server->prepared, statement.get()) : 0;
    if (here != 0) {
        count_prepared(m.s->bucket->tallies, prepared_how::in_place);
        return tds_put_handle(call, head, here, m.out);
    }
    if (statement == nullptr)
        return is_real(m.s, call) ? tds_put_handle(call, head, call.first, m.out) : put_nobodys(m, call, head);
    // What could not be prepared in its own database is not run in another.
    if (m.p.answers.size() >= prepared_answers_max || statement->database != m.s->talk->settings->database)
        return put_nobodys(m, call, head);
    count_prepared(m.s->bucket->tallies, prepared_how::moved);
    log_moved(m.s);
    tds_put_prepexec(call, head, statement->text, m.out);
    expect(m, kind_t::moved, call, std::move(statement));
}

static void put_unprepare(placing &m, const tds_rpc_call &call, bytes head) {
    if (statement_of(m.s, call) != nullptr) {
        prepared_forget(m.p.book, call.first);
        return tds_put_nothing(call, head, m.out);
    }
    if (!is_real(m.s, call))
        return put_nobodys(m, call, head);
    std::erase(m.s->talk->shared->track.prepared, call.first);
    tds_put_handle(call, head, call.first, m.out);
}

static void put_prepare(placing &m, const tds_rpc_call &call, bytes head) {
    client_session *s = m.s;
    bool real = is_real(s, call);
    if (call.proc == tds_proc::prepexec && call.has_first) // the server ends it
        real ? void(std::erase(s->talk->shared->track.prepared, call.first)) : prepared_forget(m.p.book, call.first);
    if (real)
        m.out.insert(m.out.end(), head.begin(), head.end());
    else
        tds_put_no_handle(call, head, m.out);
    tds_prepared_text text;
    bool moves = m.p.answers.size() < prepared_answers_max && head.size() <= prepared_text_max &&
                 tds_prepared_text_read(call, head, text);
    prepared_ptr statement = moves ? prepared_intern(s->root->prepared, s->root->request_reader, s->talk->who->version,
                                                     std::move(text), *s->talk->settings)
                                   : nullptr;
    count_prepared(s->bucket->tallies, prepared_how::prepared);
    kind_t kind = statement ? kind_t::given : kind_t::real;
    if (m.p.answers.size() < prepared_answers_max)
        expect(m, kind, call, std::move(statement));
    else
        s->talk->shared->track.handles_unknown = true;
}

static void put_head(placing &m, const tds_rpc_call &call, bytes head) {
    switch (call.proc) {
    case tds_proc::execute: return put_execute(m, call, head);
    case tds_proc::unprepare: return put_unprepare(m, call, head);
    default: return put_prepare(m, call, head);
    }
}

// Heads that lie in `in`, whose first byte is at this offset; returns how much of it was used.
static size_t put_heads(placing &m, const std::vector<tds_rpc_call> &heads, bytes in, uint64_t at) {
    size_t used = 0;
    for (const tds_rpc_call &call : heads) {
        auto begin = static_cast<size_t>(call.at - at), end = static_cast<size_t>(call.end - at);
        m.out.insert(m.out.end(), in.begin() + static_cast<ptrdiff_t>(used),
                     in.begin() + static_cast<ptrdiff_t>(begin));
        put_head(m, call, in.subspan(begin, end - begin));
        used = end;
    }
    return used;
}

bool prepared_place(client_session *s, bytes payload, bool resets, std::vector<uint8_t> &out) {
    const tds_request_info &info = *s->talk->shared->request;
    if (info.heads.empty())
        return false;
    placing m{s, prepared_of(s), resets, out};
    size_t used = put_heads(m, info.heads, payload, 0);
    out.insert(out.end(), payload.begin() + static_cast<ptrdiff_t>(used), payload.end());
    return true;
}

// The call's head is longer than any that is known: it goes on as it is, but never with a handle that was not read.
static void let_go(placing &m, tds_request_reader *reader, tds_request_info &info) {
    tds_rpc_call call = tds_request_let_go(reader);
    if (call.proc == tds_proc::prepare || call.proc == tds_proc::prepexec) {
        expect(m, kind_t::real, call, nullptr);
    } else if (call.proc != tds_proc::other) {
        tds_put_no_procedure(call, m.p.tail, m.out);
        m.p.tail.clear();
    }
    assume_the_worst(info.effect);
}

std::span<const uint8_t> prepared_pass(client_session *s, const tds_piece &piece) {
    shared_session &sh = *s->talk->shared;
    tds_request_info &info = *sh.request;
    uint64_t read = sh.passed + piece.payload.size();
    uint64_t held = piece.ends ? read : tds_request_held(sh.reader.get());
    bool quiet = !sh.prepared || sh.prepared->tail.empty();
    if (quiet && info.heads.empty() && held >= read) {
        sh.passed = read;
        return piece.payload;
    }
    prepared_session &p = prepared_of(s);
    if (p.tail.empty())
        p.tail_at = sh.passed;
    sh.passed = read;
    p.tail.insert(p.tail.end(), piece.payload.begin(), piece.payload.end());
    p.passing.clear();
    placing m{s, p, false, p.passing};
    for (const tds_rpc_call &call : info.heads)
        if (call.proc == tds_proc::execute)
            note_executed(s, call, info.effect, false);
    size_t used = put_heads(m, info.heads, p.tail, p.tail_at);
    info.heads.clear();
    size_t passes = std::max(static_cast<size_t>(std::min(held, read) - p.tail_at), used);
    p.passing.insert(p.passing.end(), p.tail.begin() + static_cast<ptrdiff_t>(used),
                     p.tail.begin() + static_cast<ptrdiff_t>(passes));
    p.tail.erase(p.tail.begin(), p.tail.begin() + static_cast<ptrdiff_t>(passes));
    p.tail_at += passes;
    if (p.tail.size() > prepared_text_max)
        let_go(m, sh.reader.get(), info);
    return p.passing;
}

// ---- the answer ------------------------------------------------------------------------------------------------

static prepared_answer *answer_of(prepared_session &p, uint32_t call) {
    while (p.answer < p.answers.size() && p.answers[p.answer].call < call)
        ++p.answer;
    return p.answer < p.answers.size() && p.answers[p.answer].call == call ? &p.answers[p.answer] : nullptr;
}

// Below TDS 7.2 nothing tells but the order: the handle comes first.
static bool is_handle(prepared_session &p, uint32_t call, bool wide) {
    bool first = p.calls_returned <= call;
    p.calls_returned = call + 1;
    return wide ? tds_return_ordinal(p.returning) == 0 : first;
}

static void decide(client_session *s, prepared_session &p, bool wide) {
    uint32_t call = s->server->walker.message.calls_done;
    prepared_answer *answer = answer_of(p, call);
    bool handle = is_handle(p, call, wide);
    if (answer == nullptr)
        return;
    tds_return_value &v = p.returning;
    if (handle)
        v.fate = tds_return_fate::exchange;
    else if (wide && answer->kind == kind_t::moved && tds_return_ordinal(v) >= tds_prepexec_shift)
        tds_return_set_ordinal(v, static_cast<uint16_t>(tds_return_ordinal(v) - tds_prepexec_shift));
}

// The whole RETURNVALUE of a handle is here.
static void exchange_handle(client_session *s, prepared_session &p, bool wide) {
    prepared_answer &answer = *answer_of(p, s->server->walker.message.calls_done);
    session_track &t = s->talk->shared->track;
    int32_t handle = 0;
    bool good = tds_return_int(p.returning, wide, handle) && handle != 0;
    if (answer.kind == kind_t::moved)
        p.returning.fate = tds_return_fate::drop;
    if (!good)
        return;
    int32_t given = answer.kind == kind_t::given ? prepared_give(p.book, answer.statement) : 0;
    if (answer.kind != kind_t::moved && given == 0) {
        if (t.prepared.size() < prepared_handles_max)
            t.prepared.push_back(handle);
        else
            t.handles_unknown = true;
        return;
    }
    prepared_add(s->server->prepared, answer.statement, handle, s->bucket->conf->max_prepared_per_connection);
    if (given != 0)
        tds_return_set_int(p.returning, given);
}

void prepared_returned(client_session *s, bytes chunk, bool ends, std::vector<uint8_t> &out) {
    prepared_session *p = sharing(s) ? s->talk->shared->prepared.get() : nullptr;
    if (p == nullptr || p->answers.empty()) {
        out.insert(out.end(), chunk.begin(), chunk.end());
        return;
    }
    bool wide = tds_version_is_wide(s->server->version);
    if (tds_return_feed(p->returning, chunk))
        decide(s, *p, wide);
    if (ends && p->returning.fate == tds_return_fate::exchange)
        exchange_handle(s, *p, wide);
    tds_return_take(p->returning, ends, out);
}

void prepared_over(client_session *s) {
    shared_session &sh = *s->talk->shared;
    sh.passed = 0;
    if (!sh.prepared)
        return;
    prepared_session &p = *sh.prepared;
    p.answers.clear();
    p.answer = 0;
    p.calls_returned = 0;
    p.returning = {};
    p.unpreparable = false;
    p.ahead.clear();
    p.tail = {};
    p.passing = {};
    if (p.book.known.empty() && p.book.next == prepared_first_handle)
        sh.prepared.reset();
}

void prepared_reset(client_session *s) {
    if (shared_session &sh = *s->talk->shared; sh.prepared)
        prepared_forget_all(sh.prepared->book);
}

bool prepared_untidy(const server_conn *c) {
    return c->prepared.unused.size() > c->bucket->conf->max_prepared_per_connection / 8;
}
