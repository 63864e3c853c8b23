// Control flow: which statements are surely run, and what the last values are when one is reached.
#include <algorithm>

#include "tds/tsql_scanner.h"

static bool is_conditional(tsql_frame_kind kind) {
    return kind != tsql_frame_kind::block;
}

bool tsql_flow_reached(const tsql_scanner &s) {
    return !s.escaped &&
           std::none_of(s.frames, s.frames + s.depth, [](const tsql_frame &f) { return is_conditional(f.kind); });
}

bool tsql_flow_sure(const tsql_scanner &s) {
    return s.unexecuted == 0 && tsql_flow_reached(s);
}

static tsql_values merged(const tsql_values &a, const tsql_values &b) {
    tsql_values both{};
    for (size_t i = 0; i < tsql_value_count; ++i)
        both.at[i] = a.at[i] == b.at[i] ? a.at[i] : tsql_value::maybe;
    return both;
}

// What was kept may have changed on another way to here.
static void blur_kept(tsql_values &v) {
    for (tsql_value &value : v.at)
        value = std::max(value, tsql_value::maybe);
}

void tsql_flow_begin(tsql_scanner &s) {
    s.depth = 0;
    s.escaped = false;
    s.unexecuted = 0;
}

static tsql_frame *top(tsql_scanner &s) {
    return s.depth == 0 ? nullptr : &s.frames[s.depth - 1];
}

static bool top_is(tsql_scanner &s, tsql_frame_kind kind) {
    return s.depth > 0 && s.frames[s.depth - 1].kind == kind;
}

static void push(tsql_scanner &s, tsql_frame_kind kind) {
    if (s.depth == tsql_frames_max) { // deeper than anybody writes: what is left is not read
        tsql_not_understood(s);
        s.skipping = true;
        return;
    }
    s.frames[s.depth++] = {kind, s.values, s.values};
}

void tsql_flow_completed(tsql_scanner &s) {
    for (tsql_frame *f = top(s); f != nullptr; f = top(s)) {
        switch (f->kind) {
        case tsql_frame_kind::if_then:
            f->first = s.values;
            f->kind = tsql_frame_kind::if_wait_else;
            return;
        case tsql_frame_kind::if_else: s.values = merged(f->first, s.values); break;
        case tsql_frame_kind::while_body: s.values = merged(f->before, s.values); break;
        default: return;
        }
        s.depth--;
    }
}

void tsql_flow_statement(tsql_scanner &s, bool is_else) {
    while (!is_else && top_is(s, tsql_frame_kind::if_wait_else)) {
        tsql_frame *f = top(s);
        s.values = merged(f->before, f->first);
        s.depth--;
        tsql_flow_completed(s);
    }
}

void tsql_flow_if(tsql_scanner &s) {
    push(s, tsql_frame_kind::if_cond);
}

// Its condition and its body may be reached again with anything in them done.
void tsql_flow_while(tsql_scanner &s) {
    blur_kept(s.values);
    push(s, tsql_frame_kind::while_body);
}

void tsql_flow_condition_over(tsql_scanner &s) {
    if (tsql_frame *f = top(s)) {
        f->before = s.values;
        if (f->kind == tsql_frame_kind::if_cond)
            f->kind = tsql_frame_kind::if_then;
    }
}

void tsql_flow_else(tsql_scanner &s) {
    if (!top_is(s, tsql_frame_kind::if_wait_else)) {
        tsql_not_understood(s);
        s.escaped = true;
        return;
    }
    tsql_frame *f = top(s);
    f->kind = tsql_frame_kind::if_else;
    s.values = f->before;
}

void tsql_flow_block(tsql_scanner &s) {
    push(s, tsql_frame_kind::block);
}

// Takes the innermost frame of this kind off, with what is not complete in it.
static bool pop_to(tsql_scanner &s, tsql_frame_kind kind) {
    if (!top_is(s, kind)) {
        tsql_not_understood(s);
        s.escaped = true;
    }
    while (s.depth > 0 && !top_is(s, kind))
        s.depth--;
    if (s.depth == 0)
        return false;
    s.depth--;
    return true;
}

void tsql_flow_end_block(tsql_scanner &s) {
    if (pop_to(s, tsql_frame_kind::block))
        tsql_flow_completed(s);
}

void tsql_flow_try(tsql_scanner &s) {
    push(s, tsql_frame_kind::try_);
    s.escaped = true;
}

void tsql_flow_end_try(tsql_scanner &s) {
    if (!pop_to(s, tsql_frame_kind::try_))
        return;
    s.depth++; // it stays, for its CATCH
    tsql_frame *f = top(s);
    f->kind = tsql_frame_kind::try_wait_catch;
    f->first = s.values;
}

// Reached from anywhere in the TRY block, by an error.
void tsql_flow_catch(tsql_scanner &s) {
    if (!pop_to(s, tsql_frame_kind::try_wait_catch))
        return;
    s.depth++;
    tsql_frame *f = top(s);
    f->kind = tsql_frame_kind::catch_;
    s.values = merged(f->before, f->first);
    s.values[tsql_value_index::rowcount] = std::max(s.values[tsql_value_index::rowcount], tsql_value::maybe);
    s.values[tsql_value_index::error] = tsql_value::changed;
}

void tsql_flow_end_catch(tsql_scanner &s) {
    if (!pop_to(s, tsql_frame_kind::catch_))
        return;
    s.values = merged(s.frames[s.depth].first, s.values);
    tsql_flow_completed(s);
}

void tsql_flow_jump(tsql_scanner &s) {
    s.escaped = true;
}

// Reached from anywhere.
void tsql_flow_label(tsql_scanner &s) {
    s.escaped = true;
    for (tsql_value &value : s.values.at)
        value = tsql_value::maybe;
}

void tsql_flow_end(tsql_scanner &s) {
    tsql_flow_statement(s, false);
    if (s.depth > 0)
        tsql_not_understood(s);
}
