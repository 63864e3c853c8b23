#include "proxy/session_track.h"

#include <algorithm>
#include <cstdlib>
#include <strings.h>

#include "tds/packet.h"
#include "tds/request_build.h"

static constexpr size_t names_max = 64;    // temp tables or cursors of one session that are kept apart
static constexpr size_t handles_max = 256; // likewise, of each kind

// What reading back can tell: bits of @@OPTIONS, functions, and rows of DBCC USEROPTIONS.
static constexpr struct {
    tds_option option;
    uint32_t bit;
} option_bits[] = {
    {tds_option::implicit_transactions, 2},
    {tds_option::cursor_close_on_commit, 4},
    {tds_option::ansi_warnings, 8},
    {tds_option::ansi_padding, 16},
    {tds_option::ansi_nulls, 32},
    {tds_option::arithabort, 64},
    {tds_option::arithignore, 128},
    {tds_option::quoted_identifier, 256},
    {tds_option::nocount, 512},
    {tds_option::ansi_null_dflt_on, 1024},
    {tds_option::ansi_null_dflt_off, 2048},
    {tds_option::concat_null_yields_null, 4096},
    {tds_option::numeric_roundabort, 8192},
    {tds_option::xact_abort, 16384},
};
static constexpr struct {
    tds_option option;
    const char *row; // of DBCC USEROPTIONS
} listed_options[] = {{tds_option::dateformat, "dateformat"},
                      {tds_option::textsize, "textsize"},
                      {tds_option::isolation_level, "isolation level"}};

static tds_option_set listed_set() {
    tds_option_set set = 0;
    for (const auto &l : listed_options)
        set |= tds_option_bit(l.option);
    return set;
}

static tds_option_set readable_set() {
    tds_option_set set =
        listed_set() | tds_option_bit(tds_option::datefirst) | tds_option_bit(tds_option::lock_timeout);
    for (const auto &b : option_bits)
        set |= tds_option_bit(b.option);
    return set;
}

const char *pin_reason_name(pin_reason reason) {
    static constexpr const char *names[] = {"transaction", "cursor",      "temp_table", "bulk_load", "session_state",
                                            "handle",      "last_values", "auth",       "mars",      "prepared"};
    static_assert(std::size(names) == pin_reason_count);
    return names[static_cast<size_t>(reason)];
}

tsql_state track_state(const session_track &t) {
    tsql_state state = t.state;
    for (const tsql_mark &mark : t.marks)
        state |= mark.state;
    return state;
}

void track_reset(session_track &t, bool keeps_transaction) {
    bool transaction = t.transaction && keeps_transaction, level_unknown = t.level_unknown;
    t = {};
    t.transaction = transaction;
    t.level_unknown = level_unknown;
}

pin_set track_pins(const session_track &t) {
    pin_set pins = 0;
    if (t.transaction)
        pins |= pin_bit(pin_reason::transaction);
    if (t.cursors_unknown || !t.cursors.empty() || !t.open_cursors.empty() || !t.prepared_cursors.empty())
        pins |= pin_bit(pin_reason::cursor);
    if (t.temps_unknown || !t.temps.empty())
        pins |= pin_bit(pin_reason::temp_table);
    if (t.bulk_load)
        pins |= pin_bit(pin_reason::bulk_load);
    if ((track_state(t) & ~tsql_handle) || t.level_unknown)
        pins |= pin_bit(pin_reason::session_state);
    if ((track_state(t) & tsql_handle) || t.handles_unknown || !t.prepared.empty())
        pins |= pin_bit(pin_reason::handle);
    if (pins == 0 && t.unrecoverable) // of whatever kind: nobody else has seen it
        pins = pin_bit(pin_reason::session_state);
    return pins;
}

bool track_asks(const session_track &t) {
    if (t.bulk_load || (track_state(t) & tsql_no_execution))
        return false;
    return t.ask_transaction || t.ask_temps || t.ask_cursors || t.ask_database || t.doubtful != 0;
}

static void note_level(session_track &t) {
    t.level_unknown = t.level_unknown || (t.doubtful & tds_option_bit(tds_option::isolation_level)) != 0;
}

void track_give_up(session_track &t) {
    note_level(t);
    t.state |= tsql_unknown;
    t.ask_transaction = t.ask_temps = t.ask_cursors = t.ask_database = false;
    t.doubtful = 0;
    t.procedures.clear();
}

bool track_ask_less(session_track &t) {
    if (!(t.doubtful & listed_set()))
        return false;
    note_level(t);
    t.state |= tsql_unknown;
    t.doubtful &= ~listed_set();
    return true;
}

// ---- what a request does ---------------------------------------------------------------------------------------

static void add_names(std::vector<std::string> &to, const std::vector<std::string> &names, bool &unknown) {
    for (const std::string &name : names) {
        auto same = [&](const std::string &known) { return strcasecmp(known.c_str(), name.c_str()) == 0; };
        if (std::find_if(to.begin(), to.end(), same) != to.end())
            continue;
        if (to.size() == names_max)
            unknown = true;
        else
            to.push_back(name);
    }
}

static void doubt_options(session_track &t, tds_option_set options) {
    t.doubtful |= options;
    if (t.doubtful & ~readable_set()) {
        t.state |= tsql_unknown;
        t.doubtful &= readable_set();
    }
}

static void apply_inner(const tsql_inner_effect &inner, session_track &t) {
    doubt_options(t, inner.options);
    t.ask_database |= inner.place;
    t.state |= inner.state;
    add_names(t.temps, inner.temps, t.temps_unknown);
    t.ask_temps |= !inner.temps.empty();
}

// Texts of cursors that run again without being seen again; those only prepared have not been read at all. Of other
// prepared statements the effect is known (proxy/prepared_calls).
static void apply_prepared(const tds_request_info &info, session_track &t) {
    tsql_inner_effect &kept = t.prepared_inner;
    for (const tds_rpc_call &call : info.calls) {
        switch (call.proc) {
        case tds_proc::cursor_execute: apply_inner(kept, t); break;
        case tds_proc::cursor_prepare:
            kept.options |= readable_set() & ~listed_set();
            kept.place = true;
            break;
        case tds_proc::cursor_prepexec:
            kept.options |= info.effect.inner.options;
            kept.place |= info.effect.inner.place;
            kept.state |= info.effect.inner.state;
            add_names(kept.temps, info.effect.inner.temps, t.temps_unknown);
            break;
        default: break;
        }
    }
}

static void apply_sets(const tsql_effect &e, bool surely, session_track &t, tds_session_state &settings) {
    tds_option_set doubtful = e.doubtful;
    for (const tsql_set &set : e.sets) {
        if (surely) {
            tds_state_set(settings, set.option, set.value);
            t.level_unknown = t.level_unknown && set.option != tds_option::isolation_level;
        } else
            doubtful |= tds_option_bit(set.option);
    }
    doubt_options(t, doubtful);
}

// A SET LANGUAGE takes two options with it; one that ends with a call gives them back.
static void apply_language(const tsql_effect &e, bool surely, session_track &t, tds_session_state &settings) {
    for (tds_option o : {tds_option::dateformat, tds_option::datefirst}) {
        bool was_set = !settings[o].empty();
        if (e.sets_language)
            settings[o].clear();
        if (e.sets_language ? !surely : was_set)
            t.doubtful |= tds_option_bit(o);
    }
}

// A text that did not run to its end may have turned on what it says, and turned off nothing.
static void apply_state(const tsql_effect &e, bool surely, session_track &t) {
    tsql_state marked = 0;
    std::vector<tsql_mark> on;
    for (const tsql_mark &mark : e.marks) {
        marked |= mark.state;
        if (mark.on)
            on.push_back(mark);
    }
    tsql_marks_apply(t.marks, surely ? e.marks : on);
    t.state |= e.turned_on & ~marked;
    if (t.marks.size() > names_max)
        t.state |= tsql_unknown;
    if (t.marks.size() > 2 * names_max)
        t.marks.resize(2 * names_max);
}

// Where no token told of a USE or SET LANGUAGE, or one told of a change that may end with a call, the server is asked.
static bool place_doubtful(const tsql_effect &e, const tds_walk_message &m) {
    return e.uses_database != m.database_seen || e.sets_language != m.language_seen;
}

static void apply_text(const tsql_effect &e, const tds_walk_message &m, bool surely, session_track &t,
                       tds_session_state &settings) {
    if (m.language_seen || e.sets_language)
        apply_language(e, surely, t, settings);
    apply_sets(e, surely, t, settings);
    t.ask_database |= place_doubtful(e, m);
    apply_state(e, surely, t);
    add_names(t.temps, e.temps, t.temps_unknown);
    add_names(t.cursors, e.cursors, t.cursors_unknown);
    if (e.too_many)
        t.temps_unknown = t.cursors_unknown = true;
    t.ask_temps |= !t.temps.empty() && (e.drops_temps || (!e.temps.empty() && !surely));
    t.ask_cursors |= !t.cursors.empty() && (e.deallocates || !e.cursors.empty());
    t.bulk_load = e.bulk_load && surely;
    bool unknown = false;
    add_names(t.procedures, e.procedures, unknown);
    if (unknown)
        t.state |= tsql_unknown;
}

static void remember(std::vector<int32_t> &handles, const tds_walk_message &m, size_t index, bool &unknown) {
    if (m.returns_count <= index || !m.returns[index].is_int || m.returns[index].value == 0)
        return; // at most the second: those are kept
    if (handles.size() == handles_max)
        unknown = true;
    else
        handles.push_back(m.returns[index].value);
}

static void forget(std::vector<int32_t> &handles, int32_t handle) {
    auto found = std::find(handles.begin(), handles.end(), handle);
    if (found != handles.end())
        handles.erase(found);
}

static constexpr int32_t fetch_closed = 0x10; // of sp_cursorfetch's return status: the cursor closed itself

static void apply_call(const tds_rpc_call &call, const tds_walk_message &m, bool surely, session_track &t) {
    switch (call.proc) {
    case tds_proc::cursor_open:
    case tds_proc::cursor_execute: remember(t.open_cursors, m, 0, t.cursors_unknown); break;
    case tds_proc::cursor_prepare: remember(t.prepared_cursors, m, 0, t.cursors_unknown); break;
    case tds_proc::cursor_prepexec:
        remember(t.prepared_cursors, m, 0, t.cursors_unknown);
        remember(t.open_cursors, m, 1, t.cursors_unknown);
        break;
    case tds_proc::cursor_fetch:
        if (m.has_return_status && (m.return_status & fetch_closed))
            forget(t.open_cursors, call.first);
        break;
    case tds_proc::cursor_close:
        if (surely)
            forget(t.open_cursors, call.first);
        break;
    case tds_proc::cursor_unprepare:
        if (surely)
            forget(t.prepared_cursors, call.first);
        break;
    case tds_proc::prepexec_rpc:
        if (call.has_first)
            forget(t.prepared, call.first); // the server replaces it
        remember(t.prepared, m, 0, t.handles_unknown);
        break;
    default: break;
    }
}

// Which RETURNVALUE belongs to which call of several nobody can tell.
static void apply_calls(const tds_request_info &info, const tds_walk_message &m, bool surely, session_track &t) {
    if (info.calls.size() == 1)
        return apply_call(info.calls.front(), m, surely, t);
    for (const tds_rpc_call &call : info.calls) {
        switch (call.proc) {
        case tds_proc::cursor_open:
        case tds_proc::cursor_prepare:
        case tds_proc::cursor_execute:
        case tds_proc::cursor_prepexec: t.cursors_unknown = true; break;
        case tds_proc::prepexec_rpc: t.handles_unknown = true; break;
        default: apply_call(call, m, surely, t); break;
        }
    }
}

const char *track_isolation_name(uint8_t level) {
    static constexpr const char *levels[] = {
        "", "READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE", "SNAPSHOT"};
    return level < std::size(levels) ? levels[level] : "";
}

static void apply_isolation(const tds_request_info &info, bool surely, session_track &t, tds_session_state &settings) {
    if (info.tm_isolation == 0)
        return;
    const char *name = track_isolation_name(info.tm_isolation);
    if (surely && *name != '\0') {
        settings[tds_option::isolation_level] = name;
        t.level_unknown = false;
    } else
        t.doubtful |= tds_option_bit(tds_option::isolation_level);
}

// A rollback has taken away what was made in the transaction.
static void look_for_made(session_track &t, bool was_open) {
    bool ends = was_open && (!t.transaction || t.ask_transaction);
    t.ask_temps |= ends && !t.temps.empty();
}

// What a rollback has brought back is looked for; so it is behind a COMMIT, which nobody tells apart here.
static void look_for_dropped(session_track &t) {
    if (t.transaction || t.dropped_temps.empty())
        return;
    add_names(t.temps, t.dropped_temps, t.temps_unknown);
    t.dropped_temps.clear();
    t.ask_temps = true;
}

static void apply_transaction(const tds_request_info &info, const tds_walk_message &m, const track_outcome &o,
                              session_track &t) {
    if (o.announced) {
        t.transaction = o.in_transaction;
        return;
    }
    bool wrong = m.errors > 0 || o.cancelled;
    bool manager = info.type == tds_type_transaction;
    t.ask_transaction |= o.implicit || info.broken || manager || info.effect.transactions ||
                         ((t.transaction || o.in_transaction) && wrong);
    t.transaction |= o.in_transaction;
}

// The server tells of a change that the request's text does not explain: a procedure's, or one that was not seen.
static void apply_told_change(const tds_request_info &info, const tds_walk_message &m, session_track &t) {
    const tsql_effect &e = info.effect;
    bool explained = track_sets(info, m) || m.transaction_seen || e.transactions || !e.marks.empty() ||
                     !e.temps.empty() || e.drops_temps || !e.cursors.empty() || e.deallocates || e.doubtful != 0;
    if (!m.session_state_seen || (explained && !e.calls))
        return;
    doubt_options(t, readable_set());
    t.ask_database = true;
}

bool track_sets(const tds_request_info &info, const tds_walk_message &m) {
    return m.database_seen || m.language_seen || info.effect.sets_language || !info.effect.sets.empty() ||
           info.tm_isolation != 0;
}

void track_request(session_track &t, const tds_request_info &info, const tds_walk_message &m, const track_outcome &o,
                   tds_session_state &settings) {
    bool surely = m.errors == 0 && !o.cancelled;
    t.bulk_load = false;
    if (info.broken)
        t.state |= tsql_unknown;
    apply_text(info.effect, m, surely, t, settings);
    if (o.inner_outlives) { // maybe Babelfish, whose SET LANGUAGE leaves DATEFIRST alone
        if (m.language_seen || info.effect.sets_language)
            t.doubtful |= tds_option_bit(tds_option::datefirst);
        apply_inner(info.effect.inner, t);
        apply_prepared(info, t);
    }
    apply_calls(info, m, surely, t);
    apply_isolation(info, surely, t, settings);
    bool was_open = t.transaction;
    apply_transaction(info, m, o, t);
    look_for_made(t, was_open);
    apply_told_change(info, m, t);
    t.unrecoverable = o.unrecoverable;
    look_for_dropped(t);
}

void track_procedure(session_track &t, const tsql_effect &body) {
    apply_state(body, true, t);
    add_names(t.temps, body.temps, t.temps_unknown);
    add_names(t.cursors, body.cursors, t.cursors_unknown);
    if (body.too_many)
        t.state |= tsql_unknown;
    t.ask_temps |= !body.temps.empty();
    t.ask_cursors |= !body.cursors.empty();
}

// ---- questions -------------------------------------------------------------------------------------------------

static constexpr const char *values_select_list =
    "CAST(@@IDENTITY AS nvarchar(40)),CAST(SCOPE_IDENTITY() AS nvarchar(40)),"
    "CAST(@@ROWCOUNT AS nvarchar(20)),CAST(@@ERROR AS nvarchar(12))";
static constexpr size_t values_columns = 4;

bool track_read_values(const std::vector<std::optional<std::string>> &row, size_t column, last_values &v) {
    if (row.size() < column + values_columns || !row[column + 2] || !row[column + 3])
        return false;
    v.identity = row[column];
    v.scope_identity = row[column + 1];
    v.rowcount = *row[column + 2];
    v.error = *row[column + 3];
    return true;
}

// 0 when all of them are gone, else 1.
static void append_left(std::string &sql, const std::vector<std::string> &names,
                        std::string (*gone)(const std::string &)) {
    sql += ",CAST(CASE WHEN ";
    for (size_t i = 0; i < names.size(); ++i)
        sql.append(i > 0 ? " AND " : "").append(gone(names[i]));
    sql += " THEN 0 ELSE 1 END AS nvarchar(4))";
}

static std::string temp_gone(const std::string &name) {
    std::string whole = std::string("tempdb..").append(tds_quote_name(name));
    return std::string("OBJECT_ID(").append(tds_quote_text(whole)).append(") IS NULL");
}
static std::string cursor_gone(const std::string &name) {
    return std::string("CURSOR_STATUS('global',").append(tds_quote_text(name)).append(")=-3");
}

static constexpr const char *options_columns = ",CAST(@@OPTIONS AS nvarchar(12)),CAST(@@DATEFIRST AS nvarchar(4)),"
                                               "CAST(@@LOCK_TIMEOUT AS nvarchar(12))";
static constexpr const char *place_columns = ",CAST(DB_NAME() AS nvarchar(128)),CAST(@@LANGUAGE AS nvarchar(128))";

std::string track_values_select() {
    return std::string("SELECT ").append(values_select_list);
}

std::string track_question(const session_track &t) {
    std::string sql = "SELECT CAST(@@TRANCOUNT AS nvarchar(12)),";
    sql += values_select_list;
    if (t.ask_temps)
        append_left(sql, t.temps, temp_gone);
    if (t.ask_cursors)
        append_left(sql, t.cursors, cursor_gone);
    if (t.ask_database)
        sql += place_columns;
    if (t.doubtful != 0)
        sql += options_columns;
    if (t.doubtful & listed_set())
        sql += ";DBCC USEROPTIONS";
    return sql;
}

static void read_switches(session_track &t, uint32_t bits, tds_session_state &settings) {
    for (const auto &b : option_bits)
        if (t.doubtful & tds_option_bit(b.option))
            settings[b.option] = bits & b.bit ? "ON" : "OFF";
}

static std::string upper(std::string text) {
    for (char &c : text)
        c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    return text;
}

static bool read_listed(session_track &t, const tds_small_result &result, tds_session_state &settings) {
    for (const auto &l : listed_options) {
        if (!(t.doubtful & tds_option_bit(l.option)))
            continue;
        const std::string *value = nullptr;
        for (size_t i = 1; i < result.rows.size(); ++i)
            if (result.rows[i].size() == 2 && result.rows[i][0] && result.rows[i][1] && *result.rows[i][0] == l.row)
                value = &*result.rows[i][1];
        if (value == nullptr)
            return false;
        settings[l.option] = l.option == tds_option::dateformat ? *value : upper(*value);
        if (settings[l.option] == "READ COMMITTED SNAPSHOT") // what the level means in that database
            settings[l.option] = tds_isolation_default;
    }
    return true;
}

static bool read_options(session_track &t, const tds_small_result &result, size_t column, tds_session_state &settings) {
    const auto &row = result.rows.front();
    if (row.size() < column + 3 || !row[column] || !row[column + 1] || !row[column + 2])
        return false;
    read_switches(t, static_cast<uint32_t>(strtoul(row[column]->c_str(), nullptr, 10)), settings);
    if (t.doubtful & tds_option_bit(tds_option::datefirst))
        settings[tds_option::datefirst] = *row[column + 1];
    if (t.doubtful & tds_option_bit(tds_option::lock_timeout))
        settings[tds_option::lock_timeout] = *row[column + 2];
    return !(t.doubtful & listed_set()) || read_listed(t, result, settings);
}

// True when all of the names are gone.
static bool none_left(const std::vector<std::optional<std::string>> &row, size_t &column) {
    ++column;
    return row.size() >= column && row[column - 1] && *row[column - 1] == "0";
}

bool track_answers(session_track &t, const tds_small_result &result, tds_session_state &settings, last_values &values) {
    if (result.rows.empty() || !result.rows.front().front() || !track_read_values(result.rows.front(), 1, values))
        return false;
    const auto &row = result.rows.front();
    size_t column = 1 + values_columns;
    t.transaction = *row[0] != "0";
    if (t.ask_temps && none_left(row, column)) {
        if (t.transaction)
            add_names(t.dropped_temps, t.temps, t.temps_unknown);
        t.temps.clear();
    }
    if (t.ask_cursors && none_left(row, column))
        t.cursors.clear();
    if (t.ask_database) {
        if (row.size() < column + 2 || !row[column] || !row[column + 1])
            return false;
        settings.database = *row[column];
        settings.language = *row[column + 1];
        column += 2;
    }
    if (t.doubtful != 0 && !read_options(t, result, column, settings))
        return false;
    t.ask_transaction = t.ask_temps = t.ask_cursors = t.ask_database = false;
    t.doubtful = 0;
    look_for_dropped(t);
    return true;
}
