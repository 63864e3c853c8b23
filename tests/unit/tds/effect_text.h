// What a text does, as one line for tables of tests: only what is not so by default, in the order of tsql_effect.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cmocka_cpp.h"

#include "tds/tsql_effect.h"
#include "tds/tsql_scan.h"
#include "tds/utf16.h"

struct effect_line {
    std::string text;
    void add(std::string_view word, std::string_view more = {}, std::string_view last = {}) {
        text.append(text.empty() ? "" : ", ");
        text.append(word).append(more).append(last);
    }
    void add_if(bool condition, std::string_view word) {
        if (condition)
            add(word);
    }
};

inline void effect_states(effect_line &line, std::string_view how, tsql_state states) {
    static constexpr std::pair<tsql_state, const char *> names[] = {
        {tsql_context_info, "context_info"},
        {tsql_session_context, "session_context"},
        {tsql_impersonation, "impersonation"},
        {tsql_app_role, "app_role"},
        {tsql_app_lock, "app_lock"},
        {tsql_trace_flag, "trace_flag"},
        {tsql_symmetric_key, "symmetric_key"},
        {tsql_identity_insert, "identity_insert"},
        {tsql_no_execution, "no_execution"},
        {tsql_spid, "spid"},
        {tsql_bound_session, "bound_session"},
        {tsql_unknown, "unknown"},
        {tsql_dynamic, "dynamic"},
        {tsql_handle, "handle"},
    };
    for (const auto &[state, name] : names)
        if ((states & state) != 0)
            line.add(how, name);
}

inline const char *effect_last_name(tsql_last which, bool big) {
    switch (which) {
    case tsql_last_identity: return "identity";
    case tsql_last_scope_identity: return "scope";
    case tsql_last_rowcount: return big ? "rowcount_big" : "rowcount";
    default: return "error";
    }
}

inline void effect_last(effect_line &line, const tsql_effect &e) {
    for (const tsql_last_use &u : e.last_uses)
        line.add(effect_last_name(u.which, u.big), "@",
                 std::to_string(u.at).append("+").append(std::to_string(u.units)));
    for (unsigned bit = 0; bit < 4; ++bit)
        if ((e.last_unclear & 1U << bit) != 0)
            line.add("unclear ", effect_last_name(static_cast<tsql_last>(1U << bit), false));
}

// What a text that is not understood may do on top of what was seen in it.
inline bool effect_is_anything(const tsql_effect &e) {
    return (e.turned_on & tsql_unknown) != 0 && e.last_unclear == 0xf && e.calls && e.transactions && e.writes;
}

inline std::string effect_text(const tsql_effect &e) {
    effect_line line;
    if (effect_is_anything(e)) {
        tsql_effect rest = e;
        rest.turned_on &= ~tsql_unknown;
        rest.last_unclear = 0;
        rest.calls = rest.transactions = rest.writes = false;
        line.add("anything");
        if (std::string text = effect_text(rest); !text.empty())
            line.add(text);
        return line.text;
    }
    for (const tsql_set &set : e.sets)
        line.add(tds_option_name(set.option), "=", set.value);
    line.add_if(e.uses_database, "use");
    line.add_if(e.sets_language, "language");
    for (size_t i = 0; i < tds_option_count; ++i)
        if ((e.doubtful & tds_option_bit(static_cast<tds_option>(i))) != 0)
            line.add("doubtful ", tds_option_name(static_cast<tds_option>(i)));
    effect_states(line, "on ", e.turned_on & ~e.passing);
    effect_states(line, "passing ", e.passing);
    effect_states(line, "off ", e.turned_off);
    for (const std::string &name : e.temps)
        line.add("temp ", name);
    line.add_if(e.drops_temps, "drops");
    for (const std::string &name : e.cursors)
        line.add("cursor ", name);
    line.add_if(e.deallocates, "deallocates");
    line.add_if(e.bulk_load, "bulk");
    for (const std::string &name : e.procedures)
        line.add("runs ", name);
    line.add_if(e.calls, "calls");
    line.add_if(e.too_many, "too many");
    line.add_if(e.transactions, "tx");
    line.add_if(e.writes, "writes");
    line.add_if(e.empty, "empty");
    line.add_if(e.lone_select, "lone");
    effect_last(line, e);
    return line.text;
}

// What ends with the texts inside, or not.
inline std::string effect_inner_text(const tsql_effect &e) {
    effect_line line;
    for (size_t i = 0; i < tds_option_count; ++i)
        if ((e.inner.options & tds_option_bit(static_cast<tds_option>(i))) != 0)
            line.add(tds_option_name(static_cast<tds_option>(i)));
    line.add_if(e.inner.place, "place");
    effect_states(line, "on ", e.inner.state);
    for (const std::string &name : e.inner.temps)
        line.add("temp ", name);
    return line.text;
}

inline std::vector<uint8_t> effect_utf16(std::string_view text) {
    std::vector<uint8_t> wire;
    tds_utf16_append(text, SIZE_MAX, wire);
    return wire;
}

struct effect_row {
    const char *text;
    const char *effect;
};

inline std::string effect_of(tsql_scanner *scanner, tsql_scope scope, std::string_view text) {
    tsql_effect effect;
    tsql_scan(scanner, scope, effect_utf16(text), effect);
    return effect_text(effect);
}

inline std::string effect_split(tsql_scanner *scanner, tsql_scope scope, std::span<const uint8_t> wire, size_t at) {
    tsql_effect effect;
    tsql_scan_begin(scanner, scope, effect);
    tsql_scan_feed(scanner, wire.first(at));
    tsql_scan_feed(scanner, wire.subspan(at));
    tsql_scan_end(scanner);
    return effect_text(effect);
}

// Every row's effect, wherever the text is split; and a cut everywhere, which may say anything but must not fail.
inline void effect_check_row(tsql_scanner *scanner, tsql_scope scope, std::string_view text, std::string_view effect) {
    std::vector<uint8_t> wire = effect_utf16(text);
    std::string found = effect_of(scanner, scope, text);
    if (found != effect)
        fail_msg("%.*s\n    does %s\n    not  %.*s", static_cast<int>(text.size()), text.data(), found.c_str(),
                 static_cast<int>(effect.size()), effect.data());
    for (size_t at = 0; at <= wire.size(); ++at) {
        std::string split = effect_split(scanner, scope, wire, at);
        if (split != effect)
            fail_msg("%.*s\n    split at byte %zu does %s", static_cast<int>(text.size()), text.data(), at,
                     split.c_str());
        std::vector<uint8_t> cut(wire.begin(), wire.begin() + static_cast<std::ptrdiff_t>(at));
        cut.shrink_to_fit();
        tsql_effect any;
        tsql_scan(scanner, scope, cut, any);
        assert_true(at % 2 == 0 || (any.turned_on & tsql_unknown) != 0);
    }
}

inline void effect_check(tsql_scope scope, std::span<const effect_row> rows) {
    tsql_scanner *scanner = tsql_scanner_create();
    assert_non_null(scanner);
    for (const effect_row &row : rows)
        effect_check_row(scanner, scope, row.text, row.effect);
    tsql_scanner_destroy(scanner);
}
