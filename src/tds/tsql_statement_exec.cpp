// EXECUTE: procedures, texts in literals, EXECUTE AS.
#include <algorithm>
#include <iterator>
#include <new>
#include <utility>

#include "tds/tsql_known.h"
#include "tds/tsql_scanner.h"

// --- the literal that is run: it has a scanner of its own

static bool inner_begin(tsql_scanner &s) {
    if (s.level + 1 >= tsql_nesting_max)
        return false;
    if (s.inner == nullptr)
        s.inner.reset(tsql_scanner_create());
    if (s.inner == nullptr)
        return false;
    tsql_scanner &inner = *s.inner;
    inner.level = s.level + 1;
    s.inner_effect = {};
    tsql_scan_begin(&inner, tsql_scope::inner, s.inner_effect);
    inner.nested = true;
    inner.implicit_on = s.implicit_on;
    inner.values = s.values;
    s.s.inner = true;
    return true;
}

static void append(std::vector<std::string> &names, std::vector<std::string> &more, tsql_scanner &s) {
    for (std::string &name : more)
        tsql_add_name(s, names, std::move(name));
}

void tsql_inner_merge(tsql_scanner &s, bool sure) {
    if (!s.s.inner)
        return;
    s.s.inner = false;
    tsql_scan_end(s.inner.get());
    tsql_effect &from = s.inner_effect, &to = *s.effect;
    append(to.temps, from.temps, s);
    append(to.cursors, from.cursors, s);
    append(to.procedures, from.procedures, s);
    append(to.inner.temps, from.inner.temps, s);
    to.inner.options |= from.inner.options;
    to.inner.state |= from.inner.state;
    to.inner.place |= from.inner.place;
    to.drops_temps |= from.drops_temps;
    to.deallocates |= from.deallocates;
    to.bulk_load |= from.bulk_load;
    to.calls |= from.calls;
    to.too_many |= from.too_many;
    to.transactions |= from.transactions;
    to.writes |= from.writes;
    to.last_unclear |= from.last_unclear;
    to.turned_on |= from.turned_on;
    for (tsql_mark &mark : from.marks)
        tsql_add_mark(s, mark.state, std::move(mark.what), mark.on, mark.sure && sure && tsql_flow_sure(s));
}

void tsql_inner_content(tsql_scanner &s, std::span<const uint8_t> utf16) {
    if (s.s.inner)
        tsql_scan_feed(s.inner.get(), utf16);
}

// Where the name of what is called begins.
static size_t name_at(const tsql_scanner &s) {
    size_t i = s.s.kind == tsql_kind::exec ? 1 : 0;
    if (tsql_head_is(s, i, tsql_token_kind::variable) && tsql_head_symbol(s, i + 1) == '=')
        i += 2; // EXEC @status = p
    return i;
}

static bool is_string(const tsql_scanner &s) {
    return s.s.kind == tsql_kind::exec && tsql_head_symbol(s, 1) == '(';
}

// A system procedure goes by its name alone, or with its schema; who calls his own one so names another schema.
static tsql_known known_of(const tsql_object_name &name) {
    bool system = name.parts < 4 && (name.schema.empty() || name.schema == "sys" || name.schema == "dbo");
    return system ? tsql_known_find(name.lower) : tsql_known::no;
}

// sp_executesql's first argument; whatever it is called, as servers do not look at the name.
static bool is_first_argument(const tsql_scanner &s) {
    tsql_object_name name;
    size_t i = name_at(s);
    if (s.head_full || !tsql_head_name(s, i, name) || known_of(name) != tsql_known::execute_sql)
        return false;
    if (i == s.head_count)
        return true;
    return i + 2 == s.head_count && tsql_head_symbol(s, i + 1) == '=' &&
           (tsql_head_spells(s, i, "@STMT") || tsql_head_spells(s, i, "@STATEMENT"));
}

bool tsql_wants_content(tsql_scanner &s) {
    if (s.skipping || s.defining || s.s.waits || (s.s.kind != tsql_kind::exec && s.s.kind != tsql_kind::called))
        return false;
    bool wanted = is_string(s) ? s.s.depth == 1 && s.s.literal && (s.last_symbol == '(' || s.last_symbol == '+')
                               : s.s.depth == 0 && !s.s.inner && is_first_argument(s);
    if (!wanted)
        return false;
    if (!s.s.inner && !inner_begin(s))
        s.s.literal = false;
    return s.s.inner;
}

static bool is_literal(const tsql_token &t) {
    return t.kind == tsql_token_kind::text || t.kind == tsql_token_kind::either;
}

static bool was_literal(const tsql_scanner &s) {
    return s.last_kind == tsql_token_kind::text || s.last_kind == tsql_token_kind::either;
}

// EXEC ('..' + '..'): anything else in it makes the text one that is not there.
static void string_token(tsql_scanner &s, const tsql_token &t) {
    if (s.s.depth == 0) { // behind it
        s.s.at_server = s.s.at_server || t.word == tsql_word::at;
        return;
    }
    bool fits = is_literal(t) ? s.last_symbol == '(' || s.last_symbol == '+' : t.symbol == '+' && was_literal(s);
    s.s.literal = s.s.literal && fits;
}

// The statement of sp_executesql is a literal as a whole: behind it comes another argument, or nothing.
static void argument_token(tsql_scanner &s, const tsql_token &t) {
    if (!s.s.inner || s.s.depth > 0)
        return;
    if (is_literal(t) && !s.s.has_values)
        s.s.literal = s.s.has_values = true;
    else if (was_literal(s) && s.s.literal && !s.s.sourced) {
        s.s.literal = t.symbol == ',' || t.word == tsql_word::with;
        s.s.sourced = true;
    }
}

void tsql_exec_token(tsql_scanner &s, const tsql_token &t) {
    if (s.s.kind == tsql_kind::exec && s.s.tokens == 1 && t.symbol == '(')
        s.s.literal = true;
    else if (is_string(s) && !(t.symbol == ')' && s.s.depth == 0 && was_literal(s)))
        string_token(s, t);
    else if (!is_string(s))
        argument_token(s, t);
}

// --- EXECUTE AS

// What cannot be reverted outlives a procedure too.
static void execute_as(tsql_scanner &s) {
    std::string what = "as";
    for (size_t i = 2; i < s.head_count; ++i) {
        if (tsql_head_word(s, i) == tsql_word::cookie)
            what = "cookie";
        if (tsql_head_word(s, i) == tsql_word::no)
            what = "no revert";
    }
    if (tsql_in_batch(s) || what != "as")
        tsql_add_mark(s, tsql_impersonation, std::move(what), true);
    else if (tsql_of_rpc(s))
        s.effect->inner.state |= tsql_impersonation;
}

// --- procedures

// An argument by name or, without names, by place. False: not given. `i`: of its value.
static bool find_argument(const tsql_scanner &s, size_t first, std::string_view upper_name, size_t place, size_t &i) {
    size_t argument = 0;
    bool begins = true;
    for (i = first; i < s.head_count; ++i) {
        bool named = begins && tsql_head_is(s, i, tsql_token_kind::variable) && tsql_head_symbol(s, i + 1) == '=';
        if (named && tsql_head_spells(s, i, upper_name)) {
            i += 2;
            return i < s.head_count;
        }
        if (begins && !named && argument == place)
            return true;
        begins = tsql_head_symbol(s, i) == ',';
        argument += begins ? 1 : 0;
    }
    return false;
}

// The default owner is the transaction.
static bool owned_by_session(const tsql_scanner &s, size_t first, size_t place) {
    size_t i = 0;
    bool cut = std::any_of(s.head, s.head + s.head_count, [](const tsql_head_token &t) { return t.cut; });
    if (s.head_full || cut)
        return true;
    return find_argument(s, first, "@LOCKOWNER", place, i) && !tsql_head_spells(s, i, "TRANSACTION");
}

static std::string lock_name(const tsql_scanner &s, size_t first, bool &literal) {
    size_t i = 0;
    literal = find_argument(s, first, "@RESOURCE", 0, i) && !s.head[i].cut &&
              (tsql_head_is(s, i, tsql_token_kind::text) || tsql_head_is(s, i, tsql_token_kind::word));
    return literal ? tsql_head_utf8(s, i) : "?";
}

static void app_lock(tsql_scanner &s, size_t first, bool on) {
    bool literal = false;
    std::string what = lock_name(s, first, literal);
    if (owned_by_session(s, first, on ? 2 : 1) && (on || literal))
        tsql_add_mark(s, tsql_app_lock, std::move(what), on, tsql_flow_sure(s));
}

static void run_text(tsql_scanner &s) {
    bool literal = s.s.inner && s.s.literal;
    tsql_inner_merge(s, literal);
    if (literal)
        return;
    tsql_turn_on(s, tsql_dynamic);
    s.effect->transactions = s.effect->writes = true;
}

static void anything_called(tsql_scanner &s) {
    s.effect->transactions = s.effect->writes = true;
}

static void call_known(tsql_scanner &s, tsql_known known, size_t first) {
    if (known == tsql_known::execute_sql)
        return run_text(s);
    anything_called(s);
    switch (known) {
    case tsql_known::runs_text: tsql_turn_on(s, tsql_dynamic); break;
    case tsql_known::session_context: tsql_turn_on(s, tsql_session_context); break;
    case tsql_known::get_app_lock: app_lock(s, first, true); break;
    case tsql_known::release_app_lock: app_lock(s, first, false); break;
    case tsql_known::set_app_role: tsql_add_mark(s, tsql_app_role, "", true); break;
    case tsql_known::unset_app_role: tsql_add_mark(s, tsql_app_role, "", false, tsql_flow_sure(s)); break;
    case tsql_known::bind_session: tsql_turn_on(s, tsql_bound_session); break;
    case tsql_known::handle: tsql_turn_on(s, tsql_handle); break;
    case tsql_known::unknown: tsql_turn_on(s, tsql_unknown); break;
    default: break;
    }
}

static void call_procedure(tsql_scanner &s) {
    size_t i = name_at(s);
    tsql_object_name name;
    if (tsql_head_is(s, i, tsql_token_kind::variable)) { // EXEC @name
        anything_called(s);
        tsql_turn_on(s, tsql_dynamic);
        return;
    }
    if (!tsql_head_name(s, i, name)) {
        tsql_not_understood(s);
        return;
    }
    tsql_known known = known_of(name);
    if (known != tsql_known::no)
        return call_known(s, known, i);
    anything_called(s);
    if (name.parts < 4) // with four it runs on another server
        tsql_add_name(s, s.effect->procedures, std::move(name.written));
}

void tsql_finish_exec(tsql_scanner &s) {
    tsql_effect &effect = *s.effect;
    if (s.s.inserts) {
        effect.transactions = effect.writes = true;
        s.values[tsql_value_index::rowcount] = tsql_value::changed;
    }
    if (s.s.kind == tsql_kind::exec && tsql_head_word(s, 1) == tsql_word::as)
        return execute_as(s);
    effect.calls = true;
    if (!is_string(s))
        return call_procedure(s);
    if (s.s.at_server) { // all of it happens there
        anything_called(s);
        if (s.s.inner)
            tsql_scan_end(s.inner.get());
        s.s.inner = false;
        return;
    }
    run_text(s);
}
