// Table-valued parameters (MS-TDS 2.2.5.5.5): names of the type, columns, optional tokens, rows.
#include "tds/bytes.h"
#include "tds/request_reader_steps.h"

using result = tds_request_step;

static constexpr uint16_t tvp_null = 0xffff;
static constexpr uint16_t columns_max = 1024;
static constexpr uint16_t flag_default = 0x0200; // the column's values are not sent
static constexpr uint8_t token_end = 0;
static constexpr uint8_t token_row = 1;
static constexpr uint8_t token_order_unique = 0x10;
static constexpr uint8_t token_column_ordering = 0x11;
static constexpr uint8_t column_used = 0xfe; // while they are put in order

// --- Rows ---

static result step_row(tds_request_reader &r, tds_request_cursor &c);

static result step_row_value(tds_request_reader &r, tds_request_cursor &) {
    auto &t = r.tvp;
    while (t.column < t.columns.size() && t.columns[t.column] == tds_tvp_default)
        ++t.column;
    if (t.column == t.columns.size())
        return tds_request_go(r, step_row);
    r.kind = static_cast<tds_value_kind>(t.columns[t.column++]);
    r.after_value = step_row_value;
    return tds_request_go(r, tds_request_step_value);
}

static result step_row(tds_request_reader &r, tds_request_cursor &c) {
    const uint8_t *p = tds_request_take(r, c, 1);
    if (p == nullptr)
        return result::more;
    if (p[0] == token_end)
        return tds_request_go(r, tds_request_step_value_end);
    r.tvp.column = 0;
    return p[0] == token_row ? tds_request_go(r, step_row_value) : result::failed;
}

// --- Optional tokens ---

static result step_option(tds_request_reader &r, tds_request_cursor &c);

// Ordinals of columns in the order of the rows' values, each once.
static result step_ordinal(tds_request_reader &r, tds_request_cursor &c) {
    auto &t = r.tvp;
    if (t.left == 0) {
        t.columns.swap(t.in_order);
        return tds_request_go(r, step_option);
    }
    const uint8_t *p = tds_request_take(r, c, 2);
    if (p == nullptr)
        return result::more;
    uint16_t ordinal = get_u16le(p);
    if (ordinal == 0 || ordinal > t.columns.size() || t.columns[ordinal - 1U] == column_used)
        return result::failed;
    t.in_order.push_back(t.columns[ordinal - 1U]);
    t.columns[ordinal - 1U] = column_used;
    --t.left;
    return result::again;
}

static result step_column_ordering(tds_request_reader &r, tds_request_cursor &c) {
    const uint8_t *p = tds_request_take(r, c, 2);
    if (p == nullptr)
        return result::more;
    r.tvp.left = get_u16le(p);
    r.tvp.in_order.clear();
    return r.tvp.left == r.tvp.columns.size() ? tds_request_go(r, step_ordinal) : result::failed;
}

// Ordinals with their flags.
static result step_order_unique(tds_request_reader &r, tds_request_cursor &c) {
    const uint8_t *p = tds_request_take(r, c, 2);
    if (p == nullptr)
        return result::more;
    r.skip = uint64_t{3} * get_u16le(p);
    return tds_request_go(r, step_option);
}

// False: it was there already.
static bool once(bool &seen) {
    bool first = !seen;
    seen = true;
    return first;
}

// An unknown token has no length that could be stepped over.
static result step_option(tds_request_reader &r, tds_request_cursor &c) {
    const uint8_t *p = tds_request_take(r, c, 1);
    if (p == nullptr)
        return result::more;
    if (p[0] == token_end)
        return tds_request_go(r, step_row);
    if (p[0] == token_order_unique && once(r.tvp.unique))
        return tds_request_go(r, step_order_unique);
    if (p[0] == token_column_ordering && once(r.tvp.ordered))
        return tds_request_go(r, step_column_ordering);
    return result::failed;
}

// --- Columns ---

static result step_column(tds_request_reader &r, tds_request_cursor &c);

static result step_column_typed(tds_request_reader &r, tds_request_cursor &) {
    if (r.tvp.columns.back() != tds_tvp_default)
        r.tvp.columns.back() = static_cast<uint8_t>(r.kind);
    return tds_request_over(r, "b", step_column);
}

// UserType, Flags, TYPE_INFO, name
static result step_column(tds_request_reader &r, tds_request_cursor &c) {
    if (r.tvp.left == 0)
        return tds_request_go(r, step_option);
    const uint8_t *p = tds_request_take(r, c, 6);
    if (p == nullptr)
        return result::more;
    --r.tvp.left;
    r.tvp.columns.push_back((get_u16le(p + 4) & flag_default) != 0 ? tds_tvp_default : uint8_t{0});
    r.after_type = step_column_typed;
    return tds_request_go(r, tds_request_step_type);
}

static result step_columns(tds_request_reader &r, tds_request_cursor &c) {
    const uint8_t *p = tds_request_take(r, c, 2);
    if (p == nullptr)
        return result::more;
    uint16_t count = get_u16le(p);
    if (count != tvp_null && (count == 0 || count > columns_max))
        return result::failed;
    r.tvp.left = count == tvp_null ? 0U : count;
    return tds_request_go(r, step_column);
}

tds_request_step tds_request_step_tvp(tds_request_reader &r, tds_request_cursor &) {
    r.tvp.columns.clear();
    r.tvp.ordered = r.tvp.unique = false;
    return tds_request_over(r, "bbb", step_columns);
}
