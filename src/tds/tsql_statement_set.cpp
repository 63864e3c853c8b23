// SET: options that can be replayed, those that cannot, and the many that look like one of them.
#include <algorithm>
#include <iterator>
#include <utility>

#include "tds/tsql_scanner.h"

// Those that keep statements from being run, or change what comes back, and cannot be read back meanwhile.
struct unreplayable {
    const char *name;
    bool of_statistics;
    bool keeps_from_running;
};
static constexpr unreplayable unreplayables[] = {
    {"NOEXEC", false, true},
    {"PARSEONLY", false, true},
    {"FMTONLY", false, true},
    {"SHOWPLAN_ALL", false, true},
    {"SHOWPLAN_TEXT", false, true},
    {"SHOWPLAN_XML", false, true},
    {"BABELFISH_SHOWPLAN_ALL", false, true},
    {"NO_BROWSETABLE", false, false}, // hidden key columns: SqlClient's CommandBehavior.KeyInfo
    {"PROFILE", true, false},
    {"XML", true, false},
};

static constexpr tds_option defaults_members[] = {
    tds_option::ansi_nulls,        tds_option::ansi_null_dflt_on,      tds_option::ansi_padding,
    tds_option::ansi_warnings,     tds_option::cursor_close_on_commit, tds_option::implicit_transactions,
    tds_option::quoted_identifier,
};

static constexpr size_t sets_max = 128; // in one effect

static void doubt(tsql_scanner &s, tds_option option) {
    if (tsql_in_batch(s))
        s.effect->doubtful |= tds_option_bit(option);
    else if (tsql_of_rpc(s))
        s.effect->inner.options |= tds_option_bit(option);
}

static void remove_sets(tsql_effect &effect, tds_option option) {
    auto same = [option](const tsql_set &set) { return set.option == option; };
    effect.sets.erase(std::remove_if(effect.sets.begin(), effect.sets.end(), same), effect.sets.end());
}

// What is set inside of sp_executesql or a procedure ends with it.
static void record(tsql_scanner &s, tds_option option, std::string &&value) {
    bool sure = tsql_flow_sure(s);
    if (option == tds_option::implicit_transactions)
        s.implicit_on = !(sure && value == "OFF");
    if (!tsql_in_batch(s) || !sure || s.effect->sets.size() == sets_max)
        return doubt(s, option);
    s.effect->sets.push_back({option, std::move(value)});
}

// --- values

struct set_value {
    bool on, off; // a switch
    bool known;   // a word or a number, in `text`
    std::string text;
};

static bool is_plain_word(std::string_view text) {
    return !text.empty() && text.size() <= 32 && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    });
}

static bool is_number(std::string_view text) {
    return !text.empty() && text.size() <= 20 &&
           std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

static std::string upper_text(const tsql_scanner &s, size_t i, std::string_view before = {}) {
    std::string text(before);
    text += tsql_head_utf8(s, i);
    for (char &c : text)
        c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    return text;
}

static std::string_view unsigned_part(std::string_view text) {
    return text.substr(text.starts_with('-') ? 1 : 0);
}

// The tokens from `i` to `end`.
static set_value read_value(const tsql_scanner &s, size_t i, size_t end) {
    set_value v{};
    bool minus = tsql_head_symbol(s, i) == '-';
    i += minus ? 1 : 0;
    if (i + 1 != end || s.head_full)
        return v;
    v.text = upper_text(s, i, minus ? "-" : "");
    switch (s.head[i].kind) {
    case tsql_token_kind::number: v.known = is_number(unsigned_part(v.text)); break;
    case tsql_token_kind::word:
        v.on = !minus && s.head[i].word == tsql_word::on;
        v.off = !minus && s.head[i].word == tsql_word::off;
        [[fallthrough]];
    case tsql_token_kind::text:
    case tsql_token_kind::name:
    case tsql_token_kind::either: v.known = !minus && is_plain_word(v.text); break;
    default: break;
    }
    return v;
}

// In lower case, as servers tell it.
static bool is_dateformat(std::string_view text) {
    static constexpr std::string_view formats[] = {"MDY", "DMY", "YMD", "YDM", "MYD", "DYM"};
    return std::find(std::begin(formats), std::end(formats), text) != std::end(formats);
}

static bool fits(tds_option option, const set_value &v) {
    if (!v.known)
        return false;
    bool number = is_number(unsigned_part(v.text));
    if (option == tds_option::dateformat)
        return is_dateformat(v.text);
    if (option == tds_option::deadlock_priority)
        return number || v.text == "LOW" || v.text == "NORMAL" || v.text == "HIGH";
    return number;
}

// --- one option

static void set_unknown(tsql_scanner &s) {
    tsql_turn_on(s, tsql_unknown);
}

static std::string lower_text(std::string text) {
    for (char &c : text)
        c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    return text;
}

static void set_option(tsql_scanner &s, tds_option option, const set_value &v) {
    if (tds_option_is_switch(option) ? v.on || v.off : fits(option, v))
        return record(s, option, option == tds_option::dateformat ? lower_text(v.text) : std::string(v.text));
    doubt(s, option);
    if (option == tds_option::implicit_transactions)
        s.implicit_on = true;
    if (tds_option_is_switch(option))
        set_unknown(s);
}

static void set_defaults(tsql_scanner &s, const set_value &v) {
    for (tds_option option : defaults_members)
        set_option(s, option, v);
    if (tsql_in_batch(s) || s.scope == tsql_scope::body)
        return;
    // In dynamic SQL it leaves Babelfish with IMPLICIT_TRANSACTIONS ON, which no reset takes back.
    s.effect->inner.options |= tds_option_bit(tds_option::implicit_transactions);
    s.effect->inner.state |= tsql_unknown;
}

// `n`: of the table above.
static void set_unreplayable(tsql_scanner &s, size_t n, const set_value &v) {
    if (!v.on && !v.off)
        return set_unknown(s);
    bool sure = tsql_flow_reached(s); // NOEXEC does not keep SET NOEXEC OFF from being run
    if (tsql_in_batch(s))
        tsql_add_mark(s, tsql_no_execution, unreplayables[n].name, v.on, sure);
    else if (v.on && tsql_of_rpc(s))
        s.effect->inner.state |= tsql_no_execution;
    if (!unreplayables[n].keeps_from_running)
        return;
    if (v.on)
        s.unexecuted |= uint32_t{1} << n;
    else if (sure)
        s.unexecuted &= ~(uint32_t{1} << n);
}

// Old ones that leave something behind only when they are on.
static bool is_forgotten(const tsql_scanner &s, size_t i) {
    return tsql_head_spells(s, i, "FIPS_FLAGGER") || tsql_head_spells(s, i, "DISABLE_DEF_CNST_CHK");
}

// --- the statements with a shape of their own

static void set_language(tsql_scanner &s) {
    bool in_batch = tsql_in_batch(s);
    s.effect->sets_language |= in_batch;
    s.effect->inner.place |= tsql_of_rpc(s);
    for (tds_option option : {tds_option::dateformat, tds_option::datefirst}) {
        if (in_batch && tsql_flow_sure(s))
            remove_sets(*s.effect, option);
        else
            doubt(s, option);
    }
}

static void set_isolation(tsql_scanner &s) {
    static constexpr std::string_view levels[] = {"READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SNAPSHOT",
                                                  "SERIALIZABLE"};
    std::string level = upper_text(s, 4);
    if (s.head_count == 6)
        level += upper_text(s, 5, " ");
    bool known = tsql_head_word(s, 2) == tsql_word::isolation && tsql_head_word(s, 3) == tsql_word::level &&
                 s.head_count <= 6 && std::find(std::begin(levels), std::end(levels), level) != std::end(levels);
    if (known)
        return record(s, tds_option::isolation_level, std::move(level));
    doubt(s, tds_option::isolation_level);
    set_unknown(s);
}

static void set_identity_insert(tsql_scanner &s) {
    tsql_object_name name;
    size_t i = 2;
    bool named = tsql_head_name(s, i, name);
    // The last word belongs to no name: the dots say where that ends.
    set_value v = read_value(s, i, s.head_count);
    if (!named || (!v.on && !v.off))
        return set_unknown(s);
    tsql_add_mark(s, tsql_identity_insert, std::move(name.folded), v.on, tsql_flow_sure(s));
}

// SET OFFSETS SELECT, FROM ... OFF
static void set_offsets(tsql_scanner &s) {
    if (s.head_full || tsql_head_word(s, s.head_count - 1) != tsql_word::off)
        set_unknown(s);
}

// --- names and values

static void set_one(tsql_scanner &s, size_t i, bool statistics, const set_value &v) {
    for (size_t n = 0; n < std::size(unreplayables); ++n)
        if (unreplayables[n].of_statistics == statistics && tsql_head_spells(s, i, unreplayables[n].name))
            return set_unreplayable(s, n, v);
    if (!statistics && tsql_head_spells(s, i, "ANSI_DEFAULTS"))
        return set_defaults(s, v);
    if (!statistics && tsql_head_word(s, i) == tsql_word::language)
        return set_language(s);
    if (!statistics && tsql_head_spells(s, i, "CONTEXT_INFO"))
        return tsql_turn_on(s, tsql_context_info);
    if (!statistics && is_forgotten(s, i) && v.off)
        return;
    tds_option option = tds_option_find(upper_text(s, i, statistics ? "STATISTICS " : ""));
    if (option == tds_option::count_)
        set_unknown(s);
    else
        set_option(s, option, v);
}

// What a list says in one of its parts, `begin` to `end`: of the names from `names` on, all but the last one without a
// value of their own.
static void set_part(tsql_scanner &s, size_t names, size_t begin, size_t end, bool statistics) {
    set_value v = read_value(s, begin + 1, end);
    for (size_t i = names; i <= begin; i += 2)
        set_one(s, i, statistics, v);
}

// SET a, b ON; SET a 1, b 2; SET STATISTICS IO, TIME ON
static void set_list(tsql_scanner &s) {
    bool statistics = tsql_head_word(s, 1) == tsql_word::statistics || tsql_head_spells(s, 1, "BABELFISH_STATISTICS");
    size_t names = statistics ? 2 : 1, begin = names;
    for (size_t i = begin; i <= s.head_count; ++i) {
        if (i < s.head_count && tsql_head_symbol(s, i) != ',')
            continue;
        if (i > begin + 1) { // a value has been given
            set_part(s, names, begin, i, statistics);
            names = i + 1;
        }
        begin = i + 1;
    }
    if (names < s.head_count || s.head_count <= 2 || s.head_full) // names without a value
        set_unknown(s);
    for (size_t i = names; i < s.head_count; i += 2)
        set_one(s, i, statistics, {});
}

void tsql_finish_set(tsql_scanner &s) {
    if (tsql_head_is(s, 1, tsql_token_kind::variable) || tsql_head_symbol(s, 1) == '(') // the latter: ALTER ... SET (
        return;
    if (tsql_head_word(s, 1) == tsql_word::transaction || tsql_head_word(s, 1) == tsql_word::tran)
        set_isolation(s);
    else if (tsql_head_spells(s, 1, "IDENTITY_INSERT"))
        set_identity_insert(s);
    else if (tsql_head_spells(s, 1, "OFFSETS"))
        set_offsets(s);
    else
        set_list(s);
}
