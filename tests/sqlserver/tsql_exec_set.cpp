// SET options, USE, DBCC.
#include "tsql_functions.h"
#include "tsql_types.h"

namespace sqlserver {

struct bool_option {
    const char *name;
    bool set_options::*member;
};

static const bool_option bool_options[] = {{"ansi_nulls", &set_options::ansi_nulls},
                                           {"ansi_null_dflt_on", &set_options::ansi_null_dflt_on},
                                           {"ansi_null_dflt_off", &set_options::ansi_null_dflt_off},
                                           {"ansi_padding", &set_options::ansi_padding},
                                           {"ansi_warnings", &set_options::ansi_warnings},
                                           {"arithabort", &set_options::arithabort},
                                           {"arithignore", &set_options::arithignore},
                                           {"concat_null_yields_null", &set_options::concat_null_yields_null},
                                           {"cursor_close_on_commit", &set_options::cursor_close_on_commit},
                                           {"implicit_transactions", &set_options::implicit_transactions},
                                           {"nocount", &set_options::nocount},
                                           {"numeric_roundabort", &set_options::numeric_roundabort},
                                           {"quoted_identifier", &set_options::quoted_identifier},
                                           {"xact_abort", &set_options::xact_abort},
                                           {"fmtonly", &set_options::fmtonly},
                                           {"noexec", &set_options::noexec},
                                           {"parseonly", &set_options::parseonly}};

static const char *const isolation_names[] = {
    "", "read uncommitted", "read committed", "repeatable read", "serializable", "snapshot"};

static void set_language(frame &f, const std::string &name) {
    std::string before = f.s->options.language;
    if (!language_apply(f.s->options, name))
        fail(
            2740, 16, 1,
            "SET LANGUAGE failed because '%s' is not an official language name or a language alias on this SQL Server.",
            name.c_str());
    f.h->env_text(env::language, f.s->options.language, before);
    f.h->message(5703, 1, 0, "Changed language setting to " + f.s->options.language + ".", f.procedure, 1);
}

static void set_date_format(frame &f, const std::string &name) {
    date_order order;
    if (!date_order_named(name, order))
        fail(2741, 16, 1, "SET DATEFORMAT date order '%s' is invalid.", name.c_str());
    f.s->options.date_format = lower(name);
}

static void set_isolation(frame &f, const std::string &words) {
    for (int32_t i = 1; i <= 5; i++)
        if (words == isolation_names[i])
            f.s->isolation = i;
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
        std::string word = lower(to_text(v, t));
        o.deadlock_priority = word == "low"      ? -5
                              : word == "high"   ? 5
                              : word == "normal" ? 0
                                                 : static_cast<int32_t>(v.i64);
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
    static const char *const all[] = {"statistics",   "showplan_all", "showplan_text",
                                      "showplan_xml", "forceplan",    "remote_proc_transactions",
                                      "fips_flagger", "offsets",      "disable_def_cnst_chk"};
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
        if (o.*b.member)
            add(b.name, "SET");
    add("isolation level", isolation_names[f.s->isolation]);
    send_rows(f, set, 0xC1, true);
}

void exec_dbcc(frame &f, const stmt &s) {
    bool trace = s.text == "traceon" || s.text == "traceoff" || s.text == "tracestatus";
    if (trace)
        exec_trace_flags(f, s);
    if (s.text == "useroptions")
        user_options(f);
    f.h->message(2528, 1, 0,
                 "DBCC execution completed. If DBCC printed error messages, contact your system administrator.",
                 f.procedure, s.line);
    if (s.text != "useroptions" && s.text != "tracestatus")
        send_done(f, 0, 0xE6, 0);
}

} // namespace sqlserver
