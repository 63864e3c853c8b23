// SET options, USE, DBCC.
#include <tuple>
#include <utility>

#include "tsql_functions.h"
#include "tsql_types.h"

namespace sqlserver {

struct bool_option {
    const char *name;
    bool set_options::*member;
    bool listed = true; // by DBCC USEROPTIONS when it is on
};

static const bool_option bool_options[] = {
    {"quoted_identifier", &set_options::quoted_identifier},
    {"arithabort", &set_options::arithabort},
    {"arithignore", &set_options::arithignore},
    {"ansi_null_dflt_on", &set_options::ansi_null_dflt_on},
    {"ansi_null_dflt_off", &set_options::ansi_null_dflt_off},
    {"ansi_warnings", &set_options::ansi_warnings},
    {"ansi_padding", &set_options::ansi_padding},
    {"ansi_nulls", &set_options::ansi_nulls},
    {"concat_null_yields_null", &set_options::concat_null_yields_null},
    {"numeric_roundabort", &set_options::numeric_roundabort},
    {"cursor_close_on_commit", &set_options::cursor_close_on_commit},
    {"implicit_transactions", &set_options::implicit_transactions},
    {"nocount", &set_options::nocount},
    {"xact_abort", &set_options::xact_abort},
    {"fmtonly", &set_options::fmtonly},
    {"noexec", &set_options::noexec},
    {"parseonly", &set_options::parseonly},
    {"no_browsetable", &set_options::no_browsetable, false},
    {"forceplan", &set_options::forceplan, false},
    {"remote_proc_transactions", &set_options::remote_proc_transactions, false},
    {"disable_def_cnst_chk", &set_options::disable_def_cnst_chk, false},
    {"showplan_all", &set_options::showplan_all, false},
    {"showplan_text", &set_options::showplan_text, false},
    {"showplan_xml", &set_options::showplan_xml, false},
    {"statistics io", &set_options::statistics_io, false},
    {"statistics time", &set_options::statistics_time, false},
    {"statistics profile", &set_options::statistics_profile, false},
    {"statistics xml", &set_options::statistics_xml, false},
};

static const char *const isolation_names[] = {
    "", "read uncommitted", "read committed", "repeatable read", "serializable", "snapshot"};

static void set_language(frame &f, const std::string &name) {
    set_options &o = f.s->options;
    std::string before = o.language;
    auto order = std::pair(o.date_format, o.date_first);
    if (!language_apply(o, name))
        fail(
            2740, 16, 1,
            "SET LANGUAGE failed because '%s' is not an official language name or a language alias on this SQL Server.",
            name.c_str());
    if (f.s->eng->options.language_alone)
        std::tie(o.date_format, o.date_first) = order;
    f.h->env_text(env::language, o.language, before);
    f.h->message(5703, 1, 0, "Changed language setting to " + f.s->options.language + ".", f.procedure, 1);
}

static void set_date_format(frame &f, const std::string &name) {
    date_order order;
    if (!date_order_named(name, order))
        fail(2741, 16, 1, "SET DATEFORMAT date order '%s' is invalid.", name.c_str());
    f.s->options.date_format = lower(name);
}

static void set_isolation(frame &f, const std::string &words) {
    int32_t level = f.s->isolation;
    for (int32_t i = 1; i <= 5; i++)
        if (words == isolation_names[i])
            level = i;
    if (f.has_read && f.s->eng->options.isolation_first && level != f.s->isolation)
        fail(33557097, 16, 1, "SET TRANSACTION ISOLATION failed, transaction aborted");
    f.s->isolation = level;
}

static void set_deadlock_priority(set_options &o, const std::string &word) {
    char *end = nullptr;
    long n = strtol(word.c_str(), &end, 10);
    if (word == "low" || word == "normal" || word == "high")
        n = word == "low" ? -5 : word == "high" ? 5 : 0;
    else if (word.empty() || *end != '\0' || n < -10 || n > 10)
        fail(102, 15, 1, "Incorrect syntax near '%s'.", word.c_str());
    o.deadlock_priority = static_cast<int32_t>(n);
}

static bool set_value(frame &f, const std::string &name, const stmt &s) {
    set_options &o = f.s->options;
    auto number = [&] { return eval_as(f, *s.e, t_bigint).i64; };
    if (s.e == nullptr)
        return false;
    if (name == "textsize") {
        int64_t n = number();
        o.text_size = n <= 0 ? (n == 0 ? 4096 : INT32_MAX) : static_cast<int32_t>(std::min<int64_t>(n, INT32_MAX));
    } else if (name == "rowcount") {
        o.rowcount = std::max<int64_t>(0, number());
    } else if (name == "lock_timeout") {
        o.lock_timeout = static_cast<int32_t>(number());
    } else if (name == "datefirst") {
        int64_t n = number();
        if (n < 1 || n > 7)
            fail(2742, 16, 2, "SET DATEFIRST %lld is out of range.", static_cast<long long>(n));
        o.date_first = static_cast<int32_t>(n);
    } else if (name == "query_governor_cost_limit") {
        o.query_governor = static_cast<int32_t>(number());
    } else if (name == "dateformat") {
        set_date_format(f, eval_as(f, *s.e, t_sysname).text);
    } else if (name == "language") {
        set_language(f, eval_as(f, *s.e, t_sysname).text);
    } else if (name == "context_info") {
        value v = eval_as(f, *s.e, {type_id::varbinary_, 128, 0, 0});
        v.text.resize(128);
        o.context_info = v.text;
    } else if (name == "deadlock_priority") {
        type_info t;
        value v = eval_expr(f, *s.e, t);
        set_deadlock_priority(o, lower(to_text(v, t)));
    } else {
        return false;
    }
    return true;
}

static const bool_option *find_switch(const std::string &name) {
    for (const bool_option &b : bool_options)
        if (name == b.name)
            return &b;
    return nullptr;
}

// ON or OFF. False: not such an option.
static bool set_switch(set_options &o, const std::string &name, bool on) {
    static const char *const defaults[] = {"ansi_nulls",       "ansi_null_dflt_on",      "ansi_padding",
                                           "ansi_warnings",    "cursor_close_on_commit", "implicit_transactions",
                                           "quoted_identifier"};
    const bool_option *b = find_switch(name);
    if (name == "ansi_defaults")
        for (const char *member : defaults)
            set_switch(o, member, on);
    else if (b != nullptr)
        o.*b->member = on;
    if (on && name == "ansi_null_dflt_on")
        o.ansi_null_dflt_off = false;
    else if (on && name == "ansi_null_dflt_off")
        o.ansi_null_dflt_on = false;
    return b != nullptr || name == "ansi_defaults";
}

static bool is_switch_ignored(const std::string &name) {
    static const char *const all[] = {"fips_flagger", "offsets",   "select",    "from",  "order",  "compute",
                                      "table",        "procedure", "statement", "param", "execute"};
    for (const char *n : all)
        if (name == n)
            return true;
    return false;
}

void exec_set(frame &f, const stmt &s) {
    if (s.text == "transaction isolation level") {
        set_isolation(f, s.words.at(0));
    } else if (s.text == "identity_insert") {
        resolved r;
        if (!resolve(f, s.path, r))
            fail(1088, 16, 11,
                 "Cannot find the object \"%s\" because it does not exist or you do not have permissions.",
                 path_text(s.path).c_str());
        std::string name =
            lower((r.db != nullptr ? r.db->name : "tempdb") + "." + r.object->schema + "." + r.object->name);
        if (s.flag && !f.s->identity_insert.empty() && f.s->identity_insert != name)
            fail(8107, 16, 1,
                 "IDENTITY_INSERT is already ON for table '%s'. Cannot perform SET operation for table '%s'.",
                 f.s->identity_insert.c_str(), r.object->name.c_str());
        f.s->identity_insert = s.flag ? name : "";
    } else {
        for (const std::string &name : s.words) {
            bool known = set_value(f, name, s) || is_switch_ignored(name) || set_switch(f.s->options, name, s.flag);
            if (!known)
                fail(195, 15, 5, "'%s' is not a recognized SET option.", name.c_str());
        }
    }
    send_done(f, 0, 0xBE, 0);
}

void exec_use(frame &f, const stmt &s) {
    change_database(f.s, *f.h, s.text, true);
    send_done(f, 0, 0xB9, 0);
}

const char *isolation_name(int32_t level) {
    return isolation_names[level];
}

std::vector<std::pair<std::string, std::string>> options_listed(const set_options &o) {
    std::vector<std::pair<std::string, std::string>> out;
    for (const bool_option &b : bool_options)
        out.emplace_back(upper(b.name), o.*b.member ? "ON" : "OFF");
    out.emplace_back("LANGUAGE", o.language);
    out.emplace_back("DATEFORMAT", o.date_format);
    out.emplace_back("DATEFIRST", std::to_string(o.date_first));
    out.emplace_back("TEXTSIZE", std::to_string(o.text_size));
    out.emplace_back("ROWCOUNT", std::to_string(o.rowcount));
    out.emplace_back("LOCK_TIMEOUT", std::to_string(o.lock_timeout));
    out.emplace_back("QUERY_GOVERNOR_COST_LIMIT", std::to_string(o.query_governor));
    out.emplace_back("DEADLOCK_PRIORITY", std::to_string(o.deadlock_priority));
    out.emplace_back("CONTEXT_INFO", hex_text(o.context_info));
    return out;
}

static void user_options(frame &f) {
    const set_options &o = f.s->options;
    row_set set;
    set.columns = {{"Set Option", t_sysname, false, false, false}, {"Value", t_sysname, true, false, false}};
    auto add = [&](const char *name, const std::string &v) { set.rows.push_back({value_text(name), value_text(v)}); };
    add("textsize", std::to_string(o.text_size));
    add("language", o.language);
    add("dateformat", o.date_format);
    add("datefirst", std::to_string(o.date_first));
    add("lock_timeout", std::to_string(o.lock_timeout));
    for (const bool_option &b : bool_options)
        if (o.*b.member && b.listed)
            add(b.name, "SET");
    add("isolation level", isolation_names[f.s->isolation]);
    send_rows(f, set, 0xC1, true);
}

void exec_dbcc(frame &f, const stmt &s) {
    bool trace = s.text == "traceon" || s.text == "traceoff" || s.text == "tracestatus";
    if (trace)
        exec_trace_flags(f, s);
    if (s.text == "useroptions" && f.s->eng->options.no_useroptions)
        fail(33557097, 16, 1, "DBCC USEROPTIONS is not currently supported");
    if (s.text == "useroptions")
        user_options(f);
    f.h->message(2528, 1, 0,
                 "DBCC execution completed. If DBCC printed error messages, contact your system administrator.",
                 f.procedure, s.line);
    if (s.text != "useroptions" && s.text != "tracestatus")
        send_done(f, 0, 0xE6, 0);
}

} // namespace sqlserver
