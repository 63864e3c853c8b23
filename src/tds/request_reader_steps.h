// The inside of request_reader: steps, and what they are made of. Nobody else includes this.
//
// A step is a function that takes the next few bytes, at once or, when a piece ends between them, over several calls,
// and then says which step comes next. Whatever is longer than a few bytes is a number in `skip`; while a text is being
// read what is stepped over goes to the scanner.
#pragma once

#include "tds/coltype.h"
#include "tds/request_reader.h"

struct tds_request_cursor {
    const uint8_t *begin; // of the piece
    const uint8_t *p;
    const uint8_t *end;
};

enum class tds_request_step : uint8_t {
    again, // go on with r.skip and r.step
    more,  // the piece is used up
    failed,
};

// What is wanted of a parameter's value.
enum class tds_value_use : uint8_t { none, number, text, narrow_text };

// A table-valued parameter.
struct tds_tvp {
    std::vector<uint8_t> columns;         // tds_value_kind, or tds_tvp_default
    std::vector<uint8_t> in_order;        // the same in the order of the rows' values
    uint32_t left = 0;                    // columns, or ordinals of their order, still to come
    uint32_t column = 0;                  // of the row
    bool ordered = false, unique = false; // the optional tokens that were there
};
inline constexpr uint8_t tds_tvp_default = 0xff; // a column without values

struct tds_request_reader {
    tsql_scanner *scanner = nullptr;
    tsql_memo *memo = nullptr;
    tds_request_info *info = nullptr; // of the message being read, or null
    bool wide = true;                 // TDS 7.2 or later
    bool collated = true;             // TDS 7.1 or later
    bool enclave = false;
    uint64_t base = 0; // payload offset of the piece

    using step_function = tds_request_step (*)(tds_request_reader &r, tds_request_cursor &c);
    step_function step = nullptr; // what is expected next
    uint64_t skip = 0;            // bytes to step over first
    uint64_t left = 0;            // of ALL_HEADERS, or of what is being gathered
    uint8_t small_have = 0;       // bytes of an integer or head cut by a piece's end
    uint8_t small[16] = {};
    const char *script = nullptr; // items to step over
    step_function after_script = nullptr;

    // Text
    tds_value_use feeding = tds_value_use::none; // what is stepped over is text
    bool fresh = false;                          // nothing of that text has come yet
    bool last = false;                           // the message ends with this piece
    uint32_t texts = 0;                          // scanned in this message
    uint32_t chunks = 0;                         // of a text in a PLP value

    // Call
    bool in_call = false;
    bool head_due = false; // the call's head is to be read yet, or it is not known whether it has one
    tds_rpc_call call;
    const tds_proc_kind *kind_of_call = nullptr;
    std::vector<uint8_t> name; // of the procedure, while it is gathered
    bool text_read = false;    // the statement of the call

    // Parameter
    bool encrypted = false;
    tds_value_use use = tds_value_use::none;
    const tds_coltype *type = nullptr;
    tds_value_kind kind = tds_value_kind::fixed_1;
    uint64_t type_at = 0, value_at = 0;
    step_function after_type = nullptr, after_value = nullptr;
    tds_tvp tvp;
};

inline tds_request_step tds_request_go(tds_request_reader &r, tds_request_reader::step_function next) {
    r.step = next;
    return tds_request_step::again;
}

inline uint64_t tds_request_at(const tds_request_reader &r, const tds_request_cursor &c) {
    return r.base + static_cast<uint64_t>(c.p - c.begin);
}

// The next `n` bytes (at most sizeof r.small, the same number until they are there), or null: more input is needed.
const uint8_t *tds_request_take(tds_request_reader &r, tds_request_cursor &c, size_t n);

// Steps over items and then goes on with `next`. One character each:
//      1 to 9   so many bytes
//      b        B_VARCHAR
//      s        US_VARCHAR
tds_request_step tds_request_over(tds_request_reader &r, const char *script, tds_request_reader::step_function next);

// The enclave package, if there is one; goes on with `next`.
tds_request_step tds_request_enclave(tds_request_reader &r, tds_request_reader::step_function next);

// A text begins, with the scope of the message's type. What is stepped over from here on is scanned, until the end.
void tds_request_text_begin(tds_request_reader &r, tds_value_use form);
void tds_request_text_end(tds_request_reader &r);

// --- What follows ALL_HEADERS ---

tds_request_step tds_request_step_call(tds_request_reader &r, tds_request_cursor &c);
tds_request_step tds_request_step_transaction(tds_request_reader &r, tds_request_cursor &c);

// Whether the message may end here, between two steps.
bool tds_request_rpc_may_end(const tds_request_reader &r);
bool tds_request_transaction_may_end(const tds_request_reader &r);

// The call being read, complete or not, is over: what it does goes into the effect.
void tds_request_call_end(tds_request_reader &r);

// --- Parameters ---

// TYPE_INFO and value of a parameter and ParamCipherInfo; goes on with tds_request_step_parameter.
tds_request_step tds_request_step_typed_value(tds_request_reader &r, tds_request_cursor &c);
tds_request_step tds_request_step_parameter(tds_request_reader &r, tds_request_cursor &c);
// Behind a parameter's value.
tds_request_step tds_request_step_value_end(tds_request_reader &r, tds_request_cursor &c);

// TYPE_INFO; leaves r.type and r.kind and goes on with r.after_type.
tds_request_step tds_request_step_type(tds_request_reader &r, tds_request_cursor &c);
// A value of r.kind; goes on with r.after_value.
tds_request_step tds_request_step_value(tds_request_reader &r, tds_request_cursor &c);
// A table-valued parameter behind its type's id; goes on with tds_request_step_value_end.
tds_request_step tds_request_step_tvp(tds_request_reader &r, tds_request_cursor &c);
