// Statements whose own words say what they leave behind: temp tables, cursors, trace flags, keys.
#include <utility>

#include "tds/tsql_scanner.h"

// A #t made inside of sp_executesql or a procedure ends with that, as a rule; a ##t does not, nor does a procedure.
static void add_temp(tsql_scanner &s, std::string &&name, bool procedure) {
    bool outlives = tsql_in_batch(s) || procedure || name.starts_with("##");
    if (name.starts_with('#') && (outlives || s.scope == tsql_scope::inner))
        tsql_add_name(s, outlives ? s.effect->temps : s.effect->inner.temps, std::move(name));
}

void tsql_finish_create(tsql_scanner &s) {
    tsql_object_name name;
    size_t i = 2;
    if (tsql_head_word(s, 1) != tsql_word::table)
        return;
    if (tsql_head_name(s, i, name))
        add_temp(s, std::move(name.bare), false);
    else
        tsql_not_understood(s);
}

void tsql_finish_definition(tsql_scanner &s) {
    size_t kind_at = tsql_head_word(s, 1) == tsql_word::or_ ? 3 : 1;
    tsql_object_name name;
    size_t i = kind_at + 1;
    bool procedure =
        tsql_head_word(s, kind_at) == tsql_word::proc || tsql_head_word(s, kind_at) == tsql_word::procedure;
    if (!tsql_head_name(s, i, name))
        tsql_not_understood(s);
    else if (procedure)
        add_temp(s, std::move(name.bare), true);
}

void tsql_finish_select_into(tsql_scanner &s) {
    tsql_object_name name;
    size_t i = 0;
    s.effect->writes = s.effect->transactions = true;
    s.only_select = false;
    for (auto index : {tsql_value_index::identity, tsql_value_index::scope_identity})
        if (s.values[index] == tsql_value::kept)
            s.values[index] = tsql_value::maybe;
    if (tsql_head_name(s, i, name))
        add_temp(s, std::move(name.bare), false);
    else
        tsql_not_understood(s);
}

static void declare_cursor(tsql_scanner &s) {
    bool local = false;
    for (size_t i = 2; i < s.head_count && tsql_head_word(s, i) != tsql_word::for_; ++i)
        local = local || tsql_head_word(s, i) == tsql_word::local;
    if (!local)
        tsql_add_name(s, s.effect->cursors, tsql_head_utf8(s, 1));
    s.values[tsql_value_index::rowcount] = s.values[tsql_value_index::error] = tsql_value::changed;
}

void tsql_finish_declare(tsql_scanner &s) {
    if (tsql_head_is(s, 1, tsql_token_kind::variable)) {
        if (!s.s.assigns)
            return;
        for (auto index : {tsql_value_index::rowcount, tsql_value_index::error})
            if (s.values[index] == tsql_value::kept)
                s.values[index] = tsql_value::maybe;
    } else if (tsql_head_is_name(s, 1) && s.s.cursor) {
        declare_cursor(s);
    } else {
        tsql_not_understood(s);
    }
}

// DBCC TRACEON (1222, 3604 [, -1]): with -1 they are the server's.
static void trace_flags(tsql_scanner &s, bool on) {
    for (size_t i = 2; i < s.head_count; ++i)
        if (tsql_head_symbol(s, i) == '-')
            return;
    bool sure = tsql_flow_sure(s) && !s.head_full;
    for (size_t i = 2; i < s.head_count; ++i) {
        if (tsql_head_is(s, i, tsql_token_kind::number))
            tsql_add_mark(s, tsql_trace_flag, tsql_head_utf8(s, i), on, sure);
        else if (on && tsql_head_is(s, i, tsql_token_kind::variable))
            tsql_add_mark(s, tsql_trace_flag, "?", true);
    }
    if (on && s.head_full)
        tsql_add_mark(s, tsql_trace_flag, "?", true);
}

void tsql_finish_dbcc(tsql_scanner &s) {
    if (tsql_head_spells(s, 1, "TRACEON"))
        trace_flags(s, true);
    else if (tsql_head_spells(s, 1, "TRACEOFF"))
        trace_flags(s, false);
}

void tsql_finish_open(tsql_scanner &s) {
    if (tsql_head_word(s, 1) == tsql_word::symmetric)
        tsql_add_mark(s, tsql_symmetric_key, tsql_head_lower(s, 3), true);
    else if (tsql_head_word(s, 1) == tsql_word::master)
        tsql_add_mark(s, tsql_symmetric_key, "master key", true);
}

void tsql_finish_close(tsql_scanner &s) {
    bool sure = tsql_flow_sure(s);
    if (tsql_head_word(s, 1) == tsql_word::symmetric)
        tsql_add_mark(s, tsql_symmetric_key, tsql_head_lower(s, 3), false, sure);
    else if (tsql_head_word(s, 1) == tsql_word::master)
        tsql_add_mark(s, tsql_symmetric_key, "master key", false, sure);
    else if (tsql_head_word(s, 1) == tsql_word::all && tsql_head_word(s, 2) == tsql_word::symmetric)
        tsql_add_mark(s, tsql_symmetric_key, "", false, sure);
}
