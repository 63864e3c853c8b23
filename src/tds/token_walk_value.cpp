// Rows and values: the part of the walk that sees nearly every byte of a large result.
#include <algorithm>
#include <cstring>

#include "tds/bytes.h"
#include "tds/token_walk_steps.h"

static tds_step_result step_length_1(tds_walker &w, tds_walk_cursor &c) {
    const uint8_t *p = tds_step_take(w, c, 1);
    if (p == nullptr)
        return tds_step_result::more;
    w.skip = p[0];
    return tds_step_go(w, w.after_value);
}

static tds_step_result step_length_2(tds_walker &w, tds_walk_cursor &c) {
    const uint8_t *p = tds_step_take(w, c, 2);
    if (p == nullptr)
        return tds_step_result::more;
    uint16_t n = get_u16le(p);
    w.skip = n == UINT16_MAX ? 0 : n;
    return tds_step_go(w, w.after_value);
}

static tds_step_result step_length_4(tds_walker &w, tds_walk_cursor &c) {
    const uint8_t *p = tds_step_take(w, c, 4);
    if (p == nullptr)
        return tds_step_result::more;
    w.skip = get_u32le(p);
    if (w.skip > INT32_MAX)
        return tds_step_fail(w, tds_walk_error::bad_length);
    return tds_step_go(w, w.after_value);
}

static tds_step_result step_chunk(tds_walker &w, tds_walk_cursor &c) {
    const uint8_t *p = tds_step_take(w, c, 4);
    if (p == nullptr)
        return tds_step_result::more;
    w.skip = get_u32le(p);
    return w.skip == 0 ? tds_step_go(w, w.after_value) : tds_step_result::again;
}

// The total is only a hint: the chunks say how much there is.
static tds_step_result step_plp(tds_walker &w, tds_walk_cursor &c) {
    const uint8_t *p = tds_step_take(w, c, 8);
    if (p == nullptr)
        return tds_step_result::more;
    bool is_null = (get_u32le(p) & get_u32le(p + 4)) == UINT32_MAX;
    return tds_step_go(w, is_null ? w.after_value : step_chunk);
}

static tds_step_result step_text(tds_walker &w, tds_walk_cursor &c) {
    const uint8_t *p = tds_step_take(w, c, 1);
    if (p == nullptr)
        return tds_step_result::more;
    if (p[0] == 0)
        return tds_step_go(w, w.after_value);
    w.skip = p[0] + uint64_t{8};
    return tds_step_go(w, step_length_4);
}

tds_step_result tds_step_value(tds_walker &w, tds_walk_cursor &) {
    switch (w.kind) {
    case tds_value_kind::length_1: return tds_step_go(w, step_length_1);
    case tds_value_kind::length_2: return tds_step_go(w, step_length_2);
    case tds_value_kind::length_4: return tds_step_go(w, step_length_4);
    case tds_value_kind::plp: return tds_step_go(w, step_plp);
    case tds_value_kind::text: return tds_step_go(w, step_text);
    default: break;
    }
    w.skip = tds_value_fixed_size(w.kind);
    return tds_step_go(w, w.after_value);
}

// All values of the row that are whole in this piece at once, then the one that is not on its own.
static tds_step_result step_columns(tds_walker &w, tds_walk_cursor &c) {
    const tds_value_kind *kinds = w.layout.kinds + w.row->first;
    if (w.has_nulls)
        c.p = tds_row_skip_nulls(kinds, w.layout.nulls, w.row->count, w.column, c.p, c.end);
    else
        c.p = tds_row_skip(kinds, w.row->count, w.column, c.p, c.end);
    if (w.column == w.row->count)
        return tds_step_go(w, tds_step_token);
    if (c.p == c.end)
        return tds_step_result::more;
    w.kind = kinds[w.column++];
    w.after_value = step_columns;
    return tds_step_go(w, tds_step_value);
}

static tds_step_result begin_row(tds_walker &w, const tds_column_run &row, bool has_nulls) {
    w.row = &row;
    w.column = 0;
    w.has_nulls = has_nulls;
    return tds_step_go(w, step_columns);
}

// Behind the id of a ROW: it and all that follow it, as long as they are whole in this piece.
static tds_step_result skip_fixed_rows(tds_walker &w, tds_walk_cursor &c) {
    size_t size = w.layout.row.fixed_size + size_t{1};
    const uint8_t *p = c.token;
    while (static_cast<size_t>(c.end - p) >= size && *p == tds_token_row)
        p += size;
    if (p == c.token)
        w.skip = size - 1;
    else
        c.p = p;
    return tds_step_go(w, tds_step_token);
}

static tds_step_result skip_rows(tds_walker &w, tds_walk_cursor &c) {
    const auto &row = w.layout.row;
    const tds_value_kind *kinds = w.layout.kinds + row.first;
    for (;;) {
        begin_row(w, row, false);
        c.token = c.p - 1;
        c.p = tds_row_skip(kinds, row.count, w.column, c.p, c.end);
        if (w.column < row.count)
            return tds_step_result::again;
        if (c.p == c.end || *c.p != tds_token_row)
            return tds_step_go(w, tds_step_token);
        ++c.p;
    }
}

static bool may_have_rows(const tds_walker &w) {
    return w.layout.known && w.columns_told;
}

tds_step_result tds_step_row(tds_walker &w, tds_walk_cursor &c) {
    if (!may_have_rows(w))
        return tds_step_fail(w, tds_walk_error::no_columns);
    return w.layout.row.fixed_size > 0 ? skip_fixed_rows(w, c) : skip_rows(w, c);
}

static tds_step_result step_nulls(tds_walker &w, tds_walk_cursor &c) {
    uint32_t size = (w.layout.row.count + 7) / 8;
    auto n = std::min<size_t>(size - w.column, static_cast<size_t>(c.end - c.p));
    memcpy(w.layout.nulls + w.column, c.p, n);
    c.p += n;
    w.column += static_cast<uint32_t>(n);
    return w.column == size ? begin_row(w, w.layout.row, true) : tds_step_result::more;
}

tds_step_result tds_step_nbcrow(tds_walker &w, tds_walk_cursor &) {
    if (!may_have_rows(w))
        return tds_step_fail(w, tds_walk_error::no_columns);
    if (!tds_row_layout_make_nulls(w.layout))
        return tds_step_fail(w, tds_walk_error::memory);
    w.column = 0; // bytes of the bitmap until it is complete
    return tds_step_go(w, step_nulls);
}

tds_step_result tds_step_altrow(tds_walker &w, tds_walk_cursor &c) {
    const uint8_t *p = tds_step_take(w, c, 2);
    if (p == nullptr)
        return tds_step_result::more;
    const tds_column_run *run = tds_row_layout_find_alt(w.layout, get_u16le(p));
    return run == nullptr ? tds_step_fail(w, tds_walk_error::no_columns) : begin_row(w, *run, false);
}
