// Where a statement ends: which words in it begin the next one, and which are a clause although they could.
//
// The worse mistake is to take the beginning of a statement for a clause: then what it does is not seen. So a word is a
// clause only where the statement cannot do without it, or behind a word that leaves no other choice.
#include <algorithm>

#include "tds/tsql_scanner.h"

bool tsql_last_word_is(const tsql_scanner &s, std::initializer_list<tsql_word> words) {
    return s.last_kind == tsql_token_kind::word && std::find(words.begin(), words.end(), s.last_word) != words.end();
}

// ALTER ... SET: only directly behind what is altered; the SET of the other statements has a parenthesis.
static bool alter_takes_set(const tsql_scanner &s) {
    size_t n = s.head_count;
    if (tsql_head_word(s, 1) == tsql_word::database)
        return n == 3 || (tsql_head_spells(s, 2, "SCOPED") && (n == 4 || n == 6));
    if (tsql_head_spells(s, 1, "SERVER"))
        return n == 3 && tsql_head_spells(s, 2, "CONFIGURATION");
    if (tsql_head_spells(s, 1, "EXTERNAL"))
        return n == (tsql_head_spells(s, 2, "DATA") ? 5U : 4U);
    tsql_object_name name;
    size_t i = 4;
    return tsql_head_spells(s, 1, "FULLTEXT") && tsql_head_word(s, 2) == tsql_word::index &&
           tsql_head_word(s, 3) == tsql_word::on && tsql_head_name(s, i, name) && i == n;
}

// ALTER TABLE t ALTER COLUMN
static bool alter_takes_alter(const tsql_scanner &s) {
    tsql_object_name name;
    size_t i = 2;
    return tsql_head_word(s, 1) == tsql_word::table && tsql_head_name(s, i, name) && i == s.head_count;
}

static bool set_is_clause(const tsql_scanner &s) {
    switch (s.s.kind) {
    case tsql_kind::update: return !s.s.set_seen;
    case tsql_kind::merge: return tsql_last_word_is(s, {tsql_word::update});
    case tsql_kind::alter:
    case tsql_kind::create: // a foreign key's ON DELETE SET NULL
        return (tsql_last_word_is(s, {tsql_word::delete_, tsql_word::update}) && s.word_before == tsql_word::on) ||
               (s.s.kind == tsql_kind::alter && alter_takes_set(s));
    default: return false;
    }
}

static bool select_is_clause(const tsql_scanner &s) {
    if (tsql_last_word_is(s, {tsql_word::union_, tsql_word::all, tsql_word::except, tsql_word::intersect}))
        return true;
    if (s.s.kind == tsql_kind::insert)
        return !s.s.sourced;
    return s.s.cursor && !s.s.queried;
}

// DROP TABLE IF EXISTS, ALTER TABLE t DROP COLUMN IF EXISTS
static bool if_is_clause(const tsql_scanner &s) {
    if (s.s.kind == tsql_kind::alter)
        return tsql_last_word_is(s, {tsql_word::drop, tsql_word::column, tsql_word::constraint});
    bool kind_only = s.s.tokens == 2 || (s.s.tokens == 3 && tsql_head_spells(s, 1, "SECURITY"));
    return s.s.kind == tsql_kind::drop && kind_only && s.last_kind == tsql_token_kind::word;
}

// Of the DML words, behind what they can only be a part of.
static bool dml_is_clause(const tsql_scanner &s, tsql_word word) {
    if (s.s.kind == tsql_kind::merge && tsql_last_word_is(s, {tsql_word::then}))
        return true;
    bool references = s.s.kind == tsql_kind::create || s.s.kind == tsql_kind::alter;
    bool cursor = s.s.cursor && word == tsql_word::update;
    if (references && tsql_last_word_is(s, {tsql_word::after, tsql_word::before})) // CREATE SECURITY POLICY
        return true;
    return (references && word != tsql_word::insert && tsql_last_word_is(s, {tsql_word::on})) ||
           (cursor && tsql_last_word_is(s, {tsql_word::for_}));
}

// GENERATED ALWAYS AS ROW END
static bool is_period_end(const tsql_scanner &s) {
    bool defines = s.s.kind == tsql_kind::create || s.s.kind == tsql_kind::alter;
    if (!defines || s.word_before != tsql_word::as || s.head_full || s.head_count == 0)
        return false;
    for (const char *what : {"ROW", "SUSER_SID", "SUSER_SNAME", "TRANSACTION_ID", "SEQUENCE_NUMBER"})
        if (tsql_head_spells(s, s.head_count - 1, what))
            return true;
    return false;
}

static bool is_join_hint(const tsql_scanner &s) {
    using enum tsql_word;
    return tsql_last_word_is(s, {inner, left, right, full, outer}) || s.s.kind == tsql_kind::alter;
}

// SET OFFSETS SELECT, FROM ON
static bool names_offset(const tsql_scanner &s) {
    return s.s.kind == tsql_kind::set && tsql_head_spells(s, 1, "OFFSETS") &&
           !tsql_last_word_is(s, {tsql_word::on, tsql_word::off});
}

static bool word_is_clause(const tsql_scanner &s, tsql_word word) {
    tsql_kind kind = s.s.kind;
    bool alters = kind == tsql_kind::alter;
    if (names_offset(s))
        return true;
    switch (word) {
    case tsql_word::set: return set_is_clause(s);
    case tsql_word::select: return select_is_clause(s);
    case tsql_word::insert:
    case tsql_word::update:
    case tsql_word::delete_: return dml_is_clause(s, word);
    case tsql_word::exec:
    case tsql_word::execute:
        return (kind == tsql_kind::insert && !s.s.sourced) || tsql_last_word_is(s, {tsql_word::with});
    case tsql_word::else_: return s.s.cases > 0;
    case tsql_word::end: return s.s.cases > 0 || is_period_end(s);
    case tsql_word::if_: return if_is_clause(s);
    case tsql_word::fetch: return tsql_last_word_is(s, {tsql_word::row, tsql_word::rows});
    case tsql_word::alter:
        return (alters && alter_takes_alter(s)) ||
               (kind == tsql_kind::create && tsql_last_word_is(s, {tsql_word::or_}));
    case tsql_word::drop:
    case tsql_word::reconfigure: return alters;
    case tsql_word::merge: return is_join_hint(s);
    case tsql_word::rollback: return alters && tsql_last_word_is(s, {tsql_word::with});
    case tsql_word::revert: return tsql_last_word_is(s, {tsql_word::no});
    case tsql_word::bulk: return s.s.tokens == 1 && (kind == tsql_kind::insert || kind == tsql_kind::text_pointer);
    default: return false;
    }
}

// WITH ... SELECT
bool tsql_follows_with(tsql_word word) {
    using enum tsql_word;
    return word == select || word == insert || word == update || word == delete_ || word == merge;
}

static bool condition_goes_on(const tsql_scanner &s, tsql_word word) {
    using enum tsql_word;
    if (s.s.cases > 0)
        return true;
    return word == update && tsql_last_word_is(s, {if_, while_, and_, or_, not_}); // UPDATE(column), in triggers
}

bool tsql_begins_another(const tsql_scanner &s, const tsql_token &t) {
    if (t.kind != tsql_token_kind::word || s.s.depth > 0 || s.last_symbol == '.')
        return false;
    bool condition = s.s.kind == tsql_kind::if_ || s.s.kind == tsql_kind::while_;
    switch (tsql_word_begins(t.word)) {
    case tsql_begins::never: return false;
    case tsql_begins::at_start: return condition && s.s.cases == 0;
    case tsql_begins::always: break;
    }
    if (condition)
        return !condition_goes_on(s, t.word);
    if (s.s.kind == tsql_kind::with)
        return !tsql_follows_with(t.word);
    if (s.s.kind == tsql_kind::grant && (!s.s.granted || tsql_last_word_is(s, {tsql_word::with})))
        return false;
    return !word_is_clause(s, t.word);
}
