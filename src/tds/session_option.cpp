#include "tds/session_option.h"

#include <cassert>
#include <iterator>

#include "tds/request_build.h"

struct option_row {
    tds_option option;
    const char *name;
    bool is_switch;
};

// In the order of tds_option.
static constexpr option_row rows[] = {
    {tds_option::dateformat, "DATEFORMAT", false},
    {tds_option::datefirst, "DATEFIRST", false},
    {tds_option::quoted_identifier, "QUOTED_IDENTIFIER", true},
    {tds_option::ansi_nulls, "ANSI_NULLS", true},
    {tds_option::ansi_null_dflt_off, "ANSI_NULL_DFLT_OFF", true},
    {tds_option::ansi_null_dflt_on, "ANSI_NULL_DFLT_ON", true},
    {tds_option::ansi_padding, "ANSI_PADDING", true},
    {tds_option::ansi_warnings, "ANSI_WARNINGS", true},
    {tds_option::concat_null_yields_null, "CONCAT_NULL_YIELDS_NULL", true},
    {tds_option::cursor_close_on_commit, "CURSOR_CLOSE_ON_COMMIT", true},
    {tds_option::numeric_roundabort, "NUMERIC_ROUNDABORT", true},
    {tds_option::arithignore, "ARITHIGNORE", true},
    {tds_option::arithabort, "ARITHABORT", true},
    {tds_option::xact_abort, "XACT_ABORT", true},
    {tds_option::deadlock_priority, "DEADLOCK_PRIORITY", false},
    {tds_option::lock_timeout, "LOCK_TIMEOUT", false},
    {tds_option::query_governor_cost_limit, "QUERY_GOVERNOR_COST_LIMIT", false},
    {tds_option::textsize, "TEXTSIZE", false},
    {tds_option::forceplan, "FORCEPLAN", true},
    {tds_option::remote_proc_transactions, "REMOTE_PROC_TRANSACTIONS", true},
    {tds_option::statistics_io, "STATISTICS IO", true},
    {tds_option::statistics_time, "STATISTICS TIME", true},
    {tds_option::isolation_level, "TRANSACTION ISOLATION LEVEL", false},
    {tds_option::implicit_transactions, "IMPLICIT_TRANSACTIONS", true},
    {tds_option::nocount, "NOCOUNT", true},
    {tds_option::rowcount, "ROWCOUNT", false},
};

static constexpr bool in_order() {
    for (size_t i = 0; i < std::size(rows); ++i)
        if (rows[i].option != static_cast<tds_option>(i))
            return false;
    return std::size(rows) == tds_option_count;
}
static_assert(in_order());

static const option_row &row_of(tds_option option) {
    assert(option < tds_option::count_);
    return rows[static_cast<size_t>(option)];
}

const char *tds_option_name(tds_option option) {
    return row_of(option).name;
}

bool tds_option_is_switch(tds_option option) {
    return row_of(option).is_switch;
}

tds_option tds_option_find(std::string_view upper_name) {
    for (const option_row &row : rows)
        if (row.option != tds_option::isolation_level && upper_name == row.name)
            return row.option;
    return tds_option::count_;
}

// --- the state

// Those that SET LANGUAGE sets as well.
static bool is_of_language(tds_option option) {
    return option == tds_option::dateformat || option == tds_option::datefirst;
}

void tds_state_set(tds_session_state &s, tds_option option, std::string_view value) {
    s[option] = value;
    if (value != "ON")
        return;
    if (option == tds_option::ansi_null_dflt_on)
        s[tds_option::ansi_null_dflt_off] = "OFF";
    else if (option == tds_option::ansi_null_dflt_off)
        s[tds_option::ansi_null_dflt_on] = "OFF";
}

void tds_state_set_language(tds_session_state &s, std::string_view language) {
    s.language = language;
    s[tds_option::dateformat].clear();
    s[tds_option::datefirst].clear();
}

void tds_state_reset(tds_session_state &s, std::string_view database, std::string_view language) {
    s.database = database;
    s.language = language;
    for (const option_row &row : rows)
        if (row.option != tds_option::isolation_level)
            s[row.option].clear();
}

void tds_state_forget(tds_session_state &s, tds_option_set options) {
    for (const option_row &row : rows)
        if ((options & tds_option_bit(row.option)) != 0 && row.option != tds_option::isolation_level)
            s[row.option].clear();
}

// --- from one to the other

bool tds_state_takes_back_order(const tds_session_state &from, const tds_session_state &to) {
    for (const option_row &row : rows)
        if (is_of_language(row.option) && to[row.option].empty() && !from[row.option].empty())
            return true;
    return false;
}

// Whether SET LANGUAGE is due: for the language, or to take back a DATEFORMAT or DATEFIRST of its own.
static bool needs_language(const tds_session_state &from, const tds_session_state &to) {
    return !to.language.empty() && (from.language != to.language || tds_state_takes_back_order(from, to));
}

bool tds_state_reachable(const tds_session_state &from, const tds_session_state &to) {
    if ((to.database.empty() && !from.database.empty()) || (to.language.empty() && !from.language.empty()))
        return false;
    bool language = needs_language(from, to);
    for (const option_row &row : rows) {
        bool taken_back = language && is_of_language(row.option);
        if (to[row.option].empty() && !from[row.option].empty() && !taken_back)
            return false;
    }
    return true;
}

static void put_set(std::string &batch, std::string_view name, std::string_view value) {
    batch += "SET ";
    batch += name;
    batch += ' ';
    batch += value;
    batch += ';';
}

std::string tds_state_batch(const tds_session_state &from, const tds_session_state &to) {
    std::string batch;
    if (!to.database.empty() && from.database != to.database)
        batch.append("USE ").append(tds_quote_name(to.database)).append(";");
    bool language = needs_language(from, to);
    if (language)
        put_set(batch, "LANGUAGE", tds_quote_language(to.language));
    for (const option_row &row : rows) {
        bool undone = language && is_of_language(row.option);
        if (!to[row.option].empty() && (undone || from[row.option] != to[row.option]))
            put_set(batch, row.name, to[row.option]);
    }
    return batch;
}

// With their lengths, so that no name can look like two.
std::string tds_state_key(const tds_session_state &s) {
    std::string key;
    auto put = [&key](const std::string &text) { key += std::to_string(text.size()) + ":" + text; };
    put(s.database);
    put(s.language);
    for (const std::string &value : s.options)
        put(value);
    return key;
}
