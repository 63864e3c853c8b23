// Parameters of an RPC: TYPE_INFO, value and ParamCipherInfo (MS-TDS 2.2.5.4, 2.2.5.5, 2.2.6.6). Some types are not
// written as in a response: no text pointer, no table name, a shorter UDT_INFO; NULL and table-valued parameters exist
// only here.
#include "tds/bytes.h"
#include "tds/request_reader_steps.h"

using result = tds_request_step;

static constexpr uint8_t type_null = 0x1f;
static constexpr uint8_t type_ntext = 0x63;
static constexpr uint8_t type_nvarchar = 0xe7;
static constexpr uint8_t type_tvp = 0xf3;

// --- TYPE_INFO ---

// Before 7.2 the largest length cannot say MAX.
static result step_two(tds_request_reader &r, tds_request_cursor &c) {
    const uint8_t *p = tds_request_take(r, c, 2);
    if (p == nullptr)
        return result::more;
    if (r.type->may_be_max && get_u16le(p) == tds_length_max_marker) {
        if (!r.wide)
            return result::failed;
        r.kind = tds_value_kind::plp;
    }
    bool collated = r.type->marker == tds_marker::two_collated && r.collated;
    return tds_request_over(r, collated ? "5" : "", r.after_type);
}

static result step_xml(tds_request_reader &r, tds_request_cursor &c) {
    const uint8_t *p = tds_request_take(r, c, 1);
    if (p == nullptr)
        return result::more;
    if (p[0] > 1)
        return result::failed;
    return tds_request_over(r, p[0] == 1 ? "bbs" : "", r.after_type);
}

static result begin_type(tds_request_reader &r, uint8_t id) {
    r.type = tds_coltype_find(id);
    if (r.type == nullptr)
        return result::failed;
    r.kind = r.type->value;
    switch (r.type->marker) {
    case tds_marker::none: return tds_request_go(r, r.after_type);
    case tds_marker::one: return tds_request_over(r, "1", r.after_type);
    case tds_marker::three:
    case tds_marker::vector: return tds_request_over(r, "3", r.after_type);
    case tds_marker::two:
    case tds_marker::two_collated: return tds_request_go(r, step_two);
    case tds_marker::four: return tds_request_over(r, "4", r.after_type);
    case tds_marker::four_collated: return tds_request_over(r, r.collated ? "9" : "4", r.after_type);
    case tds_marker::xml: return tds_request_go(r, step_xml);
    case tds_marker::udt: return tds_request_over(r, "bbb", r.after_type);
    }
    return result::failed;
}

tds_request_step tds_request_step_type(tds_request_reader &r, tds_request_cursor &c) {
    const uint8_t *p = tds_request_take(r, c, 1);
    return p == nullptr ? result::more : begin_type(r, p[0]);
}

// --- What is wanted of a value ---

static tds_value_use use_of_type(uint8_t id) {
    switch (id) {
    case 0x26: // INTN
    case 0x30: // INT1
    case 0x34: // INT2
    case 0x38: // INT4
    case 0x7f: // INT8
        return tds_value_use::number;
    case type_ntext:
    case type_nvarchar:
    case 0xef: // NCHAR
        return tds_value_use::text;
    case 0x23: // TEXT
    case 0x27: // VARCHAR and CHAR, legacy
    case 0x2f:
    case 0xa7: // BIGVARCHAR
    case 0xaf: // BIGCHAR
        return tds_value_use::narrow_text;
    default: return tds_value_use::none;
    }
}

static bool wants_number(const tds_request_reader &r) {
    uint32_t at = r.call.parameters;
    auto scroll = static_cast<int64_t>(r.kind_of_call->scroll);
    return at <= 1 || (scroll > 0 && (at == scroll || at == scroll + 1));
}

static tds_value_use use_of_parameter(const tds_request_reader &r) {
    if (r.encrypted)
        return tds_value_use::none;
    tds_value_use use = use_of_type(r.type->id);
    bool number = use == tds_value_use::number;
    bool statement = r.kind_of_call->runs && static_cast<int64_t>(r.call.parameters) == r.kind_of_call->text;
    return (number ? wants_number(r) : statement) ? use : tds_value_use::none;
}

static void keep(bool &has, int32_t &kept, int64_t value) {
    has = value >= INT32_MIN && value <= INT32_MAX;
    kept = has ? static_cast<int32_t>(value) : 0;
}

static int64_t number_of(const uint8_t *p, size_t size) {
    switch (size) {
    case 1: return p[0];
    case 2: return static_cast<int16_t>(get_u16le(p));
    case 4: return static_cast<int32_t>(get_u32le(p));
    default: return static_cast<int64_t>(static_cast<uint64_t>(get_u32le(p + 4)) << 32 | get_u32le(p));
    }
}

static void note_first(tds_rpc_call &call, int64_t value, uint64_t at, size_t size) {
    keep(call.has_first, call.first, value);
    call.first_at = at;
    call.first_size = static_cast<uint8_t>(size);
}

// A number of r.left bytes.
static result step_number(tds_request_reader &r, tds_request_cursor &c) {
    auto size = static_cast<size_t>(r.left);
    const uint8_t *p = tds_request_take(r, c, size);
    if (p == nullptr)
        return result::more;
    auto &call = r.call;
    auto at = static_cast<int64_t>(call.parameters);
    int64_t value = number_of(p, size), scroll = r.kind_of_call->scroll;
    if (at == 0)
        note_first(call, value, tds_request_at(r, c) - size, size);
    else if (at == 1)
        keep(call.has_second, call.second, value);
    else if (at == scroll)
        keep(call.has_scroll, call.scroll, value);
    else
        keep(call.has_concurrency, call.concurrency, value);
    return tds_request_go(r, r.after_value);
}

// The statement begins.
static void begin_statement(tds_request_reader &r) {
    r.text_read = true;
    tds_request_text_begin(r, r.use);
}

// `n` bytes of the statement are next, the first or the only ones.
static void note_place(tds_request_reader &r, uint64_t at, uint64_t n) {
    bool can = r.type->id == type_nvarchar || r.type->id == type_ntext;
    can = can && r.kind_of_call->head == 0; // a text that will run again
    if (!can || n == 0 || r.texts > 1 || r.call.index > 0)
        return;
    auto &place = r.info->place;
    place.kind = tds_text_place::kind_t::parameter;
    place.value_at = r.value_at;
    place.at = at;
    place.bytes = n;
    place.type = r.type->id;
    place.plp = r.kind == tds_value_kind::plp;
    place.may_be_plp = r.wide && r.type->id == type_nvarchar;
    place.type_at = r.type_at;
}

// --- Values ---

static bool is_text(const tds_request_reader &r) {
    return r.use == tds_value_use::text || r.use == tds_value_use::narrow_text;
}

// A value that is there, of `n` bytes.
static result begin_value(tds_request_reader &r, const tds_request_cursor &c, uint64_t n) {
    if (r.use == tds_value_use::number && (n == 1 || n == 2 || n == 4 || n == 8)) {
        r.left = n;
        return tds_request_go(r, step_number);
    }
    if (is_text(r)) {
        begin_statement(r);
        note_place(r, tds_request_at(r, c), n);
    }
    r.skip = n;
    return tds_request_go(r, r.after_value);
}

static result step_length_1(tds_request_reader &r, tds_request_cursor &c) {
    const uint8_t *p = tds_request_take(r, c, 1);
    if (p == nullptr)
        return result::more;
    if (p[0] > 0)
        return begin_value(r, c, p[0]);
    r.call.null_first |= r.use == tds_value_use::number && r.call.parameters == 0;
    return tds_request_go(r, r.after_value);
}

static result step_length_2(tds_request_reader &r, tds_request_cursor &c) {
    const uint8_t *p = tds_request_take(r, c, 2);
    if (p == nullptr)
        return result::more;
    uint16_t n = get_u16le(p);
    return n == UINT16_MAX ? tds_request_go(r, r.after_value) : begin_value(r, c, n);
}

// sql_variant: 0 is NULL.
static result step_length_4(tds_request_reader &r, tds_request_cursor &c) {
    const uint8_t *p = tds_request_take(r, c, 4);
    if (p == nullptr)
        return result::more;
    r.skip = get_u32le(p);
    return r.skip > INT32_MAX ? result::failed : tds_request_go(r, r.after_value);
}

// TEXT, NTEXT, IMAGE: all bits set is NULL.
static result step_text(tds_request_reader &r, tds_request_cursor &c) {
    const uint8_t *p = tds_request_take(r, c, 4);
    if (p == nullptr)
        return result::more;
    uint32_t n = get_u32le(p);
    if (n == UINT32_MAX)
        return tds_request_go(r, r.after_value);
    return n > INT32_MAX ? result::failed : begin_value(r, c, n);
}

static result step_chunk(tds_request_reader &r, tds_request_cursor &c) {
    const uint8_t *p = tds_request_take(r, c, 4);
    if (p == nullptr)
        return result::more;
    r.skip = get_u32le(p);
    if (r.skip == 0)
        return tds_request_go(r, r.after_value);
    if (is_text(r)) {
        if (++r.chunks == 1)
            note_place(r, tds_request_at(r, c), r.skip);
        else
            r.info->place = {};
    }
    return result::again;
}

// The total is only a hint: the chunks say how much there is.
static result step_plp(tds_request_reader &r, tds_request_cursor &c) {
    const uint8_t *p = tds_request_take(r, c, 8);
    if (p == nullptr)
        return result::more;
    if ((get_u32le(p) & get_u32le(p + 4)) == UINT32_MAX)
        return tds_request_go(r, r.after_value);
    if (is_text(r))
        begin_statement(r);
    return tds_request_go(r, step_chunk);
}

tds_request_step tds_request_step_value(tds_request_reader &r, tds_request_cursor &c) {
    r.value_at = tds_request_at(r, c);
    switch (r.kind) {
    case tds_value_kind::length_1: return tds_request_go(r, step_length_1);
    case tds_value_kind::length_2: return tds_request_go(r, step_length_2);
    case tds_value_kind::length_4: return tds_request_go(r, step_length_4);
    case tds_value_kind::plp: return tds_request_go(r, step_plp);
    case tds_value_kind::text: return tds_request_go(r, step_text);
    default: return begin_value(r, c, tds_value_fixed_size(r.kind));
    }
}

// --- ParamCipherInfo ---

static result step_next_parameter(tds_request_reader &r, tds_request_cursor &) {
    ++r.call.parameters;
    return tds_request_go(r, tds_request_step_parameter);
}

// Algorithm, its name if it is 0; EncryptionType, DatabaseId, CekId, CekVersion, CekMDVersion, NormVersion
static result step_algorithm(tds_request_reader &r, tds_request_cursor &c) {
    const uint8_t *p = tds_request_take(r, c, 1);
    if (p == nullptr)
        return result::more;
    return tds_request_over(r, p[0] == 0 ? "b994" : "994", step_next_parameter);
}

tds_request_step tds_request_step_value_end(tds_request_reader &r, tds_request_cursor &c) {
    tds_request_text_end(r);
    r.use = tds_value_use::none;
    if (!r.encrypted)
        return step_next_parameter(r, c);
    r.after_type = step_algorithm;
    return tds_request_go(r, tds_request_step_type);
}

// --- The parameter ---

static result step_parameter_typed(tds_request_reader &r, tds_request_cursor &) {
    r.use = use_of_parameter(r);
    r.after_value = tds_request_step_value_end;
    return tds_request_go(r, tds_request_step_value);
}

tds_request_step tds_request_step_typed_value(tds_request_reader &r, tds_request_cursor &c) {
    const uint8_t *p = tds_request_take(r, c, 1);
    if (p == nullptr)
        return result::more;
    r.type_at = tds_request_at(r, c) - 1;
    r.use = tds_value_use::none;
    if (p[0] == type_null)
        return tds_request_go(r, tds_request_step_value_end);
    if (p[0] == type_tvp)
        return tds_request_go(r, tds_request_step_tvp);
    r.after_type = step_parameter_typed;
    return begin_type(r, p[0]);
}
