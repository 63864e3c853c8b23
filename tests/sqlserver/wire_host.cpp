// Tokens of a running request. See wire_host.h.
#include "wire_host.h"
#include "server.h"

namespace sqlserver {

namespace {

constexpr uint64_t slice_ns = 20 * 1000000; // a request that computes longer lets the loop look at its sockets
constexpr unsigned rows_per_look = 64;

void flush_done(wire_host &h, bool more) {
    if (!h.has_done)
        return;
    h.has_done = false;
    std::string done;
    put_done(done, h.c->version, h.kind, static_cast<uint16_t>(h.status | (more ? done_more : 0)), h.command, h.rows);
    out_append(h.c, done);
}

// Yields until somebody resumes; false when the request is cancelled.
bool sleep_for(wire_host &h, waiting what) {
    if (h.c->cancelled)
        return false;
    h.c->waits = what;
    fiber_yield();
    h.c->waits = waiting::nothing;
    h.slice_began = uv_hrtime();
    return !h.c->cancelled;
}

bool sleep_timer(wire_host &h, uint64_t milliseconds) {
    conn *c = h.c;
    if (c->cancelled)
        return false;
    // The loop's clock stands still while a request computes. It is not moved here: timers that fall due one after the
    // other would keep the loop from its sockets.
    uint64_t behind = uv_hrtime() / 1000000 - uv_now(&c->srv->loop);
    auto wake = [](uv_timer_t *t) {
        auto *owner = static_cast<conn *>(t->data);
        session_continue(owner);
        conn_process(owner);
    };
    uv_timer_start(&c->timer, wake, milliseconds + behind, 0);
    bool ok = sleep_for(h, waiting::timer);
    if (!c->closing)
        uv_timer_stop(&c->timer);
    return ok;
}

bool sleep_turn(wire_host &h) {
    if (h.c->cancelled)
        return false;
    turn_wait(h.c);
    bool ok = sleep_for(h, waiting::turn);
    turn_forget(h.c); // an attention may have been faster
    return ok;
}

// Lets the loop run when this request has computed for long, so that an attention is seen.
void breathe(wire_host &h) {
    uint64_t now = uv_hrtime();
    if (h.slice_began == 0)
        h.slice_began = now;
    else if (now - h.slice_began > slice_ns)
        sleep_turn(h);
}

// Streams out what is complete and waits while the client is slow.
void send_progress(wire_host &h) {
    conn *c = h.c;
    if (c->out.size() < output_flush)
        return;
    out_flush(c);
    if (c->in_flight > output_high)
        sleep_for(h, waiting::drain);
}

// True when output goes nowhere any more.
bool drop(wire_host &h) {
    if (h.c->cancelled)
        h.dropped = true;
    return h.c->cancelled;
}

// Appends the scratch token behind the DONE that was held back.
void send_token(wire_host &h) {
    flush_done(h, true);
    out_append(h.c, h.token);
    h.token.clear();
    send_progress(h);
}

} // namespace

void wire_host::columns(const std::vector<column> &columns) {
    if (drop(*this))
        return;
    put_columns(token, c->version, c->features, columns, formats);
    if (no_metadata) {
        token.clear();
        put_no_columns(token);
    }
    send_token(*this);
}

void wire_host::row(const std::vector<value> &values) {
    if (drop(*this))
        return;
    put_row(token, c->version, formats, values);
    send_token(*this);
    if (++rows_since_look < rows_per_look)
        return;
    rows_since_look = 0;
    breathe(*this);
}

void wire_host::browse_info(const std::vector<std::string> &table, const std::vector<column> &columns) {
    if (drop(*this) || columns.size() > 255)
        return;
    put_browse_info(token, c->version, table, columns);
    send_token(*this);
}

void wire_host::order(const std::vector<uint16_t> &ordinals) {
    if (drop(*this) || ordinals.size() > 32767)
        return;
    put_u8(token, 0xA9);
    put_u16(token, static_cast<unsigned>(ordinals.size() * 2));
    for (uint16_t ordinal : ordinals)
        put_u16(token, ordinal);
    send_token(*this);
}

void wire_host::done(done_kind new_kind, uint16_t new_status, uint16_t new_command, uint64_t new_rows) {
    if (login || drop(*this))
        return;
    flush_done(*this, true);
    has_done = true;
    kind = new_kind;
    status = new_status;
    command = new_command;
    rows = new_rows;
    send_progress(*this);
}

void wire_host::message(int32_t number, uint8_t state, uint8_t severity, std::string_view text,
                        std::string_view procedure, int32_t line) {
    if (drop(*this))
        return;
    put_message(token, c->version, number, state, severity, text, c->srv->opt.engine.server_name, procedure, line);
    send_token(*this);
}

// ENVCHANGEs go out even after a cancel: the client has to know the session's state.
void wire_host::env_text(env type, std::string_view now, std::string_view before) {
    if (login && type == env::language)
        host_collation(*this); // SQL Server's place for it
    put_env_text(token, type, now, before);
    send_token(*this);
}

void wire_host::env_tran(env type, uint64_t now, uint64_t before) {
    put_env_tran(token, type, now, before);
    send_token(*this);
}

void wire_host::return_status(int32_t value) {
    if (drop(*this))
        return;
    put_u8(token, 0x79);
    put_int(token, value);
    send_token(*this);
}

void wire_host::return_value(uint16_t ordinal, std::string_view name, const type_info &type, const value &v) {
    if (drop(*this))
        return;
    put_return_value(token, c->version, ordinal, name, type, v);
    send_token(*this);
}

bool wire_host::wait(uint64_t milliseconds) {
    return milliseconds == 0 ? sleep_turn(*this) : sleep_timer(*this, milliseconds);
}

bool wire_host::cancelled() {
    if (!c->cancelled)
        breathe(*this);
    return c->cancelled;
}

void wire_host::close_connection() {
    c->hang_up = true;
}

void host_collation(wire_host &h) {
    if (h.collation_sent)
        return;
    h.collation_sent = true;
    put_env_collation(h.token);
    send_token(h);
}

void host_next_rpc(wire_host &h) {
    if (h.has_done && h.kind == done_kind::done_proc)
        h.status |= done_rpc_in_batch;
}

// SESSIONSTATE, right before the last DONE, where something has changed since the last one. Its flag is of the states
// in it: those that were sent without it come again once the session can be recovered.
void report_state(wire_host &h) {
    conn *c = h.c;
    if (!c->session_recovery || c->sess == nullptr || c->hang_up)
        return;
    bool recoverable = true;
    std::vector<session_state_item> now = state_items(c->sess, recoverable), changed;
    for (size_t i = 0; i < now.size(); i++) {
        if (now[i] == c->state_reported.at(i) && (c->state_recoverable.at(i) || !recoverable))
            continue;
        changed.push_back(now[i]);
        c->state_recoverable[i] = recoverable;
    }
    if (changed.empty())
        return;
    std::string token;
    put_session_state(token, c->state_sequence++, recoverable, changed);
    c->state_reported = now;
    out_append(c, token);
}

std::vector<session_state_item> state_items(const session *s, bool &recoverable) {
    std::vector<session_state_item> items;
    for (const auto &[id, value] : session_recovery_states(s, recoverable))
        items.push_back({id, value});
    return items;
}

void host_finish(wire_host &h, bool rpc) {
    bool broken = h.dropped || h.c->cancelled; // a cancelled response ends with an error of its own
    if (broken || !h.has_done) {
        flush_done(h, true);
        h.has_done = true;
        h.kind = rpc && !broken ? done_kind::done_proc : done_kind::done;
        h.status = broken ? done_error : 0;
        h.command = 0;
        h.rows = 0;
    }
    report_state(h);
    flush_done(h, false);
}

} // namespace sqlserver
