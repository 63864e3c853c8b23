// The last values: where @@IDENTITY, SCOPE_IDENTITY(), @@ROWCOUNT, ROWCOUNT_BIG() and @@ERROR are named.
#include "tds/tsql_scanner.h"

static constexpr size_t uses_max = 64; // in one effect

static constexpr tsql_last bit_of(tsql_value_index index) {
    return static_cast<tsql_last>(1U << static_cast<unsigned>(index));
}
static_assert(bit_of(tsql_value_index::identity) == tsql_last_identity);
static_assert(bit_of(tsql_value_index::scope_identity) == tsql_last_scope_identity);
static_assert(bit_of(tsql_value_index::rowcount) == tsql_last_rowcount);
static_assert(bit_of(tsql_value_index::error) == tsql_last_error);

// Whether an expression with a literal in it may stand here, and is evaluated now. In EXEC's arguments, for one, only
// a plain literal may; a column's DEFAULT is evaluated by and by.
static bool takes_expression(const tsql_scanner &s) {
    switch (s.s.kind) {
    case tsql_kind::select:
    case tsql_kind::insert:
    case tsql_kind::update:
    case tsql_kind::delete_:
    case tsql_kind::merge:
    case tsql_kind::with: return !s.s.sorted;
    case tsql_kind::if_:
    case tsql_kind::print:
    case tsql_kind::return_: return true;
    case tsql_kind::set: return tsql_head_is(s, 1, tsql_token_kind::variable) && !s.s.cursor;
    case tsql_kind::declare: return s.s.assigns;
    default: return false;
    }
}

void tsql_value_named(tsql_scanner &s, tsql_value_index index, bool big, uint64_t at, uint64_t end) {
    tsql_value value = s.values[index];
    // Inside of sp_executesql and procedures these are their own: of the scope, and of what they run.
    bool of_scope = index == tsql_value_index::scope_identity || index == tsql_value_index::error;
    bool own = of_scope && !tsql_in_batch(s);
    if (value == tsql_value::changed || own)
        return;
    bool replaceable = value == tsql_value::kept && !s.nested && s.scope != tsql_scope::body && takes_expression(s);
    if (replaceable && s.effect->last_uses.size() < uses_max)
        s.effect->last_uses.push_back({bit_of(index), big, at, end - at});
    else
        s.effect->last_unclear |= bit_of(index);
}

static bool is_spelled(std::u16string_view text, std::string_view upper) {
    if (text.size() != upper.size())
        return false;
    for (size_t i = 0; i < upper.size(); ++i) {
        char16_t c = text[i] >= 'a' && text[i] <= 'z' ? static_cast<char16_t>(text[i] - 'a' + 'A') : text[i];
        if (c != static_cast<char16_t>(upper[i]))
            return false;
    }
    return true;
}

// The functions' names in brackets or quotes, should servers take them so: never replaced.
static void quoted_token(tsql_scanner &s, const tsql_token &t) {
    if (is_spelled(t.text, "SCOPE_IDENTITY") && tsql_in_batch(s) &&
        s.values[tsql_value_index::scope_identity] != tsql_value::changed)
        s.effect->last_unclear |= tsql_last_scope_identity;
    if (is_spelled(t.text, "ROWCOUNT_BIG") && s.values[tsql_value_index::rowcount] != tsql_value::changed)
        s.effect->last_unclear |= tsql_last_rowcount;
}

// Behind the name: its parentheses, with nothing between them.
static void call_token(tsql_scanner &s, const tsql_token &t) {
    tsql_value_call &call = s.call;
    if (t.symbol == (call.tokens == 1 ? u'(' : u')')) {
        if (++call.tokens < 3)
            return;
        tsql_value_named(s, call.index, call.big, call.at, t.end);
    }
    call.tokens = 0;
}

void tsql_value_token(tsql_scanner &s, const tsql_token &t) {
    if (s.call.tokens > 0)
        call_token(s, t);
    if (s.last_symbol == '.')
        return;
    if (t.kind == tsql_token_kind::name || t.kind == tsql_token_kind::either)
        quoted_token(s, t);
    switch (t.word) {
    case tsql_word::sys_identity: tsql_value_named(s, tsql_value_index::identity, false, t.at, t.end); break;
    case tsql_word::sys_rowcount: tsql_value_named(s, tsql_value_index::rowcount, false, t.at, t.end); break;
    case tsql_word::sys_error: tsql_value_named(s, tsql_value_index::error, false, t.at, t.end); break;
    case tsql_word::scope_identity: s.call = {tsql_value_index::scope_identity, false, 1, t.at}; break;
    case tsql_word::rowcount_big: s.call = {tsql_value_index::rowcount, true, 1, t.at}; break;
    case tsql_word::sys_spid: s.spid = true; break;
    default: break;
    }
}
