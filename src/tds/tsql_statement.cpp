// What a complete statement of each kind does, as far as its kind alone says.
#include "tds/tsql_scanner.h"

#include <algorithm>
#include <iterator>
#include <utility>

struct kind_row {
    tsql_kind kind;
    bool transactions, writes, calls;
    tsql_value change[tsql_value_count]; // identity, scope identity, row count, error
    void (*finish)(tsql_scanner &);
};

static constexpr tsql_value kept = tsql_value::kept;
static constexpr tsql_value maybe = tsql_value::maybe;
static constexpr tsql_value changed = tsql_value::changed;

static void finish_select(tsql_scanner &s) {
    if (s.s.into)
        tsql_finish_select_into(s);
}

// One row for certain, unless it comes from a query: then the identity may stay what it was.
static void finish_insert(tsql_scanner &s) {
    if (!s.s.has_values)
        return;
    s.values[tsql_value_index::identity] = changed;
    s.values[tsql_value_index::scope_identity] = changed;
}

static void finish_use(tsql_scanner &s) {
    (tsql_in_batch(s) ? s.effect->uses_database : s.effect->inner.place) = true; // in no procedure
}

static void finish_begin_tran(tsql_scanner &s) {
    if (tsql_head_word(s, 0) == tsql_word::distributed)
        tsql_turn_on(s, tsql_bound_session);
}

static void finish_deallocate(tsql_scanner &s) {
    s.effect->deallocates = true;
}

static void finish_jump(tsql_scanner &s) {
    tsql_flow_jump(s);
}

// WAITFOR (RECEIVE ...)
static void finish_waitfor(tsql_scanner &s) {
    if (tsql_head_symbol(s, 1) == '(')
        s.effect->transactions = s.effect->writes = true;
}

static void finish_text_pointer(tsql_scanner &s) {
    if (tsql_head_word(s, 0) != tsql_word::readtext)
        s.effect->transactions = s.effect->writes = true;
}

static void finish_setuser(tsql_scanner &s) {
    tsql_add_mark(s, tsql_impersonation, "setuser", s.head_count > 1, tsql_flow_sure(s));
}

// What EXECUTE AS began inside of a procedure or of sp_executesql ends with that.
static void finish_revert(tsql_scanner &s) {
    bool cookie = tsql_head_word(s, 1) == tsql_word::with;
    if (tsql_in_batch(s))
        tsql_add_mark(s, tsql_impersonation, cookie ? "cookie" : "as", false, tsql_flow_sure(s));
}

static void finish_unknown(tsql_scanner &s) {
    tsql_turn_on(s, tsql_unknown);
}

static void finish_nothing(tsql_scanner &) {}

// In the order of tsql_kind.
static constexpr kind_row rows[] = {
    {tsql_kind::none, false, false, false, {kept, kept, kept, kept}, finish_nothing},
    {tsql_kind::with, true, true, true, {maybe, maybe, maybe, maybe}, tsql_not_understood},
    {tsql_kind::select, false, false, false, {kept, kept, changed, changed}, finish_select},
    {tsql_kind::insert, true, true, false, {maybe, maybe, changed, changed}, finish_insert},
    {tsql_kind::update, true, true, false, {maybe, kept, changed, changed}, finish_nothing},
    {tsql_kind::delete_, true, true, false, {maybe, kept, changed, changed}, finish_nothing},
    {tsql_kind::merge, true, true, false, {maybe, maybe, changed, changed}, finish_nothing},
    // "EXECUTE statements preserve the previous @@ROWCOUNT" when what they run does.
    {tsql_kind::exec, false, false, false, {maybe, maybe, maybe, changed}, tsql_finish_exec},
    {tsql_kind::called, false, false, false, {maybe, maybe, maybe, changed}, tsql_finish_exec},
    {tsql_kind::set, false, false, false, {kept, kept, changed, changed}, tsql_finish_set},
    {tsql_kind::use, false, false, false, {kept, kept, changed, changed}, finish_use},
    {tsql_kind::declare, false, false, false, {kept, kept, kept, kept}, tsql_finish_declare},
    {tsql_kind::if_, false, false, false, {kept, kept, maybe, maybe}, finish_nothing},
    {tsql_kind::while_, false, false, false, {kept, kept, maybe, maybe}, finish_nothing},
    {tsql_kind::begin, false, false, false, {kept, kept, maybe, maybe}, finish_nothing},
    {tsql_kind::end, false, false, false, {kept, kept, maybe, maybe}, finish_nothing},
    {tsql_kind::begin_tran, true, false, false, {kept, kept, maybe, changed}, finish_begin_tran},
    {tsql_kind::end_tran, true, false, false, {kept, kept, maybe, changed}, finish_nothing},
    // Triggers on definitions may do anything.
    {tsql_kind::create, true, true, false, {maybe, kept, maybe, changed}, tsql_finish_create},
    {tsql_kind::alter, true, true, false, {maybe, kept, maybe, changed}, finish_nothing},
    {tsql_kind::drop, true, true, false, {maybe, kept, maybe, changed}, finish_nothing},
    {tsql_kind::definition, true, true, false, {maybe, kept, maybe, changed}, tsql_finish_definition},
    {tsql_kind::grant, true, true, false, {maybe, kept, maybe, changed}, finish_nothing},
    {tsql_kind::dbcc, false, false, false, {kept, kept, maybe, changed}, tsql_finish_dbcc},
    {tsql_kind::open, false, false, false, {kept, kept, maybe, changed}, tsql_finish_open},
    {tsql_kind::close, false, false, false, {kept, kept, maybe, changed}, tsql_finish_close},
    {tsql_kind::deallocate, false, false, false, {kept, kept, maybe, changed}, finish_deallocate},
    {tsql_kind::fetch, false, false, false, {kept, kept, changed, changed}, finish_nothing},
    {tsql_kind::print, false, false, false, {kept, kept, changed, changed}, finish_nothing},
    {tsql_kind::raiserror, false, false, false, {kept, kept, changed, changed}, finish_nothing},
    {tsql_kind::throw_, false, false, false, {kept, kept, changed, changed}, finish_jump},
    {tsql_kind::return_, false, false, false, {kept, kept, maybe, maybe}, finish_jump},
    {tsql_kind::jump, false, false, false, {kept, kept, maybe, maybe}, finish_jump},
    {tsql_kind::waitfor, false, false, false, {maybe, maybe, maybe, changed}, finish_waitfor},
    {tsql_kind::truncate, true, true, false, {maybe, kept, maybe, changed}, finish_nothing},
    {tsql_kind::bulk, true, true, false, {maybe, maybe, changed, changed}, finish_nothing},
    {tsql_kind::text_pointer, false, false, false, {maybe, kept, maybe, changed}, finish_text_pointer},
    {tsql_kind::setuser, false, false, false, {kept, kept, maybe, changed}, finish_setuser},
    {tsql_kind::revert, false, false, false, {kept, kept, maybe, changed}, finish_revert},
    {tsql_kind::broker, true, true, false, {maybe, maybe, maybe, changed}, finish_nothing},
    {tsql_kind::quiet, false, false, false, {kept, kept, maybe, maybe}, finish_nothing},
    {tsql_kind::admin, true, true, false, {maybe, kept, maybe, changed}, finish_nothing},
    {tsql_kind::unknown, true, true, true, {maybe, maybe, maybe, maybe}, finish_unknown},
};

static constexpr bool in_order() {
    for (size_t i = 0; i < std::size(rows); ++i)
        if (rows[i].kind != static_cast<tsql_kind>(i))
            return false;
    return std::size(rows) == static_cast<size_t>(tsql_kind::count_);
}
static_assert(in_order());

// "Statements such as USE, SET <option>, BEGIN TRANSACTION, COMMIT TRANSACTION reset the ROWCOUNT value to 0."
static bool leaves_no_count(const tsql_scanner &s, bool option) {
    switch (s.s.kind) {
    case tsql_kind::set: return option;
    case tsql_kind::end_tran: return tsql_head_word(s, 0) == tsql_word::commit;
    default: return s.s.kind == tsql_kind::use || s.s.kind == tsql_kind::begin_tran;
    }
}

void tsql_statement_finish(tsql_scanner &s) {
    const kind_row &row = rows[static_cast<size_t>(s.s.kind)];
    tsql_effect &effect = *s.effect;
    bool option = s.s.kind == tsql_kind::set && !tsql_head_is(s, 1, tsql_token_kind::variable);
    s.no_count = s.no_count && leaves_no_count(s, option);
    effect.transactions = effect.transactions || row.transactions || (s.implicit_on && !option);
    effect.writes = effect.writes || row.writes;
    effect.calls = effect.calls || row.calls;
    tsql_values before = s.values;
    for (size_t i = 0; i < tsql_value_count; ++i)
        s.values.at[i] = std::max(s.values.at[i], row.change[i]);
    row.finish(s);
    // Under NOEXEC nothing is surely done.
    for (size_t i = 0; s.unexecuted != 0 && i < tsql_value_count; ++i)
        if (before.at[i] != s.values.at[i])
            s.values.at[i] = maybe;
}

// --- what is left behind

static void add_name(std::vector<std::string> &names, std::string &&name, bool &too_many) {
    if (std::find(names.begin(), names.end(), name) != names.end())
        return;
    if (names.size() == tsql_names_max)
        too_many = true;
    else
        names.push_back(std::move(name));
}

void tsql_add_name(tsql_scanner &s, std::vector<std::string> &names, std::string &&name) {
    add_name(names, std::move(name), s.effect->too_many);
}

void tsql_turn_on(tsql_scanner &s, tsql_state state) {
    s.effect->turned_on |= state;
}

void tsql_add_mark(tsql_scanner &s, tsql_state state, std::string &&what, bool on, bool sure) {
    if (!on && !sure)
        return;
    if (s.effect->marks.size() == tsql_names_max) {
        s.effect->too_many = true;
        tsql_turn_on(s, on ? state : 0);
        return;
    }
    s.effect->marks.push_back({state, std::move(what), on, sure});
}

// Anything may have been in it.
void tsql_not_understood(tsql_scanner &s) {
    tsql_effect &effect = *s.effect;
    tsql_turn_on(s, tsql_unknown);
    effect.calls = effect.transactions = effect.writes = true;
    effect.last_unclear = tsql_last_identity | tsql_last_scope_identity | tsql_last_rowcount | tsql_last_error;
    s.only_select = s.no_count = false;
}

// --- marks

static bool is_counted(tsql_state state) {
    return state == tsql_impersonation || state == tsql_app_lock;
}

static void hold(std::vector<tsql_mark> &held, const tsql_mark &mark) {
    auto same = [&](const tsql_mark &m) { return m.state == mark.state && m.what == mark.what; };
    if (is_counted(mark.state) || std::none_of(held.begin(), held.end(), same))
        held.push_back(mark);
}

static void let_go(std::vector<tsql_mark> &held, const tsql_mark &mark) {
    auto same = [&](const tsql_mark &m) { return m.state == mark.state && (m.what == mark.what || mark.what.empty()); };
    if (!is_counted(mark.state)) {
        held.erase(std::remove_if(held.begin(), held.end(), same), held.end());
        return;
    }
    auto last = std::find_if(held.rbegin(), held.rend(), same);
    if (last != held.rend())
        held.erase(std::next(last).base());
}

void tsql_marks_apply(std::vector<tsql_mark> &held, const std::vector<tsql_mark> &marks) {
    for (const tsql_mark &mark : marks) {
        if (mark.on)
            hold(held, mark);
        else if (mark.sure)
            let_go(held, mark);
    }
}

static void add_names(std::vector<std::string> &to, const std::vector<std::string> &names, bool &too_many) {
    for (const std::string &name : names)
        add_name(to, std::string(name), too_many);
}

void tsql_effect_add(tsql_effect &to, const tsql_effect &more) {
    to.sets.insert(to.sets.end(), more.sets.begin(), more.sets.end());
    to.uses_database |= more.uses_database;
    to.sets_language |= more.sets_language;
    to.doubtful |= more.doubtful;
    to.turned_on |= more.turned_on;
    to.turned_off = (to.turned_off | more.turned_off) & ~to.turned_on;
    to.passing = (to.passing | more.passing) & to.turned_on;
    to.marks.insert(to.marks.end(), more.marks.begin(), more.marks.end());
    to.drops_temps |= more.drops_temps;
    to.deallocates |= more.deallocates;
    to.bulk_load |= more.bulk_load;
    to.too_many |= more.too_many;
    to.inner.options |= more.inner.options;
    to.inner.place |= more.inner.place;
    to.inner.state |= more.inner.state;
    add_names(to.inner.temps, more.inner.temps, to.too_many);
    add_names(to.temps, more.temps, to.too_many);
    add_names(to.cursors, more.cursors, to.too_many);
    add_names(to.procedures, more.procedures, to.too_many);
    to.calls |= more.calls;
    to.transactions |= more.transactions;
    to.writes |= more.writes;
    to.empty = to.lone_select = to.no_count = false;
    to.last_unclear |= more.last_unclear;
    for (const tsql_last_use &use : more.last_uses)
        to.last_unclear |= use.which;
}

void tsql_sum_marks(tsql_effect &effect) {
    if (effect.marks.empty())
        return;
    tsql_state on = 0, off = 0, left = 0;
    std::vector<tsql_mark> held;
    tsql_marks_apply(held, effect.marks);
    for (const tsql_mark &mark : effect.marks)
        (mark.on ? on : off) |= mark.state;
    for (const tsql_mark &mark : held)
        left |= mark.state;
    effect.turned_on |= on;
    effect.turned_off = effect.too_many ? 0 : off & ~effect.turned_on;
    effect.passing = effect.too_many ? 0 : on & ~left;
}
