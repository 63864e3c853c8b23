// EXEC: procedures of the database, sp_executesql, and the system procedures of tsql_system_procs.cpp.
#include "tsql_bind.h"
#include "tsql_functions.h"
#include "tsql_parser.h"
#include "tsql_system_procs.h"
#include "tsql_types.h"

namespace sqlserver {

// One frame of a procedure or of dynamic SQL: SET options, the isolation level and the database are restored after it
// (but see engine_options::inner_outlives).
struct nested {
    session *s;
    bool keeps_options = false, keeps_database = false;
    set_options saved;
    int32_t isolation;
    std::string db;
    int nest;
    size_t impersonation;
    explicit nested(session *s_)
        : s(s_), saved(s_->options), isolation(s_->isolation), db(s_->db), nest(s_->nest),
          impersonation(s_->impersonation.size()) {
        if (s->nest >= 32)
            fail(217, 16, 1, "Maximum stored procedure, function, trigger, or view nesting level exceeded (limit 32).");
        s->nest++;
    }
    ~nested() {
        s->nest = nest;
        std::string context = s->options.context_info;
        if (!keeps_options) {
            s->options = saved;
            s->isolation = isolation;
        }
        s->options.context_info = context;
        if (!keeps_database)
            s->db = db;
        if (s->impersonation.size() > impersonation)
            s->impersonation.resize(impersonation);
    }
};

// Tells the client what `nested` takes back. Not in its destructor: sending may switch fibers.
static void announce_return(host &h, const nested &n) {
    if (n.s->db != n.db && !n.keeps_database)
        h.env_text(env::database, n.db, n.s->db);
    if (!n.keeps_options && n.s->options.language != n.saved.language)
        h.env_text(env::language, n.saved.language, n.s->options.language);
}

// Gives the parameters their values: by name, by position, or by default.
static void set_parameters(frame &f, const std::vector<declaration> &declared, std::vector<call_argument> &arguments,
                           size_t first, const std::string &procedure) {
    std::vector<bool> given(declared.size());
    for (size_t i = first; i < arguments.size(); i++) {
        call_argument &a = arguments[i];
        size_t at = i - first;
        if (!a.name.empty()) {
            for (at = 0; at < declared.size() && !same_name(declared[at].name, a.name);)
                at++;
            if (at == declared.size())
                fail(8145, 16, 2, "%s is not a parameter for procedure %s.", a.name.c_str(), procedure.c_str());
        }
        if (at >= declared.size())
            fail(8144, 16, 2, "Procedure or function %s has too many arguments specified.", procedure.c_str());
        if (a.use_default)
            continue;
        const declaration &d = declared[at];
        if (a.output && !d.output)
            fail(8162, 16, 2,
                 "The formal parameter \"%s\" was not declared as an OUTPUT parameter, but the actual parameter passed "
                 "in "
                 "requested output.",
                 d.name.c_str());
        given[at] = true;
        sql_error failed;
        try {
            f.variables[d.name] = {d.type, convert(a.val, a.type, d.type)};
        } catch (const sql_error &e) {
            failed = e;
        }
        if (failed.number == 245 || failed.number == 241)
            fail(8114, 16, 1, "Error converting data type %s to %s.", type_name(a.type), type_name(d.type));
        if (failed.number != 0)
            throw failed;
    }
    for (size_t i = 0; i < declared.size(); i++) {
        if (given[i])
            continue;
        const declaration &d = declared[i];
        if (d.init == nullptr && !procedure.empty() && !d.output)
            fail(201, 16, 4, "Procedure or function '%s' expects parameter '%s', which was not supplied.",
                 procedure.c_str(), d.name.c_str());
        if (d.init == nullptr && procedure.empty())
            fail(8178, 16, 1, "The parameterized query '%s' expects the parameter '%s', which was not supplied.",
                 utf16_substring(f.tree->text, 0, 100).c_str(), d.name.c_str());
        f.variables[d.name] = {d.type, value()};
        if (d.init != nullptr)
            f.variables[d.name].val = eval_as(f, *d.init, d.type);
    }
}

static void copy_outputs(frame &f, const std::vector<declaration> &declared, std::vector<call_argument> &arguments,
                         size_t first) {
    for (size_t i = first; i < arguments.size(); i++) {
        call_argument &a = arguments[i];
        size_t at = i - first;
        for (size_t k = 0; !a.name.empty() && k < declared.size(); k++)
            if (same_name(declared[k].name, a.name))
                at = k;
        if (!a.output || at >= declared.size())
            continue;
        variable &v = f.variables[declared[at].name];
        a.val = v.val;
        a.type = declared[at].type;
    }
}

// 266: a procedure must leave as many transactions open as it found.
static flow check_trancount(frame &caller, frame &f, int before, flow r) {
    session *s = caller.s;
    if (r == flow::error || r == flow::abort || s->trancount == before || s->options.implicit_transactions)
        return r;
    sql_error e;
    e.number = 266;
    e.state = 2;
    e.text = text_printf(
        "Transaction count after EXECUTE indicates a mismatching number of BEGIN and COMMIT statements. Previous count "
        "= %d, current count = %d.",
        before, s->trancount);
    if (s->try_depth > 0)
        return report_error(f, e, nullptr);
    e.procedure = f.procedure;
    send_message(f, e);
    return r;
}

flow exec_text(frame &f, std::string_view text, const std::vector<declaration> &parameters,
               std::string_view parameters_text, std::vector<call_argument> &arguments, size_t first, bool in_proc) {
    session *s = f.s;
    nested guard(s);
    bool of_rpc = f.parent == nullptr && f.in_proc;
    guard.keeps_database = s->eng->options.inner_outlives;
    guard.keeps_options = s->eng->options.inner_outlives && of_rpc;
    frame inner;
    inner.s = s;
    inner.keeps_temps = s->eng->options.inner_outlives;
    inner.h = f.h;
    inner.parent = &f;
    inner.in_proc = in_proc;
    inner.capture = f.capture;
    inner.tree = cached_parse(s, text, parameters, parameters_text);
    set_parameters(inner, parameters, arguments, first, "");
    flow r = run_frame(inner, inner.tree->body);
    announce_return(*f.h, guard);
    if (r != flow::error && r != flow::abort)
        copy_outputs(inner, parameters, arguments, first);
    return r == flow::return_ ? flow::next : r;
}

static flow call_user_procedure(frame &caller, const resolved &p, std::vector<call_argument> &arguments,
                                int32_t &status) {
    session *s = caller.s;
    nested guard(s);
    frame f;
    f.s = s;
    f.h = caller.h;
    f.parent = &caller;
    f.in_proc = true;
    f.capture = caller.capture;
    f.procedure = p.object->name;
    f.procedure_id = p.object->id;
    bool quoted = s->options.quoted_identifier;
    s->options.quoted_identifier = p.object->quoted_identifier;
    f.tree = cached_parse(s, p.object->source, {}, "");
    const stmt &create = *f.tree->body.at(0);
    s->options.quoted_identifier = quoted;
    set_parameters(f, create.declarations, arguments, 0, p.object->name);
    int before = s->trancount;
    if (p.db != nullptr && !same_name(p.db->name, s->db))
        s->db = p.db->name; // the client is not told: USE is not allowed in a procedure
    flow r = run_frame(f, create.body);
    if (p.db != nullptr)
        s->db = guard.db;
    announce_return(*caller.h, guard);
    r = check_trancount(caller, f, before, r);
    if (r == flow::error || r == flow::abort) {
        status = -6;
        return r;
    }
    copy_outputs(f, create.declarations, arguments, 0);
    status = f.return_status;
    return flow::next;
}

flow call_procedure(frame &caller, const object_path &path, std::vector<call_argument> &arguments, int32_t &status) {
    status = 0;
    std::string name = lower(path.back());
    if (system_procedure fn = find_system_procedure(name); fn != nullptr) {
        return fn(caller, arguments, status);
    }
    resolved p;
    bool found = resolve(caller, path, p);
    if (!found && path.size() == 1 && name.compare(0, 3, "sp_") == 0)
        found = resolve(caller, {"master", "dbo", path.back()}, p);
    if (!found || p.object->type != "P")
        fail(2812, 16, 62, "Could not find stored procedure '%s'.", path_text(path).c_str());
    return call_user_procedure(caller, p, arguments, status);
}

static std::vector<call_argument> evaluate_arguments(frame &f, const stmt &s) {
    std::vector<call_argument> out;
    for (const argument &a : s.arguments) {
        call_argument c;
        c.name = a.name;
        c.output = a.output;
        c.use_default = a.value == nullptr;
        if (a.value != nullptr)
            c.val = eval_expr(f, *a.value, c.type);
        if (a.value != nullptr && a.value->kind == expr_kind::variable)
            c.variable = a.value->text;
        if (a.output && c.variable.empty())
            fail(179, 15, 1, "Cannot use the OUTPUT option when passing a constant to a stored procedure.");
        out.push_back(std::move(c));
    }
    return out;
}

static object_path procedure_path(frame &f, const stmt &s) {
    if (s.e == nullptr)
        return s.path;
    std::string text = eval_as(f, *s.e, t_sysname).text;
    parser p;
    p.sql = text;
    p.tokens = lex(text, true);
    return path(p);
}

flow exec_procedure(frame &f, const stmt &s) {
    std::vector<call_argument> arguments = evaluate_arguments(f, s);
    int32_t status = 0;
    object_path path = procedure_path(f, s);
    flow r = call_procedure(f, path, arguments, status);
    if (r == flow::error)
        return r;
    if (r != flow::abort) {
        for (const call_argument &a : arguments)
            if (a.output && !a.variable.empty()) {
                variable &v = f.variables.at(a.variable);
                v.val = convert_implicit(a.val, a.type, v.type);
            }
        if (!s.text.empty()) {
            variable &v = f.variables.at(s.text);
            v.val = convert_implicit(value_int(status), t_int, v.type);
        }
    }
    if (!f.in_proc)
        f.h->return_status(status);
    if (f.capture != nullptr && r != flow::abort)
        return r;
    f.s->done_sent = true;
    f.h->done(f.in_proc ? done_kind::done_in_proc : done_kind::done_proc, r == flow::abort ? done_error : uint16_t{0},
              0xE0, 0);
    return r;
}

} // namespace sqlserver
