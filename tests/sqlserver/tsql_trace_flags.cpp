// DBCC TRACEON, TRACEOFF and TRACESTATUS: flags without an effect, of the session or, with -1 among them, of the
// server.
#include "tsql_functions.h"
#include "tsql_types.h"

namespace sqlserver {

namespace {

constexpr type_info t_smallint{type_id::smallint_, 0, 0, 0};

void status_rows(frame &f, const std::set<int32_t> &asked) {
    const std::set<int32_t> &global = f.s->eng->trace_flags, &own = f.s->trace_flags;
    std::set<int32_t> shown = asked;
    if (asked.empty()) {
        shown = global;
        shown.insert(own.begin(), own.end());
    }
    row_set set;
    for (const char *name : {"TraceFlag", "Status", "Global", "Session"})
        set.columns.push_back({name, t_smallint, false, false, false});
    for (int32_t flag : shown) {
        bool everywhere = global.count(flag) != 0, here = own.count(flag) != 0;
        set.rows.push_back({value_int(flag), value_int(everywhere || here), value_int(everywhere), value_int(here)});
    }
    send_rows(f, set, 0xC1, true);
}

} // namespace

void exec_trace_flags(frame &f, const stmt &s) {
    std::set<int32_t> flags;
    for (const expr_ptr &e : s.list)
        flags.insert(static_cast<int32_t>(eval_as(f, *e, t_int).i64));
    bool everywhere = flags.erase(-1) != 0;
    if (s.text == "tracestatus") {
        status_rows(f, flags);
        return;
    }
    std::set<int32_t> &where = everywhere ? f.s->eng->trace_flags : f.s->trace_flags;
    for (int32_t flag : flags) {
        if (s.text == "traceon")
            where.insert(flag);
        else
            where.erase(flag);
    }
}

} // namespace sqlserver
