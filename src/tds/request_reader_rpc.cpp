// RPC (MS-TDS 2.2.6.6): calls one behind the other, each a name or a number, options and parameters.
#include <algorithm>
#include <utility>

#include "tds/bytes.h"
#include "tds/request_reader_steps.h"
#include "tds/tsql_scan.h"
#include "tds/utf16.h"

using result = tds_request_step;

static constexpr uint16_t by_number = 0xffff;
static constexpr size_t procedure_name_max = 1046; // bytes
static constexpr uint8_t parameter_name_max = 128; // characters
static constexpr uint8_t separator = 0xff;         // from 7.2 on
static constexpr uint8_t separator_no_exec = 0xfe; // likewise; the server skips the call in front of it
static constexpr uint8_t separator_narrow = 0x80;  // before 7.2
static constexpr uint8_t status_encrypted = 0x08;

// --- What a call does ---

// A statement that was not there to be read.
static void note_unseen(tsql_effect &effect) {
    effect.turned_on |= tsql_dynamic;
    effect.calls = effect.transactions = effect.writes = true;
    effect.lone_select = false;
}

static void note_call(tds_request_reader &r) {
    auto &effect = r.info->effect;
    const tds_proc_kind &k = *r.kind_of_call;
    if (k.proc == tds_proc::other)
        tsql_call(r.scanner, tsql_scope::batch, r.call.name, effect);
    if (k.runs && (!r.text_read || r.call.swapped))
        note_unseen(effect);
    effect.calls |= k.hidden;
    effect.transactions |= k.hidden || k.writes;
    effect.writes |= k.hidden || k.writes;
    bool runs_one = k.proc == tds_proc::execute_sql || k.proc == tds_proc::prepexec;
    if (!runs_one || r.info->calls_count > 1) // the DONE need not be the SELECT's
        effect.lone_select = false;
}

// All of the call's head has been read, or the call is over.
static void head_over(tds_request_reader &r) {
    if (!r.head_due || r.kind_of_call->head == 0)
        return;
    r.head_due = false;
    r.info->heads.push_back(r.call);
}

void tds_request_call_end(tds_request_reader &r) {
    auto &info = *r.info;
    head_over(r);
    r.in_call = false;
    ++info.calls_count;
    note_call(r);
    if (info.calls.size() < tds_rpc_calls_max)
        info.calls.push_back(std::move(r.call));
    else if (r.kind_of_call->handles)
        info.broken = true;
}

// --- Parameters ---

// Whether the name of a parameter, of which the first characters are here, is that of a statement: @stmt, @statement;
// tiberius leaves the @ out.
static bool names_statement(const uint8_t *name, size_t characters) {
    auto is = [&](size_t i, char lower) {
        return i < characters && name[2 * i + 1] == 0 && (name[2 * i] | 0x20) == lower;
    };
    size_t from = is(0, '@' | 0x20) ? 1 : 0;
    return is(from, 's') && is(from + 1, 't');
}

// A named parameter may stand in another's place.
static void check_name(tds_request_reader &r, const uint8_t *name, size_t characters) {
    auto at = static_cast<int64_t>(r.call.parameters);
    if (at <= r.kind_of_call->text && names_statement(name, characters) != (at == r.kind_of_call->text))
        r.call.swapped = true;
}

static result step_status(tds_request_reader &r, tds_request_cursor &c) {
    const uint8_t *p = tds_request_take(r, c, 1);
    if (p == nullptr)
        return result::more;
    r.encrypted = (p[0] & status_encrypted) != 0;
    return tds_request_go(r, tds_request_step_typed_value);
}

// The first three characters of a name of r.left.
static result step_name_of_statement(tds_request_reader &r, tds_request_cursor &c) {
    auto characters = static_cast<size_t>(std::min<uint64_t>(r.left, 3));
    const uint8_t *p = tds_request_take(r, c, 2 * characters);
    if (p == nullptr)
        return result::more;
    check_name(r, p, characters);
    r.skip = 2 * (r.left - characters);
    return tds_request_go(r, step_status);
}

static result begin_parameter(tds_request_reader &r, uint64_t at, uint8_t name) {
    if (name > parameter_name_max)
        return result::failed;
    if (r.call.parameters < tds_rpc_places)
        r.call.parameter_at[r.call.parameters] = at;
    bool asked = name > 0 && static_cast<int64_t>(r.call.parameters) <= r.kind_of_call->text;
    r.left = name;
    r.skip = asked ? 0U : 2U * name;
    return tds_request_go(r, asked ? step_name_of_statement : step_status);
}

tds_request_step tds_request_step_parameter(tds_request_reader &r, tds_request_cursor &c) {
    r.call.end = tds_request_at(r, c);
    if (r.call.parameters == r.kind_of_call->head)
        head_over(r);
    const uint8_t *p = tds_request_take(r, c, 1);
    if (p == nullptr)
        return result::more;
    bool ends = r.wide ? p[0] == separator || p[0] == separator_no_exec : p[0] == separator_narrow;
    if (!ends)
        return begin_parameter(r, r.call.end, p[0]);
    r.call.skipped = r.wide && p[0] == separator_no_exec;
    tds_request_call_end(r);
    return r.info->broken ? result::failed : tds_request_go(r, tds_request_step_call);
}

// --- Name or number, options ---

static result step_options(tds_request_reader &r, tds_request_cursor &c) {
    const uint8_t *p = tds_request_take(r, c, 2);
    if (p == nullptr)
        return result::more;
    r.call.options = get_u16le(p);
    r.call.options_at = tds_request_at(r, c) - 2;
    r.call.end = tds_request_at(r, c);
    r.in_call = true;
    return tds_request_enclave(r, tds_request_step_parameter);
}

static result begin_options(tds_request_reader &r, tds_proc proc) {
    r.call.proc = proc;
    r.kind_of_call = tds_proc_kind_of(proc);
    r.head_due = r.kind_of_call->head > 0;
    return tds_request_go(r, step_options);
}

static result step_number(tds_request_reader &r, tds_request_cursor &c) {
    const uint8_t *p = tds_request_take(r, c, 2);
    if (p == nullptr)
        return result::more;
    uint16_t number = get_u16le(p);
    if (number == 0 || number > tds_proc_number_max)
        return result::failed;
    return begin_options(r, static_cast<tds_proc>(number));
}

// Gathers what is left of the name.
static result step_name(tds_request_reader &r, tds_request_cursor &c) {
    auto n = std::min(static_cast<size_t>(r.left), static_cast<size_t>(c.end - c.p));
    r.name.insert(r.name.end(), c.p, c.p + n);
    c.p += n;
    r.left -= n;
    if (r.left > 0)
        return result::more;
    std::string name = tds_utf8(r.name);
    tds_proc proc = tds_proc_find(name);
    if (proc == tds_proc::other)
        r.call.name = std::move(name);
    return begin_options(r, proc);
}

tds_request_step tds_request_step_call(tds_request_reader &r, tds_request_cursor &c) {
    const uint8_t *p = tds_request_take(r, c, 2);
    if (p == nullptr)
        return result::more;
    r.call = {};
    r.call.index = r.info->calls_count;
    r.call.at = tds_request_at(r, c) - 2;
    r.text_read = false;
    r.head_due = true;
    if (get_u16le(p) == by_number)
        return tds_request_go(r, step_number);
    r.left = size_t{2} * get_u16le(p);
    if (r.left == 0 || r.left > procedure_name_max)
        return result::failed;
    r.name.clear();
    return tds_request_go(r, step_name);
}

bool tds_request_rpc_may_end(const tds_request_reader &r) {
    return r.step == tds_request_step_parameter || (r.step == tds_request_step_call && r.info->calls_count > 0);
}

uint64_t tds_request_held(const tds_request_reader *r) {
    if (r->info == nullptr || r->info->broken)
        return r->base;
    if (r->step == tds_request_step_call)
        return r->base - r->small_have;
    return r->head_due ? r->call.at : r->base;
}

tds_rpc_call tds_request_let_go(tds_request_reader *r) {
    bool due = std::exchange(r->head_due, false);
    return due ? r->call : tds_rpc_call();
}
