#include "proxy/prepared_calls.h"

#include <algorithm>

#include "proxy/proxy.h"
#include "proxy/sharing.h"
#include "tds/bytes.h"
#include "tds/packet.h"
#include "tds/packet_stream.h"
#include "tds/response.h"

using kind_t = prepared_answer::kind_t;
using bytes = std::span<const uint8_t>;

static constexpr int32_t nobodys_handle = 0x7fffffff; // no server gives it out
static constexpr uint8_t token_returnstatus = 0x79;

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
    effect.calls = effect.transactions = effect.writes = true;
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
    notice.server_name = "tdsbouncer";
    notice.line = 1;
    uint32_t version = s->talk->who->version;
    tds_put_notice(tokens, version, notice);
    tds_put_done(tokens, version, tds_token_doneinproc, tds_done_error | tds_done_more, 0, 0);
    tds_put_done(tokens, version, tds_token_doneproc, tds_done_error, 0, 0);
}

static void put_ended(const client_session *s, bool last, std::vector<uint8_t> &tokens) {
    put_u8(tokens, token_returnstatus);
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
    if (resets || info.calls_count != info.heads.size())
        return false;
    if (info.calls_count == 1 && is_unknown(s, info.heads.front())) {
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

// ---- where it runs ---------------------------------------------------------------------------------------------

settings_ptr prepared_wanted(client_session *s, bool resets) {
    const shared_session &sh = *s->talk->shared;
    const settings_ptr &own = s->talk->settings;
    if (!sh.request)
        return own;
    for (const tds_rpc_call &call : sh.request->heads) {
        prepared_ptr statement = call.proc == tds_proc::execute ? statement_of(s, call) : nullptr;
        if (statement == nullptr || (!resets && prepared_here(s->server->prepared, statement.get()) != 0))
            continue;
        if (statement->database == own->database)
            continue;
        tds_session_state state = *own;
        state.database = statement->database;
        return settings_intern(s->root->settings, std::move(state));
    }
    return own;
}

bool prepared_exposed(const client_session *s) {
    static constexpr tsql_state by_number = tsql_handle | tsql_dynamic | tsql_unknown;
    const shared_session &sh = *s->talk->shared;
    return sh.request && !s->server->prepared.known.empty() &&
           ((sh.request->effect.turned_on | sh.foreseen) & by_number);
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
    auto &answers = m.p.answers;
    if (kind == kind_t::text && !answers.empty() && answers.back().kind == kind_t::text &&
        answers.back().call + answers.back().count == call.index)
        ++answers.back().count;
    else
        answers.push_back({kind, call.index, 1, std::move(statement)});
}

// It has been prepared earlier in this message: its handle there is not known yet.
static bool on_its_way(const placing &m, const prepared_statement *statement) {
    return std::any_of(m.p.answers.begin(), m.p.answers.end(), [&](const prepared_answer &a) {
        return a.kind == kind_t::moved && a.statement.get() == statement;
    });
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
    if (here != 0)
        return tds_put_handle(call, head, here, m.out);
    if (statement == nullptr)
        return is_real(m.s, call) ? tds_put_handle(call, head, call.first, m.out) : put_nobodys(m, call, head);
    if (on_its_way(m, statement.get()) || m.p.answers.size() >= prepared_answers_max) {
        tds_put_executesql(call, head, statement->text, m.out);
        return expect(m, kind_t::text, call, nullptr);
    }
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
    kind_t kind = statement ? kind_t::given : kind_t::real;
    expect(m, kind, call, std::move(statement));
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
    if (info.heads.empty() || info.broken)
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
    while (p.answer < p.answers.size() && p.answers[p.answer].call + p.answers[p.answer].count <= call)
        ++p.answer;
    return p.answer < p.answers.size() && p.answers[p.answer].call <= call ? &p.answers[p.answer] : nullptr;
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
    uint16_t shift = answer->kind == kind_t::moved  ? tds_prepexec_shift
                     : answer->kind == kind_t::text ? tds_executesql_shift
                                                    : uint16_t{0};
    if (handle && answer->kind != kind_t::text)
        v.fate = tds_return_fate::exchange;
    else if (wide && tds_return_ordinal(v) >= shift)
        tds_return_set_ordinal(v, static_cast<uint16_t>(tds_return_ordinal(v) - shift));
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
