// Metadata: COLMETADATA, ALTMETADATA, RETURNVALUE, DATACLASSIFICATION and the TYPE_INFO in them.
#include <cstddef>

#include "tds/bytes.h"
#include "tds/login7.h"
#include "tds/token_walk_steps.h"

static constexpr uint16_t no_metadata = 0xffff;
static constexpr uint16_t flag_encrypted = 0x0800;

// --- TYPE_INFO ---

static bool has_collation(const tds_walker &w) {
    return w.wide || w.session.version >= tds_7_1;
}

// Types whose largest length may say MAX. Not asked for the version: it is no other length, and Babelfish sends it to
// clients of 7.1.
static tds_step_result step_two(tds_walker &w, tds_walk_cursor &c) {
    const uint8_t *p = tds_step_take(w, c, 2);
    if (p == nullptr)
        return tds_step_result::more;
    if (w.type->may_be_max && get_u16le(p) == tds_length_max_marker)
        w.kind = tds_value_kind::plp;
    bool collated = w.type->marker == tds_marker::two_collated && has_collation(w);
    return tds_step_over(w, collated ? "5" : "", w.after_type);
}

static tds_step_result step_xml(tds_walker &w, tds_walk_cursor &c) {
    const uint8_t *p = tds_step_take(w, c, 1);
    if (p == nullptr)
        return tds_step_result::more;
    if (p[0] > 1)
        return tds_step_fail(w, tds_walk_error::bad_value, p[0]);
    return tds_step_over(w, p[0] == 1 ? "bbs" : "", w.after_type);
}

tds_step_result tds_step_type(tds_walker &w, tds_walk_cursor &c) {
    const uint8_t *p = tds_step_take(w, c, 1);
    if (p == nullptr)
        return tds_step_result::more;
    w.type = tds_coltype_find(p[0]);
    if (w.type == nullptr)
        return tds_step_fail(w, tds_walk_error::unknown_type, p[0]);
    w.kind = w.type->value;
    switch (w.type->marker) {
    case tds_marker::none: return tds_step_go(w, w.after_type);
    case tds_marker::one: return tds_step_over(w, "1", w.after_type);
    case tds_marker::three: return tds_step_over(w, "3", w.after_type);
    case tds_marker::two:
    case tds_marker::two_collated: return tds_step_go(w, step_two);
    case tds_marker::four: return tds_step_over(w, "4", w.after_type);
    case tds_marker::four_collated: return tds_step_over(w, has_collation(w) ? "9" : "4", w.after_type);
    case tds_marker::xml: return tds_step_go(w, step_xml);
    case tds_marker::udt: return tds_step_over(w, "2bbbs", w.after_type);
    case tds_marker::vector: return tds_step_over(w, "3", w.after_type);
    }
    return tds_step_fail(w, tds_walk_error::unknown_type, w.type->id);
}

// --- CryptoMetaData: the type of the plain value, of no use for stepping over the encrypted one ---

static tds_step_result step_algorithm(tds_walker &w, tds_walk_cursor &c) {
    const uint8_t *p = tds_step_take(w, c, 1);
    if (p == nullptr)
        return tds_step_result::more;
    w.kind = w.cipher;
    return tds_step_over(w, p[0] == 0 ? "b2" : "2", w.after_crypto);
}

static tds_step_result step_plain_type(tds_walker &w, tds_walk_cursor &) {
    w.after_type = step_algorithm;
    return tds_step_go(w, tds_step_type);
}

// `head`: what precedes the plain value's TYPE_INFO.
static tds_step_result begin_crypto(tds_walker &w, const char *head, tds_walker::step_function next) {
    if (!w.options.column_encryption || (w.flags & flag_encrypted) == 0)
        return tds_step_go(w, next);
    w.cipher = w.kind;
    w.after_crypto = next;
    return tds_step_over(w, head, step_plain_type);
}

// --- Columns of COLMETADATA and ALTMETADATA ---

static tds_step_result step_column(tds_walker &w, tds_walk_cursor &c);

static tds_step_result end_columns(tds_walker &w) {
    tds_column_run_close(w.layout, w.filling);
    if (w.token == tds_token_colmetadata) {
        w.layout.row = w.filling;
        w.layout.known = true;
    } else if (!tds_row_layout_add_alt(w.layout, w.filling)) {
        return tds_step_fail(w, tds_walk_error::too_many);
    }
    return tds_step_go(w, tds_step_token);
}

static tds_step_result step_next_column(tds_walker &w, tds_walk_cursor &) {
    return --w.items_left == 0 ? end_columns(w) : tds_step_go(w, step_column);
}

static tds_step_result step_column_name(tds_walker &w, tds_walk_cursor &) {
    if (!tds_row_layout_add(w.layout, w.kind))
        return tds_step_fail(w, tds_walk_error::too_many);
    return tds_step_over(w, "b", step_next_column);
}

static tds_step_result step_column_crypto(tds_walker &w, tds_walk_cursor &) {
    bool encrypted = w.options.column_encryption && (w.flags & flag_encrypted) != 0;
    if (encrypted && !w.keys_known)
        return tds_step_fail(w, tds_walk_error::bad_value);
    return begin_crypto(w, "6", step_column_name);
}

static tds_step_result step_table_name_part(tds_walker &w, tds_walk_cursor &) {
    if (w.parts_left-- == 0)
        return tds_step_go(w, step_column_crypto);
    return tds_step_over(w, "s", step_table_name_part);
}

static tds_step_result step_table_name(tds_walker &w, tds_walk_cursor &c) {
    const uint8_t *p = tds_step_take(w, c, 1);
    if (p == nullptr)
        return tds_step_result::more;
    w.parts_left = p[0];
    return tds_step_go(w, step_table_name_part);
}

static tds_step_result step_column_typed(tds_walker &w, tds_walk_cursor &) {
    if (!w.type->table_name)
        return tds_step_go(w, step_column_crypto);
    return w.wide ? tds_step_go(w, step_table_name) : tds_step_over(w, "s", step_column_crypto);
}

// [Op, Operand,] UserType, Flags
static tds_step_result step_column(tds_walker &w, tds_walk_cursor &c) {
    size_t n = (w.wide ? 6U : 4U) + (w.token == tds_token_altmetadata ? 3U : 0U);
    const uint8_t *p = tds_step_take(w, c, n);
    if (p == nullptr)
        return tds_step_result::more;
    w.flags = get_u16le(p + n - 2);
    w.after_type = step_column_typed;
    return tds_step_go(w, tds_step_type);
}

static tds_step_result begin_columns(tds_walker &w) {
    if (w.items_left == 0)
        return tds_step_go(w, tds_step_token);
    w.filling.first = w.layout.size;
    w.filling.count = w.items_left;
    return tds_step_go(w, step_column);
}

// --- CekTable: the column encryption keys of a COLMETADATA ---

static tds_step_result step_key(tds_walker &w, tds_walk_cursor &c);

static tds_step_result step_key_value(tds_walker &w, tds_walk_cursor &) {
    if (w.parts_left-- == 0)
        return tds_step_go(w, step_key);
    return tds_step_over(w, "vbsb", step_key_value);
}

static tds_step_result step_key(tds_walker &w, tds_walk_cursor &c) {
    if (w.keys_left == 0)
        return begin_columns(w);
    static constexpr size_t head = 4 + 4 + 4 + 8 + 1;
    const uint8_t *p = tds_step_take(w, c, head);
    if (p == nullptr)
        return tds_step_result::more;
    --w.keys_left;
    w.parts_left = p[head - 1];
    return tds_step_go(w, step_key_value);
}

static tds_step_result step_keys(tds_walker &w, tds_walk_cursor &c) {
    const uint8_t *p = tds_step_take(w, c, 2);
    if (p == nullptr)
        return tds_step_result::more;
    w.keys_left = get_u16le(p);
    w.keys_known = w.keys_left > 0;
    return tds_step_go(w, step_key);
}

// --- The tokens ---

tds_step_result tds_step_colmetadata(tds_walker &w, tds_walk_cursor &c) {
    const uint8_t *p = tds_step_take(w, c, 2);
    if (p == nullptr)
        return tds_step_result::more;
    uint16_t count = get_u16le(p);
    w.columns_told = true;
    if (count == no_metadata) // the columns told before hold (cursors)
        return tds_step_go(w, tds_step_token);
    tds_row_layout_clear(w.layout);
    w.filling = {};
    w.items_left = count;
    w.keys_known = false;
    return w.options.column_encryption ? tds_step_go(w, step_keys) : begin_columns(w);
}

static tds_step_result step_by_columns(tds_walker &w, tds_walk_cursor &c) {
    const uint8_t *p = tds_step_take(w, c, 1);
    if (p == nullptr)
        return tds_step_result::more;
    w.skip = p[0] * uint64_t{2};
    return begin_columns(w);
}

tds_step_result tds_step_altmetadata(tds_walker &w, tds_walk_cursor &c) {
    const uint8_t *p = tds_step_take(w, c, 4);
    if (p == nullptr)
        return tds_step_result::more;
    w.filling = {};
    w.items_left = get_u16le(p);
    w.filling.id = get_u16le(p + 2);
    return tds_step_go(w, step_by_columns);
}

// --- RETURNVALUE ---

static constexpr uint8_t type_intn = 0x26;
static constexpr uint8_t type_int4 = 0x38;

// Where what the current RETURNVALUE says is kept, or null.
static tds_walk_return *kept_return(tds_walker &w) {
    uint32_t n = w.message.returns_count;
    return n <= tds_walk_returns_kept ? &w.message.returns[n - 1] : nullptr;
}

static void keep_int(tds_walk_return &kept, const uint8_t *p, size_t size) {
    uint32_t low = size == 1   ? p[0]
                   : size == 2 ? static_cast<uint32_t>(static_cast<int16_t>(get_u16le(p)))
                               : get_u32le(p);
    kept.value = static_cast<int32_t>(low);
    kept.is_int = size < 8 || get_u32le(p + 4) == (kept.value < 0 ? UINT32_MAX : 0);
    if (!kept.is_int)
        kept.value = 0;
}

// An int of w.left bytes.
static tds_step_result step_return_int(tds_walker &w, tds_walk_cursor &c) {
    auto size = static_cast<size_t>(w.left);
    const uint8_t *p = tds_step_take(w, c, size);
    if (p == nullptr)
        return tds_step_result::more;
    keep_int(*kept_return(w), p, size);
    return tds_step_go(w, tds_step_token);
}

static tds_step_result step_return_intn(tds_walker &w, tds_walk_cursor &c) {
    const uint8_t *p = tds_step_take(w, c, 1);
    if (p == nullptr)
        return tds_step_result::more;
    w.left = p[0];
    if (w.left == 1 || w.left == 2 || w.left == 4 || w.left == 8)
        return tds_step_go(w, step_return_int);
    w.skip = w.left;
    return tds_step_go(w, tds_step_token);
}

static tds_step_result step_return_value(tds_walker &w, tds_walk_cursor &) {
    bool encrypted = w.options.column_encryption && (w.flags & flag_encrypted) != 0;
    bool kept = kept_return(w) != nullptr && !encrypted;
    w.after_value = tds_step_token;
    if (kept && w.type->id == type_intn)
        return tds_step_go(w, step_return_intn);
    if (!kept || w.type->id != type_int4)
        return tds_step_go(w, tds_step_value);
    w.left = 4;
    return tds_step_go(w, step_return_int);
}

static tds_step_result step_return_typed(tds_walker &w, tds_walk_cursor &) {
    return begin_crypto(w, "4", step_return_value);
}

// Status, UserType, Flags
static tds_step_result step_return_head(tds_walker &w, tds_walk_cursor &c) {
    size_t n = w.wide ? 7 : 5;
    const uint8_t *p = tds_step_take(w, c, n);
    if (p == nullptr)
        return tds_step_result::more;
    w.flags = get_u16le(p + n - 2);
    w.after_type = step_return_typed;
    return tds_step_go(w, tds_step_type);
}

// Ordinal (before 7.2 a length), name
tds_step_result tds_step_returnvalue(tds_walker &w, tds_walk_cursor &c) {
    const uint8_t *p = tds_step_take(w, c, 2);
    if (p == nullptr)
        return tds_step_result::more;
    auto &m = w.message;
    if (m.returns_count < UINT32_MAX)
        ++m.returns_count;
    if (tds_walk_return *kept = kept_return(w); kept != nullptr) {
        kept->call = m.calls_done;
        kept->ordinal = get_u16le(p);
    }
    return tds_step_over(w, "b", step_return_head);
}

// --- DATACLASSIFICATION: labels, information types, [rank,] columns with their properties ---

static tds_step_result step_class_column(tds_walker &w, tds_walk_cursor &c) {
    if (w.items_left == 0)
        return tds_step_go(w, tds_step_token);
    const uint8_t *p = tds_step_take(w, c, 2);
    if (p == nullptr)
        return tds_step_result::more;
    --w.items_left;
    bool ranked = w.options.data_classification >= 2;
    w.skip = get_u16le(p) * uint64_t{ranked ? 8U : 4U};
    return tds_step_result::again;
}

static tds_step_result step_class_columns(tds_walker &w, tds_walk_cursor &c) {
    const uint8_t *p = tds_step_take(w, c, 2);
    if (p == nullptr)
        return tds_step_result::more;
    w.items_left = get_u16le(p);
    return tds_step_go(w, step_class_column);
}

// Labels, then information types: both are lists of a name and an id.
static tds_step_result step_class_names(tds_walker &w, tds_walk_cursor &c);

static tds_step_result step_class_name(tds_walker &w, tds_walk_cursor &) {
    if (w.items_left > 0) {
        --w.items_left;
        return tds_step_over(w, "bb", step_class_name);
    }
    if (--w.parts_left > 0)
        return tds_step_go(w, step_class_names);
    return tds_step_over(w, w.options.data_classification >= 2 ? "4" : "", step_class_columns);
}

static tds_step_result step_class_names(tds_walker &w, tds_walk_cursor &c) {
    const uint8_t *p = tds_step_take(w, c, 2);
    if (p == nullptr)
        return tds_step_result::more;
    w.items_left = get_u16le(p);
    return tds_step_go(w, step_class_name);
}

tds_step_result tds_step_dataclassification(tds_walker &w, tds_walk_cursor &) {
    w.parts_left = 2; // lists of names
    return tds_step_go(w, step_class_names);
}
