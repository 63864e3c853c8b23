#include "tds/token_walk.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "tds/bytes.h"
#include "tds/login7.h"
#include "tds/token_walk_steps.h"

// ENVCHANGE 18 alone in its token: E3 03 00 12 00 00. Its first four bytes tell. What is held back is always the
// beginning of these, so they need not be kept.
static constexpr uint8_t reset_head[] = {tds_token_envchange, 3, 0, tds_env_reset};

const char *tds_walk_error_text(tds_walk_error error) {
    switch (error) {
    case tds_walk_error::none: return "no error";
    case tds_walk_error::unknown_token: return "unknown token";
    case tds_walk_error::unknown_type: return "unknown data type";
    case tds_walk_error::no_columns: return "row without column metadata";
    case tds_walk_error::bad_length: return "length inside a token is wrong";
    case tds_walk_error::bad_value: return "token with an impossible value";
    case tds_walk_error::too_many: return "too many columns";
    case tds_walk_error::after_done: return "token after the last DONE";
    case tds_walk_error::inside_token: return "message ends inside a token";
    case tds_walk_error::no_done: return "message ends without DONE";
    case tds_walk_error::empty: return "message without tokens";
    case tds_walk_error::memory: return "out of memory";
    }
    return "unknown";
}

tds_walker::~tds_walker() {
    free(gathered);
}

void tds_walk_init(tds_walker &w, const tds_walk_options &options) {
    tds_step_gathered_free(w);
    tds_row_layout_clear(w.layout);
    w.options = options;
    w.session = {};
    w.message = {};
    w.error = tds_walk_error::none;
    w.bad_byte = 0;
    w.session.version = tds_version_known(options.version);
    w.wide = tds_version_is_wide(w.session.version);
    w.step = tds_step_token;
    w.skip = w.left = 0;
    w.small_have = w.held = 0;
    w.message_over = true;
    w.counted = w.final_done = w.dropping = w.in_marked = w.cut_clean = false;
}

const uint8_t *tds_step_take(tds_walker &w, tds_walk_cursor &c, size_t n) {
    auto have = static_cast<size_t>(c.end - c.p);
    if (w.small_have == 0 && have >= n) {
        c.p += n;
        return c.p - n;
    }
    size_t part = std::min(n - w.small_have, have);
    memcpy(w.small + w.small_have, c.p, part);
    c.p += part;
    w.small_have = static_cast<uint8_t>(w.small_have + part);
    if (w.small_have < n)
        return nullptr;
    w.small_have = 0;
    return w.small;
}

// Memory grows with what arrived, never by an announced length.
static bool gather_more(tds_walker &w, const uint8_t *p, size_t n) {
    size_t need = w.gathered_have + n;
    if (need > w.gathered_capacity) {
        size_t capacity = std::max<size_t>(need, 2 * size_t{w.gathered_capacity});
        auto *larger = static_cast<uint8_t *>(realloc(w.gathered, capacity));
        if (larger == nullptr)
            return false;
        w.gathered = larger;
        w.gathered_capacity = static_cast<uint32_t>(capacity);
    }
    memcpy(w.gathered + w.gathered_have, p, n);
    w.gathered_have = static_cast<uint32_t>(need);
    return true;
}

const uint8_t *tds_step_gather(tds_walker &w, tds_walk_cursor &c, size_t n, tds_step_result &result) {
    auto have = static_cast<size_t>(c.end - c.p);
    if (w.gathered_have == 0 && have >= n) {
        c.p += n;
        return c.p - n;
    }
    size_t part = std::min(n - w.gathered_have, have);
    if (part > 0 && !gather_more(w, c.p, part)) {
        result = tds_step_fail(w, tds_walk_error::memory);
        return nullptr;
    }
    c.p += part;
    result = tds_step_result::more;
    return w.gathered_have < n ? nullptr : w.gathered;
}

void tds_step_gathered_free(tds_walker &w) {
    free(w.gathered);
    w.gathered = nullptr;
    w.gathered_have = w.gathered_capacity = 0;
}

// Takes `n` out of the token's length and makes them bytes to step over.
static tds_step_result pass(tds_walker &w, uint64_t n) {
    if (w.counted) {
        if (n > w.left)
            return tds_step_fail(w, tds_walk_error::bad_length);
        w.left -= n;
    }
    w.skip = n;
    ++w.script;
    return tds_step_result::again;
}

static tds_step_result step_script(tds_walker &w, tds_walk_cursor &c) {
    char item = *w.script;
    if (item == '\0')
        return tds_step_go(w, w.after_script);
    if (item >= '1' && item <= '9')
        return pass(w, static_cast<uint64_t>(item - '0'));
    size_t head = item == 'b' ? 1 : 2;
    const uint8_t *p = tds_step_take(w, c, head);
    if (p == nullptr)
        return tds_step_result::more;
    if (w.counted) {
        if (head > w.left)
            return tds_step_fail(w, tds_walk_error::bad_length);
        w.left -= head;
    }
    uint64_t n = head == 1 ? p[0] : get_u16le(p);
    return pass(w, item == 'v' ? n : 2 * n);
}

tds_step_result tds_step_over(tds_walker &w, const char *script, tds_walker::step_function next) {
    w.script = script;
    w.after_script = next;
    return tds_step_go(w, step_script);
}

tds_step_result tds_step_skip_short(tds_walker &w, tds_walk_cursor &c) {
    const uint8_t *p = tds_step_take(w, c, 2);
    if (p == nullptr)
        return tds_step_result::more;
    w.skip = get_u16le(p);
    return tds_step_go(w, tds_step_token);
}

tds_step_result tds_step_skip_long(tds_walker &w, tds_walk_cursor &c) {
    const uint8_t *p = tds_step_take(w, c, 4);
    if (p == nullptr)
        return tds_step_result::more;
    w.skip = get_u32le(p);
    if (w.skip > tds_long_token_max)
        return tds_step_fail(w, tds_walk_error::bad_length);
    return tds_step_go(w, tds_step_token);
}

// A token of four bytes.
static tds_step_result step_skip_four(tds_walker &w, tds_walk_cursor &) {
    w.skip = 4;
    return tds_step_go(w, tds_step_token);
}

static tds_walker::step_function token_step(const tds_walker &w, uint8_t id) {
    switch (id) {
    case tds_token_row: return tds_step_row;
    case tds_token_nbcrow: return tds_step_nbcrow;
    case tds_token_altrow: return tds_step_altrow;
    case tds_token_colmetadata: return tds_step_colmetadata;
    case tds_token_altmetadata: return tds_step_altmetadata;
    case tds_token_returnvalue: return tds_step_returnvalue;
    case tds_token_dataclassification:
        return w.options.data_classification == 0 ? nullptr : tds_step_dataclassification;
    case tds_token_done:
    case tds_token_doneproc:
    case tds_token_doneinproc: return tds_step_done;
    case tds_token_error:
    case tds_token_info: return tds_step_notice;
    case tds_token_envchange: return tds_step_envchange;
    case tds_token_loginack: return tds_step_loginack;
    case tds_token_featureextack: return tds_step_featureextack;
    case tds_token_sessionstate: return tds_step_sessionstate;
    case tds_token_returnstatus: return tds_step_returnstatus;
    case tds_token_order:
    case tds_token_tabname:
    case tds_token_colinfo:
    case tds_token_sspi: return tds_step_skip_short;
    case tds_token_fedauthinfo: return tds_step_skip_long;
    case tds_token_offset: return step_skip_four;
    default: return nullptr;
    }
}

// Whether the token at c.p is to be taken out. `held`: too few of its bytes are there to say.
static bool wants_drop(const tds_walker &w, const tds_walk_cursor &c, bool &held) {
    if (*c.p == tds_token_sessionstate)
        return w.options.drop_session_state;
    if (*c.p != tds_token_envchange || !w.options.drop_reset || w.message.reset_seen)
        return false;
    size_t have = std::min(sizeof reset_head, static_cast<size_t>(c.end - c.p));
    if (memcmp(c.p, reset_head, have) != 0)
        return false;
    held = have < sizeof reset_head;
    return !held;
}

static bool is_marked(const tds_walk_options &o, uint8_t token) {
    return (o.mark_returns && token == tds_token_returnvalue) || (o.mark_changes && token == tds_token_envchange);
}

static tds_step_result hold_head(tds_walker &w, tds_walk_cursor &c) {
    w.held = static_cast<uint8_t>(c.end - c.p);
    c.end = c.p;
    return tds_step_result::more;
}

tds_step_result tds_step_token(tds_walker &w, tds_walk_cursor &c) {
    if (w.dropping) {
        w.dropping = false;
        c.from = c.p;
    }
    if (w.in_marked && c.p != c.from)
        return tds_step_result::emit;
    w.in_marked = false;
    if (c.p == c.end)
        return tds_step_result::more;
    if (is_marked(w.options, *c.p)) {
        if (c.p != c.from)
            return tds_step_result::emit;
        w.in_marked = true;
    }
    c.token = c.p;
    bool held = false;
    if (wants_drop(w, c, held)) {
        if (c.p != c.from)
            return tds_step_result::emit;
        w.dropping = true;
    }
    if (w.final_done && *c.p != tds_token_done)
        return tds_step_fail(w, tds_walk_error::after_done, *c.p);
    if (held)
        return hold_head(w, c);
    w.step = token_step(w, *c.p);
    if (w.step == nullptr)
        return tds_step_fail(w, tds_walk_error::unknown_token, *c.p);
    w.token = w.message.last_token = *c.p++;
    return tds_step_result::again;
}

static tds_step_result run(tds_walker &w, tds_walk_cursor &c) {
    for (;;) {
        if (w.skip > 0) {
            auto n = std::min<uint64_t>(w.skip, static_cast<uint64_t>(c.end - c.p));
            c.p += n;
            w.skip -= n;
            if (w.skip > 0)
                return tds_step_result::more;
        }
        auto result = w.step(w, c);
        if (result != tds_step_result::again)
            return result;
    }
}

// Goes on with the head of an ENVCHANGE that the last piece cut. False: it cannot be told yet what it is.
static bool resolve_hold(tds_walker &w, tds_walk_cursor &c) {
    static constexpr size_t last = sizeof reset_head - 1;
    while (c.p < c.end && w.held < last && *c.p == reset_head[w.held]) {
        ++w.held;
        ++c.p;
    }
    if (c.p == c.end)
        return false;
    w.dropping = w.held == last && *c.p == reset_head[last];
    w.token = w.message.last_token = tds_token_envchange;
    // The walk goes on behind the id; what is held beyond it counts as an integer cut by the piece's end.
    w.step = tds_step_envchange;
    w.small_have = static_cast<uint8_t>(w.held - 1);
    memcpy(w.small, reset_head + 1, w.small_have);
    return true;
}

static void begin_message(tds_walker &w) {
    w.message = {};
    w.token = 0;
    w.message_over = w.final_done = w.columns_told = false;
}

static void take_off(tds_walker &w, std::span<const uint8_t> &in, const uint8_t *to) {
    auto n = static_cast<size_t>(to - in.data());
    w.message.bytes += n;
    in = in.subspan(n);
}

static tds_walk_result stop(tds_walker &w, const tds_walk_cursor &c, std::span<const uint8_t> &in,
                            std::span<const uint8_t> &forward) {
    w.cut_clean = w.dropping || c.token != nullptr;
    if (c.token != nullptr && c.token > c.from)
        forward = {c.from, c.token};
    take_off(w, in, c.p);
    return tds_walk_result::error;
}

// Bytes held back are told apart from the first of this piece. True: that is all for this call.
static bool walk_held(tds_walker &w, tds_walk_cursor &c, std::span<const uint8_t> &in,
                      std::span<const uint8_t> &forward) {
    bool resolved = resolve_hold(w, c);
    if (resolved && !w.dropping)
        forward = {reset_head, w.held};
    if (resolved)
        w.held = 0;
    if (resolved && w.dropping)
        return false;
    take_off(w, in, c.p);
    return true;
}

tds_walk_result tds_walk(tds_walker &w, std::span<const uint8_t> &in, std::span<const uint8_t> &forward) {
    forward = {};
    if (w.error != tds_walk_error::none)
        return tds_walk_result::error;
    if (in.empty())
        return tds_walk_result::ok;
    if (w.message_over)
        begin_message(w);
    const uint8_t *end = in.data() + in.size();
    tds_walk_cursor c{in.data(), end, in.data(), nullptr};
    if (w.held > 0 && walk_held(w, c, in, forward))
        return tds_walk_result::ok;
    auto result = run(w, c);
    if (result == tds_step_result::failed)
        return stop(w, c, in, forward);
    if (!w.dropping && c.p > c.from)
        forward = {c.from, c.p};
    take_off(w, in, result == tds_step_result::emit ? c.p : end);
    return tds_walk_result::ok;
}

// A server that asks for a token during login sends no DONE.
static bool may_end_message(const tds_walker &w) {
    if (w.final_done || w.token == tds_token_sspi || w.token == tds_token_fedauthinfo)
        return true;
    return w.token >= tds_token_done && (w.message.done_status & tds_done_more) == 0;
}

tds_walk_result tds_walk_end(tds_walker &w) {
    if (w.error != tds_walk_error::none)
        return tds_walk_result::error;
    w.cut_clean = tds_walk_between_tokens(w);
    if (w.message_over) {
        begin_message(w);
        w.error = tds_walk_error::empty;
    } else if (w.held > 0 || w.skip > 0 || w.step != tds_step_token) {
        w.error = tds_walk_error::inside_token;
    } else if (!may_end_message(w)) {
        w.error = tds_walk_error::no_done;
    }
    w.message_over = true;
    return w.error == tds_walk_error::none ? tds_walk_result::ok : tds_walk_result::error;
}

bool tds_walk_between_tokens(const tds_walker &w) {
    if (w.error != tds_walk_error::none)
        return w.cut_clean;
    return w.held > 0 || w.dropping || (w.step == tds_step_token && w.skip == 0);
}
