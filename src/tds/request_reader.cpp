#include "tds/request_reader.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "tds/bytes.h"
#include "tds/login7.h"
#include "tds/packet.h"
#include "tds/request_reader_steps.h"
#include "tds/tsql_memo.h"
#include "tds/tsql_scan.h"

using result = tds_request_step;

static constexpr uint16_t header_transaction_descriptor = 2;
static constexpr uint32_t header_head = 6; // length and type
static constexpr uint32_t descriptor_size = 12;

const uint8_t *tds_request_take(tds_request_reader &r, tds_request_cursor &c, size_t n) {
    auto have = static_cast<size_t>(c.end - c.p);
    if (r.small_have == 0 && have >= n) {
        c.p += n;
        return c.p - n;
    }
    size_t part = std::min(n - r.small_have, have);
    if (part > 0)
        memcpy(r.small + r.small_have, c.p, part);
    c.p += part;
    r.small_have = static_cast<uint8_t>(r.small_have + part);
    if (r.small_have < n)
        return nullptr;
    r.small_have = 0;
    return r.small;
}

static result step_script(tds_request_reader &r, tds_request_cursor &c) {
    char item = *r.script;
    if (item == '\0')
        return tds_request_go(r, r.after_script);
    if (item >= '1' && item <= '9') {
        r.skip = static_cast<uint64_t>(item - '0');
    } else {
        const uint8_t *p = tds_request_take(r, c, item == 'b' ? 1 : 2);
        if (p == nullptr)
            return result::more;
        r.skip = uint64_t{2} * (item == 'b' ? p[0] : get_u16le(p));
    }
    ++r.script;
    return result::again;
}

tds_request_step tds_request_over(tds_request_reader &r, const char *script, tds_request_reader::step_function next) {
    r.script = script;
    r.after_script = next;
    return tds_request_go(r, step_script);
}

// --- Text ---

// One byte a character: what is not ASCII is another character in every code page, or half of one. It is put as U+FFFD,
// and the text counts as one that is not understood.
static void feed_narrow(tds_request_reader &r, std::span<const uint8_t> text) {
    static constexpr size_t at_once = 128;
    while (!text.empty()) {
        uint8_t wide[2 * at_once];
        size_t n = std::min(text.size(), at_once);
        for (size_t i = 0; i < n; ++i) {
            bool ascii = text[i] < 0x80;
            wide[2 * i] = ascii ? text[i] : uint8_t{0xfd};
            wide[2 * i + 1] = ascii ? uint8_t{0} : uint8_t{0xff};
            if (!ascii)
                r.info->effect.turned_on |= tsql_unknown;
        }
        tsql_scan_feed(r.scanner, {wide, 2 * n});
        text = text.subspan(n);
    }
}

static tsql_scope scope_of(const tds_request_reader &r) {
    return r.info->type == tds_type_sql_batch ? tsql_scope::batch : tsql_scope::inner;
}

static void begin_scan(tds_request_reader &r) {
    r.fresh = false;
    tsql_scan_begin(r.scanner, scope_of(r), r.info->effect);
}

// A text is looked up where nothing before it has had an effect.
static bool may_look_up(const tds_request_reader &r) {
    return r.memo != nullptr && r.feeding == tds_value_use::text && r.texts == 1 && r.info->calls_count == 0;
}

// `whole`: if it is the text's first part, it is all of it.
static void feed_text(tds_request_reader &r, std::span<const uint8_t> text, bool whole) {
    if (r.feeding == tds_value_use::none)
        return;
    if (r.fresh && whole && may_look_up(r)) {
        r.feeding = tds_value_use::none;
        return tsql_memo_scan(*r.memo, r.scanner, scope_of(r), text, r.info->effect);
    }
    if (r.fresh)
        begin_scan(r);
    if (r.feeding == tds_value_use::narrow_text)
        feed_narrow(r, text);
    else
        tsql_scan_feed(r.scanner, text);
}

void tds_request_text_begin(tds_request_reader &r, tds_value_use form) {
    r.feeding = form;
    r.fresh = true;
    r.chunks = 0;
    ++r.texts;
}

void tds_request_text_end(tds_request_reader &r) {
    if (r.feeding == tds_value_use::none)
        return;
    if (r.fresh)
        begin_scan(r);
    r.feeding = tds_value_use::none;
    tsql_scan_end(r.scanner);
}

// --- SQLBatch, and what is not read ---

static result step_batch_text(tds_request_reader &r, tds_request_cursor &c) {
    std::span<const uint8_t> text(c.p, c.end);
    feed_text(r, text, r.last);
    r.info->place.bytes += text.size();
    c.p = c.end;
    return result::more;
}

static result step_batch(tds_request_reader &r, tds_request_cursor &c) {
    r.info->place.kind = tds_text_place::kind_t::batch;
    r.info->place.at = tds_request_at(r, c);
    tds_request_text_begin(r, tds_value_use::text);
    return tds_request_go(r, step_batch_text);
}

static result step_ignored(tds_request_reader &, tds_request_cursor &c) {
    c.p = c.end;
    return result::more;
}

static result step_enclave(tds_request_reader &r, tds_request_cursor &c) {
    const uint8_t *p = tds_request_take(r, c, 2);
    if (p == nullptr)
        return result::more;
    r.skip = get_u16le(p);
    return tds_request_go(r, r.after_script);
}

tds_request_step tds_request_enclave(tds_request_reader &r, tds_request_reader::step_function next) {
    r.after_script = next;
    return tds_request_go(r, r.enclave ? step_enclave : next);
}

// --- ALL_HEADERS ---

static result step_body(tds_request_reader &r, tds_request_cursor &) {
    switch (r.info->type) {
    case tds_type_sql_batch: return tds_request_enclave(r, step_batch);
    case tds_type_rpc: return tds_request_go(r, tds_request_step_call);
    case tds_type_transaction: return tds_request_go(r, tds_request_step_transaction);
    case tds_type_bulk: return tds_request_go(r, step_ignored);
    default: return result::failed;
    }
}

static result step_header(tds_request_reader &r, tds_request_cursor &c);

// The descriptor and the count of outstanding requests.
static result step_descriptor(tds_request_reader &r, tds_request_cursor &c) {
    const uint8_t *p = tds_request_take(r, c, descriptor_size);
    if (p == nullptr)
        return result::more;
    r.info->descriptor = static_cast<uint64_t>(get_u32le(p + 4)) << 32 | get_u32le(p);
    r.info->descriptor_at = tds_request_at(r, c) - descriptor_size;
    return tds_request_go(r, step_header);
}

static result step_header(tds_request_reader &r, tds_request_cursor &c) {
    if (r.left == 0)
        return tds_request_go(r, step_body);
    const uint8_t *p = tds_request_take(r, c, header_head);
    if (p == nullptr)
        return result::more;
    uint32_t length = get_u32le(p);
    if (length < header_head || length > r.left)
        return result::failed;
    r.left -= length;
    if (get_u16le(p + 4) != header_transaction_descriptor) {
        r.skip = length - header_head;
        return result::again;
    }
    if (length != header_head + descriptor_size || r.info->descriptor_at != 0)
        return result::failed;
    return tds_request_go(r, step_descriptor);
}

static result step_headers(tds_request_reader &r, tds_request_cursor &c) {
    const uint8_t *p = tds_request_take(r, c, 4);
    if (p == nullptr)
        return result::more;
    uint32_t length = get_u32le(p);
    if (length < 4)
        return result::failed;
    r.left = length - 4;
    return tds_request_go(r, step_header);
}

// --- The message ---

static result run(tds_request_reader &r, tds_request_cursor &c) {
    for (;;) {
        if (r.skip > 0) {
            auto n = static_cast<size_t>(std::min<uint64_t>(r.skip, static_cast<uint64_t>(c.end - c.p)));
            feed_text(r, {c.p, n}, n == r.skip && r.kind != tds_value_kind::plp);
            c.p += n;
            r.skip -= n;
            if (r.skip > 0)
                return result::more;
        }
        auto next = r.step(r, c);
        if (next != result::again)
            return next;
    }
}

tds_request_reader *tds_request_reader_create(tsql_scanner *scanner, tsql_memo *memo) {
    auto *r = new (std::nothrow) tds_request_reader;
    if (r != nullptr)
        r->scanner = scanner, r->memo = memo;
    return r;
}

void tds_request_reader_destroy(tds_request_reader *r) {
    delete r;
}

void tds_request_begin(tds_request_reader *r, uint8_t type, uint32_t version, bool enclave, tds_request_info &info) {
    info.type = type;
    r->info = &info;
    r->wide = tds_version_is_wide(version);
    r->collated = r->wide || version >= tds_7_1;
    r->enclave = enclave;
    r->base = r->skip = r->left = 0;
    r->small_have = 0;
    r->feeding = tds_value_use::none;
    r->texts = 0;
    r->in_call = r->head_due = r->last = false;
    r->step = r->wide && type != tds_type_bulk ? step_headers : step_body;
}

void tds_request_feed(tds_request_reader *r, std::span<const uint8_t> payload) {
    if (r->info->broken)
        return;
    tds_request_cursor c{payload.data(), payload.data(), payload.data() + payload.size()};
    if (run(*r, c) == result::failed)
        r->info->broken = true;
    r->base += payload.size();
}

static bool may_end(const tds_request_reader &r) {
    if (r.skip > 0 || r.small_have > 0)
        return false;
    if (r.step == step_batch_text)
        return r.info->place.bytes % 2 == 0;
    return r.step == step_ignored || tds_request_rpc_may_end(r) || tds_request_transaction_may_end(r);
}

// Last values can be put only into a text that is where `place` says.
static void settle_place(tds_request_reader &r) {
    auto &info = *r.info;
    if (r.texts != 1 || info.place.bytes == 0 || info.broken)
        info.place = {};
    if (info.place.kind != tds_text_place::kind_t::none)
        return;
    for (const tsql_last_use &use : info.effect.last_uses)
        info.effect.last_unclear |= use.which;
    info.effect.last_uses.clear();
}

// A request that was not understood may have done anything.
static void assume_the_worst(tsql_effect &effect) {
    effect.turned_on |= tsql_unknown;
    effect.calls = effect.transactions = effect.writes = true;
    effect.empty = effect.lone_select = effect.no_count = false;
}

void tds_request_end(tds_request_reader *r) {
    auto &info = *r->info;
    tds_request_feed(r, {}); // an empty text is one too
    if (!may_end(*r))
        info.broken = true;
    tds_request_text_end(*r);
    if (r->in_call)
        tds_request_call_end(*r);
    if (info.type == tds_type_bulk)
        info.effect.transactions = info.effect.writes = true;
    if (info.type != tds_type_sql_batch)
        info.effect.empty = info.effect.no_count = false;
    settle_place(*r);
    if (info.broken)
        assume_the_worst(info.effect);
    r->info = nullptr;
}

void tds_request_read(tds_request_reader *r, std::span<const uint8_t> payload) {
    r->last = true;
    tds_request_feed(r, payload);
    tds_request_end(r);
}
